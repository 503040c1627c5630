/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The JSON control payloads: HELLO, REQUEST, FILE, RESULT. docs/protocol.md lists every field.
 *
 * Encoding appends JSON text to a struct buf: -EINVAL naming the field for what the decoder would
 * refuse, -EMSGSIZE past WIRE_CONTROL_MAX, -ENOBUFS past the bound of the struct buf. Texts from the
 * agent for a person (agent, kernel, error) may hold any bytes: the encoder makes them printable.
 * Decoding checks types and ranges, refuses what is missing or out of range with -EPROTO naming the
 * field (another `protocol` first of all), and ignores fields it does not know (so that a newer peer
 * can add some). A decoded message owns its memory: x_release() frees it, once; releasing a zeroed
 * message is fine.
 * Thread rule: pure functions.
 */
#pragma once

#include "base/buf.h"
#include "base/err.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
        WIRE_ARGS_MAX = 4096, /* words in argv, and entries in env */
        WIRE_DNS_MAX = 3,
        WIRE_ENTRY_NAMES_MAX = 16,
        WIRE_ENTRY_SUFFIXES_MAX = 8,
        WIRE_CODE_MAX = 16 << 20, /* bytes of code or archive */
        WIRE_TIMEOUT_MAX_MS = 24 * 3600 * 1000,
        WIRE_PROCESSES_MAX = 1 << 22, /* the kernel's own limit */
        WIRE_ID_MAX = 63,             /* a host name's length; letters, digits and '-' */
        WIRE_PATH_MAX = 4095,
        WIRE_ADDRESS_MAX = 63,
        WIRE_SHA256_LEN = 64,            /* lower-case hexadecimal digits */
        WIRE_FILES_MAX = 1024,           /* files that a request brings; files that it gets back */
        WIRE_FILES_SIZE_MAX = 128 << 20, /* bytes of all of them, either way */
        WIRE_FETCH_MAX = 64,             /* patterns of files to get back */
        WIRE_FETCH_MS = 10000,           /* that the agent takes to look for files, at most */
        WIRE_TEXT_MAX = 1024,            /* texts for a person: agent, kernel, error */
};

/* The agent is ready, or says in `error` why it will never be. Times: microseconds since the kernel
 * started (CLOCK_BOOTTIME) at which the agent ended each stage, 0 if the stage does not exist. */
struct wire_hello {
        int protocol;
        const char *agent;   /* version */
        const char *kernel;  /* release, as uname -r */
        uint64_t init_us;    /* the agent's first instruction */
        uint64_t modules_us; /* kernel modules loaded */
        uint64_t root_us;    /* root file system mounted */
        uint64_t connect_us; /* connected to the host */
        const char *error;   /* NULL when ready */
        json_t *json;        /* decoded messages: owns the strings */
};

struct wire_network {
        bool enabled;
        const char *address; /* "172.30.0.2/30": address and prefix length */
        const char *gateway; /* "172.30.0.1" */
        const char *dns[WIRE_DNS_MAX];
        size_t n_dns;
};

/* For an archive: what to start is found in the guest, which unpacks it (docs/protocol.md). */
struct wire_entry {
        bool wanted;
        int arg;          /* index in argv of the word to replace by the path that was found */
        const char *path; /* asked for, below the archive's top or its only directory; NULL: none */
        const char *names[WIRE_ENTRY_NAMES_MAX]; /* else to be tried, in order */
        size_t n_names;
        const char *suffixes[WIRE_ENTRY_SUFFIXES_MAX]; /* of files that could be meant */
        size_t n_suffixes;
};

struct wire_request {
        int protocol;
        const char *id;          /* workload id; also the guest's host name in lower case */
        const char *const *argv; /* the command; argv[0] is looked up in PATH of `env`. Decoded
                                   * lists end with NULL */
        size_t argc;
        const char *const *env; /* "KEY=VALUE" */
        size_t n_env;
        const char *file; /* name below the working directory the code is written to; NULL
                                   * if there is none or it is an archive */
        bool archive;     /* the code is a tar.gz, tar or zip to unpack into the working
                                   * directory */
        struct wire_entry entry;
        uint64_t code_size;       /* bytes that follow in CODE frames */
        const char *code_sha256;  /* of them; NULL if there are none */
        uint32_t files;           /* FILE frames that follow */
        uint64_t files_size;      /* bytes of all of them */
        const char *const *fetch; /* patterns of files to get back (wire/pattern.h) */
        size_t n_fetch;
        uint64_t fetch_max;     /* bytes of all of these together */
        bool has_stdin;         /* STDIN frames will follow; false: end of file at once */
        uint64_t timeout_ms;    /* wall time of the program, 1..WIRE_TIMEOUT_MAX_MS */
        uint32_t processes_max; /* processes and threads; 0: the agent's default */
        uint64_t output_max;    /* bytes of both streams; the rest is dropped and counted */
        int64_t wall_clock_ms;  /* host's wall clock, which the guest takes over; 0: leave it */
        struct wire_network network;
        json_t *json;
};

/*
 * A file, whose bytes follow in DATA frames; or, from the agent, why there is none: with `error` no
 * bytes follow.
 */
struct wire_file {
        const char
                *name; /* to the agent: below the working directory. From it: what was found; NULL
                             * if `error` is about the pattern as a whole */
        uint32_t pattern;   /* from the agent: which of `fetch` it was found by */
        uint32_t mode;      /* permission bits */
        uint64_t size;      /* bytes that follow; with `error`, of the file as far as known */
        const char *sha256; /* of the bytes that follow; NULL with `error` */
        const char *error;
        json_t *json;
};

/* How the program ended. Exactly one of exit_code >= 0, signal > 0, error holds unless timed_out. */
struct wire_result {
        int exit_code;     /* -1: did not exit by itself */
        int signal;        /* 0: not ended by a signal */
        bool timed_out;    /* ended by the time limit */
        bool oom;          /* the guest ran out of memory and ended the program */
        const char *error; /* could not be run: why, for a person; NULL otherwise */
        uint64_t wall_us;  /* program start to end */
        uint64_t user_us, system_us;
        uint64_t memory_peak;    /* bytes, of the program and all it started; 0: unknown */
        uint64_t dropped_bytes;  /* output past output_max */
        const char *fetch_error; /* why the search for files ended early; NULL: it did not */
        json_t *json;
};

int wire_hello_encode(const struct wire_hello *m, struct buf *ret, struct err *err);
int wire_hello_decode(const void *bytes, size_t n, struct wire_hello *ret, struct err *err);
void wire_hello_release(struct wire_hello *m);

int wire_request_encode(const struct wire_request *m, struct buf *ret, struct err *err);
int wire_request_decode(const void *bytes, size_t n, struct wire_request *ret, struct err *err);
void wire_request_release(struct wire_request *m);

int wire_file_encode(const struct wire_file *m, struct buf *ret, struct err *err);
int wire_file_decode(const void *bytes, size_t n, struct wire_file *ret, struct err *err);
void wire_file_release(struct wire_file *m);

int wire_result_encode(const struct wire_result *m, struct buf *ret, struct err *err);
int wire_result_decode(const void *bytes, size_t n, struct wire_result *ret, struct err *err);
void wire_result_release(struct wire_result *m);
