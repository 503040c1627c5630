/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A SQLite file with a versioned schema: opening, checking and upgrading it, and moving a damaged
 * one aside. Private to the store, which has two such files: records (connection.h) and output
 * (output.h).
 *
 * Errors: those of store.h, and -EPROTO for a file with a newer schema. Thread rule: the caller
 * makes sure that one thread at a time uses a connection.
 */
#pragma once

#include "base/err.h"

#include <limits.h>
#include <sqlite3.h>
#include <stdbool.h>
#include <stdint.h>

enum {
        DB_BUSY_MS = 5000,                /* wait for another program to release the file */
        DB_CHECK_MAX = 256 * 1024 * 1024, /* bytes; a larger file is not checked at open */
        DB_CHECK_MS = 3000,               /* time limit of the check at open */
        DB_GIVE_BACK_SHARE = 4,           /* 1/4 of a file may be free space */
        DB_GIVE_BACK_PAGES = 256,         /* returned to the disk in one step */
};

struct db_schema {
        const char *name;         /* for messages: "store" */
        const char *layout;       /* pragmas for a new file; NULL: none */
        const char *pragmas;      /* run at each open */
        const char *const *steps; /* step n upgrades a file from version n to n + 1 */
        int n_steps;
        unsigned check_ms; /* 0: DB_CHECK_MS; for tests */
};

/*
 * Opens or creates the file and upgrades it to the newest schema. -EUCLEAN: it is damaged. Sets
 * *ret on failure as well, for db_failed(); close it with sqlite3_close().
 */
int db_open(const char *path, const struct db_schema *schema, sqlite3 **ret, struct err *err);

/* A second, read-only connection to a file that db_open() has opened. */
int db_open_reader(const char *path, const struct db_schema *schema, sqlite3 **ret,
                   struct err *err);

/* Renames the file and its write-ahead log to PATH.damaged-TIME-N, and writes that name
 * to `ret`. */
int db_move_aside(const char *path, char ret[PATH_MAX], struct err *err);

/* Sets the last error of the connection, "NAME: WHAT: …", and returns it as a negative errno. */
int db_failed(sqlite3 *db, const char *name, const char *what, struct err *err);

/* Runs a query; returns the first column of its first row. */
int db_query_int(sqlite3 *db, const char *name, const char *sql, int64_t *ret, struct err *err);

/* Prepares a statement that will be used many times. */
int db_prepare(sqlite3 *db, const char *name, const char *sql, sqlite3_stmt **ret, struct err *err);

/*
 * Returns some of a file's free space to the disk, if more than 1/DB_GIVE_BACK_SHARE of it is free.
 * Some free space is kept, since the file would soon have to grow again. Works only for files
 * created with auto_vacuum=INCREMENTAL. True if there is more to return.
 */
bool db_give_back(sqlite3 *db);
