/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Completions that the store rejects at first, and workloads that are killed while their record is
 * inserted. This file defines the functions of engine/record.h in place of the library's, and its
 * tests decide what they return.
 */
#include "engine_fixture.h"
#include "engine/metrics.h"
#include "engine/record.h"
#include "prom/prom.h"

enum { KEPT = 8 };

/* What the store returns, and how it was called. */
static struct {
        pthread_mutex_t lock;
        pthread_cond_t changed;
        int end;         /* result of the first write of a completion */
        int again[KEPT]; /* result of each later one, by exit code modulo KEPT */
        bool bare_only;  /* accept writes with `even_without_output` */
        unsigned tries[KEPT], bare[KEPT], n_tries;
        void (*on_insert)(void *ctx, const char *id);
        void *ctx;
        int insert;
} disk = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

int record_insert(struct store *store, const struct workload *w, struct err *err)
{
        if (disk.on_insert)
                disk.on_insert(disk.ctx, w->id);
        return disk.insert < 0 ? err_set(err, -disk.insert, "no") : 0;
}

void record_begin(struct store *store, const struct workload *w)
{
}

void record_end_start(struct store *store, const struct workload *w, struct store_op *op)
{
}

int record_end_wait(struct store *store, const struct workload *w, struct store_op *op)
{
        return disk.end;
}

int record_end_again(struct store *store, const struct workload *w, bool even_without_output)
{
        unsigned which = (unsigned)w->outcome.exit_code % KEPT;
        int r;

        pthread_mutex_lock(&disk.lock);
        disk.n_tries++;
        disk.tries[which]++;
        disk.bare[which] += even_without_output;
        r = disk.bare_only && even_without_output ? 0 : disk.again[which];
        pthread_cond_broadcast(&disk.changed);
        pthread_mutex_unlock(&disk.lock);
        return r;
}

bool record_error_is_transient(int r)
{
        return r != -EUCLEAN;
}

int record_get(struct store *store, const char *id, struct workload *ret, struct err *err)
{
        return err_set(err, ENOENT, "no workload %s", id);
}

int record_list(struct store *store, int status, unsigned limit, uint64_t offset,
                const struct store_overlay *overlay, struct workload_list *ret, struct err *err)
{
        return err_set(err, ENOSYS, "no store");
}

int record_stats(struct store *store, const struct store_overlay *overlay,
                 struct workload_stats *ret, struct err *err)
{
        return err_set(err, ENOSYS, "no store");
}

static void answer(unsigned which, int r)
{
        pthread_mutex_lock(&disk.lock);
        disk.again[which] = r;
        pthread_mutex_unlock(&disk.lock);
}

static void await_tries(unsigned which, unsigned n)
{
        pthread_mutex_lock(&disk.lock);
        while (disk.tries[which] < n)
                pthread_cond_wait(&disk.changed, &disk.lock);
        pthread_mutex_unlock(&disk.lock);
}

static int reset_disk(void **state)
{
        disk.end = disk.insert = 0;
        disk.bare_only = false;
        disk.on_insert = NULL;
        disk.n_tries = 0;
        memset(disk.again, 0, sizeof(disk.again));
        memset(disk.tries, 0, sizeof(disk.tries));
        memset(disk.bare, 0, sizeof(disk.bare));
        return 0;
}

static struct engine *engine_of(struct prom_registry *registry)
{
        struct engine_config config = {
                .n_backends = 1,
                .max_vms = 4,
                .max_queue = 4,
                .registry = registry,
                .record_again_ms = 1,
        };
        struct engine *e = NULL;

        config.backends[0] = &headless_new()->base;
        assert_int_equal(engine_new(&config, &e, NULL), 0);
        return e;
}

static unsigned unrecorded(struct engine *e)
{
        struct engine_counts c;

        engine_counts(e, &c);
        return (unsigned)c.unrecorded;
}

/* Runs a workload that ends with this code; the store rejects its completion. */
static void end_with(struct engine *e, unsigned code, char id[ULID_LEN + 1])
{
        char text[16];
        struct heard h;

        heard_init(&h);
        snprintf(text, sizeof(text), "exit %u", code);
        assert_int_equal(submit(e, text, &h, id), 0);
        wait_ended(&h); /* does not wait for the store */
        assert_int_equal(h.status, WORKLOAD_COMPLETED);
}

