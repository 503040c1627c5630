/* SPDX-License-Identifier: Apache-2.0 */
/* Files that a request brings, and files that the host wants back. */
#include "guest_maker.h"
#include "guest_session.h"

#include "guest/job.h"

#include <fcntl.h>
#include <sys/stat.h>

static void send_file(struct session *s, const char *name, unsigned mode, const void *bytes,
                      size_t n)
{
        struct wire_file file = {
                .name = name, .mode = mode, .size = n, .sha256 = session_sha256(bytes, n)};
        struct buf b = BUF_INIT(WIRE_FILE_MAX);

        assert_int_equal(wire_file_encode(&file, &b, NULL), 0);
        session_send(s, WIRE_FILE, b.data, b.len);
        buf_release(&b);
        session_send_all(s, WIRE_DATA, bytes, n);
}

static void expect_error(struct session *s, const char *message)
{
        session_await_result(s);
        assert_non_null(s->result.error);
        assert_string_equal(s->result.error, message);
        assert_int_equal(s->texts[0].len, 0);
}

static void files_are_there_when_the_program_starts(void **state)
{
        struct wire_request q = SHELL(
                "cat data/a.txt 'caf\xe9'; stat -c %a data/tool data/a.txt; wc -c <empty; cat");
        struct session s;

        q.files = 4;
        q.files_size = 9;
        q.has_stdin = true;
        session_start(&s);
        session_send_request(&s, &q);
        send_file(&s, "data/a.txt", 0640, "one ", 4);
        send_file(&s, "caf\xe9", 0644, "two\n", 4);
        send_file(&s, "data/tool", 0777, "x", 1);
        send_file(&s, "empty", 0600, "", 0);
        session_send(&s, WIRE_STDIN, "in\n", 3);
        session_send(&s, WIRE_STDIN, NULL, 0);
        session_await_result(&s);
        assert_null(s.result.error);
        session_expect_text(&s.texts[0], "one two\n777\n640\n0\nin\n");
        session_finish(&s);
}

static void a_file_that_arrives_damaged_runs_nothing(void **state)
{
        struct wire_request q = SHELL("echo ran");
        struct wire_file file = {.name = "a", .size = 3, .sha256 = session_sha256("abc", 3)};
        struct buf b = BUF_INIT(WIRE_FILE_MAX);
        struct session s;

        q.files = 2;
        q.files_size = 6;
        session_start(&s);
        session_send_request(&s, &q);
        assert_int_equal(wire_file_encode(&file, &b, NULL), 0);
        session_send(&s, WIRE_FILE, b.data, b.len);
        buf_release(&b);
        session_send(&s, WIRE_DATA, "abd", 3);
        send_file(&s, "b", 0644, "xyz", 3); /* read and dropped */
        session_send(&s, WIRE_PING, "p", 1);
        expect_error(&s, "file \"a\" arrived damaged: its checksum does not match");
        while (s.pong.len == 0)
                session_step(&s);
        session_finish(&s);
}

static void code_that_arrives_damaged_runs_nothing(void **state)
{
        struct wire_request q = session_request((const char *const[]){"sh", "main.sh"}, 2);
        struct session s;

        q.file = "main.sh";
        session_code(&q, "echo ran", 8);
        session_start(&s);
        session_send_request(&s, &q);
        session_send(&s, WIRE_CODE, "echo rap", 8);
        expect_error(&s, "the code arrived damaged: its checksum does not match");
        session_finish(&s);
}

static void files_stay_below_the_working_directory(void **state)
{
        static const struct {
                const char *name, *message;
        } cases[] = {
                {"../x", "file \"../x\" leaves the working directory"},
                {"/tmp/x", "file \"/tmp/x\" leaves the working directory"},
                {"a/../../x", "file \"a/../../x\" leaves the working directory"},
                {".", "file \".\" leaves the working directory"},
                {"link/x",
                 "file \"link/x\": directory \"link\": Too many levels of symbolic links"},
        };

        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
                struct wire_request q = SHELL("echo ran");
                struct session s;
                char path[128];

                q.files = 1;
                q.files_size = 1;
                session_start(&s);
                snprintf(path, sizeof(path), "%s/link", s.dir);
                assert_int_equal(symlink("/tmp", path), 0);
                session_send_request(&s, &q);
                send_file(&s, cases[i].name, 0644, "x", 1);
                expect_error(&s, cases[i].message);
                session_finish(&s);
        }
}

