/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/startup.h"

#include "base/clock.h"
#include "vmm/logger.h"
#include "vmm/seccomp_file.h"

#include <errno.h>
#include <string.h>
#include <time.h>

int startup_log(const struct vmm_args *a, struct err *err)
{
        enum logger_level level;

        logger_set_id(a->id);
        logger_set_show(a->show_level, a->show_log_origin);
        if (a->level && logger_level_parse(a->level, &level) < 0)
                return err_set(err, EINVAL,
                               "--level: unknown level \"%s\": use Off, Error, Warning, Info, "
                               "Debug or Trace",
                               a->level);
        if (a->level)
                logger_set_level(level);
        return 0;
}

int startup_apply_logger(const struct vm_logger *l, struct err *err)
{
        enum logger_level level;

        if (l->log_path && logger_open(l->log_path, err) < 0)
                return -err->code;
        if (l->level && logger_level_parse(l->level, &level) == 0)
                logger_set_level(level);
        logger_set_show(l->show_level, l->show_log_origin);
        return 0;
}

static int apply_args(const struct vmm_args *a, struct vm_config *cfg, struct report *report,
                      struct err *err)
{
        if (a->log_path && logger_open(a->log_path, err) < 0)
                return -err->code;
        logger_info("Running vulcan-vmm v%s", VULCAN_VERSION);
        if (a->metrics_path) {
                if (metrics_file_open(&report->file, a->metrics_path, err) < 0)
                        return -err->code;
                cfg->has_metrics = true;
        }
        if (!a->seccomp_filter)
                return 0;
        if (seccomp_file_check(a->seccomp_filter, err) < 0)
                return -err->code;
        logger_warn("--seccomp-filter: %s is for Firecracker's threads; QEMU's own filter applies",
                    a->seccomp_filter);
        return 0;
}

/* The sections `logger` and `metrics` of the file take effect as the API's do. */
static int apply_file(const char *path, const struct vmm_args *a, struct vm_config *cfg,
                      struct report *report, struct err *err)
{
        bool had_metrics = report->file.fd >= 0;

        if (vm_config_load(cfg, path, err) < 0)
                return -err->code;
        if (cfg->has_logger && startup_apply_logger(&cfg->logger, err) < 0)
                return err_wrap(err, "%s: logger", path);
        if (cfg->metrics.metrics_path && had_metrics)
                return err_set(err, EINVAL, "%s: metrics: --metrics-path is already given", path);
        if (cfg->metrics.metrics_path && report_open(report, &cfg->metrics, a->id, err) < 0)
                return err_wrap(err, "%s: metrics", path);
        return vm_config_check(cfg, err);
}

int startup_apply(const struct vmm_args *a, struct vm_config *cfg, struct report *report,
                  struct err *err)
{
        int r = apply_args(a, cfg, report, err);

        if (r == 0 && a->config_file)
                r = apply_file(a->config_file, a, cfg, report, err);
        /* GET /vm/config shows the path of the command line as it would one of the file. */
        if (r == 0 && a->metrics_path && !(cfg->metrics.metrics_path = strdup(a->metrics_path)))
                r = err_set(err, ENOMEM, "out of memory");
        return r;
}

void startup_take_time(const struct vmm_args *a, struct vmm_metrics *metrics)
{
        struct timespec cpu;
        uint64_t now_us = clock_ns() / NS_PER_US;
        uint64_t cpu_us;

        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &cpu);
        cpu_us = (uint64_t)cpu.tv_sec * 1000000 + (uint64_t)cpu.tv_nsec / 1000;
        if (a->start_time_us && now_us > a->start_time_us)
                metrics->process_startup_time_us = now_us - a->start_time_us;
        if (a->start_time_us && cpu_us >= a->start_time_cpu_us)
                metrics->process_startup_time_cpu_us =
                        cpu_us - a->start_time_cpu_us + a->parent_cpu_time_us;
}
