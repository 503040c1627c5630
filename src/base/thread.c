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
        /* The new thread inherits the mask. If it blocked the signals itself, one could arrive
         * before it has done so. */
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
