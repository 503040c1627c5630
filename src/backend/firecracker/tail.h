/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The end of a guest's console or of a VMM's log, in a ring buffer, and the excerpts of it that
 * error messages quote. The input is untrusted; every excerpt is one line of printable ASCII that
 * fits its buffer.
 *
 * Thread rule: plain data, one thread.
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

/* The last lines that fit, joined by " | "; "" if there is no output. */
void fc_tail_lines(const struct fc_tail *t, char *ret, size_t size);

/*
 * The lines of a kernel panic without time stamps: its cause, if one precedes it (an oops, a failed
 * mount, no memory), then " | " and "Kernel panic - not syncing: ...". If both do not fit, the
 * cause is cut. False, and "", if there is no panic.
 */
bool fc_tail_panic(const struct fc_tail *t, char *ret, size_t size);

/*
 * The reason why a VMM exited: the last informative message of its log, on one line, without time
 * stamp and thread. If it does not fit, its beginning, the least specific part, is cut. "" if there
 * is none.
 */
void fc_tail_reason(const struct fc_tail *t, char *ret, size_t size);

/* True if the log reports a virtual CPU that stopped after a triple fault: the guest's last resort
 * to restart. */
bool fc_tail_triple_fault(const struct fc_tail *t);
