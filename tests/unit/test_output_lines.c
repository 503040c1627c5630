/* SPDX-License-Identifier: Apache-2.0 */
/* Output is cut into lines, stored and read back exactly. */
#include "base/clock.h"
#include "output_fixture.h"

#include <sys/stat.h>

#include <sqlite3.h>

static void lines_of_both_streams_are_numbered_together(void **state)
{
        struct place *p = *state;
        struct output_summary summary;
        struct output_log *log;

        place_start(p, (struct output_config){0});
        log = output_log_begin(p->output, "A");
        assert_log(p, "A", 0, "end");
        write_text(log, WORKLOAD_STDOUT, "one\ntwo\n\nfo");
        write_text(log, WORKLOAD_STDERR, "err\n");
        assert_log(p, "A", 0, "1o one|2o two|3o |4e err|end"); /* "fo" waits for its newline */
        write_text(log, WORKLOAD_STDOUT, "ur\n");
        write_text(log, WORKLOAD_STDERR, "tail");
        assert_int_equal(output_summary(p->output, "A", &summary, NULL), 0);
        assert_false(summary.ended);
        output_log_end(&log);
        assert_null(log);
        for (int i = 0; i < 2; i++) {
                assert_log(p, "A", 0, "1o one|2o two|3o |4e err|5o four|6e tail~|end");
                assert_log(p, "A", 4, "5o four|6e tail~|end");
                assert_log(p, "A", 6, "end");
                assert_log(p, "A", 1000, "end");
                assert_int_equal(output_summary(p->output, "A", &summary, NULL), 0);
                assert_true(summary.ended);
                assert_int_equal(summary.last_seq, 6);
                assert_int_equal(summary.lost, 0);
                output_sync(p->output); /* the second pass reads the file */
        }
        assert_metric(p, "vulcan_log_lines_total{stream=\"stdout\"} 4\n");
        assert_metric(p, "vulcan_log_bytes_total{stream=\"stderr\"} 8\n");
        assert_metric(p, "vulcan_log_queue_bytes 0\n");
        assert_int_equal(output_reader_new(p->output, "B", 0, NULL, NULL,
                                           &(struct output_reader *){0}, &p->err),
                         -ENOENT);
}

static void a_log_survives_the_daemon(void **state)
{
        struct place *p = *state;
        struct output_log *log;

        place_start(p, (struct output_config){0});
        log = output_log_begin(p->output, "A");
        write_text(log, WORKLOAD_STDOUT, "kept\n");
        output_log_end(&log);
        place_end(p);
        place_start(p, (struct output_config){0});
        assert_log(p, "A", 0, "1o kept|end");
}

/* Reassembles a stream from its lines. */
static void join(struct place *p, const char *id, enum workload_stream stream, struct buf *ret)
{
        struct output_reader *r = reader_of(p, id, 0, false);
        struct output_event e = {0};
        uint64_t seq = 0;

        while (output_reader_next(r, &e, &p->err) == 0 && e.type == OUTPUT_EVENT_LINE) {
                assert_int_equal(e.seq, ++seq);
                assert_true(e.size <= OUTPUT_LINE_MAX);
                if (e.stream != stream)
                        continue;
                buf_add(ret, e.bytes, e.size);
                if (!e.partial)
                        buf_add(ret, "\n", 1);
        }
        assert_int_equal(e.type, OUTPUT_EVENT_END);
        output_reader_free(r);
}

