/* SPDX-License-Identifier: Apache-2.0 */
/* vulcan inspect: prints the records of workloads. */
#include "cli/remote_verb.h"
#include "cli/table.h"
#include "json/bytes.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static int cmd_inspect(const struct command_table *table, int argc, char **argv);

static const struct cli_option options[] = {CLI_OPTION_JSON, {0}};

const struct command command_inspect = {
        .name = "inspect",
        .run = cmd_inspect,
        .summary = "show the record of a workload",
        .usage = "[OPTIONS] ID...",
        .about =
                "Shows the records of workloads. Output and the content of fetched files are shown "
                "only with --json." CLI_ABOUT_IDS,
        .options = options,
        .settings = SETTINGS_CLIENT,
        .words = "ID",
};

static void add_value(struct table *t, const json_t *value)
{
        char *text;

        if (json_is_null(value)) {
                table_cell(t, "-");
        } else if (json_is_string(value)) {
                table_cell(t, "%s", json_string_value(value));
        } else if (json_is_boolean(value)) {
                table_cell(t, "%s", json_is_true(value) ? "yes" : "no");
        } else {
                text = json_dumps(value, JSON_ENCODE_ANY | JSON_REAL_PRECISION(12));
                table_cell(t, "%s", text ? text : "");
                free(text);
        }
}

/* Bytes arrive as text or as base64. The table replaces what is not printable. */
static void add_bytes(struct table *t, json_t *value)
{
        json_t *text = NULL;

        if (json_bytes_decode_text(value, NULL, &text, NULL) == 0)
                table_cell(t, "%s", json_string_value(text));
        else
                table_cell(t, "?");
        json_decref(text);
}

/* One row per fetched file, and one per pattern that lacks files. */
static void add_files(struct table *t, const json_t *record)
{
        json_t *item;
        size_t i;

        json_array_foreach(json_object_get(record, "files"), i, item)
        {
                char field[64];

                snprintf(field, sizeof(field), "file, %lld bytes",
                         (long long)remote_number(item, "size"));
                table_cell(t, "%s", field);
                add_bytes(t, json_object_get(item, "path"));
        }
        json_array_foreach(json_object_get(record, "fetch"), i, item)
        {
                if (json_is_null(json_object_get(item, "error")))
                        continue;
                table_cell(t, "missing");
                table_cell(t, "%s", remote_text(item, "error"));
        }
}

static bool is_long(const char *key)
{
        static const char *const keys[] = {"output", "stdout", "stderr", "files", "fetch"};

        for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
                if (strcmp(key, keys[i]) == 0)
                        return true;
        return false;
}

static int print(json_t *record)
{
        struct table t = TABLE_INIT;
        const char *key;
        json_t *value;
        int r;

        table_heads(&t, "FIELD|VALUE");
        json_object_foreach(record, key, value)
        {
                if (is_long(key))
                        continue;
                table_cell(&t, "%s", key);
                add_value(&t, value);
        }
        add_files(&t, record);
        r = table_print(&t, stdout);
        table_release(&t);
        return r;
}

static int inspect(struct remote *remote, const char *word, bool json, struct err *err)
{
        char id[ULID_LEN + 1], path[REMOTE_PATH_MAX];
        json_t *record = NULL;
        int r = remote_find(remote, word, id, err);

        if (r < 0)
                return r;
        snprintf(path, sizeof(path), "/v1/workloads/%s", id);
        if ((r = remote_get(remote, path, &record, err)) < 0)
                return r;
        if ((json ? table_print_json(record, stdout) : print(record)) < 0)
                r = err_set(err, EIO, "cannot write to standard output");
        json_decref(record);
        return r;
}

static int cmd_inspect(const struct command_table *table, int argc, char **argv)
{
        struct remote remote;
        struct err err = ERR_INIT;
        bool json = false;
        int code = 0, r = 0, n;

        n = remote_begin_ids(&command_inspect, argc, argv, &json, &remote, &code);
        if (n == 0)
                return code;
        for (char **word = argv + n; *word && r == 0; word++) {
                if (word > argv + n && !json)
                        putchar('\n');
                r = inspect(&remote, *word, json, &err);
        }
        return remote_end(&remote, r, &err);
}