static void expect_closed(const struct wire_request *q, const char *frames, size_t n)
{
        struct session s;

        session_start(&s);
        session_send_request(&s, q);
        assert_int_equal(buf_add(&s.out, frames, n), 0);
        assert_int_equal(session_await_end(&s), EPROTO);
        session_release(&s);
}

static void files_that_were_not_announced_close_the_connection(void **state)
{
        struct wire_request none = SHELL("sleep 1000"), small = none;
        struct wire_file file = {.name = "a", .size = 3, .sha256 = session_sha256("abc", 3)};
        struct buf b = BUF_INIT(WIRE_FILE_MAX);
        uint8_t header[WIRE_HEADER_SIZE];

        expect_closed(&none, "\0\0\0\1\13x", 6); /* DATA */
        assert_int_equal(wire_file_encode(&file, &b, NULL), 0);
        wire_header(header, WIRE_FILE, (uint32_t)b.len);
        assert_int_equal(buf_reserve(&b, sizeof(header)), 0);
        memmove(b.data + sizeof(header), b.data, b.len);
        memcpy(b.data, header, sizeof(header));
        b.len += sizeof(header);
        expect_closed(&none, b.data, b.len);
        small.files = 1;
        small.files_size = 2;
        expect_closed(&small, b.data, b.len);
        small.files_size = 3;
        expect_closed(&small, "\0\0\0\1\4x", 6); /* STDIN before the file */
        buf_release(&b);
}

/* The contents of a file that was received; NULL: it was not. */
static const struct buf *content_of(const struct session *s, const char *name)
{
        for (size_t i = 0; i < s->n_files; i++)
                if (!s->files[i].error && strcmp(s->files[i].name, name) == 0) {
                        assert_int_equal(s->files[i].size, s->data[i].len);
                        assert_string_equal(s->files[i].sha256,
                                            session_sha256(s->data[i].data, s->data[i].len));
                        return &s->data[i];
                }
        return NULL;
}

static const char *error_of(const struct session *s, uint32_t pattern)
{
        for (size_t i = 0; i < s->n_files; i++)
                if (s->files[i].error && s->files[i].pattern == pattern)
                        return s->files[i].error;
        return "";
}

static void files_come_back_by_name_and_by_pattern(void **state)
{
        static const char *const patterns[] = {"out.txt", "plots/*.png", "dir/",
                                               "missing", "a[1].txt",    "ff",
                                               "*.none",  "caf\xe9",     "dangling"};
        struct wire_request q = SHELL(
                "printf hello >out.txt; mkdir -p plots/sub dir/deep; : >plots/empty.png\n"
                "head -c 200000 /dev/zero >plots/big.png; echo x >plots/.hidden.png\n"
                "echo y >plots/sub/z.png; echo d >dir/deep/d.txt; ln -s ../out.txt dir/link\n"
                "ln -s / dir/root; mkfifo dir/fifo ff; echo one >'a[1].txt'; echo two >a1.txt\n"
                "echo e >'caf\xe9'; ln -s nowhere dangling; exit 3");
        struct session s;

        q.fetch = patterns;
        q.n_fetch = sizeof(patterns) / sizeof(patterns[0]);
        q.fetch_max = 1 << 20;
        session_run(&s, &q);
        assert_int_equal(s.result.exit_code, 3);
        assert_null(s.result.fetch_error);
        session_expect_text(content_of(&s, "out.txt"), "hello");
        assert_int_equal(content_of(&s, "plots/big.png")->len, 200000);
        assert_int_equal(content_of(&s, "plots/empty.png")->len, 0);
        assert_null(content_of(&s, "plots/.hidden.png"));
        assert_null(content_of(&s, "plots/sub/z.png"));
        session_expect_text(content_of(&s, "dir/deep/d.txt"), "d\n");
        session_expect_text(content_of(&s, "dir/link"), "hello");
        session_expect_text(content_of(&s, "a[1].txt"), "one\n");
        assert_null(content_of(&s, "a1.txt"));
        session_expect_text(content_of(&s, "caf\xe9"), "e\n");
        assert_string_equal(error_of(&s, 3), "no such file or directory");
        assert_string_equal(error_of(&s, 5), "neither a regular file nor a directory");
        assert_string_equal(error_of(&s, 6), "no such file or directory");
        assert_string_equal(error_of(&s, 8), "no such file or directory");
        assert_int_equal(s.n_files, 11); /* nothing through dir/root, nor dir/fifo */
        session_finish(&s);
}

