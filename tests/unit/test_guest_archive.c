/* SPDX-License-Identifier: Apache-2.0 */
/* Archives: valid ones are unpacked, unsafe ones rejected before they do harm. */
#include "guest_maker.h"
#include "guest_session.h"

static void an_archive_is_unpacked_with_its_permissions(void **state)
{
        struct testdir p = testdir_new();
        struct maker *m = maker_new(true);
        struct err err = ERR_INIT;
        struct stat st;
        char target[64];

        add(m, "./", S_IFDIR | 0755, NULL);
        add(m, "./src/", S_IFDIR | 0500, NULL);
        add(m, "./src/inner/", S_IFDIR | 0555, NULL);
        add(m, "./src/inner/x", S_IFREG | 0644, "x");
        add(m, "./src/main.py", S_IFREG | 0644, "print(1)\n");
        add(m, "bin/deep/run", S_IFREG | 06755, "#!/bin/sh\n");
        add(m, "bin/link", S_IFLNK | 0777, "../src/main.py");
        add(m, "bin/self", S_IFLNK | 0777, "deep/./run");
        add_hardlink(m, "copy", "src/main.py");
        add(m, "empty", S_IFREG | 0600, NULL);
        assert_int_equal(unpack_maker(&p, m, &err), 0);
        expect_file(&p, "src/main.py", "print(1)\n", 0644);
        expect_file(&p, "bin/deep/run", "#!/bin/sh\n", 0755);
        expect_file(&p, "bin/link", "print(1)\n", 0644);
        expect_file(&p, "copy", "print(1)\n", 0644);
        expect_file(&p, "empty", "", 0600);
        assert_int_equal(fstatat(p.fd, "src", &st, 0), 0);
        assert_int_equal(st.st_mode & 0777, 0500);
        expect_file(&p, "src/inner/x", "x", 0644);
        assert_int_equal(fstatat(p.fd, "src/inner", &st, 0), 0);
        assert_int_equal(st.st_mode & 0777, 0555);
        assert_int_equal(fstatat(p.fd, "src/main.py", &st, 0), 0);
        assert_int_equal(st.st_mtime, 1000000000);
        assert_int_equal(readlinkat(p.fd, "bin/link", target, sizeof(target)), 14);
        testdir_release(&p);
}

static void later_entries_of_a_plain_tar_replace_earlier_ones(void **state)
{
        struct testdir p = testdir_new();
        struct maker *m = maker_new(false);
        struct err err = ERR_INIT;

        add(m, "a", S_IFREG | 0644, "first");
        add(m, "b", S_IFLNK | 0777, "a");
        add(m, "b", S_IFREG | 0644, "second");
        add(m, "d", S_IFDIR | 0755, NULL);
        add(m, "d", S_IFDIR | 0700, NULL);
        assert_int_equal(unpack_maker(&p, m, &err), 0);
        expect_file(&p, "a", "first", 0644);
        expect_file(&p, "b", "second", 0644);
        testdir_release(&p);
}

/* Adds entries before and after the bad one. The one after it must not be unpacked. */
static void expect_refused(const char *name, mode_t mode, const char *content, const char *message)
{
        struct testdir p = testdir_new();
        struct maker *m = maker_new(true);
        struct err err = ERR_INIT;

        add(m, "before", S_IFREG | 0644, "x");
        add(m, "dir/out", S_IFLNK | 0777, "..");
        add(m, name, mode, content);
        add(m, "after", S_IFREG | 0644, "x");
        assert_true(unpack_maker(&p, m, &err) < 0);
        assert_string_equal(err.msg, message);
        assert_int_equal(faccessat(p.fd, "before", F_OK, 0), 0);
        assert_int_equal(faccessat(p.fd, "after", F_OK, 0), -1);
        testdir_release(&p);
}