/* All byte values in pieces of various sizes, around the bounds of lines and chunks. */
static void all_bytes_are_returned_exactly(void **state)
{
        enum { SIZE = 3 * OUTPUT_CHUNK_MAX };
        struct place *p = *state;
        struct buf joined = BUF_INIT(2 * SIZE);
        char *data = malloc(SIZE);
        struct output_log *log;
        unsigned seed = 1;

        for (int i = 0; i < SIZE; i++) {
                seed = seed * 1103515245 + 12345;
                data[i] = (char)(seed >> 16);
                if (i > SIZE / 2 && data[i] == '\n' && (seed >> 24) % 8)
                        data[i] = 'x'; /* long lines in the second half */
        }
        memset(data + SIZE / 4, 'y', 5 * OUTPUT_LINE_MAX);
        data[SIZE / 4 + OUTPUT_LINE_MAX - 1] = '\n';
        place_start(p, (struct output_config){0});
        log = output_log_begin(p->output, "A");
        for (size_t at = 0, n = 1; at < SIZE; at += n, n = n * 7 % 40009 + 1) {
                if (n > SIZE - at)
                        n = SIZE - at;
                output_log_write(log, WORKLOAD_STDOUT, data + at, n);
                if (n % 3 == 0)
                        write_text(log, WORKLOAD_STDERR, "between");
        }
        output_log_end(&log);
        for (int i = 0; i < 2; i++) {
                joined.len = 0;
                join(p, "A", WORKLOAD_STDOUT, &joined);
                /* The last line is partial unless the stream ends with a newline. */
                assert_int_equal(joined.len, SIZE);
                assert_memory_equal(joined.data, data, SIZE);
                output_sync(p->output);
        }
        buf_release(&joined);
        free(data);
}

static void a_line_of_maximum_length_is_not_cut(void **state)
{
        struct place *p = *state;
        char *line = malloc(OUTPUT_LINE_MAX + 2);
        struct output_reader *r;
        struct output_event e;
        struct output_log *log;

        place_start(p, (struct output_config){0});
        log = output_log_begin(p->output, "A");
        memset(line, 'x', OUTPUT_LINE_MAX + 1);
        line[OUTPUT_LINE_MAX] = '\n';
        output_log_write(log, WORKLOAD_STDOUT, line,
                         OUTPUT_LINE_MAX); /* the newline arrives separately */
        output_log_write(log, WORKLOAD_STDOUT, "\n", 1);
        output_log_write(log, WORKLOAD_STDOUT, line, OUTPUT_LINE_MAX + 1);
        line[OUTPUT_LINE_MAX] = 'x';
        line[OUTPUT_LINE_MAX + 1] = '\n';
        output_log_write(log, WORKLOAD_STDOUT, line, OUTPUT_LINE_MAX + 2);
        output_log_end(&log);
        r = reader_of(p, "A", 0, false);
        for (int i = 0; i < 4; i++) {
                assert_int_equal(output_reader_next(r, &e, &p->err), 0);
                assert_int_equal(e.size, i < 3 ? OUTPUT_LINE_MAX : 1);
                assert_int_equal(e.partial, i == 2);
        }
        assert_reads(r, "end");
        output_reader_free(r);
        free(line);
}

static void lines_beyond_the_limit_are_counted_and_reported(void **state)
{
        struct place *p = *state;
        struct output_summary summary;
        struct output_reader *live;
        struct output_log *log;

        place_start(p, (struct output_config){.lines_max = 2});
        log = output_log_begin(p->output, "A");
        live = reader_of(p, "A", 0, true);
        write_text(log, WORKLOAD_STDOUT, "a\nb\nc\nd\n");
        assert_reads(live, "1o a|2o b|wait");
        output_log_end(&log);
        assert_reads(live, "[3-4 limit]|end");
        output_reader_free(live);
        output_sync(p->output);
        assert_log(p, "A", 0, "1o a|2o b|[3-4 limit]|end"); /* what followers were notified of */
        assert_int_equal(output_summary(p->output, "A", &summary, NULL), 0);
        assert_int_equal(summary.lost, 2);
        assert_metric(p, "vulcan_log_dropped_lines_total{reason=\"limit\"} 2\n");
}

