/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reads the output of a workload from the event stream of a daemon (docs/api.md), line by line,
 * byte for byte. If a connection breaks, the next one continues after the last line received. Lines
 * that were dropped because this client was slow are fetched again.
 *
 * A log may be quiet for any time; the heartbeats of the daemon show that it is alive. After
 * HTTP_HEARTBEATS_LOST heartbeats without a byte, the stream ends with -ETIMEDOUT and does not
 * reconnect.
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
        LOG_STREAM_TRIES = 6,      /* consecutive connections that bring nothing new */
        LOG_STREAM_PAUSE_MS = 200, /* before the second one; doubles each time */
};

struct log_line {
        uint64_t seq;
        enum workload_stream stream;
        const char *bytes; /* includes the newline, if the program wrote one */
        size_t size;
        const char *json; /* as the daemon sent it */
        size_t json_size;
};

/* A negative return ends the stream and becomes its result. */
typedef int log_stream_fn(void *ctx, const struct log_line *line);

struct log_stream {
        struct remote *remote;
        const char *id;
        bool follow;           /* until the workload ends; false: only what is stored now */
        unsigned heartbeat_ms; /* interval of the daemon's heartbeats; 0: HTTP_HEARTBEAT_S */
        int stop_fd;           /* as passed to http_client_set_stop(); -1: none */
        log_stream_fn *fn;
        void *ctx;
        uint64_t lost; /* result: number of lines that are lost */
};

/* Returns 0 after the last line; otherwise an error as in remote.h and http/client.h. */
int log_stream_run(struct log_stream *s, struct err *err);

/*
 * Parses one line event ({"seq", "stream", "line", "partial", "base64"}). The bytes of *ret are in
 * `scratch`. -EPROTO if malformed.
 */
int log_line_parse(const char *json, size_t size, struct buf *scratch, struct log_line *ret);
