/* SPDX-License-Identifier: Apache-2.0 */
#include "base/thread.h"

#include <assert.h>
#include <string.h>

int thread_start(pthread_t *ret, const char *name, size_t stack_size, void *(*run)(void *),
                 void *arg, struct err *err)
{
        pthread_attr_t attr;
        sigset_t before;
        int r;

        assert(strlen(name) <= THREAD_NAME_MAX);
        pthread_attr_init(&attr);
        if (stack_size)
                pthread_attr_setstacksize(&attr, stack_size);
        /* Block the signals here: the new thread inherits the mask. If the new thread blocked them
         * itself, it could receive one first. */
        thread_block_signals(&before);
        r = pthread_create(ret, &attr, run, arg);
        thread_restore_signals(&before);
        pthread_attr_destroy(&attr);
        if (r)
                return err_set(err, r, "start a thread: %s", strerror(r));
        /* Failure is harmless: the name is only for people. */
        pthread_setname_np(*ret, name);
        return 0;
}