static void names_that_leave_the_directory_are_refused(void **state)
{
        expect_refused("../x", S_IFREG | 0644, "x",
                       "archive entry \"../x\" leaves the working directory");
        expect_refused("a/../../x", S_IFREG | 0644, "x",
                       "archive entry \"a/../../x\" leaves the working directory");
        expect_refused("a/..", S_IFDIR | 0755, NULL,
                       "archive entry \"a/../\" leaves the working directory");
        expect_refused("/tmp/x", S_IFREG | 0644, "x",
                       "archive entry \"/tmp/x\" leaves the working directory");
        expect_refused("..", S_IFLNK | 0777, "a",
                       "archive entry \"..\" leaves the working directory");
}

static void expect_link(const struct testdir *p, const char *name, const char *target)
{
        char text[256] = "";

        assert_true(readlinkat(p->fd, name, text, sizeof(text) - 1) > 0);
        assert_string_equal(text, target);
}

static void links_may_point_anywhere(void **state)
{
        static const char *const links[][2] = {
                {"absolute", "/usr/bin/python3"},
                {"up", ".."},
                {"a/b/up", "../../../x"},
                {"dangling", "nowhere"},
                {"self", "self"},
                {"one", "two"},
                {"two", "one"},
                {"a/b/out", "../../.."},
        };
        struct testdir p = testdir_new();
        struct maker *m = maker_new(true);
        struct err err = ERR_INIT;

        for (size_t i = 0; i < sizeof(links) / sizeof(links[0]); i++)
                add(m, links[i][0], S_IFLNK | 0777, links[i][1]);
        add(m, "main.sh", S_IFREG | 0644, "echo\n");
        assert_int_equal(unpack_maker(&p, m, &err), 0);
        for (size_t i = 0; i < sizeof(links) / sizeof(links[0]); i++)
                expect_link(&p, links[i][0], links[i][1]);
        expect_file(&p, "main.sh", "echo\n", 0644);
        testdir_release(&p);
}

/* The links lead to a file outside, with contents and permissions of its own. */
static void links_are_replaced_and_never_followed(void **state)
{
        char outside[] = "/tmp/vulcan-test-XXXXXX";
        int fd = mkstemp(outside);
        struct testdir p = testdir_new();
        struct maker *m = maker_new(true);
        struct err err = ERR_INIT;
        struct stat st, tmp;

        assert_int_equal(stat("/tmp", &tmp), 0);
        assert_int_equal(write(fd, "kept", 4), 4);
        assert_int_equal(fchmod(fd, 0640), 0);
        for (const char *name = "fdlh"; *name; name++)
                add(m, (char[]){*name, '\0'}, S_IFLNK | 0777, *name == 'd' ? "/tmp" : outside);
        add(m, "f", S_IFREG | 0777, "a file");
        add(m, "d", S_IFDIR | 0555, NULL);
        add(m, "l", S_IFLNK | 0777, "elsewhere");
        add_hardlink(m, "hard", "h");
        add(m, "hard2", S_IFREG | 0600, "a file");
        add_hardlink(m, "h", "hard2");
        add(m, "mode/", S_IFDIR | 0500, NULL);
        add(m, "mode", S_IFLNK | 0777,
            "/tmp"); /* replaces a directory whose mode is still to be set */
        assert_int_equal(unpack_maker(&p, m, &err), 0);
        expect_file(&p, "f", "a file", 0755);
        assert_int_equal(fstatat(p.fd, "d", &st, AT_SYMLINK_NOFOLLOW), 0);
        assert_int_equal(st.st_mode, S_IFDIR | 0555);
        expect_link(&p, "l", "elsewhere");
        expect_link(&p, "hard", outside);
        expect_link(&p, "mode", "/tmp");
        expect_file(&p, "h", "a file", 0600);
        assert_int_equal(fstat(fd, &st), 0);
        assert_int_equal(st.st_mode & 07777, 0640);
        assert_int_equal(st.st_nlink, 1);
        assert_int_equal(st.st_size, 4);
        assert_int_equal(stat("/tmp", &st), 0);
        assert_int_equal(st.st_mode, tmp.st_mode);
        unlink(outside);
        close(fd);
        testdir_release(&p);
}

