/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The schema of the records' file, by version (PRAGMA user_version). Step n upgrades a file from
 * version n to n + 1. A released step is never changed; a new one is added after it.
 */
#pragma once

static const char *const store_schema[] = {
        /* 1. The output is the last column, so that lists and statistics do not read its pages. */
        "CREATE TABLE workloads("
        " seq INTEGER PRIMARY KEY AUTOINCREMENT,"
        " id TEXT NOT NULL UNIQUE,"
        " status TEXT NOT NULL"
        "  CHECK(status IN('pending','running','completed','failed','killed')),"
        " runtime TEXT NOT NULL,"
        " isolation TEXT NOT NULL,"
        " node_id TEXT NOT NULL,"
        " network TEXT NOT NULL,"
        " cpus INTEGER NOT NULL,"
        " mem_mb INTEGER NOT NULL,"
        " timeout_s INTEGER NOT NULL,"
        " processes INTEGER NOT NULL,"
        " output_max INTEGER NOT NULL,"
        " created_ms INTEGER NOT NULL,"
        " started_ms INTEGER NOT NULL,"
        " finished_ms INTEGER NOT NULL,"
        " exit_code INTEGER NOT NULL,"
        " signal INTEGER NOT NULL,"
        " timed_out INTEGER NOT NULL,"
        " oom INTEGER NOT NULL,"
        " error TEXT NOT NULL,"
        " boot_ns INTEGER NOT NULL,"
        " vsock_ns INTEGER NOT NULL,"
        " cleanup_ns INTEGER NOT NULL,"
        " wall_us INTEGER NOT NULL,"
        " user_us INTEGER NOT NULL,"
        " system_us INTEGER NOT NULL,"
        " memory_peak INTEGER NOT NULL,"
        " output_bytes INTEGER NOT NULL,"
        " dropped_bytes INTEGER NOT NULL,"
        " output BLOB NOT NULL);"
        "CREATE INDEX workloads_by_status ON workloads(status, seq)",
        /* 2. The streams of the output (workload/streams.h; empty in older records), and fetched
         * files, which are deleted with their record. */
        "ALTER TABLE workloads ADD COLUMN streams BLOB NOT NULL DEFAULT x'';"
        "ALTER TABLE workloads ADD COLUMN n_fetch INTEGER NOT NULL DEFAULT 0;"
        "CREATE TABLE notes("
        " id TEXT NOT NULL REFERENCES workloads(id) ON DELETE CASCADE,"
        " n INTEGER NOT NULL,"
        " pattern BLOB NOT NULL,"
        " error BLOB,"
        " PRIMARY KEY(id, n));"
        "CREATE TABLE files("
        " id TEXT NOT NULL REFERENCES workloads(id) ON DELETE CASCADE,"
        " n INTEGER NOT NULL,"
        " pattern INTEGER NOT NULL,"
        " name BLOB NOT NULL,"
        " mode INTEGER NOT NULL,"
        " sha256 BLOB NOT NULL,"
        " content BLOB NOT NULL,"
        " PRIMARY KEY(id, n))",
};

enum { STORE_SCHEMA_VERSION = sizeof(store_schema) / sizeof(store_schema[0]) };
