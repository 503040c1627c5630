/* SPDX-License-Identifier: Apache-2.0 */
/* vulcan ls: lists the workloads of a daemon, newest first. */
#include "base/cleanup.h"
#include "cli/remote_verb.h"
#include "cli/table.h"
#include "workload/workload.h"

#include <ctype.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { OPT_OFFSET = 256, LIMIT_DEFAULT = 20, LIMIT_MAX = 1000000 };

static int cmd_ls(const struct command_table *table, int argc, char **argv);

static const struct cli_option options[] = {
        {"status", 's', "STATUS", "only workloads with this status",
         "pending|running|completed|failed|killed", false},
        {"limit", 'n', "N", "at most N workloads [20]", NULL, false},
        {"offset", OPT_OFFSET, "N", "skip the newest N workloads [0]", NULL, false},
        {"all", 'a', NULL, "all workloads", NULL, false},
        {"quiet", 'q', NULL, "only the ids", NULL, false},
        CLI_OPTION_JSON,
        {0},
};

const struct command command_ls = {
        .name = "ls",
        .run = cmd_ls,
        .summary = "list the workloads of a daemon",
        .usage = "[OPTIONS]",
        .about = "Lists the workloads of a daemon, newest first.",
        .options = options,
        .settings = SETTINGS_CLIENT,
};

struct list {
        const char *status;
        unsigned limit, offset;
        bool quiet, json;
        json_t *items;
        json_int_t total;
};

static int parse_number(const char *flag, const char *text, unsigned min, unsigned *ret,
                        struct err *err)
{
        unsigned long n;
        char *end;

        errno = 0;
        n = strtoul(text, &end, 10);
        if (!isdigit((unsigned char)*text) || *end || errno || n < min || n > LIMIT_MAX)
                return err_set(err, EINVAL, "ls: %s: \"%.40s\" is not a number from %u to %d", flag,
                               text, min, LIMIT_MAX);
        *ret = (unsigned)n;
        return 0;
}

static int set_option(void *ctx, int id, const char *value, struct err *err)
{
        struct list *l = ctx;
        enum workload_status status;

        switch (id) {
        case 's':
                if (workload_status_parse(value, &status) < 0)
                        return err_set(err, EINVAL,
                                       "ls: --status: \"%.40s\" is not pending, running, "
                                       "completed, failed or killed",
                                       value);
                l->status = value;
                return 0;
        case 'n':
                return parse_number("--limit", value, 1, &l->limit, err);
        case OPT_OFFSET:
                return parse_number("--offset", value, 0, &l->offset, err);
        case 'a':
                l->limit = LIMIT_MAX;
                return 0;
        case 'q':
                l->quiet = true;
                return 0;
        default:
                l->json = true;
                return 0;
        }
}

/* Fetches page after page until the limit or the end of the list is reached. */
static int fetch(struct list *l, struct remote *remote, struct err *err)
{
        for (;;) {
                unsigned have = (unsigned)json_array_size(l->items), want = l->limit - have;
                char path[REMOTE_PATH_MAX];
                json_t *page = NULL, *items;
                size_t n;
                int r;

                if (!want)
                        return 0;
                if (want > REMOTE_PAGE)
                        want = REMOTE_PAGE;
                snprintf(path, sizeof(path), "/v1/workloads?limit=%u&offset=%u%s%s", want,
                         l->offset + have, l->status ? "&status=" : "", l->status ? l->status : "");
                if ((r = remote_get(remote, path, &page, err)) < 0)
                        return r;
                items = json_object_get(page, "workloads");
                n = json_array_size(items);
                l->total = remote_number(page, "total");
                r = json_array_extend(l->items, items);
                json_decref(page);
                if (r < 0)
                        return err_set(err, EPROTO, "%s: the response is not that of vulcan serve",
                                       http_client_server(remote->http));
                if (n < want)
                        return 0;
        }
}

/* "2026-03-01 12:00:00" of "2026-03-01T12:00:00.123Z". */
static void time_cell(struct table *t, const char *text)
{
        char copy[20];

        snprintf(copy, sizeof(copy), "%s", text);
        if (strlen(copy) > 10)
                copy[10] = ' ';
        table_cell(t, "%s", *copy ? copy : "-");
}

