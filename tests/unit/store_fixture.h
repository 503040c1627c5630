/* SPDX-License-Identifier: Apache-2.0 */
/* Shared by the tests of the store: a store in a directory of its own, and records. */
#pragma once

#include "base/ulid.h"
#include "store/store.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

struct place {
        char dir[64], path[80];
        struct store *store;
        struct store_opened opened;
        struct err err;
};

static inline void reopen(struct place *p)
{
        store_close(p->store);
        p->store = NULL;
        p->err = ERR_INIT;
        if (store_open(p->path, &p->store, &p->opened, &p->err) < 0)
                fail_msg("%s", p->err.msg);
}

static inline int setup(void **state)
{
        struct place *p = calloc(1, sizeof(*p));

        *state = p;
        strcpy(p->dir, "/tmp/test_store_XXXXXX");
        if (!mkdtemp(p->dir))
                return -1;
        snprintf(p->path, sizeof(p->path), "%s/db", p->dir);
        return store_open(p->path, &p->store, &p->opened, &p->err);
}

static inline int teardown(void **state)
{
        struct place *p = *state;
        char command[128];
        int r;

        store_close(p->store);
        snprintf(command, sizeof(command), "rm -r %s", p->dir);
        r = system(command);
        free(p);
        return r;
}

static inline struct workload pending(void)
{
        struct workload w = {
                .status = WORKLOAD_PENDING,
                .runtime = "python",
                .isolation = "microvm",
                .node_id = "here",
                .network = WORKLOAD_NETWORK_NAT,
                .limits = {2, 256, 60, 100, UINT64_C(1) << 40},
                .created_ms = 1700000000123,
        };

        assert_int_equal(ulid_new(w.id, NULL), 0);
        return w;
}

static inline void end(struct workload *w, enum workload_status status)
{
        w->status = status;
        w->started_ms = w->created_ms + 10;
        w->finished_ms = w->created_ms + 110;
        w->outcome = (struct workload_outcome){
                .status = status,
                .exit_code = 7,
                .signal = 9,
                .timed_out = true,
                .oom = true,
                .error = "a reason",
                .boot_ns = 1,
                .vsock_ns = 2,
                .cleanup_ns = UINT64_MAX,
                .wall_us = 4,
                .user_us = 5,
                .system_us = 6,
                .memory_peak = 7,
                .output_bytes = 8,
                .dropped_bytes = 9,
        };
}

static inline void assert_same(const struct workload *a, const struct workload *b)
{
        assert_string_equal(a->id, b->id);
        assert_int_equal(a->status, b->status);
        assert_string_equal(a->runtime, b->runtime);
        assert_string_equal(a->isolation, b->isolation);
        assert_string_equal(a->node_id, b->node_id);
        assert_int_equal(a->network, b->network);
        assert_memory_equal(&a->limits, &b->limits, sizeof(a->limits));
        assert_int_equal(a->created_ms, b->created_ms);
        assert_int_equal(a->started_ms, b->started_ms);
        assert_int_equal(a->finished_ms, b->finished_ms);
        assert_int_equal(a->outcome.exit_code, b->outcome.exit_code);
        assert_int_equal(a->outcome.signal, b->outcome.signal);
        assert_int_equal(a->outcome.timed_out, b->outcome.timed_out);
        assert_int_equal(a->outcome.oom, b->outcome.oom);
        assert_string_equal(a->outcome.error, b->outcome.error);
        assert_int_equal(a->outcome.boot_ns, b->outcome.boot_ns);
        assert_int_equal(a->outcome.vsock_ns, b->outcome.vsock_ns);
        assert_true(a->outcome.cleanup_ns == b->outcome.cleanup_ns);
        assert_int_equal(a->outcome.wall_us, b->outcome.wall_us);
        assert_int_equal(a->outcome.user_us, b->outcome.user_us);
        assert_int_equal(a->outcome.system_us, b->outcome.system_us);
        assert_int_equal(a->outcome.memory_peak, b->outcome.memory_peak);
        assert_int_equal(a->outcome.output_bytes, b->outcome.output_bytes);
        assert_int_equal(a->outcome.dropped_bytes, b->outcome.dropped_bytes);
        assert_int_equal(a->output.len, b->output.len);
        if (a->output.len)
                assert_memory_equal(a->output.data, b->output.data, a->output.len);
}

#define STORE_TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
