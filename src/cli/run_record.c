/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/run_record.h"

#include "cli/remote.h"
#include "json/bytes.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int run_record_end(const json_t *record, struct run_end *ret)
{
        enum workload_status status;
        struct workload_outcome *o = &ret->outcome;
        json_int_t signal = remote_number(record, "signal");
        json_int_t dropped = remote_number(record, "dropped_bytes");
        json_int_t timeout = remote_number(record, "timeout_s");
        json_int_t code = remote_number(record, "exit_code");

        if (workload_status_parse(remote_text(record, "status"), &status) < 0 || signal > 127 ||
            code > 255)
                return -EPROTO;
        if (!workload_status_is_end(status))
                return -EAGAIN;
        ret->status = status;
        ret->timeout_s = timeout > 0 ? (unsigned)timeout : 0;
        o->status = status;
        o->exit_code = (int)code;
        o->signal = signal > 0 ? (int)signal : 0;
        o->timed_out = json_is_true(json_object_get(record, "timed_out"));
        o->oom = json_is_true(json_object_get(record, "oom"));
        o->dropped_bytes = dropped > 0 ? (uint64_t)dropped : 0;
        snprintf(o->error, sizeof(o->error), "%s", remote_text(record, "error"));
        /* A completed workload has an exit code or a signal. */
        return status == WORKLOAD_COMPLETED && code < 0 && !o->signal ? -EPROTO : 0;
}

/* Decodes one file of a record. -EPROTO if it was not requested or is incomplete. */
static int decode_file(struct workload_fetch *fetch, json_t *item)
{
        const char *sha256 = remote_text(item, "sha256"), *mode = remote_text(item, "mode");
        json_t *path = NULL, *content = NULL;
        struct workload_file f = {.mode = (unsigned)strtoul(mode, NULL, 8) & 0777};
        json_int_t pattern = remote_number(item, "pattern");
        int r = -EPROTO;

        if (json_bytes_decode_text(json_object_get(item, "path"), NULL, &path, NULL) == 0 &&
            json_bytes_decode(json_object_get(item, "content"), NULL, &content, NULL) == 0 &&
            (json_int_t)json_string_length(content) == remote_number(item, "size") &&
            strlen(sha256) == sizeof(f.sha256) * 2) {
                for (size_t i = 0; i < sizeof(f.sha256); i++) {
                        char digits[3] = {sha256[2 * i], sha256[2 * i + 1], '\0'};

                        f.sha256[i] = (uint8_t)strtoul(digits, NULL, 16);
                }
                f.size = json_string_length(content);
                f.name = strdup(json_string_value(path));
                f.bytes = malloc(f.size + 1);
                if (f.bytes)
                        memcpy(f.bytes, json_string_value(content), f.size);
                f.pattern = (size_t)pattern;
                if (pattern >= 0 && f.pattern < fetch->n_notes)
                        r = f.name && f.bytes ? workload_fetch_add(fetch, &f) : -ENOMEM;
        }
        if (r < 0)
                workload_file_release(&f);
        json_decref(path);
        json_decref(content);
        return r;
}

int run_record_files(const json_t *record, char *const *patterns, size_t n,
                     struct workload_fetch **ret, struct err *err)
{
        struct workload_fetch *fetch = workload_fetch_new(patterns, n);
        const json_t *notes = json_object_get(record, "fetch");
        json_t *item;
        size_t i;
        int r = 0;

        if (!fetch)
                return err_set(err, ENOMEM, "out of memory");
        json_array_foreach(json_object_get(record, "files"), i, item)
        {
                if ((r = decode_file(fetch, item)) < 0)
                        break;
        }
        for (i = 0; i < n && r == 0; i++) {
                const char *error = json_array_size(notes) == n
                                            ? remote_text(json_array_get(notes, i), "error")
                                            : "the daemon did not report on it";

                if (*error)
                        workload_fetch_fail(fetch, i, error);
        }
        if (r < 0) {
                workload_fetch_unref(fetch);
                return err_set(err, -r, "files of the workload: %s",
                               r == -EPROTO ? "the daemon sent other files than requested"
                                            : strerror(-r));
        }
        *ret = fetch;
        return 0;
}
