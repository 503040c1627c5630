/* SPDX-License-Identifier: Apache-2.0 */
#include "session/fetch.h"

#include "base/cleanup.h"
#include "wire/pattern.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int session_fetch_begin(struct session_fetch *f, const struct workload_spec *spec, struct err *err)
{
        *f = (struct session_fetch){.room = spec->fetch_max};
        if (!spec->n_fetch)
                return 0;
        f->fetch = workload_fetch_new(spec->fetch, spec->n_fetch);
        return f->fetch ? 0 : err_set(err, ENOMEM, "out of memory");
}

static int from_hex(const char *hex, uint8_t ret[WORKLOAD_SHA256])
{
        for (size_t i = 0; i < WORKLOAD_SHA256; i++) {
                unsigned byte;

                if (sscanf(hex + 2 * i, "%2x", &byte) != 1)
                        return -EINVAL;
                ret[i] = (uint8_t)byte;
        }
        return 0;
}

static void note(struct session_fetch *f, const char *name, const char *why)
{
        char text[WORKLOAD_PATH_MAX + WIRE_TEXT_MAX];

        snprintf(text, sizeof(text), "%s%s%s", name ? name : "", name ? ": " : "", why);
        workload_fetch_fail(f->fetch, f->at, text);
}

/* Checks and adds a file whose bytes have all arrived. */
static int finish(struct session_fetch *f, struct err *err)
{
        sha256_digest(&f->ctx, sizeof(f->file.sha256), f->file.sha256);
        if (memcmp(f->file.sha256, f->sha256, sizeof(f->sha256)) != 0) {
                note(f, f->file.name, "changed while it was being read, or was damaged in transit");
                workload_file_release(&f->file);
                return 0;
        }
        if (workload_fetch_add(f->fetch, &f->file) < 0)
                return err_set(err, ENOMEM, "out of memory");
        f->file = (struct workload_file){0};
        return 0;
}

static bool is_clean(const char *name)
{
        char clean[WIRE_PATTERN_MAX];

        return wire_pattern_clean(name, clean) == 0 && strcmp(clean, name) == 0;
}

static int begin_file(struct session_fetch *f, const struct wire_file *m, struct err *err)
{
        char pattern[WIRE_PATTERN_MAX];

        if (!is_clean(m->name) ||
            wire_pattern_clean(f->fetch->notes[m->pattern].pattern, pattern) < 0 ||
            !wire_pattern_fits(pattern, m->name))
                return err_set(err, EPROTO, "FILE with a name that was not requested");
        if (m->size > f->room)
                return err_set(err, EPROTO, "FILE with more bytes than allowed");
        f->room -= m->size;
        f->left = (size_t)m->size;
        f->file = (struct workload_file){.name = strdup(m->name),
                                         .mode = m->mode,
                                         .bytes = malloc(f->left + 1),
                                         .pattern = m->pattern};
        if (!f->file.name || !f->file.bytes)
                return err_set(err, ENOMEM, "out of memory");
        sha256_init(&f->ctx);
        if (from_hex(m->sha256, f->sha256) < 0)
                return err_set(err, EPROTO, "FILE with an invalid checksum");
        return f->left ? 0 : finish(f, err);
}

int session_fetch_file(struct session_fetch *f, const void *payload, size_t n, struct err *err)
{
        struct wire_file m;
        int r;

        if (!f->fetch || f->file.name)
                return err_set(err, EPROTO, "FILE out of turn");
        if ((r = wire_file_decode(payload, n, &m, err)) < 0)
                return r;
        if (++f->frames > WIRE_FILES_MAX + WIRE_FETCH_MAX || m.pattern >= f->fetch->n_notes ||
            m.pattern < f->at) {
                r = err_set(err, EPROTO, "FILE out of order, or too many of them");
        } else {
                f->at = m.pattern;
                if (m.error)
                        note(f, m.name, m.error);
                else
                        r = begin_file(f, &m, err);
        }
        wire_file_release(&m);
        return r;
}

int session_fetch_data(struct session_fetch *f, const void *bytes, size_t n, struct err *err)
{
        if (!f->file.name || n > f->left)
                return err_set(err, EPROTO, "DATA without a FILE, or more than announced");
        memcpy((char *)f->file.bytes + f->file.size, bytes, n);
        sha256_update(&f->ctx, n, bytes);
        f->file.size += n;
        f->left -= n;
        return f->left ? 0 : finish(f, err);
}

struct workload_fetch *session_fetch_end(struct session_fetch *f, const char *why)
{
        struct workload_fetch *fetch = f->fetch;

        if (!fetch)
                return NULL;
        if (f->file.name) { /* incomplete */
                note(f, f->file.name, why ? why : "truncated");
                workload_file_release(&f->file);
        }
        for (size_t i = f->at; why && i < fetch->n_notes; i++)
                workload_fetch_fail(fetch, i, why);
        for (size_t i = 0; i < fetch->n_notes; i++)
                if (!why && !fetch->notes[i].n_files && i > f->at)
                        workload_fetch_fail(fetch, i, "the guest did not search for it");
        workload_fetch_seal(fetch);
        f->fetch = NULL;
        return fetch;
}

void session_fetch_release(struct session_fetch *f)
{
        workload_file_release(&f->file);
        workload_fetch_unref(f->fetch);
        *f = (struct session_fetch){0};
}
