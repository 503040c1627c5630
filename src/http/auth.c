/* SPDX-License-Identifier: Apache-2.0 */
#include "http/auth.h"

#include "base/clock.h"
#include "base/log.h"
#include "http/text.h"

#include <errno.h>
#include <netinet/in.h>
#include <nettle/memops.h>
#include <nettle/sha2.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/queue.h>

enum { BUCKETS = 512 };

static const uint64_t period_ns = HTTP_AUTH_PERIOD_MS * NS_PER_MS;

struct key {
        uint8_t family; /* 4, 6; 0: Unix socket */
        uint8_t bytes[8];
};

struct source {
        TAILQ_ENTRY(source) at;   /* in `recent` */
        LIST_ENTRY(source) chain; /* in its bucket */
        struct key key;
        /* Each wrong token moves this one period into the future: when all of them are forgiven. */
        uint64_t good_ns;
        uint64_t known_ns; /* its tokens are compared until then; 0: it never sent the right one */
};

TAILQ_HEAD(source_list, source);
LIST_HEAD(source_chain, source);

struct http_auth {
        uint8_t hash[SHA256_DIGEST_SIZE];
        struct prom_counter *failures[HTTP_AUTH_VERDICTS];
        struct source_list recent; /* the most recent first */
        struct source_chain buckets[BUCKETS];
        size_t n_used;       /* of `sources`; when all are used, the last of `recent` is reused */
        uint64_t log_ns;     /* when the next failure may be logged */
        uint64_t suppressed; /* failures not logged since the last line */
        struct source sources[HTTP_AUTH_SOURCES];
};

/* ---- sources ---- */

static struct key key_of(const struct sockaddr *from)
{
        static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
        const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)from;
        const struct sockaddr_in *in = (const struct sockaddr_in *)from;
        struct key key = {0};

        if (from && from->sa_family == AF_INET) {
                key.family = 4;
                memcpy(key.bytes, &in->sin_addr, 4);
        } else if (from && from->sa_family == AF_INET6 &&
                   memcmp(&in6->sin6_addr, mapped, sizeof(mapped)) == 0) {
                key.family = 4;
                memcpy(key.bytes, (const uint8_t *)&in6->sin6_addr + sizeof(mapped), 4);
        } else if (from && from->sa_family == AF_INET6) {
                key.family = 6;
                memcpy(key.bytes, &in6->sin6_addr, 8); /* one client usually has a whole /64 */
        }
        return key;
}

static size_t bucket_of(const struct key *key)
{
        uint64_t h = key->family;

        /* FNV-1a. An attacker who finds collisions can make one chain HTTP_AUTH_SOURCES long. */
        for (size_t i = 0; i < sizeof(key->bytes); i++)
                h = (h ^ key->bytes[i]) * UINT64_C(0x100000001b3);
        return (h ^ h >> 32) % BUCKETS;
}

static struct source *find(struct http_auth *auth, const struct key *key)
{
        struct source *s;

        LIST_FOREACH(s, &auth->buckets[bucket_of(key)], chain)
        {
                if (memcmp(&s->key, key, sizeof(*key)) == 0)
                        return s;
        }
        return NULL;
}

/* Finds or makes the source with this key, and moves it to the front of `recent`. */
static struct source *touch(struct http_auth *auth, const struct key *key)
{
        struct source *s = find(auth, key);

        if (s) {
                TAILQ_REMOVE(&auth->recent, s, at);
        } else {
                if (auth->n_used < HTTP_AUTH_SOURCES) {
                        s = &auth->sources[auth->n_used++];
                } else {
                        s = TAILQ_LAST(&auth->recent, source_list);
                        TAILQ_REMOVE(&auth->recent, s, at);
                        LIST_REMOVE(s, chain);
                }
                *s = (struct source){.key = *key};
                LIST_INSERT_HEAD(&auth->buckets[bucket_of(key)], s, chain);
        }
        TAILQ_INSERT_HEAD(&auth->recent, s, at);
        return s;
}

