/* SPDX-License-Identifier: Apache-2.0 */
#include "workload/streams.h"

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>

enum { RUN_BYTES_MAX = 10 };

/* Decodes the run at `at`. Returns its size; 0: truncated. */
static size_t read_run(const struct buf *runs, size_t at, uint64_t *ret)
{
        uint64_t run = 0;

        for (size_t i = 0; i < RUN_BYTES_MAX && at + i < runs->len; i++) {
                uint8_t byte = (uint8_t)runs->data[at + i];

                run |= (uint64_t)(byte & 0x7f) << (7 * i);
                if (!(byte & 0x80)) {
                        *ret = run;
                        return i + 1;
                }
        }
        return 0;
}

int streams_add(struct buf *runs, enum workload_stream stream, size_t n)
{
        uint8_t bytes[RUN_BYTES_MAX];
        size_t at = runs->len, len = 0;
        bool error = stream == WORKLOAD_STDERR;
        uint64_t last, run = (uint64_t)n << 1 | error;
        int r;

        if (n == 0)
                return 0;
        if (at > 0) { /* extend the last run if it is of this stream */
                for (at--; at > 0 && runs->data[at - 1] & 0x80;)
                        at--;
                if (read_run(runs, at, &last) && (last & 1) == error)
                        run += last & ~UINT64_C(1);
                else
                        at = runs->len;
        }
        do {
                bytes[len++] = (uint8_t)((run & 0x7f) | (run > 0x7f ? 0x80 : 0));
        } while ((run >>= 7) != 0);
        if ((r = buf_reserve(runs, len)) < 0)
                return r;
        runs->len = at;
        return buf_add(runs, bytes, len);
}

int streams_take(const struct buf *runs, const struct buf *output, enum workload_stream stream,
                 struct buf *ret)
{
        size_t at = 0, from = 0, used;
        uint64_t run;
        int r;

        for (; at < runs->len; at += used) {
                used = read_run(runs, at, &run);
                if (!used || run >> 1 > output->len - from)
                        return -ENODATA;
                if ((run & 1) == (stream == WORKLOAD_STDERR) &&
                    (r = buf_add(ret, output->data + from, run >> 1)) < 0)
                        return r;
                from += run >> 1;
        }
        return from == output->len ? 0 : -ENODATA;
}