static void entries_below_a_link_are_refused(void **state)
{
        expect_refused("dir/out/x", S_IFREG | 0644, "x",
                       "archive entry \"dir/out/x\" is below a link or file, not a directory");
        expect_refused("dir/out/d/x", S_IFREG | 0644, "x",
                       "archive entry \"dir/out/d/x\" is below a link or file, not a directory");
        expect_refused("before/x", S_IFREG | 0644, "x",
                       "archive entry \"before/x\" is below a link or file, not a directory");
        expect_refused("dir", S_IFREG | 0644, "x",
                       "archive entry \"dir\" has the name of a directory with content");
}

static void special_files_are_refused(void **state)
{
        expect_refused("null", S_IFCHR | 0666, NULL, "archive entry \"null\" is a device node");
        expect_refused("sda", S_IFBLK | 0666, NULL, "archive entry \"sda\" is a device node");
        expect_refused("pipe", S_IFIFO | 0666, NULL, "archive entry \"pipe\" is a FIFO");
}

static void expect_hardlink_refused(const char *target, const char *message)
{
        struct testdir p = testdir_new();
        struct maker *m = maker_new(true);
        struct err err = ERR_INIT;

        add(m, "d/up", S_IFLNK | 0777, "..");
        add_hardlink(m, "hard", target);
        assert_true(unpack_maker(&p, m, &err) < 0);
        assert_string_equal(err.msg, message);
        assert_int_equal(faccessat(p.fd, "hard", F_OK, AT_SYMLINK_NOFOLLOW), -1);
        testdir_release(&p);
}

static void hard_links_stay_within_the_archive(void **state)
{
        expect_hardlink_refused("../x", "archive entry \"../x\" leaves the working directory");
        expect_hardlink_refused("/etc/passwd",
                                "archive entry \"/etc/passwd\" leaves the working directory");
        expect_hardlink_refused("missing", "archive entry \"hard\": No such file or directory");
        expect_hardlink_refused("d", "archive entry \"hard\" is a hard link to no regular file");
        expect_hardlink_refused(
                "d/up/d/x", "archive entry \"d/up/d/x\" is below a link or file, not a directory");
}

static void entries_and_bytes_are_bounded(void **state)
{
        struct unpack_limits three = {.entries = 3, .bytes = 1000};
        struct unpack_limits ten_bytes = {.entries = 10, .bytes = 10};
        struct testdir p = testdir_new();
        struct maker *m = maker_new(true);
        struct err err = ERR_INIT;

        add(m, "a", S_IFREG | 0644, "12345");
        add(m, "b", S_IFREG | 0644, "12345");
        add(m, "c", S_IFREG | 0644, "1");
        add(m, "d", S_IFREG | 0644, "");
        maker_end(m);
        assert_int_equal(unpack_bytes(&p, m->bytes, m->used, &three, &err), -E2BIG);
        assert_string_equal(err.msg, "archive entry \"d\": the archive has too many entries");
        assert_int_equal(unpack_bytes(&p, m->bytes, m->used, &ten_bytes, &err), -EFBIG);
        assert_string_equal(err.msg, "archive entry \"c\": the archive unpacks to too many bytes");
        maker_free(m);
        testdir_release(&p);
}

/* 64 MB of zeros in 60 KB of gzip. */
static void a_bomb_is_stopped_at_the_size_limit(void **state)
{
        static const char zeros[1 << 20];
        struct unpack_limits limits = {.entries = 10, .bytes = 4 << 20};
        struct testdir p = testdir_new();
        struct maker *m = maker_new(true);
        struct archive_entry *e = archive_entry_new();
        struct err err = ERR_INIT;
        struct stat st;

        archive_entry_set_pathname(e, "bomb");
        archive_entry_set_mode(e, S_IFREG | 0644);
        archive_entry_set_size(e, 64 << 20);
        assert_int_equal(archive_write_header(m->a, e), ARCHIVE_OK);
        for (int i = 0; i < 64; i++)
                assert_int_equal(archive_write_data(m->a, zeros, sizeof(zeros)), sizeof(zeros));
        archive_entry_free(e);
        maker_end(m);
        assert_int_equal(unpack_bytes(&p, m->bytes, m->used, &limits, &err), -EFBIG);
        assert_string_equal(err.msg,
                            "archive entry \"bomb\": the archive unpacks to too many bytes");
        if (fstatat(p.fd, "bomb", &st, 0) == 0)
                assert_true(st.st_size <= 4 << 20);
        maker_free(m);
        testdir_release(&p);
}

