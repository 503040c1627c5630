/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Prints tables for people and JSON for programs.
 *
 *     struct table t = TABLE_INIT;
 *     table_heads(&t, "ID|STATUS|>DURATION");        // ">" aligns numbers to the right
 *     table_cell(&t, "%s", id); table_cell(&t, ...);         // row by row
 *     code = table_print(&t, stdout);
 *     table_release(&t);
 *
 * Column widths are counted in columns of the terminal: East Asian wide characters take two,
 * combining characters none. Text from elsewhere is made safe: characters that are harmful in a
 * line (base/printable.h) become "?".
 *
 * Thread rule: one thread. Running out of memory is reported by table_print() as -ENOMEM.
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
        TABLE_CELL_MAX = 200,              /* columns of a cell; longer text is cut and ends with
                                            * "..." */
};

struct table {
        size_t n_columns;
        bool right[TABLE_COLUMNS_MAX];
        size_t width[TABLE_COLUMNS_MAX];
        size_t n_cells;
        struct buf text; /* all cells, headings first, each with its NUL */
        int failed;
};

#define TABLE_INIT ((struct table){.text = BUF_INIT(TABLE_TEXT_MAX)})

void table_heads(struct table *t, const char *heads);
void table_cell(struct table *t, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Prints the table. 0, -ENOMEM, -EIO. */
int table_print(const struct table *t, FILE *to);
void table_release(struct table *t);

/* Appends `text` without harmful characters, at most `columns` wide (0: no limit). Returns its
 * width. */
size_t table_clean(struct buf *ret, const char *text, size_t columns);

/* Prints indented JSON and a newline, through terminal_write_json(). 0, -EIO. */
int table_print_json(const json_t *json, FILE *to);
