/* SPDX-License-Identifier: Apache-2.0 */
/* Zip archives: what they preserve, and that no damage goes unnoticed. */
#include "guest_maker.h"

#include "guest/zip_check.h"

#include <errno.h>

enum { FLIPS = 600 };

static const char program[] = "for n in 1 2 3 4; do echo $n; done\n";

static void put_program(struct maker *m)
{
        add(m, "main.sh", S_IFREG | 0755, program);
        add(m, "lib/", S_IFDIR | 0555, NULL);
        add(m, "lib/words", S_IFREG | 0644, "to be or not to be, not to be, not to be\n");
        add(m, "lib/empty", S_IFREG | 0600, "");
        add(m, "link", S_IFLNK | 0777, "/usr/bin/python3");
}

static void expect_program(const struct testdir *p)
{
        char target[64] = "";

        expect_file(p, "main.sh", program, 0755);
        expect_file(p, "lib/words", "to be or not to be, not to be, not to be\n", 0644);
        expect_file(p, "lib/empty", "", 0600);
        assert_int_equal(readlinkat(p->fd, "link", target, sizeof(target)), 16);
        assert_string_equal(target, "/usr/bin/python3");
}

static int unpack_zip(const struct testdir *p, const struct maker *m, size_t n, struct err *err)
{
        struct unpack_limits limits = UNPACK_LIMITS;

        *err = ERR_INIT;
        return unpack_bytes(p, m->bytes, n, &limits, err);
}

static void a_zip_is_unpacked(void **state)
{
        struct testdir p = testdir_new();
        struct maker *m = maker_new_of(MADE_ZIP);
        struct err err = ERR_INIT;
        struct stat st;

        put_program(m);
        add(m, "caf\xc3\xa9.txt", S_IFREG | 0644, "x");
        add(m, "caf\xe9.txt", S_IFREG | 0644, "y");
        add(m, "__MACOSX/._main.sh", S_IFREG | 0644, "resource");
        if (unpack_maker(&p, m, &err) < 0)
                fail_msg("%s", err.msg);
        expect_program(&p);
        expect_file(&p, "caf\xc3\xa9.txt", "x", 0644);
        expect_file(&p, "caf\xe9.txt", "y", 0644);
        assert_int_equal(fstatat(p.fd, "lib", &st, 0), 0);
        assert_int_equal(st.st_mode & 0777, 0555);
        testdir_release(&p);
}

static void an_empty_zip_is_unpacked(void **state)
{
        struct testdir p = testdir_new();
        struct maker *m = maker_new_of(MADE_ZIP);
        struct err err = ERR_INIT;

        assert_int_equal(unpack_maker(&p, m, &err), -EPROTO);
        assert_string_equal(err.msg, "the archive is empty");
        testdir_release(&p);
}

/* The type of an entry in the directory (file or link) is not covered by any checksum. */
static bool is_type(const struct maker *m, size_t byte)
{
        for (size_t at = 0; at + 46 <= m->used; at++)
                if (memcmp(m->bytes + at, "PK\1\2", 4) == 0 &&
                    (byte == at + 5 || (byte >= at + 38 && byte < at + 42)))
                        return true;
        return false;
}

static void a_flipped_bit_is_noticed(void **state)
{
        struct maker *m = maker_new_of(MADE_ZIP);
        uint64_t random = 0x2545f4914f6cdd1d;
        int accepted = 0;

        put_program(m);
        maker_end(m);
        for (int i = 0; i < FLIPS; i++) {
                struct testdir p = testdir_new();
                struct err err;
                size_t bit;

                random ^= random << 13; /* xorshift64 */
                random ^= random >> 7;
                random ^= random << 17;
                bit = random % (m->used * 8);
                m->bytes[bit / 8] ^= (char)(1 << bit % 8);
                if (unpack_zip(&p, m, m->used, &err) < 0) {
                        assert_true(err.msg[0] && !strstr(err.msg, "(null)"));
                } else if (!is_type(m, bit / 8)) {
                        expect_program(&p);
                        accepted++;
                }
                m->bytes[bit / 8] ^= (char)(1 << bit % 8);
                testdir_release(&p);
        }
        /* Flips of times, versions and attributes have no effect. */
        assert_in_range(accepted, 1, FLIPS / 2);
        maker_free(m);
}