/* Milliseconds since 1970 of "2026-03-01T12:00:00.123Z"; -1 if it is not a time. */
static int64_t ms_of_time(const char *text)
{
        struct tm tm = {0};
        const char *rest = strptime(text, "%Y-%m-%dT%H:%M:%S", &tm);
        double fraction = rest && *rest == '.' ? strtod(rest, NULL) : 0;

        return rest ? (int64_t)timegm(&tm) * 1000 + (int64_t)(fraction * 1000) : -1;
}

/* For a running workload, the time since its start by our clock, which may differ from the
 * daemon's. */
static void seconds_cell(struct table *t, const json_t *item, int64_t now_ms)
{
        json_int_t ms = remote_number(item, "duration_ms");
        int64_t since = ms_of_time(remote_text(item, "started_at"));

        if (ms >= 0)
                table_cell(t, "%.3f", (double)ms / 1000);
        else if (since >= 0 && strcmp(remote_text(item, "status"), "running") == 0)
                table_cell(t, "%lld+", since < now_ms ? (long long)(now_ms - since) / 1000 : 0);
        else
                table_cell(t, "-");
}

static void end_cell(struct table *t, const json_t *item)
{
        json_int_t code = remote_number(item, "exit_code"), signal = remote_number(item, "signal");

        if (json_is_true(json_object_get(item, "timed_out")))
                table_cell(t, "time");
        else if (json_is_true(json_object_get(item, "oom")))
                table_cell(t, "memory");
        else if (signal > 0)
                table_cell(t, "signal %lld", (long long)signal);
        else if (code >= 0)
                table_cell(t, "%lld", (long long)code);
        else
                table_cell(t, "-");
}

static int print(const struct list *l)
{
        int64_t now_ms = (int64_t)time(NULL) * 1000;
        struct table t = TABLE_INIT;
        json_t *item;
        size_t i;
        int r;

        table_heads(&t, "ID|STATUS|RUNTIME|CREATED (UTC)|>SECONDS|EXIT|ERROR");
        json_array_foreach(l->items, i, item)
        {
                table_cell(&t, "%s", remote_text(item, "id"));
                table_cell(&t, "%s", remote_text(item, "status"));
                table_cell(&t, "%s", remote_text(item, "runtime"));
                time_cell(&t, remote_text(item, "created_at"));
                seconds_cell(&t, item, now_ms);
                end_cell(&t, item);
                table_cell(&t, "%s", remote_text(item, "error"));
        }
        r = table_print(&t, stdout);
        table_release(&t);
        if (r == 0 && l->total > (json_int_t)l->offset + (json_int_t)i)
                printf("%zu of %lld; more: --offset %zu, or --all\n", i, (long long)l->total,
                       l->offset + i);
        return r == 0 && fflush(stdout) == 0 ? 0 : -EIO;
}

static int print_ids(const struct list *l)
{
        json_t *item;
        size_t i;

        json_array_foreach(l->items, i, item)
        {
                if (ulid_is_valid(remote_text(item, "id")))
                        puts(remote_text(item, "id"));
        }
        return fflush(stdout) == 0 ? 0 : -EIO;
}

static int print_json(const struct list *l)
{
        json_t *all = json_pack("{s:O, s:I, s:I}", "workloads", l->items, "total", l->total,
                                "offset", (json_int_t)l->offset);
        int r = table_print_json(all, stdout);

        json_decref(all);
        return r;
}

static int cmd_ls(const struct command_table *table, int argc, char **argv)
{
        struct list l = {.limit = LIMIT_DEFAULT, .items = json_array()};
        struct remote remote;
        struct err err = ERR_INIT;
        int code = 0, r;

        if (remote_begin(&command_ls, argc, argv, set_option, &l, &remote, &code) > 0) {
                r = fetch(&l, &remote, &err);
                if (r == 0 && (l.json ? print_json(&l) : l.quiet ? print_ids(&l) : print(&l)) < 0)
                        r = err_set(&err, EIO, "cannot write to standard output");
                code = remote_end(&remote, r, &err);
        }
        json_decref(l.items);
        return code;
}
