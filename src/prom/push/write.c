/* SPDX-License-Identifier: Apache-2.0 */
/* Remote-write: choosing the protocol version, and sending. */
#include "prom/push/write.h"
#include "prom/push/curl.h"
#include "prom/push/error.h"
#include "prom/push/message.h"
#include "prom/push/send.h"
#include "prom/push/snappy.h"
#include "prom/push/libcurl.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static int64_t wall_ms(void)
{
        struct timespec now;
        clock_gettime(CLOCK_REALTIME, &now);
        return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* ---- exemplars sent before ---------------------------------------------------------------- */

/* The time of the newest exemplar sent, for each destination (URL, labels, names) and registry.
 * Entries are never freed; a destination without one has no known history. Threads claim and update
 * entries by compare-and-swap. Relaxed order suffices, as nothing else is published with them. */
static struct destination {
        uint64_t key; /* 0: free */
        int64_t newest_ms;
} destinations[PROM_WRITE_PLACES_MAX];

static uint64_t hash_string(uint64_t hash, const char *text)
{
        do
                hash = (hash ^ (unsigned char)*text) * UINT64_C(0x100000001b3); /* FNV-1a */
        while (*text++);
        return hash;
}

/* The destination's entry, which may be new. NULL if all are taken. */
static struct destination *find_destination(const struct prom_push_target *target,
                                            const struct prom_write_options *options,
                                            const struct prom_registry *registry)
{
        uint64_t key = UINT64_C(0xcbf29ce484222325) ^ (uintptr_t)registry;
        key = hash_string(key, target->url);
        for (const struct prom_label *l = options->labels; l && l->name; l++)
                key = hash_string(hash_string(key, l->name), l->value ? l->value : "");
        for (const char *const *name = target->names; name && *name; name++)
                key = hash_string(key, *name);
        key |= 1;
        for (struct destination *entry = destinations; entry < &destinations[PROM_WRITE_PLACES_MAX];
             entry++) {
                uint64_t there = 0;
                if (__atomic_compare_exchange_n(&entry->key, &there, key, false, __ATOMIC_RELAXED,
                                                __ATOMIC_RELAXED) ||
                    there == key)
                        return entry;
        }
        return NULL;
}

static void remember(struct destination *entry, int64_t newest_ms)
{
        int64_t before = __atomic_load_n(&entry->newest_ms, __ATOMIC_RELAXED);
        while (before < newest_ms &&
               !__atomic_compare_exchange_n(&entry->newest_ms, &before, newest_ms, false,
                                            __ATOMIC_RELAXED, __ATOMIC_RELAXED))
                ;
}

/* ---- requests ----------------------------------------------------------------------------- */

static int send_message(struct push *push, const struct message *message, struct prom_error *error)
{
        static const char *const headers[][3] = {
                [1] = {"Content-Encoding: snappy", "Content-Type: application/x-protobuf",
                       "X-Prometheus-Remote-Write-Version: 0.1.0"},
                [2] = {"Content-Encoding: snappy",
                       "Content-Type: application/x-protobuf;proto=io.prometheus.write.v2.Request",
                       "X-Prometheus-Remote-Write-Version: 2.0.0"},
        };
        struct bytes body = {0};
        int r = prom_push_snappy_(&message->body, &body, error);
        if (r == 0) {
                struct push_request request = {.method = "POST",
                                               .url = push->target->url,
                                               .body = body.data,
                                               .body_size = body.len};
                memcpy(request.headers, headers[push->result.version], sizeof(headers[0]));
                r = prom_push_send_(push, &request, error);
        }
        bytes_release(&body);
        return r;
}

/* 2.0, section "Required Written Response Headers": a receiver that accepts a 2.0 message without
 * counting its content has read it as a 1.0 message, which then looks empty. */
static bool is_unread(const struct push *push)
{
        return push->result.version == 2 && !push->answer.counted;
}

/* 2.0, section "Partial Write": 400 with counts answers a request of which something was rejected.
 * Whether all samples were written, that is, only exemplars were rejected. */
static bool is_written(const struct push *push, const struct message *message)
{
        const struct push_answer *answer = &push->answer;
        return push->result.version == 2 && answer->status == 400 && answer->counted &&
               answer->samples >= message->samples - message->histograms &&
               answer->histograms >= message->histograms;
}

static int send_all(struct push *push, const struct messages *messages, struct prom_error *error)
{
        push->result.samples = 0;
        for (size_t i = 0; i < messages->n; i++) {
                int r = send_message(push, &messages->list[i], error);
                if (push->result.version == 2)
                        push->result.samples += push->answer.samples + push->answer.histograms;
                if (r == -EREMOTEIO && is_written(push, &messages->list[i]))
                        continue;
                if (r < 0)
                        return r;
                if (is_unread(push))
                        return prom_push_fail_(
                                error, EREMOTEIO,
                                "push to %.150s: answered %u without counting what was "
                                "written; the receiver does not know remote-write 2.0",
                                push->target->url, push->answer.status);
                if (push->result.version == 1)
                        push->result.samples += messages->list[i].samples;
        }
        return 0;
}

static int send_version(struct push *push, unsigned version,
                        const struct prom_write_options *options, struct prom_registry *registry,
                        struct prom_error *error)
{
        struct destination *entry = find_destination(push->target, options, registry);
        struct messages messages = {.newest_only = !entry};
        int64_t when = options->timestamp_ms ? options->timestamp_ms : wall_ms();
        if (entry)
                messages.after_ms = __atomic_load_n(&entry->newest_ms, __ATOMIC_RELAXED);
        push->result.version = version;
        int r = prom_push_messages_(version, push->target, options, when, registry, &messages,
                                    error);
        if (r == 0)
                r = send_all(push, &messages, error);
        if (r == 0 && entry)
                remember(entry, messages.newest_ms);
        prom_push_messages_release_(&messages);
        return r;
}

/* Whether the failure of a 2.0 request suggests that the receiver knows only 1.0. One that counts,
 * even 0, knows 2.0. */
static bool is_older(const struct push *push, int result)
{
        const unsigned status = push->answer.status;
        return result == -EREMOTEIO && push->result.samples == 0 && is_unread(push) &&
               (status == 415 || status == 400 || status / 100 == 2);
}

int prom_push_write_with_(const struct prom_push_io *io, const struct prom_push_target *target,
                          const struct prom_write_options *options, struct prom_registry *registry,
                          struct prom_push_result *ret_result, struct prom_error *error)
{
        static const struct prom_write_options defaults;
        struct push push;
        struct prom_error why = {.msg = ""};
        options = options ? options : &defaults;
        int r = prom_push_begin_(&push, target, io, &why);
        if (r == 0)
                r = send_version(&push, options->version == PROM_WRITE_1 ? 1 : 2, options, registry,
                                 &why);
        if (options->version == PROM_WRITE_AUTO && is_older(&push, r))
                r = send_version(&push, 1, options, registry, &why);
        prom_push_end_(&push, ret_result);
        if (r < 0 && error)
                *error = why;
        return r;
}

int prom_push_write(const struct prom_push_target *target, const struct prom_write_options *options,
                    struct prom_registry *registry, struct prom_push_result *ret_result,
                    struct prom_error *error)
{
        int r = prom_curl_load_(error);
        return r < 0 ? r
                     : prom_push_write_with_(&prom_push_curl_, target, options, registry,
                                             ret_result, error);
}
