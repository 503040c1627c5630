/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Filters a program's output for a terminal. Pipes and files get the exact bytes. A terminal acts
 * on some bytes, so harmful characters (base/printable.h) become "?". These pass:
 *
 *   - text, tab, newline, carriage return, backspace, bell;
 *   - escape sequences that set colours, move the cursor, erase, and show or hide the cursor:
 *     ESC [ PARAMETERS and one of ABCDEFGHJKSTfm, ESC [ ? 25 h or l, ESC ( B.
 *
 * In any other escape sequence, ESC becomes "?", so the rest shows as text. Such sequences set
 * titles, write to the clipboard, request an answer from the terminal (which it would type as
 * input), or change its mode.
 *
 * A character or a sequence may arrive in several pieces; the filter holds its beginning until the
 * rest arrives.
 *
 * Thread rule: a filter belongs to one thread at a time.
 */
#pragma once

#include "base/buf.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

enum { TERMINAL_SEQUENCE_MAX = 32 /* bytes of an escape sequence that may pass */ };

struct terminal_filter {
        char held[TERMINAL_SEQUENCE_MAX];
        size_t n_held;
};

#define TERMINAL_FILTER_INIT ((struct terminal_filter){0})

bool terminal_is(int fd);

/* Appends the filtered bytes. 0, -ENOBUFS, -ENOMEM. */
int terminal_filter(struct terminal_filter *f, const char *bytes, size_t n, struct buf *ret);

/* Writes JSON text. On a terminal, harmful characters are written as \uXXXX, which is equivalent
 * JSON. 0, -EIO. */
int terminal_write_json(const char *json, size_t n, FILE *to);