/* An archive's project is the working directory of the program and of files in both directions. */
static void files_belong_to_the_project_of_an_archive(void **state)
{
        static const char *const patterns[] = {"out.txt"};
        struct wire_request q = session_request((const char *const[]){"sh", "main.sh"}, 2);
        struct maker *m = maker_new(true);
        struct session s;

        add(m, "proj/main.sh", S_IFREG | 0755, "cat data.txt >out.txt; echo ${PWD##*/}\n");
        maker_end(m);
        q.archive = true;
        session_code(&q, m->bytes, m->used);
        q.entry = (struct wire_entry){.wanted = true, .arg = 1, .names = {"main.sh"}, .n_names = 1};
        q.files = 1;
        q.files_size = 3;
        q.fetch = patterns;
        q.n_fetch = 1;
        q.fetch_max = 100;
        session_start(&s);
        session_send_request(&s, &q);
        session_send_all(&s, WIRE_CODE, m->bytes, m->used);
        send_file(&s, "data.txt", 0644, "abc", 3);
        session_await_result(&s);
        assert_null(s.result.error);
        session_expect_text(&s.texts[0], "proj\n");
        assert_non_null(content_of(&s, "out.txt"));
        session_expect_text(content_of(&s, "out.txt"), "abc");
        maker_free(m);
        session_finish(&s);
}

static void files_beyond_the_limit_are_named_and_the_others_arrive(void **state)
{
        static const char *const patterns[] = {"a", "big", "c"};
        struct wire_request q = SHELL("echo a >a; head -c 2000 /dev/zero >big; echo c >c");
        struct session s;

        q.fetch = patterns;
        q.n_fetch = 3;
        q.fetch_max = 1000;
        session_run(&s, &q);
        assert_non_null(content_of(&s, "a"));
        assert_null(content_of(&s, "big"));
        assert_string_equal(error_of(&s, 1), "larger than the 998 bytes that may still be fetched");
        assert_non_null(content_of(&s, "c"));
        session_finish(&s);
}

static void files_come_back_when_the_time_is_up(void **state)
{
        static const char *const patterns[] = {"half", "later"};
        struct wire_request q = SHELL("echo half >half; sleep 1000; echo later >later");
        struct session s;

        q.fetch = patterns;
        q.n_fetch = 2;
        q.fetch_max = 1000;
        q.timeout_ms = 300;
        session_run(&s, &q);
        assert_true(s.result.timed_out);
        session_expect_text(content_of(&s, "half"), "half\n");
        assert_string_equal(error_of(&s, 1), "no such file or directory");
        session_finish(&s);
}

static void no_files_are_searched_for_if_nothing_ran(void **state)
{
        static const char *const patterns[] = {"a"};
        static const char *const argv[] = {"no-such-program"};
        struct wire_request q = session_request(argv, 1);
        struct session s;

        q.fetch = patterns;
        q.n_fetch = 1;
        session_run(&s, &q);
        assert_non_null(s.result.error);
        assert_int_equal(s.n_files, 0);
        session_finish(&s);
}

/* A tree deeper than the limit is reported; the other pattern is still searched. */
static void a_search_without_end_is_cut_off(void **state)
{
        static const char *const patterns[] = {"deep", "many"};
        struct wire_request q =
                SHELL("d=deep; i=0; while [ $i -lt 80 ]; do d=$d/d; i=$((i+1)); done; mkdir -p $d\n"
                      "echo x >$d/x; mkdir many; cd many; i=0\n"
                      "while [ $i -lt 60 ]; do echo $i >$i; i=$((i+1)); done");
        struct session s;

        q.fetch = patterns;
        q.n_fetch = 2;
        q.fetch_max = 1 << 20;
        session_run(&s, &q);
        assert_string_equal(error_of(&s, 0), "too many directories deep");
        assert_int_equal(s.n_files, 61);
        session_finish(&s);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(files_are_there_when_the_program_starts),
                cmocka_unit_test(a_file_that_arrives_damaged_runs_nothing),
                cmocka_unit_test(code_that_arrives_damaged_runs_nothing),
                cmocka_unit_test(files_stay_below_the_working_directory),
                cmocka_unit_test(files_that_were_not_announced_close_the_connection),
                cmocka_unit_test(files_come_back_by_name_and_by_pattern),
                cmocka_unit_test(files_belong_to_the_project_of_an_archive),
                cmocka_unit_test(files_beyond_the_limit_are_named_and_the_others_arrive),
                cmocka_unit_test(files_come_back_when_the_time_is_up),
                cmocka_unit_test(no_files_are_searched_for_if_nothing_ran),
                cmocka_unit_test(a_search_without_end_is_cut_off),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
