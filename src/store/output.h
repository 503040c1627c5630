/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The output of workloads, as chunks of lines, in a SQLite file of its own.
 *
 *     output_store_open("/var/lib/vulcan/logs.db", &store, moved_to, &err);
 *     output_store_begin(store, &err);
 *     output_store_add(store, &chunk, &err);               // any number
 *     output_store_commit(store, &err);
 *     output_store_read(store, id, after, &bytes, &chunk, &err);
 *
 * The file is separate from that of the records for two reasons. A flood of output does not hold
 * the lock that a record needs, and damage to the output does not affect the records. And it can be
 * written with synchronous=NORMAL: after a power failure the file is intact, but the last moments
 * of output may be missing.
 *
 * A chunk is a run of lines with consecutive numbers; the store does not look into it. The chunks
 * of a workload are added in the order of their numbers. Numbers may be missing between chunks.
 *
 * Retention: output_store_expire() deletes the oldest chunks if they are too old or the file is too
 * large, which leaves a gap at the beginning of a log. After many deletions the file shrinks step
 * by step until a quarter of it is free (db.h), unless an early version of the program created it.
 *
 * Errors: those of store.h. output_store_rollback() discards all chunks that were not committed.
 * Thread rule: one thread, the writer, calls begin, add, end, commit, rollback, expire, size and
 * close. Any thread may call read and summary, which share a connection under a mutex held for one
 * statement. Readers and the writer do not wait for each other (write-ahead log).
 */
#pragma once

#include "base/buf.h"
#include "base/err.h"

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
        OUTPUT_STORE_CHUNK_MAX = 1 << 20, /* bytes of a chunk */
        OUTPUT_STORE_EXPIRE_STEP = 64,    /* chunks deleted by one output_store_expire() */
};

struct output_store;

struct output_chunk {
        const char *id; /* of the workload: a ULID */
        uint64_t first_seq, last_seq;
        int64_t created_ms; /* of its first line */
        const void *bytes;
        size_t size;
};

/* The state of a log. */
struct output_summary {
        uint64_t last_seq;     /* 0: no line */
        uint64_t recorded_seq; /* later lines were beyond the log's limit */
        uint64_t lost;         /* lines that were never written to the file */
        bool ended;            /* the log is complete: output_store_end() */
};

/* `moved_to`: new name of a damaged file; "" if the file was intact. */
int output_store_open(const char *path, struct output_store **ret, char moved_to[PATH_MAX],
                      struct err *err);

/* Accepts NULL. */
void output_store_close(struct output_store *s);

int output_store_begin(struct output_store *s, struct err *err);
int output_store_add(struct output_store *s, const struct output_chunk *chunk, struct err *err);

/* Marks a log complete, with its final summary. */
int output_store_end(struct output_store *s, const char *id, const struct output_summary *summary,
                     int64_t now_ms, struct err *err);
int output_store_commit(struct output_store *s, struct err *err);
void output_store_rollback(struct output_store *s);

struct output_expired {
        uint64_t chunks, lines, bytes;
        bool more; /* there is more to delete: call again */
};

/* Deletes some of the chunks that are older than `before_ms` or exceed `max_bytes` in total. */
int output_store_expire(struct output_store *s, int64_t before_ms, uint64_t max_bytes,
                        struct output_expired *ret, struct err *err);

/* Bytes of all committed chunks. */
uint64_t output_store_size(const struct output_store *s);

/*
 * The first chunk with a line after number `after`. Its bytes are appended to `ret_bytes`, which
 * must be empty; *ret refers to them and to `id`. -ENOENT: there is no such chunk.
 */
int output_store_read(struct output_store *s, const char *id, uint64_t after, struct buf *ret_bytes,
                      struct output_chunk *ret, struct err *err);

/* -ENOENT: there is no such log. */
int output_store_summary(struct output_store *s, const char *id, struct output_summary *ret,
                         struct err *err);
