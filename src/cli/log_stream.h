/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The output of a daemon's workload, line by line, byte for byte, from the daemon's event stream
 * (docs/api.md). A connection that breaks is made anew after the last line that came; lines that
 * were dropped because we were slow are fetched again.
 *
 * A log may be quiet for ever: the daemon's heartbeats show that it lives. HTTP_HEARTBEATS_LOST of them
 * without a byte is the end: -ETIMEDOUT, and no new connection.
 *
 * Thread rule: one thread.
 */
#pragma once

#include "cli/remote.h"
#include "workload/workload.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
        LOG_STREAM_TRIES = 6,      /* connections in a row that bring nothing new */
        LOG_STREAM_PAUSE_MS = 200, /* before the second of them; then twice as long each time */
};

struct log_line {
        uint64_t seq;
        enum workload_stream stream;
        const char *bytes; /* with the newline, where there was one */
        size_t size;
        const char *json; /* as the daemon sent it */
        size_t json_size;
};

/* A negative return ends the stream and becomes its result. */
typedef int log_stream_fn(void *ctx, const struct log_line *line);

struct log_stream {
        struct remote *remote;
        const char *id;
        bool follow;           /* until the workload has ended; false: what there is now */
        unsigned heartbeat_ms; /* the daemon's; 0: HTTP_HEARTBEAT_S */
        int stop_fd;           /* as http_client_set_stop() was given it; -1: none */
        log_stream_fn *fn;
        void *ctx;
        uint64_t lost; /* result: lines that will never come */
};

/* 0 when all has come; otherwise as remote.h and http/client.h. */
int log_stream_run(struct log_stream *s, struct err *err);

/*
 * Reads one line event ({"seq", "stream", "line", "partial", "base64"}). `scratch` keeps the bytes.
 * -EPROTO for what is none.
 */
int log_line_parse(const char *json, size_t size, struct buf *scratch, struct log_line *ret);
