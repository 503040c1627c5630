/* SPDX-License-Identifier: Apache-2.0 */
/* A registry as remote-write messages. */
#pragma once

#include "prom/push.h"
#include "prom/push/bytes.h"

/* One request, Protocol Buffers not yet compressed. */
struct message {
        struct bytes body;
        size_t samples;    /* native histograms included */
        size_t histograms; /* native ones */
};

struct messages {
        struct message *list;
        size_t n;
        size_t cap;

        /* Which exemplars of a native histogram to send. Set before the call: */
        int64_t after_ms; /* only those made later than this */
        bool newest_only; /* only the newest, as nobody knows what was sent before */
        /* Set by the call: when the newest one was made; 0 if there is none. */
        int64_t newest_ms;
};

/* Adds the wanted families of the registry to *ret, whose list is empty. 0, -ENOMEM, -EINVAL. */
int prom_push_messages_(unsigned version, const struct prom_push_target *target,
                        const struct prom_write_options *options, int64_t timestamp_ms,
                        struct prom_registry *registry, struct messages *ret,
                        struct prom_error *error);
void prom_push_messages_release_(struct messages *messages);
