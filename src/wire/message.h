/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The JSON control payloads: HELLO, REQUEST, FILE, RESULT. docs/protocol.md lists every field.
 *
 * Encoders append JSON text to a buffer. -EINVAL, with the name of the field, for a message that
 * the decoder would reject; -EMSGSIZE if it is larger than a payload may be; -ENOBUFS if it exceeds
 * the bound of the buffer. Texts for a person (agent, kernel, error) may contain any bytes:
 * encoders make them printable.
 *
 * Decoders reject a message with -EPROTO and the name of the field: first if the protocol version
 * differs, then if a field is missing, malformed or out of range. They ignore unknown fields, so
 * that a newer peer can add some.
 *
 * Ownership: a decoded message owns its memory, which wire_x_release() frees. Releasing a zeroed
 * message is fine. A message to be encoded borrows everything.
 *
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
        WIRE_ID_MAX = 63,             /* as a host name: letters, digits and '-' */
        WIRE_PATH_MAX = 4095,
        WIRE_ADDRESS_MAX = 63,
        WIRE_SHA256_LEN = 64,            /* lower-case hexadecimal digits */
        WIRE_FILES_MAX = 1024,           /* files of a request; files that it fetches */
        WIRE_FILES_SIZE_MAX = 128 << 20, /* bytes of all of them, in each direction */
        WIRE_FETCH_MAX = 64,             /* patterns of files to fetch */
        WIRE_FETCH_MS = 10000,           /* the agent's time limit for the search */
        WIRE_TEXT_MAX = 1024,            /* texts for a person: agent, kernel, error */
};

/*
 * The agent is ready, or `error` says why it will never be. Times are when the agent completed each
 * stage, in microseconds since the kernel started (CLOCK_BOOTTIME); 0 if there was no such stage.
 */
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

/* How the guest, which unpacks an archive, finds the file to start (docs/protocol.md). */
struct wire_entry {
        bool wanted;
        int arg;          /* index in argv of the word to replace by the path that was found */
        const char *path; /* below the archive's top or its only directory; NULL: not given */
        const char *names[WIRE_ENTRY_NAMES_MAX]; /* candidates if there is no path, in order */
        size_t n_names;
        const char *suffixes[WIRE_ENTRY_SUFFIXES_MAX]; /* of files that may be meant */
        size_t n_suffixes;
};

struct wire_request {
        int protocol;
        const char *id; /* of the workload; in lower case also the guest's host name */

        /* The command. argv[0] is searched in PATH of `env`. NULL follows decoded lists. */
        const char *const *argv;
        size_t argc;
        const char *const *env; /* "KEY=VALUE" */
        size_t n_env;

        const char *file; /* where to write the code, below the working directory; NULL: nowhere */
        bool archive;     /* the code is a tar.gz, tar or zip to unpack in the working directory */
        struct wire_entry entry;
        uint64_t code_size;       /* bytes that follow in CODE frames */
        const char *code_sha256;  /* their hash; NULL if there is no code */
        uint32_t files;           /* FILE frames that follow */
        uint64_t files_size;      /* bytes of all these files */
        const char *const *fetch; /* patterns of files to fetch (wire/pattern.h) */
        size_t n_fetch;
        uint64_t fetch_max;     /* bytes of all fetched files */
        bool has_stdin;         /* STDIN frames follow; false: standard input is empty */
        uint64_t timeout_ms;    /* wall time of the program */
        uint32_t processes_max; /* processes and threads; 0: the agent's default */
        uint64_t output_max;    /* bytes of both streams; the rest is dropped and counted */
        int64_t wall_clock_ms;  /* the host's wall clock, which the guest adopts; 0: do not */
        struct wire_network network;
        json_t *json;
};

/* A file, whose bytes follow in DATA frames. From the agent it may be an error instead: then no
 * bytes follow. */
struct wire_file {
        const char *name; /* to the agent: below the working directory. From the agent: as found, or
                             * NULL if `error` concerns the whole pattern */
        uint32_t pattern; /* from the agent: the index in `fetch` of the pattern that found it */
        uint32_t mode;    /* permission bits */
        uint64_t size;    /* bytes that follow; with `error`, the file's size as far as known */
        const char *sha256; /* of these bytes; NULL with `error` */
        const char *error;
        json_t *json;
};

/* How the program ended. Exactly one of exit_code >= 0, signal > 0 and error != NULL is true; after
 * a timeout, at most one. */
struct wire_result {
        int exit_code;     /* -1: it did not exit */
        int signal;        /* that killed it; 0: none did */
        bool timed_out;    /* the time limit ended it */
        bool oom;          /* the kernel killed it because the guest ran out of memory */
        const char *error; /* why it could not be run, for a person */
        uint64_t wall_us;  /* from the program's start to its end */
        uint64_t user_us, system_us;
        uint64_t memory_peak;    /* bytes, of the program and all that it started; 0: unknown */
        uint64_t dropped_bytes;  /* output over output_max */
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
