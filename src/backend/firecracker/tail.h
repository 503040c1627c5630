/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The last words of a guest (its serial console) and of a VMM (its log): a ring of bytes, and what
 * an error message takes from it. All of it is foreign text: what comes out is one line of printable
 * ASCII that fits.
 *
 * Pure data. Thread rule: one thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

enum { FC_TAIL_ROOM = 8192 }; /* a panic with its stack trace has 1 to 4 KB */

struct fc_tail {
        char bytes[FC_TAIL_ROOM];
        size_t len; /* bytes ever written to it */
};

void fc_tail_add(struct fc_tail *t, const char *bytes, size_t n);

/* The last lines that fit, joined with " | ". Empty if nothing was said. */
void fc_tail_lines(const struct fc_tail *t, char *ret, size_t size);

/*
 * The lines of a kernel panic: its cause, where one precedes it (an oops, a failed mount, no memory),
 * " | ", and the line "Kernel panic - not syncing: ...", without time stamps. False, and "", if the
 * console shows no panic. The panic has precedence where both do not fit.
 */
bool fc_tail_panic(const struct fc_tail *t, char *ret, size_t size);

/*
 * Why a VMM gave up: the last message of its log that gives a reason, on one line, without time stamp
 * and thread. One that does not fit loses its front, which says least. Empty if there is none.
 */
void fc_tail_reason(const struct fc_tail *t, char *ret, size_t size);

/* True if the log says that a virtual CPU stopped by a triple fault, which is how a guest restarts
 * that finds no other way. */
bool fc_tail_triple_fault(const struct fc_tail *t);
