/* SPDX-License-Identifier: Apache-2.0 */
/* Parts of the agent: outbox, feed, names below a directory, the list of modules. */
#include "base/beneath.h"
#include "guest/feed.h"
#include "guest/modules.h"
#include "guest/outbox.h"

#include "base/fs.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static void an_outbox_keeps_room_for_control_frames(void **state)
{
        struct outbox o;
        size_t room, frames = 0;
        uint8_t *place;

        assert_int_equal(outbox_init(&o, NULL), 0);
        assert_int_equal(outbox_size(&o), 0);
        while ((place = outbox_reserve(&o, &room)) != NULL) {
                assert_in_range(room, OUTBOX_CHUNK_MIN, OUTBOX_CHUNK);
                memset(place, 'x', room);
                outbox_commit(&o, WIRE_STDOUT, room);
                frames++;
        }
        assert_true(frames >= 4);
        assert_false(outbox_takes_output(&o));
        while (outbox_has_room(&o, WIRE_PING_MAX))
                assert_int_equal(outbox_add(&o, WIRE_PONG, "pong", 4), 0);
        place = calloc(1, OUTBOX_RESULT_MAX);
        assert_int_equal(outbox_add(&o, WIRE_RESULT, place, OUTBOX_RESULT_MAX - WIRE_HEADER_SIZE),
                         0);
        assert_int_equal(outbox_add(&o, WIRE_RESULT, place, OUTBOX_RESULT_MAX), -ENOBUFS);
        free(place);
        outbox_release(&o);
}

/* The socket takes less than the outbox has: everything still arrives in order. */
static void an_outbox_flushes_what_the_socket_takes(void **state)
{
        static uint8_t received[4 << 20];
        struct wire_frame f;
        struct outbox o;
        size_t got = 0, at = 0, room;
        unsigned next = 0, expected = 0;
        uint8_t *place;
        ssize_t n;
        int fds[2];

        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
        assert_int_equal(outbox_init(&o, NULL), 0);
        while (next < 60) {
                while (next < 60 && (place = outbox_reserve(&o, &room)) != NULL) {
                        memset(place, (int)next, 50000 < room ? 50000 : room);
                        outbox_commit(&o, WIRE_STDOUT, 50000 < room ? 50000 : room);
                        next++;
                }
                assert_int_equal(outbox_flush(&o, fds[0], NULL), 0);
                n = recv(fds[1], received + got, sizeof(received) - got, MSG_DONTWAIT);
                got += n > 0 ? (size_t)n : 0;
        }
        while (outbox_size(&o) > 0) {
                assert_int_equal(outbox_flush(&o, fds[0], NULL), 0);
                n = recv(fds[1], received + got, sizeof(received) - got, MSG_DONTWAIT);
                got += n > 0 ? (size_t)n : 0;
        }
        while ((n = recv(fds[1], received + got, sizeof(received) - got, MSG_DONTWAIT)) > 0)
                got += (size_t)n;
        while ((n = wire_decode(received + at, got - at, &f, NULL)) > 0) {
                for (uint32_t i = 0; i < f.len; i++)
                        assert_int_equal(f.payload[i], expected);
                expected++;
                at += (size_t)n;
        }
        assert_int_equal(at, got);
        assert_int_equal(expected, 60);
        close(fds[1]);
        outbox_add(&o, WIRE_PONG, NULL, 0);
        assert_int_equal(outbox_flush(&o, fds[0], NULL), -ECONNRESET);
        close(fds[0]);
        outbox_release(&o);
}

static void a_feed_keeps_bytes_until_it_is_attached(void **state)
{
        struct feed f = FEED_INIT;
        char text[16];
        int fds[2];

        assert_int_equal(pipe(fds), 0);
        assert_int_equal(feed_add(&f, "abc", 3), 0);
        feed_flush(&f);
        assert_int_equal(feed_poll_fd(&f), -1);
        feed_attach(&f, fds[1]);
        assert_int_equal(feed_poll_fd(&f), fds[1]);
        feed_end(&f);
        feed_flush(&f);
        assert_int_equal(read(fds[0], text, sizeof(text)), 3);
        assert_memory_equal(text, "abc", 3);
        assert_int_equal(read(fds[0], text, sizeof(text)), 0);
        assert_true(f.closed);
        close(fds[0]);
}

static void a_feed_is_bounded_and_ordered(void **state)
{
        static char bytes[256 * 1024], text[64 * 1024];
        struct feed f = FEED_INIT;
        size_t sent = 0, got = 0;
        int fds[2];

        assert_int_equal(pipe(fds), 0);
        feed_attach(&f, fds[1]);
        while (feed_has_room(&f, sizeof(bytes))) {
                memset(bytes, (int)(sent / sizeof(bytes)), sizeof(bytes));
                assert_int_equal(feed_add(&f, bytes, sizeof(bytes)), 0);
                feed_flush(&f);
                sent += sizeof(bytes);
        }
        assert_in_range(sent, FEED_MAX, FEED_MAX + sizeof(bytes));
        while (got < sent) {
                ssize_t n = read(fds[0], text, sizeof(text));

                assert_true(n > 0);
                for (ssize_t i = 0; i < n; i++, got++)
                        assert_int_equal(text[i], (char)(got / sizeof(bytes)));
                if (got == sizeof(text)) {
                        /* There is room again; adding moves the rest to the start of the buffer. */
                        feed_flush(&f);
                        assert_true(feed_has_room(&f, 1000));
                        memset(bytes, (int)(sent / sizeof(bytes)), 1000);
                        assert_int_equal(feed_add(&f, bytes, 1000), 0);
                        sent += 1000;
                }
                feed_flush(&f);
        }
        feed_release(&f);
        assert_int_equal(read(fds[0], text, sizeof(text)), 0);
        close(fds[0]);
}