static void await_recorded(struct engine *e, unsigned left)
{
        while (unrecorded(e) != left)
                sched_yield();
}

static void a_completion_is_retried_until_it_is_recorded(void **state)
{
        struct engine *e;
        struct workload w = {0};
        char id[ULID_LEN + 1];

        disk.end = -ENOSPC;
        answer(1, -ENOSPC);
        e = engine_of(NULL);
        end_with(e, 1, id);
        await_tries(1, 3);
        assert_int_equal(unrecorded(e), 1);
        assert_int_equal(engine_get(e, id, &w, NULL), 0); /* from memory */
        assert_int_equal(w.status, WORKLOAD_COMPLETED);
        workload_release(&w);
        assert_int_equal(engine_kill(e, id, NULL), -EALREADY);
        answer(1, 0);
        await_recorded(e, 0);
        assert_int_equal(engine_get(e, id, &w, NULL), -ENOENT); /* now it is in the store only */
        engine_free(e);
}

/* A disk without room for the first completion may have room for the second. */
static void a_completion_without_room_delays_no_other(void **state)
{
        struct engine *e;
        char first[ULID_LEN + 1], second[ULID_LEN + 1];
        struct workload w = {0};

        disk.end = -ENOSPC;
        answer(1, -ENOSPC);
        answer(2, -ENOSPC);
        e = engine_of(NULL);
        end_with(e, 1, first);
        await_tries(1, 1);
        end_with(e, 2, second);
        await_tries(2, 1);
        answer(2, 0);
        await_recorded(e, 1);
        assert_int_equal(engine_get(e, second, &w, NULL), -ENOENT);
        assert_int_equal(engine_get(e, first, &w, NULL), 0);
        workload_release(&w);
        answer(1, 0);
        engine_free(e);
}

/* Each attempt to write to a locked file takes seconds. */
static void a_locked_file_is_waited_for_once_per_round(void **state)
{
        struct engine *e;
        char id[ULID_LEN + 1];

        disk.end = -EBUSY;
        answer(1, -EBUSY);
        answer(2, -EBUSY);
        answer(3, -EBUSY);
        e = engine_of(NULL);
        end_with(e, 1, id);
        await_tries(1, 1);
        end_with(e, 2, id);
        await_recorded(e, 2); /* queued before the third */
        end_with(e, 3, id);
        await_tries(1, 4);
        assert_int_equal(disk.tries[2] + disk.tries[3], 0);
        answer(1, 0); /* the round continues with the others */
        await_tries(2, 1);
        answer(2, 0);
        answer(3, 0);
        await_recorded(e, 0);
        engine_free(e);
}

static void after_some_rounds_a_completion_is_recorded_without_output(void **state)
{
        struct engine *e;
        char id[ULID_LEN + 1];

        disk.end = -ENOSPC;
        answer(1, -ENOSPC);
        disk.bare_only = true;
        e = engine_of(NULL);
        end_with(e, 1, id);
        await_tries(1, 2);
        await_recorded(e, 0);
        assert_int_equal(disk.bare[1], 1);
        engine_free(e);
}

/* It is not shown as running, although the file has a damaged page. */
static void a_workload_whose_end_is_rejected_permanently_is_shown_as_ended(void **state)
{
        struct prom_registry *registry = prom_registry_new();
        struct engine *e;
        struct workload w = {0};
        struct prom_buf text = PROM_BUF_INIT;
        char id[ULID_LEN + 1];

        disk.end = -EUCLEAN;
        answer(1, -EUCLEAN);
        e = engine_of(registry);
        end_with(e, 1, id);
        await_tries(1, 2);
        assert_int_equal(disk.bare[1], disk.tries[1]); /* the damaged page may be the output's */
        assert_int_equal(engine_get(e, id, &w, NULL), 0);
        assert_int_equal(w.status, WORKLOAD_COMPLETED);
        workload_release(&w);
        assert_int_equal(prom_render_text(registry, &text), 0);
        assert_non_null(strstr(text.data, "\nvulcan_workloads_unrecorded 1\n"));
        prom_buf_release(&text);
        engine_drain(e); /* a drain does not wait for it */
        await_recorded(e, 0);
        engine_free(e);
        prom_registry_free(registry);
}

