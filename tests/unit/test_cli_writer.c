/* SPDX-License-Identifier: Apache-2.0 */
/* Output to readers that are slow, blocked or gone; the progress line. */
#include "cli/progress.h"
#include "cli/writer.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

enum { BIG = 1 << 20 };

struct job {
        struct writer *writer;
        int fd;
        const char *bytes;
        size_t n;
        int result;
};

static void *write_it(void *ctx)
{
        struct job *job = ctx;

        job->result = writer_write(job->writer, job->fd, job->bytes, job->n);
        return NULL;
}

static void *flush_it(void *ctx)
{
        struct job *job = ctx;
        int stop[2];

        job->result = pipe(stop) < 0 ? -errno : writer_flush(job->writer, stop[0]);
        close(stop[0]);
        close(stop[1]);
        return NULL;
}

static char *pattern(size_t n)
{
        char *p = malloc(n);

        assert_non_null(p);
        for (size_t i = 0; i < n; i++)
                p[i] = (char)(i * 7 + i / 251);
        return p;
}

static void all_bytes_arrive_in_order(void **state)
{
        struct writer w;
        char *sent = pattern(BIG), *got = malloc(BIG);
        struct job job = {.writer = &w, .bytes = sent, .n = BIG, .result = 1};
        pthread_t thread;
        size_t n = 0;
        ssize_t r;
        int fds[2];

        assert_int_equal(writer_init(&w, NULL), 0);
        assert_int_equal(pipe(fds), 0);
        job.fd = fds[1];
        assert_int_equal(pthread_create(&thread, NULL, write_it, &job), 0);
        while (n < BIG && (r = read(fds[0], got + n, BIG - n)) > 0)
                n += (size_t)r;
        pthread_join(thread, NULL);
        assert_int_equal(job.result, 0);
        assert_int_equal(n, BIG);
        assert_memory_equal(got, sent, BIG);
        close(fds[0]);
        close(fds[1]);
        writer_release(&w);
        free(sent);
        free(got);
}

/* The pipe is full and nobody reads; only an interrupt can end the write. */
static void an_interrupt_ends_a_blocked_write(void **state)
{
        struct writer w;
        char *sent = pattern(BIG);
        struct job job = {.writer = &w, .bytes = sent, .n = BIG};
        pthread_t thread;
        int fds[2], flags;

        assert_int_equal(writer_init(&w, NULL), 0);
        assert_int_equal(pipe(fds), 0);
        flags = fcntl(fds[1], F_GETFL);
        job.fd = fds[1];
        assert_int_equal(pthread_create(&thread, NULL, write_it, &job), 0);
        writer_interrupt(&w);
        writer_interrupt(&w);
        pthread_join(thread, NULL);
        assert_int_equal(job.result, -ECANCELED);
        assert_int_equal(fcntl(fds[1], F_GETFL), flags);                   /* other processes share
                                                                            * the descriptor */
        assert_int_equal(writer_write(&w, fds[1], sent, BIG), -ECANCELED); /* every later write is
                                                                            * cancelled too */
        close(fds[0]);
        close(fds[1]);
        writer_release(&w);
        free(sent);
}

/* Bytes that a reader does not read in time are spooled, in order, and written later. */
static void the_spool_keeps_unread_bytes(void **state)
{
        struct writer w;
        char *sent = pattern(BIG), *got = malloc(BIG);
        struct job job = {.writer = &w, .bytes = sent, .n = BIG / 2, .result = 1};
        pthread_t thread;
        size_t n = 0;
        ssize_t r;
        int fds[2];

        assert_int_equal(writer_init(&w, NULL), 0);
        assert_int_equal(pipe(fds), 0);
        job.fd = fds[1];
        assert_int_equal(pthread_create(&thread, NULL, write_it, &job), 0);
        writer_spool(&w); /* the other thread may be blocked already, or not yet */
        pthread_join(thread, NULL);
        assert_int_equal(job.result, 0);
        assert_int_equal(writer_write(&w, fds[1], sent + BIG / 2, BIG / 2), 0);
        assert_true(w.spool.len > BIG / 2);

        job = (struct job){.writer = &w, .result = 1};
        assert_int_equal(pthread_create(&thread, NULL, flush_it, &job), 0);
        while (n < BIG && (r = read(fds[0], got + n, BIG - n)) > 0)
                n += (size_t)r;
        pthread_join(thread, NULL);
        assert_int_equal(job.result, 0);
        assert_int_equal(n, BIG);
        assert_memory_equal(got, sent, BIG);
        assert_int_equal(w.dropped, 0);
        close(fds[0]);
        close(fds[1]);
        writer_release(&w);
        free(sent);
        free(got);
}