static void old_lines_are_deleted(void **state)
{
        struct place *p = *state;
        struct output_expired expired;
        struct output_chunk chunk = {.first_seq = 1, .last_seq = 4, .bytes = "xxxx", .size = 4};
        const struct output_summary end = {.last_seq = 4, .recorded_seq = 4};
        char id[3] = "A0", moved_to[PATH_MAX];
        struct output_summary summary;

        assert_int_equal(output_store_open(p->path, &p->store, moved_to, &p->err), 0);
        assert_int_equal(output_store_begin(p->store, &p->err), 0);
        for (int i = 0; i < 6; i++) {
                id[1] = (char)('0' + i);
                chunk.id = id;
                chunk.created_ms = 1000 + i;
                assert_int_equal(output_store_add(p->store, &chunk, &p->err), 0);
                assert_int_equal(output_store_end(p->store, id, &end, 1000 + i, &p->err), 0);
        }
        assert_int_equal(output_store_size(p->store), 0);
        assert_int_equal(output_store_commit(p->store, &p->err), 0);
        assert_int_equal(output_store_size(p->store), 24);

        assert_int_equal(output_store_expire(p->store, 1002, 1000, &expired, &p->err), 0); /* age */
        assert_int_equal(expired.chunks, 2);
        assert_int_equal(expired.lines, 8);
        assert_int_equal(expired.bytes, 8);
        assert_false(expired.more);
        assert_int_equal(output_store_summary(p->store, "A1", &summary, &p->err), -ENOENT);
        assert_int_equal(output_store_expire(p->store, 0, 9, &expired, &p->err), 0); /* size */
        assert_int_equal(expired.chunks, 2);
        assert_int_equal(output_store_size(p->store), 8);
        assert_int_equal(output_store_summary(p->store, "A3", &summary, &p->err),
                         0); /* not so old */
        assert_int_equal(summary.last_seq, 4);
        assert_int_equal(output_store_expire(p->store, 0, 9, &expired, &p->err), 0);
        assert_int_equal(expired.chunks, 0);
        output_store_close(p->store);
        assert_int_equal(output_store_open(p->path, &p->store, moved_to, &p->err), 0);
        assert_int_equal(output_store_size(p->store), 8);
        output_store_close(p->store);
}

static void the_file_stays_within_its_size(void **state)
{
        struct place *p = *state;
        char line[1024];
        char id[8], moved_to[PATH_MAX];
        struct output_log *log;

        memset(line, 'x', sizeof(line));
        line[sizeof(line) - 1] = '\n';
        place_start(p, (struct output_config){.size_max = 1 << 20});
        for (int n = 0; n < 8; n++) {
                snprintf(id, sizeof(id), "A%d", n);
                log = output_log_begin(p->output, id);
                for (int i = 0; i < 200; i++)
                        output_log_write(log, WORKLOAD_STDOUT, line, sizeof(line));
                output_log_end(&log);
        }
        output_sync(p->output);
        assert_log(p, "A0", 0, "[1-200 lost]|end"); /* its end is still known */
        place_end(p);
        assert_int_equal(output_store_open(p->path, &p->store, moved_to, &p->err), 0);
        assert_in_range(output_store_size(p->store), 1, 1 << 20);
        output_store_close(p->store);
}

/* Rows with invalid content: reading neither overruns nor loops. */
static void a_damaged_chunk_is_reported_as_lost(void **state)
{
        struct place *p = *state;
        struct output_chunk chunk = {
                .id = "A", .first_seq = 1, .last_seq = 4, .created_ms = clock_wall_ms()};
        uint8_t bytes[24] = {0};

        place_start(p, (struct output_config){0});
        place_end(p);
        for (int i = 0; i < 3; i++) {
                char moved_to[PATH_MAX];

                bytes[0] = (uint8_t)(i == 0 ? 200 : 2); /* longer than the chunk; invalid stream */
                chunk.bytes = bytes;
                chunk.size = i == 2 ? 3 : sizeof(bytes);
                assert_int_equal(output_store_open(p->path, &p->store, moved_to, &p->err), 0);
                assert_int_equal(output_store_begin(p->store, &p->err), 0);
                assert_int_equal(output_store_add(p->store, &chunk, &p->err), 0);
                assert_int_equal(output_store_commit(p->store, &p->err), 0);
                output_store_close(p->store);
                chunk.first_seq += 4;
                chunk.last_seq += 4;
        }
        place_start(p, (struct output_config){0});
        assert_log(p, "A", 0, "[1-4 lost]|[5-8 lost]|[9-12 lost]|end");
        assert_log(p, "A", 6, "[7-8 lost]|[9-12 lost]|end");
}