static bool is_limited(const struct source *s, uint64_t now)
{
        return s && s->good_ns > now + (HTTP_AUTH_BURST - 1) * period_ns;
}

/* ---- the token ---- */

static void hash_of(const char *token, size_t n, uint8_t ret[SHA256_DIGEST_SIZE])
{
        struct sha256_ctx sha;

        sha256_init(&sha);
        sha256_update(&sha, n, (const uint8_t *)token);
        sha256_digest(&sha, SHA256_DIGEST_SIZE, ret);
}

enum http_auth_verdict http_auth_check(struct http_auth *auth, const char *value,
                                       const struct sockaddr *from, uint64_t now)
{
        struct key key = key_of(from);
        uint8_t hash[SHA256_DIGEST_SIZE];
        struct source *s;
        bool limited;

        if (!value)
                return HTTP_AUTH_MISSING;
        if (strncasecmp(value, "Bearer ", 7) != 0)
                return HTTP_AUTH_MALFORMED;
        s = find(auth, &key);
        limited = is_limited(s, now);
        if (limited && s->known_ns <= now)
                return HTTP_AUTH_LIMITED;
        value += 7 + strspn(value + 7, " ");
        hash_of(value, http_value_length(value), hash);
        s = touch(auth, &key);
        /* All hashes have the same length, and memeql_sec() takes the same time wherever they
         * differ. */
        if (memeql_sec(hash, auth->hash, sizeof(hash))) {
                s->known_ns = now + HTTP_AUTH_KNOWN_S * NS_PER_S;
                return HTTP_AUTH_OK;
        }
        if (limited)
                return HTTP_AUTH_LIMITED;
        s->good_ns = (s->good_ns > now ? s->good_ns : now) + period_ns;
        return HTTP_AUTH_WRONG;
}

/* ---- failures ---- */

void http_auth_note(struct http_auth *auth, enum http_auth_verdict verdict, const char *client)
{
        static const char *const texts[HTTP_AUTH_VERDICTS] = {
                [HTTP_AUTH_MISSING] = "no token",
                [HTTP_AUTH_MALFORMED] = "no bearer token",
                [HTTP_AUTH_WRONG] = "a wrong token",
                [HTTP_AUTH_LIMITED] = "a token after too many wrong ones",
        };
        uint64_t now = clock_ns();

        prom_counter_inc(auth->failures[verdict]);
        if (now < auth->log_ns) {
                auth->suppressed++;
                return;
        }
        if (auth->suppressed)
                log_warn("authentication failed: %s from %s; %llu failures before it were not "
                         "logged",
                         texts[verdict], client, (unsigned long long)auth->suppressed);
        else
                log_warn("authentication failed: %s from %s", texts[verdict], client);
        auth->suppressed = 0;
        auth->log_ns = now + HTTP_AUTH_LOG_S * NS_PER_S;
}

int http_auth_new(const char *token, struct prom_family *failures, struct http_auth **ret,
                  struct err *err)
{
        static const char *const reasons[HTTP_AUTH_VERDICTS] = {
                [HTTP_AUTH_MISSING] = "missing",
                [HTTP_AUTH_MALFORMED] = "malformed",
                [HTTP_AUTH_WRONG] = "wrong",
                [HTTP_AUTH_LIMITED] = "limited",
        };
        struct http_auth *auth = calloc(1, sizeof(*auth));

        if (!auth)
                return err_set(err, ENOMEM, "out of memory");
        hash_of(token, strlen(token), auth->hash);
        TAILQ_INIT(&auth->recent);
        for (int i = HTTP_AUTH_OK + 1; failures && i < HTTP_AUTH_VERDICTS; i++)
                auth->failures[i] = prom_counter_with(failures, reasons[i]);
        *ret = auth;
        return 0;
}

void http_auth_free(struct http_auth *auth)
{
        if (auth && auth->suppressed)
                log_warn("authentication failed: %llu more failures were not logged",
                         (unsigned long long)auth->suppressed);
        free(auth);
}
