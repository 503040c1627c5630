/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What verbs print: tables for people, JSON for machines.
 *
 *     struct table t = TABLE_INIT;
 *     table_heads(&t, "ID|STATUS|>DURATION");        // ">": numbers, to the right
 *     table_cell(&t, "%s", id); table_cell(&t, ...);         // row by row
 *     code = table_print(&t, stdout);
 *     table_release(&t);
 *
 * Columns are as wide as what stands in them, in columns of the terminal (East Asian wide characters
 * take two, combining ones none). Text from elsewhere cannot play tricks on the terminal: what is
 * harmful in a line (base/printable.h) becomes "?".
 *
 * Thread rule: one thread. Memory that runs out shows as -ENOMEM of table_print().
 */
#pragma once

#include "base/buf.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

enum {
        TABLE_COLUMNS_MAX = 16,
        TABLE_TEXT_MAX = 64 * 1024 * 1024, /* bytes of all cells */
        TABLE_CELL_MAX = 200,              /* columns of a cell; what is longer ends in "..." */
};

struct table {
        size_t n_columns;
        bool right[TABLE_COLUMNS_MAX];
        size_t width[TABLE_COLUMNS_MAX];
        size_t n_cells;
        struct buf text; /* the cells, heads first, each with its NUL */
        int failed;
};

#define TABLE_INIT ((struct table){.text = BUF_INIT(TABLE_TEXT_MAX)})

void table_heads(struct table *t, const char *heads);
void table_cell(struct table *t, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Prints what is there. 0, -ENOMEM, -EIO. */
int table_print(const struct table *t, FILE *to);
void table_release(struct table *t);

/* Adds `text` made harmless; at most `columns` wide (0: no bound). Returns how wide it is. */
size_t table_clean(struct buf *ret, const char *text, size_t columns);

/* Prints JSON, indented, with a newline; to a terminal by terminal_write_json(). 0, -EIO. */
int table_print_json(const json_t *json, FILE *to);
