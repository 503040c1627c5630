/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One SQLite file with a schema: opening, checking, bringing it up to date, moving a damaged one out
 * of the way. What store.c (records) and logs.c (output) share; private to the store.
 *
 * Errors: those of store.h; -EPROTO for a file of a newer schema. Thread rule: a connection belongs
 * to one thread at a time, its owner sees to that.
 */
#pragma once

#include "base/err.h"

#include <limits.h>
#include <sqlite3.h>
#include <stdbool.h>
#include <stdint.h>

enum {
        DB_BUSY_MS = 5000,                /* for another program to release the file */
        DB_CHECK_MAX = 256 * 1024 * 1024, /* a larger file is not read through at open */
        DB_CHECK_MS = 3000,               /* how long a file is read through at open */
        DB_GIVE_BACK_SHARE = 4,           /* 1/4 of a file may be free space */
        DB_GIVE_BACK_PAGES = 256,         /* given back in one step */
};

struct db_schema {
        const char *name;         /* for messages: "store" */
        const char *layout;       /* pragmas that count when the file is made; NULL: none */
        const char *pragmas;      /* run at each open */
        const char *const *steps; /* step n takes a file from version n to n + 1 */
        int n_steps;
        unsigned check_ms; /* 0: DB_CHECK_MS; for tests */
};

/*
 * Opens or makes the file and brings it to the newest schema. -EUCLEAN: it is damaged. *ret is set
 * on success and on failure (for db_failed(); close it by sqlite3_close()).
 */
int db_open(const char *path, const struct db_schema *schema, sqlite3 **ret, struct err *err);

/* A second connection to a file that db_open() has prepared, which only reads. */
int db_open_reader(const char *path, const struct db_schema *schema, sqlite3 **ret,
                   struct err *err);

/* Moves the file and its log to a name that says so and is free; writes it to `ret`. */
int db_move_aside(const char *path, char ret[PATH_MAX], struct err *err);

/* The error that the connection had last: "NAME: WHAT: …". Returns it as a negative errno. */
int db_failed(sqlite3 *db, const char *name, const char *what, struct err *err);

/* The first column of the first row as a number. */
int db_query_int(sqlite3 *db, const char *name, const char *sql, int64_t *ret, struct err *err);

/* Prepares a statement that is used for long. */
int db_prepare(sqlite3 *db, const char *name, const char *sql, sqlite3_stmt **ret, struct err *err);

/*
 * Gives some of the free space of a file back to the disk, where there is more of it than a file in
 * use needs: what is given back has to be taken again. Files that were made with
 * auto_vacuum=INCREMENTAL only; others keep their size. True if there is more to give back.
 */
bool db_give_back(sqlite3 *db);
