/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A bounded buffer between a libmicrohttpd daemon's thread, which must not wait, and a thread that
 * may. The daemon's side suspends its connection when it finds the ring full (an upload) or empty
 * (a download); the other side resumes it. For bench_http_shapes.c.
 *
 * Locks: `lock` guards everything. A connection is suspended and recorded in `suspended` under the
 * lock, and resumed under it, so no wake can fall between "there is nothing" and the suspension.
 */
#pragma once

#include <microhttpd.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

struct ring {
        pthread_mutex_t lock;
        pthread_cond_t changed;
        char *bytes;
        size_t size, at, len;
        bool ended;                       /* nothing more will be put */
        bool cut;                         /* the reader has left, so puts are dropped */
        struct MHD_Connection *suspended; /* the daemon's side waits */
};

static inline void ring_init(struct ring *r, size_t size)
{
        *r = (struct ring){.size = size, .bytes = malloc(size)};
        if (!r->bytes)
                abort();
        pthread_mutex_init(&r->lock, NULL);
        pthread_cond_init(&r->changed, NULL);
}

static inline void ring_release(struct ring *r)
{
        pthread_cond_destroy(&r->changed);
        pthread_mutex_destroy(&r->lock);
        free(r->bytes);
}

/* With the lock: wakes both sides. */
static inline void ring_notify(struct ring *r)
{
        pthread_cond_signal(&r->changed);
        if (r->suspended) {
                MHD_resume_connection(r->suspended);
                r->suspended = NULL;
        }
}

/* With the lock: copies what fits. */
static inline size_t ring_add(struct ring *r, const char *bytes, size_t n)
{
        size_t done = 0;

        while (done < n && r->len < r->size) {
                size_t end = (r->at + r->len) % r->size;
                size_t piece = end >= r->at ? r->size - end : r->at - end;

                piece = piece < n - done ? piece : n - done;
                memcpy(r->bytes + end, bytes + done, piece);
                r->len += piece;
                done += piece;
        }
        return done;
}

/* With the lock. */
static inline size_t ring_remove(struct ring *r, char *bytes, size_t n)
{
        size_t done = 0;

        while (done < n && r->len) {
                size_t piece = r->size - r->at < r->len ? r->size - r->at : r->len;

                piece = piece < n - done ? piece : n - done;
                memcpy(bytes + done, r->bytes + r->at, piece);
                r->at = (r->at + piece) % r->size;
                r->len -= piece;
                done += piece;
        }
        return done;
}

/* Waits for room. Afterwards all of it is in the ring, or the ring was cut. */
static inline void ring_put(struct ring *r, const char *bytes, size_t n)
{
        pthread_mutex_lock(&r->lock);
        while (n && !r->cut) {
                size_t done = ring_add(r, bytes, n);

                bytes += done;
                n -= done;
                if (done)
                        ring_notify(r);
                else
                        pthread_cond_wait(&r->changed, &r->lock);
        }
        pthread_mutex_unlock(&r->lock);
}

/* Waits for bytes. 0: the end. */
static inline size_t ring_take(struct ring *r, char *bytes, size_t n)
{
        size_t done;

        pthread_mutex_lock(&r->lock);
        while ((done = ring_remove(r, bytes, n)) == 0 && !r->ended)
                pthread_cond_wait(&r->changed, &r->lock);
        /* Half empty before the daemon's side is resumed: fewer, larger turns. */
        if (r->len <= r->size / 2)
                ring_notify(r);
        pthread_mutex_unlock(&r->lock);
        return done;
}

/* The daemon's side: puts what fits; with no room it suspends the connection and returns 0. */
static inline size_t ring_offer(struct ring *r, const char *bytes, size_t n,
                                struct MHD_Connection *mhd)
{
        size_t done;

        pthread_mutex_lock(&r->lock);
        done = ring_add(r, bytes, n);
        if (done) {
                pthread_cond_signal(&r->changed);
        } else {
                MHD_suspend_connection(mhd);
                r->suspended = mhd;
        }
        pthread_mutex_unlock(&r->lock);
        return done;
}

/* The daemon's side: takes what there is; with nothing it suspends. -1: the end. */
static inline ssize_t ring_poll(struct ring *r, char *bytes, size_t n, struct MHD_Connection *mhd)
{
        ssize_t done;

        pthread_mutex_lock(&r->lock);
        done = (ssize_t)ring_remove(r, bytes, n);
        if (done) {
                pthread_cond_signal(&r->changed);
        } else if (r->ended) {
                done = -1;
        } else {
                MHD_suspend_connection(mhd);
                r->suspended = mhd;
        }
        pthread_mutex_unlock(&r->lock);
        return done;
}

static inline void ring_end(struct ring *r)
{
        pthread_mutex_lock(&r->lock);
        r->ended = true;
        ring_notify(r);
        pthread_mutex_unlock(&r->lock);
}

static inline void ring_cut(struct ring *r)
{
        pthread_mutex_lock(&r->lock);
        r->cut = true;
        r->ended = true;
        pthread_cond_signal(&r->changed);
        pthread_mutex_unlock(&r->lock);
}
