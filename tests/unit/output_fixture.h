/* SPDX-License-Identifier: Apache-2.0 */
/* Shared by the tests of the output: a file in a directory of its own, and readers as text. */
#pragma once

#include "base/buf.h"
#include "base/fs.h"
#include "base/ulid.h"
#include "output/output.h"
#include "prom/prom.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

struct place {
        char dir[64], path[96];
        struct output_store *store;
        struct prom_registry *registry;
        struct output *output;
        struct err err;
};

static inline void place_start(struct place *p, struct output_config config)
{
        char moved_to[PATH_MAX];

        if (output_store_open(p->path, &p->store, moved_to, &p->err) < 0)
                fail_msg("%s", p->err.msg);
        assert_string_equal(moved_to, "");
        p->registry = prom_registry_new();
        config.store = p->store;
        config.registry = p->registry;
        if (output_new(&config, &p->output, &p->err) < 0)
                fail_msg("%s", p->err.msg);
}

static inline void place_end(struct place *p)
{
        output_free(p->output);
        output_store_close(p->store);
        prom_registry_free(p->registry);
        p->output = NULL;
}

static inline int place_setup(void **state)
{
        struct place *p = calloc(1, sizeof(*p));

        *state = p;
        strcpy(p->dir, "/tmp/test_output_XXXXXX");
        if (!mkdtemp(p->dir))
                return -1;
        snprintf(p->path, sizeof(p->path), "%s/logs.db", p->dir);
        return 0;
}

static inline int place_teardown(void **state)
{
        struct place *p = *state;
        int r;

        if (p->output)
                place_end(p);
        r = fs_remove_tree(p->dir, NULL);
        free(p);
        return r;
}

static inline void write_text(struct output_log *log, enum workload_stream stream, const char *text)
{
        output_log_write(log, stream, text, strlen(text));
}

/* An event as text: "1o one", "2e two~" (partial), "[3-5 slow]", "wait", "end". */
static inline void add_event(struct buf *ret, const struct output_event *e)
{
        if (ret->len)
                buf_add(ret, "|", 1);
        switch (e->type) {
        case OUTPUT_EVENT_LINE:
                buf_printf(ret, "%" PRIu64 "%c ", e->seq, e->stream == WORKLOAD_STDOUT ? 'o' : 'e');
                buf_add(ret, e->bytes, e->size);
                if (e->partial)
                        buf_add(ret, "~", 1);
                break;
        case OUTPUT_EVENT_DROPPED:
                buf_printf(ret, "[%" PRIu64 "-%" PRIu64 " %s]", e->first_seq, e->last_seq,
                           e->reason);
                break;
        case OUTPUT_EVENT_WAIT:
                buf_printf(ret, "wait");
                break;
        case OUTPUT_EVENT_END:
                buf_printf(ret, "end");
        }
}

/* All events of a reader until it waits or ends. */
static inline void assert_reads(struct output_reader *r, const char *want)
{
        struct buf text = BUF_INIT(1 << 20);
        struct output_event e = {0};
        struct err err = ERR_INIT;

        do {
                if (output_reader_next(r, &e, &err) < 0)
                        fail_msg("%s", err.msg);
                add_event(&text, &e);
        } while (e.type == OUTPUT_EVENT_LINE || e.type == OUTPUT_EVENT_DROPPED);
        assert_string_equal(text.data, want);
        buf_release(&text);
}

static inline void never_wake(void *ctx)
{
}

static inline struct output_reader *reader_of(struct place *p, const char *id, uint64_t after,
                                              bool follow)
{
        struct output_reader *r = NULL;

        if (output_reader_new(p->output, id, after, follow ? never_wake : NULL, NULL, &r, &p->err) <
            0)
                fail_msg("%s", p->err.msg);
        return r;
}

/* Asserts the events of a new reader. */
static inline void assert_log(struct place *p, const char *id, uint64_t after, const char *want)
{
        struct output_reader *r = reader_of(p, id, after, false);

        assert_reads(r, want);
        output_reader_free(r);
}

static inline void assert_metric(struct place *p, const char *line)
{
        struct prom_buf text = PROM_BUF_INIT;

        assert_int_equal(prom_render_text(p->registry, &text), 0);
        if (!strstr(text.data, line))
                fail_msg("\"%s\" is not in:\n%s", line, text.data);
        prom_buf_release(&text);
}
