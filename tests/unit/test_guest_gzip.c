/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Damaged archives, judged by gzip and GNU tar: an archive that gzip -t rejects is rejected, and
 * one that it accepts is unpacked to the contents that were packed.
 */
#include "guest_maker.h"

#include "guest/source.h"

#include <errno.h>
#include <spawn.h>
#include <sys/wait.h>

enum {
        FLIPS = 300,
        BYTES_MAX = 64 * 1024,
};

struct bytes {
        size_t n;
        unsigned char at[BYTES_MAX];
};

extern char **environ;

/* Runs a program with the bytes as its standard input. True if it exits with 0. */
static bool judge(char *const argv[], const struct bytes *b)
{
        posix_spawn_file_actions_t actions;
        int in = memfd_create("judged", MFD_CLOEXEC);
        int status;
        pid_t pid;

        assert_int_equal(write(in, b->at, b->n), b->n);
        lseek(in, 0, SEEK_SET);
        posix_spawn_file_actions_init(&actions);
        posix_spawn_file_actions_adddup2(&actions, in, 0);
        posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0);
        posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0);
        assert_int_equal(posix_spawnp(&pid, argv[0], &actions, NULL, argv, environ), 0);
        posix_spawn_file_actions_destroy(&actions);
        close(in);
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_true(WIFEXITED(status) && WEXITSTATUS(status) != 127);
        return WEXITSTATUS(status) == 0;
}

static bool gzip_accepts(const struct bytes *b)
{
        return judge((char *[]){"gzip", "-t", NULL}, b);
}

static bool tar_accepts(const struct bytes *b)
{
        char *options = sniff(b->at, b->n) == SNIFF_GZIP ? "-tzf" : "-tf";

        return judge((char *[]){"tar", options, "-", NULL}, b);
}

static int unpack_these(const struct testdir *p, const struct bytes *b, struct err *err)
{
        struct unpack_limits limits = UNPACK_LIMITS;

        *err = ERR_INIT;
        return unpack_bytes(p, b->at, b->n, &limits, err);
}

static void expect_error(const struct bytes *b, const char *message)
{
        struct testdir p = testdir_new();
        struct err err;

        assert_int_equal(unpack_these(&p, b, &err), -EPROTO);
        assert_string_equal(err.msg, message);
        testdir_release(&p);
}

static const char program[] = "total=0\nfor n in 1 2 3 4; do total=$((total + n * 900)); done\n";

static void put_program(struct maker *m)
{
        add(m, "main.sh", S_IFREG | 0644, program);
        add(m, "lib/empty", S_IFREG | 0600, "");
        add(m, "lib/words", S_IFREG | 0644, "to be or not to be\n");
}

static void make(struct bytes *ret, bool gzip)
{
        struct maker *m = maker_new(gzip);

        put_program(m);
        maker_end(m);
        assert_true(m->used <= BYTES_MAX);
        memcpy(ret->at, m->bytes, m->used);
        ret->n = m->used;
        maker_free(m);
}

static void expect_program(const struct testdir *p)
{
        expect_file(p, "main.sh", program, 0644);
        expect_file(p, "lib/empty", "", 0600);
        expect_file(p, "lib/words", "to be or not to be\n", 0644);
}

static void expect_accepted(const struct bytes *b)
{
        struct testdir p = testdir_new();
        struct err err;
        int r = unpack_these(&p, b, &err);

        if (r < 0)
                print_error("%s\n", err.msg);
        assert_int_equal(r, 0);
        expect_program(&p);
        testdir_release(&p);
}

/* The property: accepted if and only if the judge accepts it, and then with the right contents. */
static bool compare(const struct bytes *b, bool expected, const char *what, size_t at)
{
        struct testdir p = testdir_new();
        struct err err;
        bool accepted = unpack_these(&p, b, &err) == 0;

        if (accepted != expected)
                fail_msg("%s %zu: unpack says %s, the judge %s", what, at,
                         accepted ? "sound" : err.msg, expected ? "sound" : "damaged");
        if (accepted)
                expect_program(&p);
        else
                assert_true(err.msg[0] && !strstr(err.msg, "(null)"));
        testdir_release(&p);
        return accepted;
}

static void a_flipped_bit_is_noticed(void **state)
{
        uint64_t random = 0x9e3779b97f4a7c15;
        int accepted = 0;
        struct bytes b;

        make(&b, true);
        for (int i = 0; i < FLIPS; i++) {
                size_t bit;

                random ^= random << 13; /* xorshift64: the same flips in each run */
                random ^= random >> 7;
                random ^= random << 17;
                bit = random % (b.n * 8);
                b.at[bit / 8] ^= (unsigned char)(1 << bit % 8);
                accepted += compare(&b, gzip_accepts(&b), "bit", bit);
                b.at[bit / 8] ^= (unsigned char)(1 << bit % 8);
        }
        /* Flips of the time, the file system and the hints in the header have no effect. */
        assert_in_range(accepted, 1, FLIPS / 3);
}