static void every_truncation_is_noticed(void **state)
{
        struct maker *m = maker_new_of(MADE_ZIP);
        struct testdir p = testdir_new();
        struct err err;

        put_program(m);
        maker_end(m);
        for (size_t n = 0; n < m->used; n++) {
                assert_true(unpack_zip(&p, m, n, &err) < 0);
                assert_true(err.msg[0] && !strstr(err.msg, "(null)"));
        }
        assert_string_equal(err.msg,
                            "the archive is truncated: a zip has its directory at its end, "
                            "and this one has none");
        assert_int_equal(unpack_zip(&p, m, m->used, &err), 0);
        expect_program(&p);
        maker_free(m);
        testdir_release(&p);
}

static void an_error_names_the_damage(void **state)
{
        struct maker *m = maker_new_with(MADE_ZIP, "zip:compression=store");
        struct testdir p = testdir_new();
        struct err err;
        char *name;

        put_program(m);
        maker_end(m);
        name = memmem(m->bytes, m->used, "not to be", 9);
        *name ^= 1;
        assert_int_equal(unpack_zip(&p, m, m->used, &err), -EPROTO);
        assert_non_null(strstr(err.msg, "archive entry \"lib/words\": ZIP bad CRC"));
        *name ^= 1;
        name = memmem(m->bytes, m->used, "/usr/bin/python3", 16);
        *name ^= 1;
        assert_int_equal(unpack_zip(&p, m, m->used, &err), -EPROTO);
        assert_string_equal(err.msg, "the archive is damaged: zip: the checksum of a symbolic link "
                                     "does not match its target");
        *name ^= 1;
        m->bytes[30] ^= 1; /* the first name in the archive */
        assert_int_equal(unpack_zip(&p, m, m->used, &err), -EPROTO);
        assert_string_equal(err.msg, "the archive is damaged: zip: an entry and its directory have "
                                     "different names");
        maker_free(m);
        testdir_release(&p);
}

static void expect_refused(const char *name, mode_t mode, const char *content, const char *message)
{
        struct maker *m = maker_new_of(MADE_ZIP);
        struct testdir p = testdir_new();
        struct err err = ERR_INIT;

        add(m, "out", S_IFLNK | 0777, "/tmp");
        add(m, name, mode, content);
        assert_true(unpack_maker(&p, m, &err) < 0);
        assert_string_equal(err.msg, message);
        testdir_release(&p);
}

static void unsafe_entries_are_refused(void **state)
{
        expect_refused("../x", S_IFREG | 0644, "x",
                       "archive entry \"../x\" leaves the working directory");
        expect_refused("/tmp/x", S_IFREG | 0644, "x",
                       "archive entry \"/tmp/x\" leaves the working directory");
        expect_refused("out/x", S_IFREG | 0644, "x",
                       "archive entry \"out/x\" is below a link or file, not a directory");
}

static void an_encrypted_zip_is_refused(void **state)
{
        struct maker *m = maker_new_with(MADE_ZIP, "zip:encryption=aes256");
        struct testdir p = testdir_new();
        struct err err = ERR_INIT;

        add(m, "main.sh", S_IFREG | 0644, program);
        assert_int_equal(unpack_maker(&p, m, &err), -EPROTO);
        assert_string_equal(err.msg, "archive entry \"main.sh\" is encrypted: pack it without a "
                                     "password");
        testdir_release(&p);
}

