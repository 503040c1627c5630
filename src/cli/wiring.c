/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/wiring.h"

#include "backend/firecracker/fc.h"
#include "base/proc.h"
#include "base/trust.h"

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
                               "state directory %.200s: %.200s; choose one that can be made and "
                               "written with --state-dir or VULCAN_STATE_DIR",
                               s->state_dir, inner.msg);
        return 0;
}

int wiring_new_engine(const struct settings *s, const struct wiring *w, struct engine **ret,
                      struct err *err)
{
        struct fc_config fc = {
                .state_dir = s->state_dir,
                .image_dir = s->images[0] ? s->images : NULL,
                .vmm = s->vmm,
                .max_vms = w->max_vms,
                .boot_timeout_ms = s->boot_timeout_s * 1000,
                .output_max = s->output_max,
                .net_bridge = s->net_bridge,
                .net_pool = s->net_pool,
                .net_refuse = s->net_refuse,
                .net_limits = {s->net_connections, s->net_packets, s->net_bandwidth},
        };
        struct engine_config config = {
                .n_backends = 1,
                .store = w->store,
                .output = w->output,
                .max_vms = w->max_vms,
                .max_queue = w->max_queue,
                .max_memory_mb = w->max_memory_mb,
                .registry = prom_default_registry(),
                .fetch_max = s->fetch_max,
                .output_record_max = w->output_record_max,
        };
        int r;

        snprintf(config.node_id, sizeof(config.node_id), "%.63s", s->node_id);
        if ((r = wiring_make_state_dir(s, err)) < 0 ||
            (r = fc_backend_new(&fc, &config.backends[0], err)) < 0)
                return r;
        return engine_new(&config, ret, err);
}
