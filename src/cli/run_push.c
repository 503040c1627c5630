/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/run_push.h"

#include "cli/cli.h"
#include "cli/metrics_filter.h"
#include "prom/push.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#ifdef VULCAN_PUSH

static const char job[] = "vulcan_run";

enum { CAN_PUSH = 1 };

static int push(const struct prom_push_target *target, const char *instance,
                struct prom_error *error)
{
        const struct prom_push_group group = {
                .job = job,
                .labels = (const struct prom_label[]){{"instance", instance}, {NULL, NULL}}};

        return prom_push_gateway(target, PROM_PUSH_REPLACE, &group, prom_default_registry(), NULL,
                                 error);
}

static int write_remote(const struct prom_push_target *target, const char *instance,
                        struct prom_error *error)
{
        const struct prom_write_options options = {
                .labels = (const struct prom_label[]){
                        {"job", job}, {"instance", instance}, {NULL, NULL}}};

        return prom_push_write(target, &options, prom_default_registry(), NULL, error);
}

#else

enum { CAN_PUSH = 0 };

static int push(const struct prom_push_target *target, const char *instance,
                struct prom_error *error)
{
        snprintf(error->msg, sizeof(error->msg), "vulcan was built without push");
        return -ENOTSUP;
}

#define write_remote push

#endif

typedef int push_fn(const struct prom_push_target *target, const char *instance,
                    struct prom_error *error);

static void try(push_fn *fn, const char *url, const struct settings *s, const char *instance,
                unsigned timeout_ms, bool quiet)
{
        const char *names[METRICS_FILTER_MAX + 1];
        const struct prom_push_target target = {
                .url = url,
                .token_file = s->push_token_file[0] ? s->push_token_file : NULL,
                .user_agent = "vulcan/" VULCAN_VERSION,
                .timeout_ms = timeout_ms,
                .names = names};
        struct prom_error error = {""};
        struct err err = ERR_INIT;

        metrics_filter_names(names);
        if (!*url || fn(&target, instance, &error) == 0 || quiet)
                return;
        err_set(&err, EIO, "metrics were not pushed: %s", error.msg);
        cli_fail(0, &err);
}

/* The same check as in the library (src/prom/push/send.c), but before the run. */
static int check_url(const char *flag, const char *url, const char *example, const char *never,
                     struct err *err)
{
        const char *host = strncmp(url, "http://", 7) == 0    ? url + 7
                           : strncmp(url, "https://", 8) == 0 ? url + 8
                                                              : "";
        bool ok = *host && *host != '/' && strlen(url) <= PROM_PUSH_URL_MAX &&
                  !url[strcspn(url, never)] && !memchr(host, '@', strcspn(host, "/?#"));

        for (const char *p = url; ok && *p; p++)
                ok = (unsigned char)*p > ' ' && *p != '\x7f';
        return ok ? 0
                  : err_set(err, EINVAL, "run: --%s: invalid URL \"%.150s\"; give %s", flag, url,
                            example);
}

int run_push_check(const struct settings *s, struct err *err)
{
        int r = 0;

        if (!s->push[0] && !s->remote_write[0])
                return 0;
        if (!CAN_PUSH)
                return err_set(err, ENOTSUP, "run: vulcan was built without push");
        if (s->push[0])
                r = check_url("push", s->push, "http://HOST:PORT", "?#", err);
        if (r == 0 && s->remote_write[0])
                r = check_url("remote-write", s->remote_write, "http://HOST:PORT/api/v1/write", "",
                              err);
        if (r == 0 && s->push_token_file[0] && access(s->push_token_file, R_OK) < 0)
                return err_errno(err, "run: --push-token-file: %.200s", s->push_token_file);
        return r;
}

void run_push(const struct settings *s, bool quiet)
{
        unsigned timeout_ms = s->push_timeout_s * 1000;
        char instance[sizeof(s->push_instance) + 32];

        if (s->push_instance[0])
                snprintf(instance, sizeof(instance), "%s", s->push_instance);
        else
                snprintf(instance, sizeof(instance), "%s:%ld", s->node_id, (long)getpid());
        if (s->push[0] && s->remote_write[0])
                timeout_ms /= 2; /* the two requests share the timeout */
        try(push, s->push, s, instance, timeout_ms, quiet);
        try(write_remote, s->remote_write, s, instance, timeout_ms, quiet);
}