static void every_truncation_is_noticed(void **state)
{
        struct bytes b;
        size_t whole;

        make(&b, true);
        whole = b.n;
        for (b.n = 0; b.n < whole; b.n++)
                assert_false(compare(&b, gzip_accepts(&b), "length", b.n));
        b.n = whole;
        assert_true(compare(&b, gzip_accepts(&b), "length", b.n));
}

/*
 * A plain tar has no checksum of its contents. It may end between two entries, and anything may
 * follow its end. GNU tar accepts a part of a header at the end; we do not.
 */
static void truncations_of_a_plain_tar_are_noticed(void **state)
{
        struct unpack_limits limits = UNPACK_LIMITS;
        int judged = 0, accepted = 0;
        struct bytes b;
        size_t whole;

        make(&b, false);
        whole = b.n;
        for (b.n = 64; b.n <= whole; b.n += 64) {
                struct testdir p = testdir_new();
                struct err err = ERR_INIT;
                bool sound = unpack_bytes(&p, b.at, b.n, &limits, &err) == 0;

                if (b.n % 512 == 0)
                        assert_int_equal(sound, tar_accepts(&b));
                else if (sound)
                        assert_true(tar_accepts(&b));
                if (!sound)
                        assert_true(err.msg[0] && !strstr(err.msg, "(null)"));
                accepted += sound;
                judged++;
                testdir_release(&p);
        }
        assert_in_range(accepted, 3, judged / 2);
}

/* ---- what gzip allows ---- */

struct gzip_options {
        gz_header *header;
        int level;
};

static void append_member(struct bytes *ret, const void *content, size_t n,
                          const struct gzip_options *options)
{
        z_stream z = {0};

        assert_int_equal(
                deflateInit2(&z, options->level, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY), Z_OK);
        if (options->header)
                assert_int_equal(deflateSetHeader(&z, options->header), Z_OK);
        z.next_in = (void *)(uintptr_t)content;
        z.avail_in = (unsigned)n;
        z.next_out = ret->at + ret->n;
        z.avail_out = (unsigned)(BYTES_MAX - ret->n);
        assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
        ret->n = BYTES_MAX - z.avail_out;
        deflateEnd(&z);
}

static void append(struct bytes *b, const void *bytes, size_t n)
{
        assert_true(b->n + n <= BYTES_MAX);
        memcpy(b->at + b->n, bytes, n);
        b->n += n;
}

static void several_members_and_padding_are_read(void **state)
{
        static const char zeros[1000];
        struct gzip_options packed = {.level = 9}, stored = {.level = 0};
        struct bytes tar, b = {0};

        make(&tar, false);
        append_member(&b, tar.at, 700, &packed);
        append_member(&b, NULL, 0, &packed);
        append_member(&b, tar.at + 700, 1, &stored);
        append_member(&b, tar.at + 701, tar.n - 701, &stored);
        assert_true(gzip_accepts(&b));
        expect_accepted(&b);
        append(&b, zeros, 1);
        assert_true(gzip_accepts(&b));
        expect_accepted(&b);
        append(&b, zeros, sizeof(zeros));
        assert_true(gzip_accepts(&b));
        expect_accepted(&b);
        append_member(&b, tar.at, 1, &packed);
        assert_false(gzip_accepts(&b));
        expect_error(&b, "the archive is damaged: garbage follows its gzip data");
}

static void garbage_after_the_members_is_refused(void **state)
{
        static const char *const tails[] = {"x", "\x1f", "\x1f\x8c", "\x1fzz", "zz\x1f\x8b"};
        struct bytes b;
        size_t n;

        make(&b, true);
        n = b.n;
        for (size_t i = 0; i < sizeof(tails) / sizeof(tails[0]); i++) {
                append(&b, tails[i], strlen(tails[i]));
                assert_false(gzip_accepts(&b));
                expect_error(&b, "the archive is damaged: garbage follows its gzip data");
                b.n = n;
        }
        append(&b, "\x1f\x8b", 2);
        assert_false(gzip_accepts(&b));
        expect_error(&b, "the archive is truncated: its gzip data end too early");
}

