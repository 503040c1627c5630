/* SPDX-License-Identifier: Apache-2.0 */
/* The parts of a store. Private to store.c, read.c and list.c. */
#pragma once

#include "store/connection.h"
#include "store/writer.h"

#include <pthread.h>
#include <stddef.h>

struct store {
        pthread_mutex_t lock; /* guards `read`; held for one read */
        struct connection read;
        size_t interrupted; /* records that were unfinished when the file was opened */
        struct writer writer;
};