static void lines_are_reported_as_lost_if_the_file_cannot_be_written(void **state)
{
        struct place *p = *state;
        struct output_summary summary;
        sqlite3 *other;
        struct output_log *log;

        place_start(p, (struct output_config){0});
        log = output_log_begin(p->output, "A");
        write_text(log, WORKLOAD_STDOUT, "kept\n");
        output_sync(p->output);
        assert_int_equal(sqlite3_open(p->path, &other), SQLITE_OK);
        assert_int_equal(sqlite3_exec(other,
                                      "CREATE TRIGGER no BEFORE INSERT ON chunks BEGIN"
                                      " SELECT RAISE(ABORT, 'the disk is gone'); END",
                                      NULL, NULL, NULL),
                         SQLITE_OK);
        write_text(log, WORKLOAD_STDOUT, "lost\n");
        output_sync(p->output);
        assert_int_equal(sqlite3_exec(other, "DROP TRIGGER no", NULL, NULL, NULL), SQLITE_OK);
        sqlite3_close(other);
        write_text(log, WORKLOAD_STDOUT, "kept again\n");
        output_log_end(&log);
        output_sync(p->output);
        assert_log(p, "A", 0, "1o kept|[2-2 lost]|3o kept again|end");
        assert_int_equal(output_summary(p->output, "A", &summary, NULL), 0);
        assert_int_equal(summary.lost, 1);
        assert_metric(p, "vulcan_log_dropped_lines_total{reason=\"store\"} 1\n");
}

static off_t size_of(const char *path)
{
        struct stat info;

        assert_int_equal(stat(path, &info), 0);
        return info.st_size;
}

/* Fills a file and deletes most of it. */
static void fill_and_expire(struct place *p)
{
        enum { CHUNKS = 100, CHUNK = 200 * 1024 };
        struct output_chunk chunk = {.id = "A", .bytes = calloc(1, CHUNK), .size = CHUNK};
        struct output_expired expired = {.more = true};
        char moved_to[PATH_MAX];
        int rounds = 0;

        assert_int_equal(output_store_open(p->path, &p->store, moved_to, &p->err), 0);
        assert_int_equal(output_store_begin(p->store, &p->err), 0);
        for (int i = 0; i < CHUNKS; i++) {
                chunk.first_seq = chunk.last_seq = (uint64_t)i + 1;
                chunk.created_ms = i;
                assert_int_equal(output_store_add(p->store, &chunk, &p->err), 0);
        }
        assert_int_equal(output_store_commit(p->store, &p->err), 0);
        for (; expired.more; rounds++)
                assert_int_equal(
                        output_store_expire(p->store, CHUNKS - 5, 1 << 30, &expired, &p->err), 0);
        assert_true(rounds > 2); /* in steps */
        assert_int_equal(output_store_size(p->store), 5 * CHUNK);
        output_store_close(p->store);
        free((void *)chunk.bytes);
}

static void a_file_shrinks_after_many_deletions(void **state)
{
        struct place *p = *state;

        fill_and_expire(p);
        assert_in_range(size_of(p->path), 5 * 200 * 1024, 8 * 1024 * 1024);
}

/* As created by an earlier version. */
static void a_file_of_an_earlier_version_is_usable(void **state)
{
        static const char *const sql =
                "PRAGMA page_size=16384; PRAGMA journal_mode=WAL;"
                "CREATE TABLE chunks(id INTEGER PRIMARY KEY, workload TEXT NOT NULL,"
                " first_seq INTEGER NOT NULL, last_seq INTEGER NOT NULL,"
                " created_ms INTEGER NOT NULL, size INTEGER NOT NULL, lines BLOB NOT NULL);"
                "CREATE UNIQUE INDEX chunks_by_place ON chunks(workload, last_seq);"
                "CREATE TABLE ends(workload TEXT PRIMARY KEY, last_seq INTEGER NOT NULL,"
                " lost INTEGER NOT NULL, ended_ms INTEGER NOT NULL) WITHOUT ROWID;"
                "CREATE INDEX ends_by_time ON ends(ended_ms);"
                "INSERT INTO ends VALUES('OLD', 7, 7, 1); PRAGMA user_version=1";
        struct place *p = *state;
        sqlite3 *db;

        assert_int_equal(sqlite3_open(p->path, &db), SQLITE_OK);
        assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
        sqlite3_close(db);
        place_start(p, (struct output_config){.age_max_s = UINT_MAX});
        assert_log(p, "OLD", 0, "[1-7 lost]|end");
        place_end(p);
}