static void a_damaged_archive_is_refused(void **state)
{
        struct unpack_limits limits = UNPACK_LIMITS;
        struct testdir p = testdir_new();
        struct maker *m = maker_new(true);
        struct err err = ERR_INIT;

        add(m, "a", S_IFREG | 0644, "content");
        maker_end(m);
        assert_true(unpack_bytes(&p, m->bytes, m->used / 2, &limits, &err) < 0);
        assert_int_equal(unpack_bytes(&p, "no archive at all, but long enough to be seen as text",
                                      53, &limits, &err),
                         -EPROTO);
        assert_string_equal(err.msg, "the archive is not a tar.gz, tar or zip");
        assert_int_equal(unpack_bytes(&p, "\xfd\x37zXZ\0...", 9, &limits, &err), -EPROTO);
        assert_string_equal(
                err.msg,
                "the archive is xz, which is not supported: make a tar.gz (tar -czf) or a zip");
        assert_int_equal(unpack_bytes(&p, "", 0, &limits, &err), -EPROTO);
        assert_string_equal(err.msg, "the archive is empty");
        maker_free(m);
        testdir_release(&p);
}

/* ---- through the agent ---- */

static struct maker *program_archive(const char *extra)
{
        struct maker *m = maker_new(true);

        add(m, "lib/words", S_IFREG | 0644, "from the archive\n");
        add(m, "main.sh", S_IFREG | 0755, "cat lib/words; cat\n");
        if (extra)
                add(m, extra, S_IFREG | 0644, "x");
        maker_end(m);
        return m;
}

static struct wire_request archive_request(const struct maker *m)
{
        static const char *const argv[] = {"sh", "main.sh"};
        struct wire_request q = session_request(argv, 2);

        q.archive = true;
        session_code(&q, m->bytes, m->used);
        return q;
}

static void a_program_runs_from_an_archive(void **state)
{
        struct maker *m = program_archive(NULL);
        struct wire_request q = archive_request(m);
        struct session s;

        q.has_stdin = true;
        session_start(&s);
        session_send_request(&s, &q);
        session_send_all(&s, WIRE_CODE, m->bytes, m->used);
        session_send(&s, WIRE_STDIN, "and input", 9);
        session_send(&s, WIRE_STDIN, NULL, 0);
        session_await_result(&s);
        assert_null(s.result.error);
        assert_string_equal(s.texts[0].data, "from the archive\nand input");
        maker_free(m);
        session_finish(&s);
}

static void padding_after_an_archive_is_ignored(void **state)
{
        struct maker *m = program_archive(NULL);
        struct wire_request q = archive_request(m);
        static char padding[3 << 20];
        char *all = malloc(m->used + sizeof(padding));
        struct session s;

        assert_non_null(all);
        memcpy(all, m->bytes, m->used);
        memcpy(all + m->used, padding, sizeof(padding));
        session_code(&q, all, m->used + sizeof(padding));
        free(all);
        session_start(&s);
        session_send_request(&s, &q);
        session_send_all(&s, WIRE_CODE, m->bytes, m->used);
        session_send_all(&s, WIRE_CODE, padding, sizeof(padding));
        session_await_result(&s);
        assert_null(s.result.error);
        assert_string_equal(s.texts[0].data, "from the archive\n");
        maker_free(m);
        session_finish(&s);
}

static void a_refused_archive_runs_nothing(void **state)
{
        struct maker *m = program_archive("../escaped");
        struct wire_request q = archive_request(m);
        struct session s;

        session_start(&s);
        session_send_request(&s, &q);
        session_send_all(&s, WIRE_CODE, m->bytes, m->used);
        session_await_result(&s);
        assert_string_equal(s.result.error,
                            "archive entry \"../escaped\" leaves the working directory");
        assert_int_equal(s.result.exit_code, -1);
        assert_int_equal(s.texts[0].len, 0);
        maker_free(m);
        session_finish(&s);
}

