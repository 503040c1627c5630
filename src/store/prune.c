/* SPDX-License-Identifier: Apache-2.0 */
/* The oldest records make room for new ones. */
#include "store/internal.h"

#include "base/log.h"

enum {
        STEP = 64,      /* records of one transaction: no writer waits long */
        STEPS_MAX = 32, /* of one round */
};

static int64_t query_int(struct connection *c, const char *sql)
{
        sqlite3_stmt *st = NULL;
        int64_t n = -1;

        if (sqlite3_prepare_v2(c->db, sql, -1, &st, NULL) == SQLITE_OK &&
            sqlite3_step(st) == SQLITE_ROW)
                n = sqlite3_column_int64(st, 0);
        sqlite3_finalize(st);
        return n;
}

/* Bytes in use: what was deleted leaves pages that are written again before the file grows. */
static uint64_t bytes_used(struct connection *c)
{
        int64_t size = query_int(c, "PRAGMA page_size");
        int64_t pages = query_int(c, "PRAGMA page_count") - query_int(c, "PRAGMA freelist_count");

        return size > 0 && pages > 0 ? (uint64_t)size * (uint64_t)pages : 0;
}

/* Deletes up to STEP of the oldest that have ended, none above seq `last`. How many, -1: failed. */
static int delete_oldest(struct connection *c, int64_t last)
{
        struct err err = ERR_INIT;
        sqlite3_stmt *st = NULL;
        int n = -1;

        if (sqlite3_prepare_v2(c->db,
                               "DELETE FROM workloads WHERE seq IN (SELECT seq FROM workloads"
                               " WHERE seq<=?1 AND status NOT IN('pending','running')"
                               " ORDER BY seq LIMIT ?2)",
                               -1, &st, NULL) == SQLITE_OK &&
            sqlite3_bind_int64(st, 1, last) == SQLITE_OK &&
            sqlite3_bind_int(st, 2, STEP) == SQLITE_OK && sqlite3_step(st) == SQLITE_DONE) {
                n = sqlite3_changes(c->db);
        } else {
                store_failed(c, "delete old records", &err);
                log_warn("%s", err.msg); /* tried again with the next round */
        }
        sqlite3_finalize(st);
        return n;
}

void store_prune(struct connection *c, uint64_t max_records, uint64_t max_bytes)
{
        for (int i = 0; i < STEPS_MAX; i++) {
                int64_t newest = query_int(c, "SELECT max(seq) FROM workloads");
                bool full = max_bytes && bytes_used(c) > max_bytes;
                int64_t last = max_records && newest > (int64_t)max_records
                                       ? newest - (int64_t)max_records
                                       : 0;

                if (full)
                        last = newest;
                if (last <= 0 || delete_oldest(c, last) < STEP)
                        return;
        }
}
