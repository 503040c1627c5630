/* SPDX-License-Identifier: Apache-2.0 */
/* Followers of a log: what they get, what they lose, and many of them in parallel. */
#include "output_fixture.h"

#include <stdatomic.h>

static void a_follower_gets_lines_as_they_arrive(void **state)
{
        struct place *p = *state;
        struct output_reader *r;
        struct output_log *log;

        place_start(p, (struct output_config){0});
        log = output_log_begin(p->output, "A");
        r = reader_of(p, "A", 0, true);
        assert_metric(p, "vulcan_log_subscribers 1\n");
        assert_reads(r, "wait");
        write_text(log, WORKLOAD_STDOUT, "one\n");
        assert_reads(r, "1o one|wait");
        output_sync(p->output);
        assert_reads(r, "wait");
        write_text(log, WORKLOAD_STDOUT, "two\nthree\n");
        output_sync(p->output);
        assert_reads(r, "2o two|3o three|wait");
        output_log_end(&log);
        assert_reads(r, "end");
        assert_reads(r, "end");
        output_reader_free(r);
        assert_metric(p, "vulcan_log_subscribers 0\n");
}

static void a_late_follower_reads_the_file_first(void **state)
{
        struct place *p = *state;
        struct output_reader *r;
        struct output_log *log;

        place_start(p, (struct output_config){0});
        log = output_log_begin(p->output, "A");
        write_text(log, WORKLOAD_STDOUT, "one\ntwo\n");
        output_sync(p->output); /* nobody follows: the chunks are freed */
        write_text(log, WORKLOAD_STDOUT, "three\n");
        r = reader_of(p, "A", 1, true);
        assert_reads(r, "2o two|3o three|wait");
        output_log_end(&log);
        output_sync(p->output);
        assert_reads(r, "end");
        output_reader_free(r);
}

static void fill(struct output_log *log, int lines)
{
        char line[1000];

        memset(line, 'x', sizeof(line));
        line[sizeof(line) - 1] = '\n';
        for (int i = 0; i < lines; i++)
                output_log_write(log, WORKLOAD_STDOUT, line, sizeof(line));
}

/* Reads until the reader waits or ends; counts lines and lost lines. */
static enum output_event_type tally(struct output_reader *r, uint64_t *lines, uint64_t *lost,
                                    const char *reason)
{
        struct output_event e = {0};
        struct err err = ERR_INIT;
        uint64_t last = 0;

        for (;;) {
                if (output_reader_next(r, &e, &err) < 0)
                        fail_msg("%s", err.msg);
                if (e.type == OUTPUT_EVENT_LINE) {
                        assert_true(e.seq > last);
                        last = e.seq;
                        ++*lines;
                } else if (e.type == OUTPUT_EVENT_DROPPED) {
                        assert_string_equal(e.reason, reason);
                        assert_true(e.first_seq > last && e.last_seq >= e.first_seq);
                        last = e.last_seq;
                        *lost += e.last_seq - e.first_seq + 1;
                } else {
                        return e.type;
                }
        }
}

static void a_slow_follower_is_notified_of_lines_it_can_read_from_the_file(void **state)
{
        struct place *p = *state;
        uint64_t lines = 0, lost = 0, all = 0, none = 0;
        struct output_reader *slow, *history;
        struct output_log *log;

        place_start(p, (struct output_config){.window_max = 2 * OUTPUT_CHUNK_MAX});
        log = output_log_begin(p->output, "A");
        slow = reader_of(p, "A", 0, true);
        assert_reads(slow, "wait");
        fill(log, 4000);
        output_sync(p->output); /* memory keeps the window only */
        assert_int_equal(tally(slow, &lines, &lost, "slow"), OUTPUT_EVENT_WAIT);
        assert_int_equal(lines + lost, 4000);
        assert_in_range(lines, 1, 2 * OUTPUT_CHUNK_MAX / 1000);
        history = reader_of(p, "A", 0, false);
        assert_int_equal(tally(history, &all, &none, "none"), OUTPUT_EVENT_END);
        assert_int_equal(all, 4000);
        output_reader_free(history);
        output_log_end(&log);
        assert_reads(slow, "end");
        output_reader_free(slow);
        assert_metric(p, "vulcan_log_dropped_lines_total{reason=\"slow\"} 3");
}

