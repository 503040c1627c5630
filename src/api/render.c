/* SPDX-License-Identifier: Apache-2.0 */
#include "api/render.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "json/bytes.h"
#include "workload/streams.h"

#include <errno.h>
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

enum { REAL_DIGITS = 12 };

void api_time_text(int64_t ms, char ret[API_TIME_MAX])
{
        time_t seconds = (time_t)(ms / 1000);
        struct tm tm;
        size_t n;

        gmtime_r(&seconds, &tm);
        n = strftime(ret, API_TIME_MAX, "%Y-%m-%dT%H:%M:%S", &tm);
        snprintf(ret + n, API_TIME_MAX - n, ".%03dZ", (int)(ms % 1000));
}

static json_t *time_or_null(int64_t ms)
{
        char text[API_TIME_MAX];

        if (!ms)
                return json_null();
        api_time_text(ms, text);
        return json_string(text);
}

/* Milliseconds with three decimals; null if not measured. */
static json_t *ms_or_null(uint64_t us)
{
        return us ? json_real((double)us / 1000) : json_null();
}

static json_t *text_or_null(const char *text)
{
        return *text ? json_string_lossy(text) : json_null();
}

/* Figures that are known so far. Members that are known only at the end are null before. */
static int add_outcome(json_t *object, const struct workload *w)
{
        static const struct workload_outcome none = {.exit_code = -1};
        bool ended = workload_status_is_end(w->status);
        const struct workload_outcome *end = ended ? &w->outcome : &none;
        const struct workload_outcome *o = &w->outcome;
        bool timed = ended && w->started_ms && w->finished_ms >= w->started_ms;

        return json_object_update_new(
                object,
                json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:b, s:b, s:I, "
                          "s:I}",
                          "exit_code",
                          end->exit_code >= 0 ? json_integer(end->exit_code) : json_null(),
                          "signal", end->signal ? json_integer(end->signal) : json_null(), "error",
                          text_or_null(end->error), "duration_ms",
                          timed ? json_integer(w->finished_ms - w->started_ms) : json_null(),
                          "boot_ms", ms_or_null(o->boot_ns / NS_PER_US), "vsock_ms",
                          ms_or_null(o->vsock_ns / NS_PER_US), "cleanup_ms",
                          ms_or_null(o->cleanup_ns / NS_PER_US), "program_ms",
                          ms_or_null(o->wall_us), "user_ms", ms_or_null(o->user_us), "system_ms",
                          ms_or_null(o->system_us), "memory_peak_bytes",
                          o->memory_peak ? json_integer((json_int_t)o->memory_peak) : json_null(),
                          "timed_out", end->timed_out, "oom", end->oom, "output_bytes",
                          (json_int_t)o->output_bytes, "dropped_bytes",
                          (json_int_t)o->dropped_bytes));
}

/* One of the streams; null if the record does not separate them. */
static json_t *stream_of(const struct workload *w, enum workload_stream stream)
{
        _cleanup_buf_ struct buf bytes = BUF_INIT(w->output.len);
        int r = streams_take(&w->streams, &w->output, stream, &bytes);

        if (r < 0)
                return r == -ENODATA ? json_null() : NULL;
        return json_bytes_encode(bytes.data, bytes.len);
}

static json_t *render_file(const struct workload_file *f)
{
        char hex[2 * WORKLOAD_SHA256 + 1], mode[16];

        for (size_t i = 0; i < WORKLOAD_SHA256; i++)
                snprintf(hex + 2 * i, 3, "%02x", f->sha256[i]);
        snprintf(mode, sizeof(mode), "%04o", f->mode & 0777);
        return json_pack("{s:o, s:I, s:s, s:s, s:I, s:o}", "path",
                         json_bytes_encode(f->name, strlen(f->name)), "size", (json_int_t)f->size,
                         "mode", mode, "sha256", hex, "pattern", (json_int_t)f->pattern, "content",
                         json_bytes_encode(f->bytes, f->size));
}

static json_t *render_note(const struct workload_note *n)
{
        return json_pack("{s:o, s:I, s:o}", "pattern",
                         json_bytes_encode(n->pattern, strlen(n->pattern)), "files",
                         (json_int_t)n->n_files, "error", text_or_null(n->error ? n->error : ""));
}

/* The fetched files, and the result of each pattern. */
static int add_files(json_t *object, const struct workload_fetch *f)
{
        json_t *files = json_array(), *notes = json_array();
        int r = json_object_set_new(object, "files", files);

        if (json_object_set_new(object, "fetch", notes) < 0)
                r = -1;
        for (size_t i = 0; f && i < f->n_files && r == 0; i++)
                r = json_array_append_new(files, render_file(&f->files[i]));
        for (size_t i = 0; f && i < f->n_notes && r == 0; i++)
                r = json_array_append_new(notes, render_note(&f->notes[i]));
        return r;
}

static int add_output(json_t *object, const struct workload *w)
{
        if (json_object_set_new(object, "output",
                                json_base64_encode(w->output.data, w->output.len)) < 0 ||
            json_object_set_new(object, "stdout", stream_of(w, WORKLOAD_STDOUT)) < 0 ||
            json_object_set_new(object, "stderr", stream_of(w, WORKLOAD_STDERR)) < 0)
                return -1;
        return add_files(object, w->fetch);
}

json_t *api_render_workload(const struct workload *w, bool with_output)
{
        json_t *object = json_pack(
                "{s:s, s:s, s:s, s:o, s:o, s:s, s:i, s:i, s:i, s:o, s:o, s:o}", "id", w->id,
                "status", workload_status_name(w->status), "isolation", w->isolation, "runtime",
                json_string_lossy(w->runtime), "node_id", json_string_lossy(w->node_id), "network",
                workload_network_name(w->network), "cpu_limit", (int)w->limits.cpus, "mem_limit",
                (int)w->limits.mem_mb, "timeout_s", (int)w->limits.timeout_s, "created_at",
                time_or_null(w->created_ms), "started_at", time_or_null(w->started_ms),
                "finished_at", time_or_null(w->finished_ms));

        if (!object || add_outcome(object, w) < 0 || (with_output && add_output(object, w) < 0)) {
                json_decref(object);
                return NULL;
        }
        return object;
}

static int add_bytes(const char *bytes, size_t n, void *ctx)
{
        return buf_add(ctx, bytes, n);
}

int api_dump(json_t *json, struct buf *ret)
{
        int r;

        if (!json)
                return -ENOMEM;
        r = json_dump_callback(json, add_bytes, ret,
                               JSON_COMPACT | JSON_REAL_PRECISION(REAL_DIGITS));
        json_decref(json);
        if (r < 0)
                return -ENOMEM;
        return buf_add(ret, "\n", 1);
}