/* 16 MB of zeros in 16 KB of zip. */
static void a_bomb_is_stopped_at_the_size_limit(void **state)
{
        struct unpack_limits limits = {.entries = 10, .bytes = 1 << 20};
        struct maker *m = maker_new_of(MADE_ZIP);
        struct archive_entry *e = archive_entry_new();
        static const char zeros[1 << 20];
        struct testdir p = testdir_new();
        struct err err = ERR_INIT;

        archive_entry_set_pathname(e, "bomb");
        archive_entry_set_mode(e, S_IFREG | 0644);
        assert_int_equal(archive_write_header(m->a, e), ARCHIVE_OK);
        for (int i = 0; i < 16; i++)
                assert_int_equal(archive_write_data(m->a, zeros, sizeof(zeros)), sizeof(zeros));
        archive_entry_free(e);
        maker_end(m);
        assert_int_equal(unpack_bytes(&p, m->bytes, m->used, &limits, &err), -EFBIG);
        assert_string_equal(err.msg,
                            "archive entry \"bomb\": the archive unpacks to too many bytes");
        maker_free(m);
        testdir_release(&p);
}

/* A zip from a system without permissions: its files are readable, its directories accessible. */
static void a_zip_without_permissions_gets_ordinary_ones(void **state)
{
        struct maker *m = maker_new_of(MADE_ZIP);
        struct testdir p = testdir_new();
        struct err err;

        add(m, "d/", S_IFDIR, NULL);
        add(m, "d/main.sh", S_IFREG, program);
        assert_int_equal(unpack_maker(&p, m, &err), 0);
        expect_file(&p, "d/main.sh", program, 0644);
        testdir_release(&p);
}

static void put(uint8_t *at, size_t n, uint64_t value)
{
        for (size_t i = 0; i < n; i++)
                at[i] = (uint8_t)(value >> 8 * i);
}

/* `echo … | zip a.zip -` writes zip64 records before an end record that does not need them. */
static void zip64_records_that_are_not_needed_are_accepted(void **state)
{
        enum { END = 22, RECORD = 56, LOCATOR = 20 };
        struct maker *m = maker_new_of(MADE_ZIP);
        struct testdir p = testdir_new();
        uint8_t *end, tail[END];
        struct err err;

        put_program(m);
        maker_end(m);
        end = (uint8_t *)m->bytes + m->used - END;
        memcpy(tail, end, END);
        memset(end, 0, RECORD + LOCATOR);
        memcpy(end, "PK\6\6", 4);
        put(end + 4, 8, RECORD - 12);
        put(end + 24, 8, tail[10]);
        put(end + 32, 8, tail[10]);
        memcpy(end + 40, tail + 12, 4);
        memcpy(end + 48, tail + 16, 4);
        memcpy(end + RECORD, "PK\6\7", 4);
        put(end + RECORD + 8, 8, m->used - END);
        put(end + RECORD + 16, 4, 1);
        memcpy(end + RECORD + LOCATOR, tail, END);
        m->used += RECORD + LOCATOR;
        if (unpack_zip(&p, m, m->used, &err) < 0)
                fail_msg("%s", err.msg);
        expect_program(&p);
        end[0] = 'x';
        assert_int_equal(unpack_zip(&p, m, m->used, &err), -EPROTO);
        assert_string_equal(err.msg,
                            "the archive is damaged: zip: its directory is not where its end says");
        maker_free(m);
        testdir_release(&p);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(a_zip_is_unpacked),
                cmocka_unit_test(an_empty_zip_is_unpacked),
                cmocka_unit_test(a_flipped_bit_is_noticed),
                cmocka_unit_test(every_truncation_is_noticed),
                cmocka_unit_test(an_error_names_the_damage),
                cmocka_unit_test(unsafe_entries_are_refused),
                cmocka_unit_test(an_encrypted_zip_is_refused),
                cmocka_unit_test(a_bomb_is_stopped_at_the_size_limit),
                cmocka_unit_test(a_zip_without_permissions_gets_ordinary_ones),
                cmocka_unit_test(zip64_records_that_are_not_needed_are_accepted),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