static void every_kind_of_gzip_header_is_read(void **state)
{
        gz_header header = {
                .text = 1,
                .time = 1000000000,
                .os = 3,
                .extra = (Bytef *)"AB\4\0some",
                .extra_len = 8,
                .name = (Bytef *)"program.tar",
                .comment = (Bytef *)"what it does",
                .hcrc = 1,
        };
        struct gzip_options options = {.header = &header, .level = 6};
        struct bytes tar, b = {0};

        make(&tar, false);
        append_member(&b, tar.at, tar.n, &options);
        assert_true(gzip_accepts(&b));
        expect_accepted(&b);
        b.at[4] ^= 1; /* the time, which FHCRC covers */
        assert_false(gzip_accepts(&b));
        expect_error(&b, "the archive is damaged: gzip: the checksum of its header does not match");
}

static void an_error_says_what_is_damaged(void **state)
{
        struct bytes b;

        make(&b, true);
        b.at[b.n - 1] ^= 1;
        expect_error(&b, "the archive is damaged: gzip: its length does not match its content");
        b.at[b.n - 1] ^= 1;
        b.at[b.n - 8] ^= 1;
        expect_error(&b, "the archive is damaged: gzip: its checksum (CRC-32) does not match its "
                         "content");
        b.at[b.n - 8] ^= 1;
        b.at[2] = 7;
        expect_error(&b, "the archive is damaged: gzip: it is not compressed with deflate");
        b.at[2] = 8;
        b.at[3] |= 0x80;
        expect_error(&b, "the archive is damaged: gzip: its header has unknown flags");
        b.at[3] = 0;
        b.at[10] = 7; /* block type 3, which does not exist */
        expect_error(&b, "the archive is damaged: gzip: invalid block type");
        make(&b, true);
        b.n -= 4;
        expect_error(&b, "the archive is truncated: its gzip data end too early");
        b = (struct bytes){.n = 18, .at = {0x1f, 0x8b, 8}};
        expect_error(&b, "the archive is damaged: gzip: invalid stored block lengths");
}

/* A tar cut short inside intact gzip data, and one followed by garbage. */
static void the_tar_within_gzip_is_checked_too(void **state)
{
        struct gzip_options options = {.level = 6};
        struct bytes tar, b = {0};

        make(&tar, false);
        append_member(&b, tar.at, 520, &options);
        assert_true(gzip_accepts(&b));
        assert_false(tar_accepts(&b));
        expect_error(&b, "archive entry \"main.sh\": Truncated tar archive");

        b.n = 0; /* no end of the tar */
        append_member(&b, tar.at, 6 * 512, &options);
        assert_true(tar_accepts(&b));
        expect_accepted(&b);

        b.n = 0; /* garbage after the end of the tar, damaged in its last bytes */
        append(&tar, "not a header", 12);
        append_member(&b, tar.at, tar.n, &options);
        assert_true(tar_accepts(&b));
        expect_accepted(&b);
        b.at[b.n - 5] ^= 0x10;
        expect_error(&b, "the archive is damaged: gzip: its checksum (CRC-32) does not match its "
                         "content");

        b.n = 0; /* garbage where a header should be */
        memset(tar.at + 2 * 512, 'g', 512);
        append_member(&b, tar.at, tar.n, &options);
        assert_false(tar_accepts(&b));
        expect_error(&b, "the archive is damaged or not a tar: Damaged tar archive");
}

/* Bytes after the end of a tar are read only up to the limits. */
static void endless_zeros_are_stopped(void **state)
{
        enum { SIZE = 32 << 20 };
        struct unpack_limits limits = {.entries = 10, .bytes = 1 << 20};
        struct gzip_options options = {.level = 9};
        struct testdir p = testdir_new();
        struct err err = ERR_INIT;
        char *zeros = calloc(1, SIZE);
        struct bytes b = {0};

        append_member(&b, zeros, SIZE, &options);
        assert_int_equal(unpack_bytes(&p, b.at, b.n, &limits, &err), -EFBIG);
        assert_string_equal(err.msg, "the archive unpacks to too many bytes");
        free(zeros);
        testdir_release(&p);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(a_flipped_bit_is_noticed),
                cmocka_unit_test(every_truncation_is_noticed),
                cmocka_unit_test(truncations_of_a_plain_tar_are_noticed),
                cmocka_unit_test(several_members_and_padding_are_read),
                cmocka_unit_test(garbage_after_the_members_is_refused),
                cmocka_unit_test(every_kind_of_gzip_header_is_read),
                cmocka_unit_test(an_error_says_what_is_damaged),
                cmocka_unit_test(the_tar_within_gzip_is_checked_too),
                cmocka_unit_test(endless_zeros_are_stopped),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