static void stopping_the_engine_retries_once_more(void **state)
{
        struct engine *e;
        char id[ULID_LEN + 1];
        unsigned before;

        disk.end = -ENOSPC;
        answer(1, -ENOSPC);
        disk.bare_only = false;
        e = engine_of(NULL);
        end_with(e, 1, id);
        await_tries(1, 1);
        before = disk.bare[1];
        engine_stop(e); /* does not wait for a store that always fails */
        assert_int_equal(disk.bare[1], before + 1);
        assert_int_equal(unrecorded(e), 0);
        engine_free(e);
}

/* ---- workloads that are being accepted ---- */

struct kill {
        struct engine *engine;
        struct heard heard;
        pthread_t thread;
        char id[ULID_LEN + 1];
        int result;
};

static void *kill_it(void *ctx)
{
        struct kill *k = ctx;

        k->result = engine_kill(k->engine, k->id, NULL);
        return NULL;
}

/* A client has found the id in the store, but the engine has not queued the workload yet. */
static void kill_on_insert(void *ctx, const char *id)
{
        struct kill *k = ctx;
        struct workload w = {0};

        snprintf(k->id, sizeof(k->id), "%s", id);
        assert_int_equal(engine_get(k->engine, id, &w, NULL),
                         -ENOENT); /* only the store knows it */
        assert_int_equal(pthread_create(&k->thread, NULL, kill_it, k), 0);
        pthread_mutex_lock(&k->heard.lock);
        while (!k->heard.n_interrupted)
                pthread_cond_wait(&k->heard.changed, &k->heard.lock);
        pthread_mutex_unlock(&k->heard.lock);
}

static void a_kill_reaches_a_workload_that_is_being_accepted(void **state)
{
        struct kill k = {.engine = engine_of(NULL)};
        struct engine_counts c;

        heard_init(&k.heard);
        disk.on_insert = kill_on_insert;
        disk.ctx = &k;
        assert_int_equal(submit(k.engine, "hang", &k.heard, NULL), 0);
        pthread_join(k.thread, NULL);
        assert_int_equal(k.result, 0);
        assert_int_equal(k.heard.n_ended, 1);
        assert_int_equal(k.heard.status, WORKLOAD_KILLED);
        engine_counts(k.engine, &c);
        assert_int_equal(c.accepted, 1);
        assert_int_equal(c.by_status[WORKLOAD_KILLED], 1);
        assert_int_equal(c.vms, 0);
        engine_free(k.engine);
}

static void a_kill_of_a_rejected_workload_finds_none(void **state)
{
        struct kill k = {.engine = engine_of(NULL)};
        struct engine_counts c;

        heard_init(&k.heard);
        disk.on_insert = kill_on_insert;
        disk.ctx = &k;
        disk.insert = -ENOSPC;
        assert_int_equal(submit(k.engine, "hang", &k.heard, NULL), -ENOSPC);
        pthread_join(k.thread, NULL);
        assert_int_equal(k.result, -ENOENT);
        assert_int_equal(k.heard.n_ended, 0);
        engine_counts(k.engine, &c);
        assert_int_equal(c.accepted, 0);
        assert_int_equal(c.vms, 0);
        engine_free(k.engine);
}

#define T(test) cmocka_unit_test_setup(test, reset_disk)

int main(void)
{
        const struct CMUnitTest tests[] = {
                T(a_completion_is_retried_until_it_is_recorded),
                T(a_completion_without_room_delays_no_other),
                T(a_locked_file_is_waited_for_once_per_round),
                T(after_some_rounds_a_completion_is_recorded_without_output),
                T(a_workload_whose_end_is_rejected_permanently_is_shown_as_ended),
                T(stopping_the_engine_retries_once_more),
                T(a_kill_reaches_a_workload_that_is_being_accepted),
                T(a_kill_of_a_rejected_workload_finds_none),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