/* Chunks that leave memory meanwhile are in the file. */
static void reading_a_growing_log_from_the_file_leaves_no_gaps(void **state)
{
        struct place *p = *state;
        uint64_t lines = 0, lost = 0;
        struct output_event e = {0};
        struct output_reader *history;
        struct output_log *log;

        place_start(p, (struct output_config){.window_max = 2 * OUTPUT_CHUNK_MAX});
        log = output_log_begin(p->output, "A");
        fill(log, 10);
        history = reader_of(p, "A", 0, false);
        assert_int_equal(output_reader_next(history, &e, &p->err), 0);
        assert_int_equal(e.seq, 1);
        fill(log, 4000);
        output_sync(p->output);
        assert_int_equal(tally(history, &lines, &lost, "none"), OUTPUT_EVENT_END);
        assert_int_equal(lines, 4009);
        output_reader_free(history);
        output_log_end(&log);
}

/* After the end of its log a slow follower reads the file. */
static void a_slow_follower_of_an_ended_log_loses_nothing(void **state)
{
        struct place *p = *state;
        uint64_t lines = 0, lost = 0;
        struct output_reader *slow;
        struct output_log *log;

        place_start(p, (struct output_config){.window_max = 64 * 1024});
        log = output_log_begin(p->output, "A");
        slow = reader_of(p, "A", 0, true);
        assert_reads(slow, "wait");
        fill(log, 500);
        output_log_end(&log);
        output_sync(p->output);
        assert_int_equal(tally(slow, &lines, &lost, "none"), OUTPUT_EVENT_END);
        assert_int_equal(lines, 500);
        output_reader_free(slow);
}

static void a_full_queue_does_not_block_writers(void **state)
{
        struct place *p = *state;
        uint64_t lines = 0, lost = 0;
        struct output_summary summary;
        struct output_reader *history;
        struct output_log *log;

        place_start(p, (struct output_config){.queue_max = 1});
        log = output_log_begin(p->output, "A");
        fill(log, 20000);
        output_log_end(&log);
        output_sync(p->output);
        assert_int_equal(output_summary(p->output, "A", &summary, NULL), 0);
        history = reader_of(p, "A", 0, false);
        assert_int_equal(tally(history, &lines, &lost, "lost"), OUTPUT_EVENT_END);
        assert_int_equal(lines + lost, 20000);
        assert_int_equal(lost, summary.lost);
        output_reader_free(history);
}

/* ---- threads ---- */

enum { THREAD_LINES = 3000, FOLLOWERS = 4 };

struct follower {
        struct place *p;
        pthread_mutex_t lock;
        pthread_cond_t woken;
        bool awake;
        uint64_t lines, lost;
        pthread_t thread;
};

static void wake(void *ctx)
{
        struct follower *f = ctx;

        pthread_mutex_lock(&f->lock);
        f->awake = true;
        pthread_cond_signal(&f->woken);
        pthread_mutex_unlock(&f->lock);
}

static void *follow(void *arg)
{
        struct follower *f = arg;
        struct output_reader *r = NULL;

        if (output_reader_new(f->p->output, "A", 0, wake, f, &r, NULL) < 0)
                return NULL;
        for (;;) {
                struct output_event e;

                if (output_reader_next(r, &e, NULL) < 0 || e.type == OUTPUT_EVENT_END)
                        break;
                if (e.type == OUTPUT_EVENT_LINE)
                        f->lines++;
                else if (e.type == OUTPUT_EVENT_DROPPED)
                        f->lost += e.last_seq - e.first_seq + 1;
                else {
                        pthread_mutex_lock(&f->lock);
                        while (!f->awake)
                                pthread_cond_wait(&f->woken, &f->lock);
                        f->awake = false;
                        pthread_mutex_unlock(&f->lock);
                }
        }
        output_reader_cancel(r);
        output_reader_free(r);
        return NULL;
}

static void *sync_often(void *arg)
{
        struct place *p = arg;

        for (int i = 0; i < 50; i++)
                output_sync(p->output);
        return NULL;
}

static void many_followers_read_a_growing_log(void **state)
{
        struct place *p = *state;
        struct follower followers[FOLLOWERS] = {0};
        pthread_t syncer;
        struct output_log *log;

        place_start(p, (struct output_config){.window_max = 32 * 1024});
        log = output_log_begin(p->output, "A");
        for (int i = 0; i < FOLLOWERS; i++) {
                followers[i].p = p;
                pthread_mutex_init(&followers[i].lock, NULL);
                pthread_cond_init(&followers[i].woken, NULL);
                assert_int_equal(pthread_create(&followers[i].thread, NULL, follow, &followers[i]),
                                 0);
        }
        assert_int_equal(pthread_create(&syncer, NULL, sync_often, p), 0);
        fill(log, THREAD_LINES);
        output_log_end(&log);
        for (int i = 0; i < FOLLOWERS; i++) {
                assert_int_equal(pthread_join(followers[i].thread, NULL), 0);
                /* A follower that came after the end has read the file. */
                assert_int_equal(followers[i].lines + followers[i].lost, THREAD_LINES);
        }
        assert_int_equal(pthread_join(syncer, NULL), 0);
}