/* Lines may be lost, but not the end of a log, which tells how many. */
static void an_end_that_cannot_be_written_is_retried(void **state)
{
        struct place *p = *state;
        struct output_summary summary;
        sqlite3 *other;
        struct output_log *log;

        place_start(p, (struct output_config){0});
        assert_int_equal(sqlite3_open(p->path, &other), SQLITE_OK);
        assert_int_equal(sqlite3_exec(other,
                                      "CREATE TRIGGER no BEFORE INSERT ON ends BEGIN"
                                      " SELECT RAISE(ABORT, 'the disk is gone'); END",
                                      NULL, NULL, NULL),
                         SQLITE_OK);
        log = output_log_begin(p->output, "A");
        write_text(log, WORKLOAD_STDOUT, "one\n");
        output_sync(p->output);
        write_text(log, WORKLOAD_STDOUT,
                   "lost\n"); /* lost together with the first attempt to write the end */
        output_log_end(&log);
        output_sync(p->output);
        assert_int_equal(output_store_summary(p->store, "A", &summary, NULL), 0);
        assert_false(summary.ended);
        assert_int_equal(output_summary(p->output, "A", &summary, NULL), 0);
        assert_true(summary.ended); /* from memory */
        assert_int_equal(summary.lost, 1);
        assert_int_equal(sqlite3_exec(other, "DROP TRIGGER no", NULL, NULL, NULL), SQLITE_OK);
        sqlite3_close(other);
        place_end(p); /* or after OUTPUT_AGAIN_MS */
        place_start(p, (struct output_config){0});
        assert_int_equal(output_summary(p->output, "A", &summary, NULL), 0);
        assert_true(summary.ended);
        assert_int_equal(summary.last_seq, 2);
        assert_int_equal(summary.lost, 1);
}

/* The number of transactions written. */
static unsigned long writes(struct place *p)
{
        static const char name[] = "\nvulcan_log_write_seconds_count ";
        struct prom_buf text = PROM_BUF_INIT;
        const char *at;
        unsigned long n;

        assert_int_equal(prom_render_text(p->registry, &text), 0);
        at = strstr(text.data, name);
        assert_non_null(at);
        n = strtoul(at + sizeof(name) - 1, NULL, 10);
        prom_buf_release(&text);
        return n;
}

static void ends_share_a_transaction(void **state)
{
        enum { LOGS = 200 };
        struct output_summary summary;
        struct place *p = *state;
        char id[8];

        place_start(p, (struct output_config){0});
        for (int i = 0; i < LOGS; i++) {
                struct output_log *log;

                snprintf(id, sizeof(id), "L%d", i);
                log = output_log_begin(p->output, id);
                write_text(log, WORKLOAD_STDOUT, "line\n");
                output_log_end(&log);
        }
        output_sync(p->output);
        assert_in_range(writes(p), 1, LOGS / 2);
        place_end(p);
        place_start(p, (struct output_config){0});
        for (int i = 0; i < LOGS; i++) {
                snprintf(id, sizeof(id), "L%d", i);
                assert_int_equal(output_summary(p->output, id, &summary, NULL), 0);
                assert_true(summary.ended);
                assert_int_equal(summary.last_seq, 1);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
#define TEST(f) cmocka_unit_test_setup_teardown(f, place_setup, place_teardown)
                TEST(lines_of_both_streams_are_numbered_together),
                TEST(a_log_survives_the_daemon),
                TEST(ends_share_a_transaction),
                TEST(all_bytes_are_returned_exactly),
                TEST(a_line_of_maximum_length_is_not_cut),
                TEST(lines_beyond_the_limit_are_counted_and_reported),
                TEST(old_lines_are_deleted),
                TEST(the_file_stays_within_its_size),
                TEST(a_damaged_chunk_is_reported_as_lost),
                TEST(lines_are_reported_as_lost_if_the_file_cannot_be_written),
                TEST(an_end_that_cannot_be_written_is_retried),
                TEST(a_file_shrinks_after_many_deletions),
                TEST(a_file_of_an_earlier_version_is_usable),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
