/* SPDX-License-Identifier: Apache-2.0 */
#include "base/clock.h"
#include "base/thread.h"

#include <errno.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <cmocka.h>

struct seen {
        pthread_mutex_t lock;
        sigset_t mask;
        size_t stack_size;
        char name[THREAD_NAME_MAX + 1];
};

static void *look(void *arg)
{
        struct seen *seen = arg;
        pthread_attr_t attr;

        pthread_mutex_lock(&seen->lock); /* thread_start() has set the name */
        pthread_sigmask(SIG_SETMASK, NULL, &seen->mask);
        pthread_getattr_np(pthread_self(), &attr);
        pthread_attr_getstacksize(&attr, &seen->stack_size);
        pthread_attr_destroy(&attr);
        pthread_getname_np(pthread_self(), seen->name, sizeof(seen->name));
        pthread_mutex_unlock(&seen->lock);
        return seen;
}

static void start_and_look(struct seen *ret, size_t stack_size)
{
        struct err err = ERR_INIT;
        pthread_t thread;
        void *result;

        pthread_mutex_init(&ret->lock, NULL);
        pthread_mutex_lock(&ret->lock);
        assert_int_equal(thread_start(&thread, "test-thread", stack_size, look, ret, &err), 0);
        pthread_mutex_unlock(&ret->lock);
        pthread_join(thread, &result);
        assert_ptr_equal(result, ret);
        pthread_mutex_destroy(&ret->lock);
}

static void a_thread_blocks_all_signals_and_its_parent_none(void **state)
{
        static const int some[] = {SIGTERM, SIGINT, SIGCHLD, SIGHUP, SIGUSR1};
        struct seen seen;
        sigset_t mine;

        start_and_look(&seen, 0);
        pthread_sigmask(SIG_SETMASK, NULL, &mine);
        for (size_t i = 0; i < sizeof(some) / sizeof(some[0]); i++) {
                assert_int_equal(sigismember(&seen.mask, some[i]), 1);
                assert_int_equal(sigismember(&mine, some[i]), 0);
        }
}

static void a_thread_has_the_given_name(void **state)
{
        struct seen seen;

        start_and_look(&seen, 0);
        assert_string_equal(seen.name, "test-thread");
}

static void a_thread_has_a_stack_of_the_given_size(void **state)
{
        struct seen seen;

        start_and_look(&seen, 1 << 20);
        assert_int_equal(seen.stack_size, 1 << 20);
}

static void a_thread_that_cannot_start_is_an_error(void **state)
{
        struct err err = ERR_INIT;
        pthread_t thread;

        assert_true(thread_start(&thread, "too-large", SIZE_MAX / 4, look, NULL, &err) < 0);
        assert_int_equal(err.code, EAGAIN);
        assert_string_equal(err.msg, "start a thread: Resource temporarily unavailable");
}

static void a_wait_ends_at_its_deadline(void **state)
{
        pthread_cond_t cond = PTHREAD_COND_INITIALIZER;
        pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
        uint64_t deadline_ns = clock_ns() + 5 * NS_PER_MS;

        pthread_mutex_lock(&lock);
        while (clock_cond_wait(&cond, &lock, deadline_ns))
                ;
        assert_true(clock_ns() >= deadline_ns);
        assert_false(clock_cond_wait(&cond, &lock, 0));
        pthread_mutex_unlock(&lock);
}

static void nanoseconds_become_a_timespec(void **state)
{
        struct timespec t = clock_timespec(3 * NS_PER_S + 7);

        assert_int_equal(t.tv_sec, 3);
        assert_int_equal(t.tv_nsec, 7);
        t = clock_timespec(UINT64_MAX);
        assert_int_equal(t.tv_sec, UINT64_MAX / NS_PER_S);
        assert_in_range(t.tv_nsec, 0, 999999999);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(a_thread_blocks_all_signals_and_its_parent_none),
                cmocka_unit_test(a_thread_has_the_given_name),
                cmocka_unit_test(a_thread_has_a_stack_of_the_given_size),
                cmocka_unit_test(a_thread_that_cannot_start_is_an_error),
                cmocka_unit_test(a_wait_ends_at_its_deadline),
                cmocka_unit_test(nanoseconds_become_a_timespec),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
