/* SPDX-License-Identifier: Apache-2.0 */
#include "http/sse_reader.h"

#include <errno.h>
#include <string.h>

static int too_big(int r)
{
        return r == -ENOBUFS ? -EMSGSIZE : r;
}

static int copy_name(char ret[SSE_NAME_MAX], const char *value, size_t n)
{
        if (n >= SSE_NAME_MAX)
                return -EMSGSIZE;
        memcpy(ret, value, n);
        ret[n] = '\0';
        return 0;
}

static int take_field(struct sse_reader *r, const char *name, size_t n_name, const char *value,
                      size_t n)
{
        int failed = 0;

        if (n_name == 4 && memcmp(name, "data", 4) == 0) {
                if (r->has_data)
                        failed = buf_add(&r->data, "\n", 1);
                r->has_data = true;
                return failed < 0 ? too_big(failed) : too_big(buf_add(&r->data, value, n));
        }
        if (n_name == 5 && memcmp(name, "event", 5) == 0)
                return copy_name(r->event, value, n);
        if (n_name == 2 && memcmp(name, "id", 2) == 0 && (!n || !memchr(value, '\0', n)))
                return copy_name(r->id, value, n);
        return 0;
}

static void clear_event(struct sse_reader *r)
{
        r->data.len = 0;
        r->has_data = false;
        r->event[0] = '\0';
}

static int dispatch(struct sse_reader *r)
{
        struct sse_event event = {
                .event = r->event[0] ? r->event : "message",
                .id = r->id,
                .data = r->data.len ? r->data.data : "",
                .size = r->data.len,
        };
        int result = r->has_data ? r->fn(r->ctx, &event) : 0;

        clear_event(r);
        return result < 0 ? result : 0;
}

static int take_line(struct sse_reader *r, const char *line, size_t n)
{
        const char *colon, *value;

        /* The stream may begin with a byte order mark. */
        if (!r->begun && n >= 3 && memcmp(line, "\xef\xbb\xbf", 3) == 0) {
                line += 3;
                n -= 3;
        }
        r->begun = true;
        if (!n)
                return dispatch(r);
        colon = memchr(line, ':', n);
        if (!colon)
                return take_field(r, line, n, "", 0);
        value = colon + 1;
        if (value < line + n && *value == ' ')
                value++;
        return take_field(r, line, (size_t)(colon - line), value, (size_t)(line + n - value));
}

/* A line ends with CR, LF or CR LF, whose bytes may arrive in different pieces. */
int sse_reader_feed(struct sse_reader *r, const char *bytes, size_t n)
{
        const char *end = bytes + n;
        int failed;

        while (bytes < end) {
                const char *stop = bytes;

                if (r->after_cr && *bytes == '\n')
                        stop = ++bytes;
                r->after_cr = false;
                while (stop < end && *stop != '\n' && *stop != '\r')
                        stop++;
                if (stop > bytes && (failed = buf_add(&r->line, bytes, (size_t)(stop - bytes))) < 0)
                        return too_big(failed);
                if (stop == end)
                        return 0;
                r->after_cr = *stop == '\r';
                bytes = stop + 1;
                failed = take_line(r, r->line.len ? r->line.data : "", r->line.len);
                r->line.len = 0;
                if (failed < 0)
                        return failed;
        }
        return 0;
}

void sse_reader_restart(struct sse_reader *r)
{
        clear_event(r);
        r->line.len = 0;
        r->after_cr = r->begun = false;
}

void sse_reader_release(struct sse_reader *r)
{
        buf_release(&r->line);
        buf_release(&r->data);
}
