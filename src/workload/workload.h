/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Workloads: the request (struct workload_spec), its result (struct workload_outcome), the record
 * that store, engine and API exchange (struct workload), and the life cycle.
 *
 * Each status has one name, defined here, which the API, the store and the metrics' label `status`
 * share. One transition table, in workload.c, defines which status may follow which.
 *
 * Ownership: x_release() frees what a struct owns and leaves it empty. Thread rule: plain data.
 */
#pragma once

#include "base/buf.h"
#include "base/err.h"
#include "base/ulid.h"
#include "workload/files.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum workload_status {
        WORKLOAD_PENDING,   /* accepted, not begun */
        WORKLOAD_RUNNING,   /* being executed: its VM starts, runs or is torn down */
        WORKLOAD_COMPLETED, /* the program ended by itself, with any exit code */
        WORKLOAD_FAILED,    /* did not run to its end: boot, agent, memory, time limit */
        WORKLOAD_KILLED,    /* ended by a client or by the daemon's shutdown */
        WORKLOAD_STATUS_COUNT,
};

const char *workload_status_name(enum workload_status status);
int workload_status_parse(const char *name, enum workload_status *ret); /* -EINVAL: unknown name */
bool workload_status_is_end(enum workload_status status);

/* True if the transition table permits this. */
bool workload_may_move(enum workload_status from, enum workload_status to);

enum workload_stream { WORKLOAD_STDOUT = 1, WORKLOAD_STDERR = 2 };
enum workload_network { WORKLOAD_NETWORK_NONE, WORKLOAD_NETWORK_NAT };

const char *workload_network_name(enum workload_network network);
int workload_network_parse(const char *name, enum workload_network *ret);

enum {
        WORKLOAD_RUNTIME_MAX = 32, /* bytes of a runtime's name, NUL included */
        WORKLOAD_CLIENT_MAX = 64,
        WORKLOAD_ARGS_MAX = 1024,
        WORKLOAD_ENV_MAX = 1024,
        WORKLOAD_WORD_MAX = 128 * 1024, /* bytes of one argument or one KEY=VALUE */
        WORKLOAD_CODE_MAX = 15 * 1024 * 1024,
        WORKLOAD_CPUS_MAX = 32,
        WORKLOAD_MEM_MIN_MB = 64,
        WORKLOAD_MEM_MAX_MB = 64 * 1024,
        WORKLOAD_TIMEOUT_S = 60, /* the default */
        WORKLOAD_TIMEOUT_MAX_S = 24 * 3600,
};

struct workload_limits {
        unsigned cpus;       /* virtual CPUs; 0: default (1) */
        unsigned mem_mb;     /* MiB of guest memory; 0: the runtime's default */
        unsigned timeout_s;  /* wall time of the program; 0: the default */
        unsigned processes;  /* processes and threads in the guest; 0: default */
        uint64_t output_max; /* bytes of both streams together; 0: default */
};

struct workload_spec {
        char runtime[WORKLOAD_RUNTIME_MAX];
        void *code; /* source text; tar.gz, tar or zip if `archive`; never NULL */
        size_t code_size;
        bool archive;
        char *entrypoint; /* path within the archive; NULL: the guest looks for it */
        char **args;      /* arguments after the entry point */
        size_t n_args;
        char **env; /* KEY=VALUE */
        size_t n_env;
        struct workload_file *files; /* placed in the working directory before the start */
        size_t n_files;
        uint64_t files_size; /* bytes of all of them */
        char **fetch;        /* patterns of files to fetch (wire/pattern.h) */
        size_t n_fetch;
        uint64_t fetch_max; /* bytes of all fetched files; at most WORKLOAD_FILES_SIZE_MAX */
        char client[WORKLOAD_CLIENT_MAX]; /* who submitted it, for the log; "": unknown */
        int stdin_fd; /* read until end of file and passed to the program; -1: none; owned */
        enum workload_network network;
        struct workload_limits limits;
};

#define WORKLOAD_SPEC_INIT ((struct workload_spec){.stdin_fd = -1})

/* Add copies. -EINVAL: beyond the bounds above, or an env that is not NAME=VALUE. */
int workload_spec_add_arg(struct workload_spec *spec, const char *arg, struct err *err);
int workload_spec_add_env(struct workload_spec *spec, const char *pair, struct err *err);

/*
 * Adds a file. `name` comes from a user and is relative to the working directory; this stores a
 * normalised copy. On success the spec takes over `bytes`, which may be NULL if size is 0. -EINVAL:
 * absolute, with "..", empty, a duplicate, too many, too large; the message names the file.
 */
int workload_spec_add_file(struct workload_spec *spec, const char *name, unsigned mode, void *bytes,
                           size_t size, struct err *err);

/* Adds a copy of a pattern. -EINVAL: empty, "..", too long, too many. */
int workload_spec_add_fetch(struct workload_spec *spec, const char *pattern, struct err *err);

/* Checks all that does not depend on the runtime. -EINVAL: the message names the field. */
int workload_spec_check(const struct workload_spec *spec, struct err *err);

void workload_spec_release(struct workload_spec *spec);

/* How a workload ended. A backend's execute() fills it and decides `status`; engine/worker.c lists
 * the two cases in which the engine replaces that. */
struct workload_outcome {
        enum workload_status status; /* completed, failed or killed */
        int exit_code;               /* of the program; -1: it did not exit */
        int signal;                  /* that ended the program; 0: none */
        bool timed_out, oom;
        char error[ERR_MESSAGE_MAX]; /* why it failed or was killed; "" otherwise */
        uint64_t boot_ns;            /* VMM start to agent ready; 0: never ready */
        uint64_t vsock_ns;           /* request sent to first output or result; 0: none */
        uint64_t cleanup_ns;         /* stop VM to network torn down; 0: no VM was started */
        uint64_t wall_us, user_us, system_us; /* of the program; 0: unknown */
        uint64_t memory_peak;                 /* bytes; 0: unknown */
        uint64_t output_bytes;                /* of both streams, before any limit */
        uint64_t dropped_bytes;               /* output beyond limits.output_max */
};

/* The record. Times are milliseconds since 1970; 0: not yet. */
struct workload {
        char id[ULID_LEN + 1];
        enum workload_status status;
        char runtime[WORKLOAD_RUNTIME_MAX];
        char isolation[16]; /* "microvm" */
        char node_id[64];
        enum workload_network network;
        struct workload_limits limits; /* with defaults filled in */
        struct buf output;             /* both streams as they arrived, up to the engine's limit */
        struct buf streams;            /* the stream of each part: workload/streams.h */
        struct workload_fetch *fetch;  /* a reference; NULL: not requested, or not available yet */
        struct workload_outcome outcome; /* while it runs: the figures known so far */
        int64_t created_ms, started_ms, finished_ms;
};

void workload_release(struct workload *w);

/* Frees the output and drops the reference to the fetched files. */
void workload_drop_output(struct workload *w);
