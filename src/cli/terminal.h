/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Filters a program's output for a terminal. Pipes and files get the exact bytes; a terminal acts on
 * some of them, so each harmful character (base/printable.h) becomes "?". These pass:
 *
 *   - text, tabs, ends of lines, carriage return, backspace, bell;
 *   - escape sequences that colour text, move the cursor, erase, and show or hide the cursor:
 *     ESC [ PARAMETERS and one of ABCDEFGHJKSTfm, ESC [ ? 25 h or l, ESC ( B.
 *
 * Of any other escape sequence ESC becomes "?", so that it shows as text: those that set titles, write
 * the clipboard, ask the terminal for an answer (which it would type in), or change its mode.
 *
 * A character or a sequence may arrive in pieces: its beginning is held until the rest comes.
 * Thread rule: a filter belongs to one thread at a time.
 */
#pragma once

#include "base/buf.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

enum { TERMINAL_SEQUENCE_MAX = 32 /* bytes of an escape sequence that stays */ };

struct terminal_filter {
        char held[TERMINAL_SEQUENCE_MAX];
        size_t n_held;
};

#define TERMINAL_FILTER_INIT ((struct terminal_filter){0})

bool terminal_is(int fd);

/* Adds what a terminal may get of these bytes. 0, -ENOBUFS, -ENOMEM. */
int terminal_filter(struct terminal_filter *f, const char *bytes, size_t n, struct buf *ret);

/* Writes JSON text; to a terminal with harmful characters as \uXXXX, which is the same JSON. 0, -EIO. */
int terminal_write_json(const char *json, size_t n, FILE *to);
