/* SPDX-License-Identifier: Apache-2.0 */
#include "api/render.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "http/text.h"

#include <errno.h>
#include <inttypes.h>
#include <nettle/base64.h>
#include <stdint.h>
#include <stdio.h>
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

/* Milliseconds with three decimals; null for what did not take place. */
static json_t *ms_or_null(uint64_t us)
{
        return us ? json_real((double)us / 1000) : json_null();
}

static json_t *text_or_null(const char *text)
{
        return *text ? http_json_text(text) : json_null();
}

static json_t *base64_text(const struct buf *bytes)
{
        size_t n = BASE64_ENCODE_RAW_LENGTH(bytes->len);
        _cleanup_free_ char *text = malloc(n + 1);

        if (!text)
                return NULL;
        base64_encode_raw(text, bytes->len, (const uint8_t *)bytes->data);
        return json_stringn_nocheck(text, n);
}

/* Figures as far as they have come, and what is known at the end only; null before. */
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

json_t *api_render_workload(const struct workload *w, bool with_output)
{
        json_t *object = json_pack(
                "{s:s, s:s, s:s, s:o, s:o, s:s, s:i, s:i, s:i, s:o, s:o, s:o}", "id", w->id,
                "status", workload_status_name(w->status), "isolation", w->isolation, "runtime",
                http_json_text(w->runtime), "node_id", http_json_text(w->node_id), "network",
                workload_network_name(w->network), "cpu_limit", (int)w->limits.cpus, "mem_limit",
                (int)w->limits.mem_mb, "timeout_s", (int)w->limits.timeout_s, "created_at",
                time_or_null(w->created_ms), "started_at", time_or_null(w->started_ms),
                "finished_at", time_or_null(w->finished_ms));

        if (!object || add_outcome(object, w) < 0 ||
            (with_output && json_object_set_new(object, "output", base64_text(&w->output)) < 0)) {
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
