/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/wiring.h"

#include "backend/registry.h"
#include "base/proc.h"
#include "base/trust.h"

#include <assert.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

int wiring_prepare_process(struct err *err)
{
        signal(SIGPIPE, SIG_IGN);
        return proc_become_subreaper(err);
}

int wiring_make_state_dir(const struct settings *s, struct err *err)
{
        struct err inner = ERR_INIT;
        int r = trust_make_dir(s->state_dir, &inner);

        if (r == -EPERM)
                return err_set(err, -r, "state directory (--state-dir): %.460s", inner.msg);
        if (r < 0)
                return err_set(err, -r,
                               "state directory %.200s: %.200s; choose one that you can create and "
                               "write to, with --state-dir or VULCAN_STATE_DIR",
                               s->state_dir, inner.msg);
        return 0;
}

static void free_backends(struct engine_config *config)
{
        while (config->n_backends > 0)
                backend_free(config->backends[--config->n_backends]);
}

static int open_backends(const struct settings *s, struct engine_config *config, struct err *err)
{
        for (const struct backend_ops *const *b = backend_registry; *b; b++) {
                int r;

                assert(config->n_backends < ENGINE_BACKENDS_MAX);
                r = (*b)->open(s, config->max_vms, &config->backends[config->n_backends], err);
                if (r < 0) {
                        free_backends(config);
                        return r;
                }
                config->n_backends++;
        }
        return 0;
}

int wiring_new_engine(const struct settings *s, struct engine_config config, struct engine **ret,
                      struct err *err)
{
        int r = wiring_make_state_dir(s, err);

        if (r < 0 || (r = open_backends(s, &config, err)) < 0)
                return r;
        config.registry = prom_default_registry();
        config.fetch_max = s->fetch_max;
        snprintf(config.node_id, sizeof(config.node_id), "%.63s", s->node_id);
        return engine_new(&config, ret, err);
}