static void the_spool_is_bounded(void **state)
{
        char *sent = pattern(BIG);
        struct writer w;
        int fds[2], stop[2];

        assert_int_equal(writer_init(&w, NULL), 0);
        assert_int_equal(pipe(fds), 0);
        assert_int_equal(pipe(stop), 0);
        writer_spool(&w);
        for (size_t n = 0; n <= WRITER_SPOOL_MAX; n += BIG)
                assert_int_equal(writer_write(&w, fds[1], sent, BIG), 0);
        assert_true(w.dropped >= BIG && w.dropped < 3 * BIG);
        assert_true(w.spool.len <= WRITER_SPOOL_MAX);

        /* A stop ends the flush, and the spool is given up. */
        assert_int_equal(write(stop[1], "x", 1), 1);
        assert_int_equal(writer_flush(&w, stop[0]), -ECANCELED);
        assert_int_equal(w.spool.len, 0);
        for (int i = 0; i < 2; i++) {
                close(fds[i]);
                close(stop[i]);
        }
        writer_release(&w);
        free(sent);
}

static void a_closed_pipe_is_an_error(void **state)
{
        struct writer w;
        int fds[2];

        signal(SIGPIPE, SIG_IGN);
        assert_int_equal(writer_init(&w, NULL), 0);
        assert_int_equal(pipe(fds), 0);
        close(fds[0]);
        assert_int_equal(writer_write(&w, fds[1], "x", 1), -EPIPE);
        close(fds[1]);
        assert_int_equal(writer_write(&w, fds[1], "x", 1), -EBADF);
        writer_release(&w);
}

static void a_file_gets_all_bytes(void **state)
{
        char path[] = "/tmp/vulcan-writer-XXXXXX";
        char *sent = pattern(BIG), *got = malloc(BIG);
        struct writer w;
        int fd = mkstemp(path);

        assert_true(fd >= 0);
        assert_int_equal(writer_init(&w, NULL), 0);
        writer_interrupt(&w); /* a file never blocks, so nothing is lost */
        assert_int_equal(writer_write(&w, fd, sent, BIG), 0);
        assert_int_equal(pread(fd, got, BIG, 0), BIG);
        assert_memory_equal(got, sent, BIG);
        close(fd);
        unlink(path);
        fd = open("/dev/full", O_WRONLY);
        if (fd >= 0)
                assert_int_equal(writer_write(&w, fd, "x", 1), -ENOSPC);
        close(fd);
        writer_release(&w);
        free(sent);
        free(got);
}

/* Reads what is in a pipe now, without blocking. */
static size_t drain(int fd, char *ret, size_t size)
{
        ssize_t n;

        fcntl(fd, F_SETFL, O_NONBLOCK);
        n = read(fd, ret, size - 1);
        ret[n > 0 ? n : 0] = '\0';
        return n > 0 ? (size_t)n : 0;
}

static void the_progress_line_is_drawn_and_erased(void **state)
{
        struct progress p;
        char text[256];
        int fds[2];

        assert_int_equal(pipe(fds), 0);
        progress_init(&p, fds[1], "booting the microVM");
        progress_tick(&p);
        assert_int_equal(drain(fds[0], text, sizeof(text)), 0); /* the wait has not begun */
        progress_begin(&p);
        assert_int_equal(drain(fds[0], text, sizeof(text)), 0); /* nothing is drawn before the first
                                                                 * tick */
        progress_tick(&p);
        drain(fds[0], text, sizeof(text));
        assert_non_null(strstr(text, "booting"));
        assert_null(strchr(text, '\n'));
        progress_end(&p);
        drain(fds[0], text, sizeof(text));
        assert_string_equal(text, "\r\033[K");
        progress_tick(&p);
        progress_end(&p);
        assert_int_equal(drain(fds[0], text, sizeof(text)), 0);
        progress_release(&p);
        close(fds[0]);
        close(fds[1]);
}

static void no_progress_line_without_a_terminal(void **state)
{
        struct progress p;

        progress_init(&p, -1, "booting the microVM");
        progress_begin(&p);
        progress_tick(&p);
        assert_false(p.drawn);
        progress_release(&p);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(all_bytes_arrive_in_order),
                cmocka_unit_test(an_interrupt_ends_a_blocked_write),
                cmocka_unit_test(the_spool_keeps_unread_bytes),
                cmocka_unit_test(the_spool_is_bounded),
                cmocka_unit_test(a_closed_pipe_is_an_error),
                cmocka_unit_test(a_file_gets_all_bytes),
                cmocka_unit_test(the_progress_line_is_drawn_and_erased),
                cmocka_unit_test(no_progress_line_without_a_terminal),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