static void *cancel(void *arg)
{
        output_reader_cancel(arg);
        return NULL;
}

static void a_cancelled_reader_is_not_called(void **state)
{
        struct place *p = *state;
        struct follower f = {.p = p};
        struct output_reader *r;
        struct output_event e;
        pthread_t thread;
        struct output_log *log;

        pthread_mutex_init(&f.lock, NULL);
        pthread_cond_init(&f.woken, NULL);
        place_start(p, (struct output_config){0});
        log = output_log_begin(p->output, "A");
        assert_int_equal(output_reader_new(p->output, "A", 0, wake, &f, &r, NULL), 0);
        assert_int_equal(pthread_create(&thread, NULL, cancel, r), 0);
        do
                assert_int_equal(output_reader_next(r, &e, NULL), 0);
        while (e.type != OUTPUT_EVENT_WAIT);
        assert_int_equal(pthread_join(thread, NULL), 0);
        write_text(log, WORKLOAD_STDOUT, "one\n");
        assert_false(f.awake);
        output_log_end(&log);
        output_reader_free(r);
}

static void *write_one_log(void *arg)
{
        struct place *p = arg;
        static atomic_int next;

        for (int i = 0; i < 200; i++) {
                char id[16];
                struct output_log *log;

                snprintf(id, sizeof(id), "L%d", atomic_fetch_add(&next, 1));
                log = output_log_begin(p->output, id);
                write_text(log, WORKLOAD_STDOUT, id);
                output_log_end(&log);
        }
        return NULL;
}

static void many_logs_are_written_in_parallel(void **state)
{
        struct place *p = *state;
        pthread_t threads[4];

        place_start(p, (struct output_config){0});
        for (int i = 0; i < 4; i++)
                assert_int_equal(pthread_create(&threads[i], NULL, write_one_log, p), 0);
        for (int i = 0; i < 4; i++)
                assert_int_equal(pthread_join(threads[i], NULL), 0);
        for (int i = 0; i < 800; i += 50) {
                char id[16], want[32];

                snprintf(id, sizeof(id), "L%d", i);
                snprintf(want, sizeof(want), "1o %s~|end", id);
                assert_log(p, id, 0, want);
        }
        output_sync(p->output);
        assert_log(p, "L799", 0, "1o L799~|end");
}

static void on_wake(void *ctx)
{
        *(bool *)ctx = true;
}

/* The log is unknown afterwards; a reader it had sees its end. */
static void an_abandoned_log_is_unknown(void **state)
{
        struct place *p = *state;
        char id[ULID_LEN + 1];
        struct output_reader *reader;
        struct output_summary summary;
        struct output_event e;
        bool woken = false;
        struct output_log *log;

        place_start(p, (struct output_config){0});
        assert_int_equal(ulid_new(id, NULL), 0);
        log = output_log_begin(p->output, id);
        assert_int_equal(output_reader_new(p->output, id, 0, on_wake, &woken, &reader, &p->err), 0);
        assert_int_equal(output_reader_next(reader, &e, &p->err), 0);
        assert_int_equal(e.type, OUTPUT_EVENT_WAIT);
        output_log_abandon(&log);
        assert_null(log);
        assert_true(woken);
        assert_int_equal(output_reader_next(reader, &e, &p->err), 0);
        assert_int_equal(e.type, OUTPUT_EVENT_END);
        output_reader_free(reader);
        assert_int_equal(output_summary(p->output, id, &summary, &p->err), -ENOENT);
        output_log_abandon(&log); /* NULL as after a failed allocation */
}

int main(void)
{
        const struct CMUnitTest tests[] = {
#define TEST(f) cmocka_unit_test_setup_teardown(f, place_setup, place_teardown)
                TEST(an_abandoned_log_is_unknown),
                TEST(a_follower_gets_lines_as_they_arrive),
                TEST(a_late_follower_reads_the_file_first),
                TEST(a_slow_follower_is_notified_of_lines_it_can_read_from_the_file),
                TEST(reading_a_growing_log_from_the_file_leaves_no_gaps),
                TEST(a_slow_follower_of_an_ended_log_loses_nothing),
                TEST(a_full_queue_does_not_block_writers),
                TEST(many_followers_read_a_growing_log),
                TEST(a_cancelled_reader_is_not_called),
                TEST(many_logs_are_written_in_parallel),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