static void a_feed_drops_bytes_after_its_reader_has_closed(void **state)
{
        struct feed f = FEED_INIT;
        int fds[2];

        signal(SIGPIPE, SIG_IGN);
        assert_int_equal(pipe(fds), 0);
        close(fds[0]);
        feed_attach(&f, fds[1]);
        assert_int_equal(feed_add(&f, "x", 1), 0);
        feed_flush(&f);
        assert_true(f.closed);
        assert_int_equal(f.fd, -1);
        assert_true(feed_has_room(&f, (size_t)1 << 40));
        assert_int_equal(feed_add(&f, "x", 1), 0);
        assert_int_equal(feed_poll_fd(&f), -1);
}

static void expect_clean(const char *name, const char *expected)
{
        char path[BENEATH_PATH_MAX];

        assert_int_equal(beneath_clean(name, path), 0);
        assert_string_equal(path, expected);
}

static void names_are_cleaned_or_refused(void **state)
{
        char longer[BENEATH_PATH_MAX + 8], path[BENEATH_PATH_MAX];

        expect_clean("a", "a");
        expect_clean("./a//b/./c/", "a/b/c");
        expect_clean("", "");
        expect_clean(".", "");
        expect_clean("./", "");
        expect_clean("..a/b../...", "..a/b../...");
        assert_int_equal(beneath_clean("/", path), -EPERM);
        assert_int_equal(beneath_clean("/a", path), -EPERM);
        assert_int_equal(beneath_clean("..", path), -EPERM);
        assert_int_equal(beneath_clean("a/..", path), -EPERM);
        assert_int_equal(beneath_clean("a/../b", path), -EPERM);
        memset(longer, 'x', sizeof(longer) - 1);
        longer[sizeof(longer) - 1] = '\0';
        assert_int_equal(beneath_clean(longer, path), -ENAMETOOLONG);
}

static void files_are_created_below_a_directory_only(void **state)
{
        char dir[] = "/tmp/vulcan-test-XXXXXX", path[64];
        struct err err = ERR_INIT;
        struct stat st;
        int at, fd;

        assert_non_null(mkdtemp(dir));
        at = open(dir, O_PATH | O_DIRECTORY);
        fd = beneath_create(at, "a/b/c", 0640, 0, &err);
        assert_true(fd >= 0);
        close(fd);
        assert_int_equal(fstatat(at, "a/b/c", &st, 0), 0);
        assert_int_equal(st.st_mode & 0777, 0640);
        /* A link with the name is replaced; a link on the way is not followed. */
        assert_int_equal(symlinkat("/tmp/vulcan-test-victim", at, "link"), 0);
        fd = beneath_create(at, "link", 0600, 0, &err);
        assert_true(fd >= 0);
        close(fd);
        assert_int_equal(access("/tmp/vulcan-test-victim", F_OK), -1);
        assert_int_equal(symlinkat("a", at, "way"), 0);
        assert_int_equal(beneath_create(at, "way/x", 0600, 0, &err), -ELOOP);
        assert_int_equal(beneath_create(at, "a/b", 0600, 0, &err), -EISDIR);
        snprintf(path, sizeof(path), "%s/a/x", dir);
        assert_int_equal(access(path, F_OK), -1);
        close(at);
        assert_int_equal(fs_remove_tree(dir, NULL), 0);
}

static void modules_are_loaded_in_the_order_of_their_list(void **state)
{
        char dir[] = "/tmp/vulcan-test-XXXXXX", path[64], message[128];
        struct modules m = {0};
        struct err err = ERR_INIT;

        assert_int_equal(modules_load("/nonexistent", &m, &err), 0);
        assert_non_null(mkdtemp(dir));
        snprintf(path, sizeof(path), "%s/order", dir);
        assert_int_equal(fs_write(path, "\n# none\n\n", 9, 0644, &err), 0);
        assert_int_equal(modules_load(dir, &m, &err), 0);
        /* The missing module is reported, and the one after it is still loaded. */
        assert_int_equal(fs_write(path, "missing.ko\nnet card.ko\nother.ko\n", 32, 0644, &err), 0);
        snprintf(path, sizeof(path), "%s/card.ko", dir);
        assert_int_equal(fs_write(path, "", 0, 0644, &err), 0);
        assert_int_equal(modules_load(dir, &m, &err), -ENOENT);
        snprintf(message, sizeof(message), "kernel module %s/missing.ko: No such file or directory",
                 dir);
        assert_string_equal(err.msg, message);
        assert_int_equal(m.n_net, 1);
        /* An empty file is not a module, for any user. */
        assert_true(modules_load_net(&m, &err) < 0);
        assert_int_equal(m.n_net, 0);
        assert_int_equal(modules_load_net(&m, &err), 0);
        assert_int_equal(fs_remove_tree(dir, NULL), 0);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(an_outbox_keeps_room_for_control_frames),
                cmocka_unit_test(an_outbox_flushes_what_the_socket_takes),
                cmocka_unit_test(a_feed_keeps_bytes_until_it_is_attached),
                cmocka_unit_test(a_feed_is_bounded_and_ordered),
                cmocka_unit_test(a_feed_drops_bytes_after_its_reader_has_closed),
                cmocka_unit_test(names_are_cleaned_or_refused),
                cmocka_unit_test(files_are_created_below_a_directory_only),
                cmocka_unit_test(modules_are_loaded_in_the_order_of_their_list),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
