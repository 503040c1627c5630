/* SPDX-License-Identifier: Apache-2.0 */
#include "backend/firecracker/check.h"
#include "backend/firecracker/counters.h"
#include "backend/firecracker/execute.h"
#include "backend/firecracker/fc.h"
#include "backend/firecracker/reclaim.h"
#include "backend/firecracker/vmm_choice.h"
#include "backend/resolve.h"
#include "base/fs.h"
#include "base/log.h"
#include "base/trust.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
        DEFAULT_BOOT_TIMEOUT_MS = 30 * 1000,
        RESULT_GRACE_MS = 5 * 1000,
};

/* The variables that a VMM inherits in addition to PATH: the settings of vulcan-vmm. */
static const char *const vmm_variables[] = {"VULCAN_VMM_ACCEL", "VULCAN_VMM_QEMU", NULL};

static const uint64_t default_output_max = UINT64_C(64) << 20;

static void fc_capabilities(struct backend *base, struct backend_capabilities *ret)
{
        struct fc_backend *b = (struct fc_backend *)base;

        *ret = (struct backend_capabilities){
                .name = base->ops->name,
                .isolation = base->ops->isolation,
                .max_concurrency = b->max_vms,
        };
        ret->n_runtimes = image_list_runtimes(b->image_dir, ret->runtimes, BACKEND_RUNTIMES_MAX);
}

static int fc_resolve(struct backend *base, struct workload_spec *spec, struct err *err)
{
        struct fc_backend *b = (struct fc_backend *)base;
        struct image_runtime runtime = {0};
        int r = image_find_runtime(b->image_dir, spec->runtime, &runtime, err);

        if (r < 0)
                return r;
        r = backend_resolve(spec, &runtime, b->output_max, err);
        image_runtime_release(&runtime);
        if (r == 0 && spec->network == WORKLOAD_NETWORK_NAT && (r = net_check(err)) < 0)
                return err_wrap(err, "network");
        if (r == 0)
                fc_metrics_add_runtime(&b->metrics, spec->runtime);
        return r;
}

static int fc_cleanup(struct backend *b, struct backend_run *run)
{
        backend_run_stop(run);
        return backend_run_await(run);
}

static void fc_free(struct backend *base)
{
        struct fc_backend *b = (struct fc_backend *)base;

        fc_remains_free(b->remains);
        environment_release(&b->vmm_environment);
        net_free(b->net);
        free(b);
}

static int fc_open_from_settings(const struct settings *s, unsigned max_vms, struct backend **ret,
                                 struct err *err)
{
        const struct fc_config config = {
                .state_dir = s->state_dir,
                .image_dir = s->images[0] ? s->images : NULL,
                .vmm = s->vmm,
                .max_vms = max_vms,
                .boot_timeout_ms = s->boot_timeout_s * 1000,
                .output_max = s->output_max,
                .net_bridge = s->net_bridge,
                .net_pool = s->net_pool,
                .net_refuse = s->net_refuse,
                .net_limits = {s->net_connections, s->net_packets, s->net_bandwidth},
        };

        return fc_backend_new(&config, ret, err);
}

const struct backend_ops firecracker_backend = {
        .name = "firecracker",
        .isolation = "microvm",
        .metrics_title = "MicroVMs",
        .metrics = fc_metric_descs,
        .n_metrics = FC_METRIC_COUNT,
        .open = fc_open_from_settings,
        .check = fc_check,
        .capabilities = fc_capabilities,
        .resolve = fc_resolve,
        .execute = fc_execute,
        .cleanup = fc_cleanup,
        .free = fc_free,
};

/* Makes the directory of VMs and reclaims what dead owners left in it. */
static int open_state(struct fc_backend *b, const struct fc_config *config, struct err *err)
{
        /* "<vms_dir>/<ULID>/v.sock_5000" has to fit into a Unix socket's address. */
        const size_t beyond = strlen("/") + ULID_LEN + strlen("/v.sock_65535");
        struct err minor = ERR_INIT;
        int r = fs_join(b->vms_dir, sizeof(b->vms_dir), config->state_dir, "vms", err);

        if (r < 0)
                return r;
        if (strlen(b->vms_dir) + beyond > FC_SUN_PATH_MAX)
                return err_set(err, ENAMETOOLONG,
                               "state directory %s is too long: a Unix socket's path holds %d "
                               "bytes; choose one of at most %zu with --state-dir",
                               config->state_dir, FC_SUN_PATH_MAX,
                               FC_SUN_PATH_MAX - beyond - strlen("/vms"));
        if ((r = trust_make_dir(b->vms_dir, err)) < 0)
                return r;
        r = fc_reclaim(b->vms_dir, &b->metrics, b->remains, &minor);
        if (r < 0)
                log_warn("%s", minor.msg);
        fc_reclaim_network(b->net, &b->metrics);
        return 0;
}

static int fc_open(struct fc_backend *b, const struct fc_config *config, struct err *err)
{
        struct prom_registry *registry =
                config->registry ? config->registry : prom_default_registry();
        char runtimes[BACKEND_RUNTIMES_MAX][WORKLOAD_RUNTIME_MAX];
        struct net_config net = {.bridge = config->net_bridge,
                                 .pool = config->net_pool,
                                 .refuse = config->net_refuse,
                                 .limits = config->net_limits};
        struct fc_vmm_choice vmm;
        int r;

        if ((r = fc_choose_vmm(config->vmm, &vmm, err)) < 0 ||
            (r = image_dir(config->image_dir, b->image_dir, err)) < 0 ||
            (r = fc_metrics_init(&b->metrics, registry, runtimes,
                                 image_list_runtimes(b->image_dir, runtimes, BACKEND_RUNTIMES_MAX),
                                 err)) < 0 ||
            (r = net_new(&net, &b->net, err)) < 0)
                return r;
        fc_counters_publish(&(struct fc_counters){0}, &b->metrics);
        b->remains = fc_remains_new(&b->metrics);
        b->vmm_env = (const char *const *)b->vmm_environment.vars;
        if (!b->remains || environment_make(&b->vmm_environment, vmm_variables) < 0)
                return err_set(err, ENOMEM, "out of memory or descriptors");
        if ((r = open_state(b, config, err)) < 0)
                return r;
        strcpy(b->vmm, vmm.path);
        log_debug("VMM %s: %s", vmm.path, vmm.why);
        return 0;
}

int fc_backend_new(const struct fc_config *config, struct backend **ret, struct err *err)
{
        struct fc_backend *b = calloc(1, sizeof(*b));
        int r;

        if (!b)
                return err_set(err, ENOMEM, "out of memory");
        b->base.ops = &firecracker_backend;
        b->max_vms = config->max_vms;
        b->boot_timeout_ms =
                config->boot_timeout_ms ? config->boot_timeout_ms : DEFAULT_BOOT_TIMEOUT_MS;
        b->result_grace_ms = RESULT_GRACE_MS;
        b->output_max = config->output_max ? config->output_max : default_output_max;
        if ((r = fc_open(b, config, err)) < 0) {
                fc_free(&b->base);
                return r;
        }
        *ret = &b->base;
        return 0;
}
