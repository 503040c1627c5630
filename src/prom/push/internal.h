/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the files of prom/push share. A push goes through three layers: what to send (gateway.c,
 * write.c with message.c), when and how often (send.c), and how (curl.c, behind struct
 * prom_push_io so that tests need neither network nor clock).
 */
#pragma once

#include "prom/push.h"

#include <stdarg.h>

/* ---- bytes (bytes.c) -------------------------------------------------------------------- */

/* Grows; once memory ran out, `failed` stays set and additions do nothing, so only the end of a long
 * construction has to be checked. */
struct bytes {
        char *data;
        size_t len;
        size_t cap;
        bool failed;
};

void bytes_add(struct bytes *b, const void *data, size_t n);
void bytes_string(struct bytes *b, const char *s);
void bytes_release(struct bytes *b);

/* Protocol Buffers, wire format: https://protobuf.dev/programming-guides/encoding/ */
void bytes_varint(struct bytes *b, uint64_t v);
void bytes_field_varint(struct bytes *b, unsigned field, uint64_t v); /* not if v is 0 */
void bytes_field_double(struct bytes *b, unsigned field, uint64_t bits);
void bytes_field_bytes(struct bytes *b, unsigned field, const void *data, size_t n);
static inline uint64_t zigzag(int64_t v)
{
        return (uint64_t)v << 1 ^ (v < 0 ? UINT64_MAX : 0);
}

/* Fills error, if there is one, and returns -code. Control characters become blanks. */
int prom_push_fail_(struct prom_error *error, int code, const char *fmt, ...)
        __attribute__((format(printf, 3, 4)));

/* True if the family is one of those to push. */
bool prom_push_wants_(const struct prom_push_target *target, const char *name);

/* ---- sending (send.c) ------------------------------------------------------------------- */

enum { PUSH_HEADERS_MAX = 8, PUSH_LINE_MAX = 120 };

struct push_request {
        const char *method;
        const char *url;
        const char *headers[PUSH_HEADERS_MAX + 1]; /* "Name: value", ended by NULL */
        const void *body;
        size_t body_size;
};

struct push_answer {
        unsigned status;
        unsigned retry_after_s;       /* 0: not given */
        char line[PUSH_LINE_MAX + 1]; /* of the body, the first one, printable */
        bool line_ended;
        bool counted;        /* it says how much was written (remote-write 2.0) */
        uint64_t samples;    /* and how many samples that were, */
        uint64_t histograms; /* and native histograms */
        size_t read;         /* bytes of the body so far */
};

/* For curl.c and the fuzzer: a line of the header, and a piece of the body. */
void prom_push_take_header_(struct push_answer *answer, const char *bytes, size_t n);
void prom_push_take_body_(struct push_answer *answer, const char *bytes, size_t n);

/* What a push needs of the world. `send` returns 0 with an answer of any status, or what became of
 * the connection, with a message that does not name the URL. */
struct prom_push_io {
        /* *session is NULL at first and may be used to keep the connection for the next request */
        int (*send)(void *ctx, void **session, const struct push_request *request,
                    unsigned timeout_ms, struct push_answer *ret, struct prom_error *error);
        void (*end)(void *ctx, void *session); /* takes NULL */
        uint64_t (*now_ms)(void *ctx);
        void (*wait_ms)(void *ctx, unsigned ms);
        void *ctx;
};
extern const struct prom_push_io prom_push_curl_;

/* A push under way: one target, one deadline. */
struct push {
        const struct prom_push_target *target;
        const struct prom_push_io *io;
        uint64_t deadline_ms;
        char authorization[2 * PROM_PUSH_SECRET_MAX]; /* header line; "": none */
        char agent[256];
        char type[256];            /* header line of what is sent to a gateway */
        void *session;             /* of io */
        struct push_answer answer; /* the last one */
        struct prom_push_result result;
};

/* Checks the target and reads its files. To be ended even if that fails. */
int prom_push_begin_(struct push *push, const struct prom_push_target *target,
                     const struct prom_push_io *io, struct prom_error *error);
void prom_push_end_(struct push *push, struct prom_push_result *ret_result);

/* Sends, again and again where that is called for. 0 for 2xx; the answer is in push->answer.
 * Headers of the target are added to those of the request. */
int prom_push_send_(struct push *push, struct push_request *request, struct prom_error *error);

/* The public functions with another world. */
int prom_push_gateway_with_(const struct prom_push_io *io, const struct prom_push_target *target,
                            enum prom_push_verb verb, const struct prom_push_group *group,
                            struct prom_registry *registry, struct prom_push_result *ret_result,
                            struct prom_error *error);
int prom_push_write_with_(const struct prom_push_io *io, const struct prom_push_target *target,
                          const struct prom_write_options *options, struct prom_registry *registry,
                          struct prom_push_result *ret_result, struct prom_error *error);

/* ---- gateway.c, for its tests ------------------------------------------------------------ */

/* Adds "/name/value", in base 64 where it must be. */
void prom_push_add_path_(struct bytes *url, const char *name, const char *value);

/* ---- compression (snappy.c) -------------------------------------------------------------- */

/* Replaces *ret, which must be empty, by the body in Snappy's block format. -ENOENT without libsnappy,
 * -ENOMEM, -EIO. */
int prom_push_snappy_(const struct bytes *body, struct bytes *ret, struct prom_error *error);

/* ---- remote-write messages (message.c) --------------------------------------------------- */

/* One request, protocol buffers not yet compressed. */
struct message {
        struct bytes body;
        size_t samples;    /* native histograms included, */
        size_t histograms; /* of which there are so many */
};

struct messages {
        struct message *list;
        size_t n;
        size_t cap;
        /* Of the exemplars of a series that may have several. */
        int64_t after_ms;  /* before: those of then or earlier were sent and are left out */
        bool newest_only;  /* before: who knows what was sent */
        int64_t newest_ms; /* afterwards: when the newest one was made; 0: there is none */
};

/* The registry as messages of the version. *ret has nothing in its list. 0, -ENOMEM, -EINVAL. */
int prom_push_messages_(unsigned version, const struct prom_push_target *target,
                        const struct prom_write_options *options, int64_t timestamp_ms,
                        struct prom_registry *registry, struct messages *ret,
                        struct prom_error *error);
void prom_push_messages_release_(struct messages *messages);

/* Strings by number (symbols.c): 0 is "". */
struct symbols {
        struct bytes text; /* each as field 4 of a Request */
        struct symbol *list;
        size_t n, cap;
        uint32_t *table; /* numbers + 1 by hash */
        size_t table_size;
};
uint32_t prom_push_symbol_(struct symbols *symbols, const char *text);
void prom_push_symbols_release_(struct symbols *symbols);
