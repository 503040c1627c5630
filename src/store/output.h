/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The output of workloads, as chunks of lines, in a SQLite file of its own.
 *
 *     output_store_open("/var/lib/vulcan/logs.db", &config, &logs, moved_to, &err);
 *     output_store_begin(logs, &err);
 *     output_store_add(logs, &chunk, &err);               // any number
 *     output_store_commit(logs, &err);
 *     output_store_read(logs, id, after, &bytes, &chunk, &err);
 *
 * A file of its own, so that a flood of output neither holds the lock that the records need, nor
 * takes them along when it is damaged; and so that it can be written with synchronous=NORMAL: after
 * a loss of power the last moments of output may be missing, the file is sound.
 *
 * A chunk is a run of lines with consecutive numbers. Its content is the caller's business. Chunks
 * of a workload are added in the order of their numbers; numbers may be missing between them.
 *
 * Retention: output_store_expire() deletes chunks, oldest first, that are too old or too many. What
 * was deleted is a gap at the beginning of a log. Where much is deleted the file shrinks, some at a
 * time, down to a quarter of free space; a file made by a version that did not say so keeps its size.
 *
 * Errors: as store.h. A chunk that was not committed is gone with output_store_rollback().
 * Thread rule: begin, add, end, commit, rollback, expire and close belong to one thread (the
 * writer); read and summary are for any thread: a connection of their own behind a mutex, which is
 * held for one statement. Readers and the writer do not wait for each other (write-ahead log).
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
        OUTPUT_STORE_EXPIRE_STEP = 64, /* chunks that one output_store_expire() deletes at most */
};

struct output_store;

struct output_chunk {
        const char *id; /* of the workload: a ULID */
        uint64_t first_seq, last_seq;
        int64_t created_ms; /* of its first line */
        const void *bytes;
        size_t size;
};

/* What is known of a whole log. */
struct output_summary {
        uint64_t last_seq;     /* 0: no line */
        uint64_t recorded_seq; /* lines behind this one were beyond the log's limit */
        uint64_t lost;         /* lines that never came into the file */
        bool ended;            /* output_store_end() was called: all is said */
};

/* `moved_to`: where a damaged file has gone, "" if it was sound. */
int output_store_open(const char *path, struct output_store **ret, char moved_to[PATH_MAX],
                      struct err *err);

/* Takes NULL. */
void output_store_close(struct output_store *s);

int output_store_begin(struct output_store *s, struct err *err);
int output_store_add(struct output_store *s, const struct output_chunk *chunk, struct err *err);

/* Says that a log is complete: how its summary is to be from now on. */
int output_store_end(struct output_store *s, const char *id, const struct output_summary *summary,
                     int64_t now_ms, struct err *err);
int output_store_commit(struct output_store *s, struct err *err);
void output_store_rollback(struct output_store *s);

struct output_expired {
        uint64_t chunks, lines, bytes;
        bool more; /* there is more to delete: call again when there is time */
};

/* Deletes chunks older than `before_ms`, or beyond `max_bytes` in all; some at a time. */
int output_store_expire(struct output_store *s, int64_t before_ms, uint64_t max_bytes,
                        struct output_expired *ret, struct err *err);

/* Bytes of all chunks, as the writer knows them. */
uint64_t output_store_size(const struct output_store *s);

/*
 * The first chunk that has a line behind number `after`. Its bytes are added to `ret_bytes` (which
 * must be empty), and *ret refers to them and to `id`. -ENOENT: there is none.
 */
int output_store_read(struct output_store *s, const char *id, uint64_t after, struct buf *ret_bytes,
                      struct output_chunk *ret, struct err *err);

/* -ENOENT: nothing is known of this log. */
int output_store_summary(struct output_store *s, const char *id, struct output_summary *ret,
                         struct err *err);
