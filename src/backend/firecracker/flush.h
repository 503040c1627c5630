/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The file of metrics that a VMM writes in its VM's directory, and the request to bring it up to
 * date before the VMM is stopped.
 *
 *     fc_flush_ask(&flush, dir, dir_fd);           the VMM is asked over its API socket
 *     fc_flush_await(&flush, stop_fd, 5);          ... something else is done meanwhile ...
 *     fc_flush_await(&flush, stop_fd, 0);
 *     fc_flush_collect(&flush, dir_fd, ...);       once the VMM has exited: its lines become totals
 *
 * The VMM may have been taken over, so whatever it put under the file's name is opened without
 * following links and without blocking, and read only if it is a file of bounded size.
 *
 * Thread rule: the thread that executes the workload. Private to this folder.
 */
#pragma once

#include "backend/firecracker/metrics.h"

#include <stdbool.h>
#include <stdint.h>

enum { FC_FLUSH_TIMEOUT_MS = 250 }; /* from the request until the VMM is no longer waited for */

struct fc_flush {
        bool asked, answered;
        int fd;            /* the VMM's API socket; -1: no further response is expected */
        uint64_t asked_ns; /* when */
        uint64_t from;     /* size of the file when the VMM was asked */
        char head[sizeof("HTTP/1.1 200")];
        size_t have; /* bytes of the response in `head` */
};

#define FC_FLUSH_INIT ((struct fc_flush){.fd = -1})

/* Asks the VMM in `dir` (open as dir_fd) to write its counters. Does not wait. */
void fc_flush_ask(struct fc_flush *f, const char *dir, int dir_fd);

/*
 * Waits up to timeout_ms for the response; 0: until FC_FLUSH_TIMEOUT_MS after the request. Returns
 * true when there is nothing left to wait for, false if the response may still arrive. Returns
 * early when stop_fd becomes readable: a kill does not wait for counters.
 */
bool fc_flush_await(struct fc_flush *f, int stop_fd, unsigned timeout_ms);

/* When the VMM wrote its first line, which it does right after it has started the guest: by the
 * wall clock, to 1 ms. -ENODATA if it has not, or not in Firecracker's format. */
int fc_flush_first_ms(int dir_fd, int64_t *ret_wall_ms);

/*
 * Adds the lines of a VMM that has exited to the totals. Counts a VM whose VMM was asked and
 * neither responded nor wrote a line, unless it was `killed`. Call once.
 */
void fc_flush_collect(const struct fc_flush *flush, int dir_fd, bool killed, struct fc_metrics *m);