/* The unpacker fails long before all bytes have arrived; the rest is read and dropped. */
static void garbage_is_not_an_archive(void **state)
{
        static char garbage[4 << 20];
        static const char *const argv[] = {"sh"};
        struct wire_request q = session_request(argv, 1);
        struct session s;

        memset(garbage, 'g', sizeof(garbage));
        q.archive = true;
        session_code(&q, garbage, sizeof(garbage));
        session_start(&s);
        session_send_request(&s, &q);
        session_send_all(&s, WIRE_CODE, garbage, sizeof(garbage));
        session_send(&s, WIRE_PING, "p", 1);
        session_await_result(&s);
        assert_non_null(strstr(s.result.error, "not a tar.gz, tar or zip"));
        while (s.pong.len == 0)
                session_step(&s);
        session_finish(&s);
}

static void an_archive_that_arrives_late_runs_nothing(void **state)
{
        struct maker *m = program_archive(NULL);
        struct wire_request q = archive_request(m);
        struct session s;

        q.timeout_ms = 50;
        session_start(&s);
        session_send_request(&s, &q);
        session_send_all(&s, WIRE_CODE, m->bytes, m->used - 1);
        session_await_result(&s);
        assert_string_equal(s.result.error, "the code did not arrive and unpack within 50 ms");
        maker_free(m);
        session_finish(&s);
}

/* A file that ends in a hole keeps its length, and the hole counts towards the limit. */
static void sparse_files_count_with_their_full_size(void **state)
{
        enum { SIZE = 1 << 20, HEAD = 4096 };
        struct unpack_limits limits = UNPACK_LIMITS;
        struct archive_entry *e = archive_entry_new();
        struct maker *m = maker_new(false);
        struct testdir p = testdir_new();
        char *content = calloc(1, SIZE);
        struct err err = ERR_INIT;
        struct stat st;

        memset(content, 'x', HEAD);
        archive_entry_set_pathname(e, "sparse");
        archive_entry_set_mode(e, S_IFREG | 0644);
        archive_entry_set_size(e, SIZE);
        archive_entry_sparse_add_entry(e, 0, HEAD);
        assert_int_equal(archive_write_header(m->a, e), ARCHIVE_OK);
        assert_int_equal(archive_write_data(m->a, content, SIZE), SIZE);
        archive_entry_free(e);
        maker_end(m);
        assert_true(m->used < SIZE / 2);
        if (unpack_bytes(&p, m->bytes, m->used, &limits, &err) < 0)
                fail_msg("%s", err.msg);
        assert_int_equal(fstatat(p.fd, "sparse", &st, 0), 0);
        assert_int_equal(st.st_size, SIZE);
        limits.bytes = SIZE - 1;
        assert_int_equal(unpack_bytes(&p, m->bytes, m->used, &limits, &err), -EFBIG);
        free(content);
        maker_free(m);
        testdir_release(&p);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(an_archive_is_unpacked_with_its_permissions),
                cmocka_unit_test(later_entries_of_a_plain_tar_replace_earlier_ones),
                cmocka_unit_test(names_that_leave_the_directory_are_refused),
                cmocka_unit_test(links_may_point_anywhere),
                cmocka_unit_test(links_are_replaced_and_never_followed),
                cmocka_unit_test(entries_below_a_link_are_refused),
                cmocka_unit_test(special_files_are_refused),
                cmocka_unit_test(hard_links_stay_within_the_archive),
                cmocka_unit_test(entries_and_bytes_are_bounded),
                cmocka_unit_test(a_bomb_is_stopped_at_the_size_limit),
                cmocka_unit_test(sparse_files_count_with_their_full_size),
                cmocka_unit_test(a_damaged_archive_is_refused),
                cmocka_unit_test(a_program_runs_from_an_archive),
                cmocka_unit_test(padding_after_an_archive_is_ignored),
                cmocka_unit_test(a_refused_archive_runs_nothing),
                cmocka_unit_test(garbage_is_not_an_archive),
                cmocka_unit_test(an_archive_that_arrives_late_runs_nothing),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
