/* SPDX-License-Identifier: Apache-2.0 */
#include "store/prune.h"

#include "base/log.h"
#include "store/db.h"

#include <stdatomic.h>

enum {
        STEP = 64,       /* records of one transaction, so that no writer waits long */
        STEPS_MAX = 32,  /* transactions of one call */
        ROW_BYTES = 512, /* approximate size of a record without its output */
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

/* Bytes in use. Free pages do not count: they are reused before the file grows. */
static uint64_t bytes_used(struct connection *c)
{
        int64_t size = query_int(c, "PRAGMA page_size");
        int64_t pages = query_int(c, "PRAGMA page_count") - query_int(c, "PRAGMA freelist_count");

        return size > 0 && pages > 0 ? (uint64_t)size * (uint64_t)pages : 0;
}

/* The seq up to which ended records must be deleted to free that many bytes, at most STEP records;
 * 0: none. */
static int64_t last_for_bytes(struct connection *c, uint64_t bytes)
{
        sqlite3_stmt *st = NULL;
        uint64_t freed = 0;
        int64_t last = 0;

        if (sqlite3_prepare_v2(c->db,
                               "SELECT seq, length(output) + length(streams) +"
                               " (SELECT ifnull(sum(length(content)), 0) FROM files"
                               "  WHERE files.id=workloads.id) FROM workloads"
                               " WHERE status NOT IN('pending','running') ORDER BY seq LIMIT ?1",
                               -1, &st, NULL) == SQLITE_OK &&
            sqlite3_bind_int(st, 1, STEP) == SQLITE_OK)
                while (freed < bytes && sqlite3_step(st) == SQLITE_ROW) {
                        last = sqlite3_column_int64(st, 0);
                        freed += (uint64_t)sqlite3_column_int64(st, 1) + ROW_BYTES;
                }
        sqlite3_finalize(st);
        return last;
}

/* Deletes up to STEP of the oldest ended records with a seq up to `last`. Returns how many; -1: it
 * failed. */
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
                connection_failed(c, "delete old records", &err);
                log_warn("%s", err.msg); /* the next call retries */
        }
        sqlite3_finalize(st);
        return n;
}

static void delete_beyond(struct connection *c, uint64_t max_records, uint64_t max_bytes,
                          _Atomic uint64_t *deletions)
{
        for (int i = 0; i < STEPS_MAX; i++) {
                int64_t newest = query_int(c, "SELECT max(seq) FROM workloads");
                uint64_t used = max_bytes ? bytes_used(c) : 0;
                int64_t last = max_records && newest > (int64_t)max_records
                                       ? newest - (int64_t)max_records
                                       : 0;
                int64_t large = used > max_bytes ? last_for_bytes(c, used - max_bytes) : 0;
                int n;

                if (last < large)
                        last = large;
                if (last <= 0)
                        return;
                /* Before the deletion, to invalidate existing copies of these records; and after
                 * it, to invalidate copies made during the deletion. */
                atomic_fetch_add(deletions, 1);
                n = delete_oldest(c, last);
                atomic_fetch_add(deletions, 1);
                if (n <= 0 || (n < STEP && !large))
                        return;
        }
}

void prune_records(struct connection *c, uint64_t max_records, uint64_t max_bytes,
                   _Atomic uint64_t *deletions)
{
        delete_beyond(c, max_records, max_bytes, deletions);
        for (int i = 0; i < STEPS_MAX && db_give_back(c->db); i++)
                ;
}
