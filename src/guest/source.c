/* SPDX-License-Identifier: Apache-2.0 */
#include "guest/source.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

enum { GZIP_WITH_LARGEST_WINDOW = 15 + 16 }; /* zlib.h, inflateInit2 */

/* Records an error for all later calls, and returns it. */
static int fail(struct source *s, int code, const char *what)
{
        return err_set(&s->failed, code, "%s", what);
}

/* Reads more bytes after those that are unused. */
static int fill(struct source *s)
{
        ssize_t n;

        if (s->n_next > 0 && s->next != s->in)
                memmove(s->in, s->next, s->n_next);
        s->next = s->in;
        do
                n = read(s->fd, s->in + s->n_next, sizeof(s->in) - s->n_next);
        while (n < 0 && errno == EINTR);
        if (n < 0)
                return err_errno(&s->failed, "reading the archive");
        s->at_end = n == 0;
        s->n_next += (size_t)n;
        return 0;
}

static int start_member(struct source *s)
{
        if (inflateReset(&s->z) != Z_OK)
                return fail(s, EPROTO, "unpacking the archive: zlib fails");
        s->in_member = true;
        return 0;
}

static int check_kind(struct source *s)
{
        switch (s->kind) {
        case SNIFF_TAR:
        case SNIFF_ZIP:
                return 0;
        case SNIFF_GZIP:
                if (inflateInit2(&s->z, GZIP_WITH_LARGEST_WINDOW) != Z_OK)
                        return fail(s, ENOMEM, "unpacking the archive: out of memory");
                s->in_member = true;
                return 0;
        case SNIFF_UNKNOWN:
                return fail(s, EPROTO,
                            s->n_next == 0 ? "the archive is empty"
                                           : "the archive is not a tar.gz, tar or zip");
        default:
                return err_set(
                        &s->failed, EPROTO,
                        "the archive is %s, which is not supported: make a tar.gz (tar -czf) "
                        "or a zip",
                        sniff_name(s->kind));
        }
}

static int pass_on(const struct source *s, struct err *err)
{
        return err_set(err, s->failed.code, "%s", s->failed.msg);
}

int source_open(struct source *s, int fd, uint64_t max, struct err *err)
{
        int r = 0;

        s->fd = fd;
        s->z = (z_stream){0};
        s->in_member = s->only_zeros = s->at_end = false;
        s->left = max;
        s->failed = ERR_INIT;
        s->next = s->in;
        s->n_next = 0;
        s->kind = SNIFF_UNKNOWN;
        while (r == 0 && s->n_next < SNIFF_SIZE && !s->at_end)
                r = fill(s);
        if (r == 0) {
                s->kind = sniff(s->in, s->n_next);
                r = check_kind(s);
        }
        return r < 0 ? pass_on(s, err) : 0;
}

/* Names the check that failed, in clearer words than zlib's. */
static int damaged(struct source *s)
{
        static const struct {
                const char *zlib, *ours;
        } words[] = {
                {"incorrect data check", "its checksum (CRC-32) does not match its content"},
                {"incorrect length check", "its length does not match its content"},
                {"header crc mismatch", "the checksum of its header does not match"},
                {"unknown compression method", "it is not compressed with deflate"},
                {"unknown header flags set", "its header has unknown flags"},
        };
        const char *what = s->z.msg ? s->z.msg : "invalid deflate data";

        for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
                if (strcmp(what, words[i].zlib) == 0)
                        what = words[i].ours;
        return err_set(&s->failed, EPROTO, "the archive is damaged: gzip: %s", what);
}

/* Inflates once. Returns the bytes produced; 0: none yet, or the member has ended. */
static ssize_t inflate_some(struct source *s)
{
        int r;

        s->z.next_in = s->next;
        s->z.avail_in = (unsigned)s->n_next;
        s->z.next_out = s->out;
        s->z.avail_out = sizeof(s->out);
        r = inflate(&s->z, Z_NO_FLUSH);
        s->next = s->z.next_in;
        s->n_next = s->z.avail_in;
        if (r == Z_MEM_ERROR)
                return fail(s, ENOMEM, "unpacking the archive: out of memory");
        if (r == Z_STREAM_END)
                s->in_member = false;
        else if (r == Z_BUF_ERROR && s->at_end)
                return fail(s, EPROTO, "the archive is truncated: its gzip data end too early");
        else if (r != Z_OK && r != Z_BUF_ERROR)
                return damaged(s);
        return (ssize_t)(sizeof(s->out) - s->z.avail_out);
}

/* Between members: another member, zeros, or nothing may follow. 1 at the end of everything. */
static int after_member(struct source *s)
{
        static const char garbage[] = "the archive is damaged: garbage follows its gzip data";

        while (!s->at_end && s->n_next < 2) {
                int r = fill(s);

                if (r < 0)
                        return r;
        }
        if (s->n_next == 0)
                return 1;
        if (!s->only_zeros && s->n_next >= 2 && s->next[0] == 0x1f && s->next[1] == 0x8b)
                return start_member(s);
        for (; s->n_next > 0; s->n_next--)
                if (*s->next++)
                        return fail(s, EPROTO, garbage);
        s->only_zeros = true;
        return 0;
}

static ssize_t gunzip(struct source *s)
{
        for (;;) {
                ssize_t n = 0;
                int r = 0;

                if (!s->in_member)
                        r = after_member(s);
                if (r != 0)
                        return r < 0 ? r : 0;
                if (s->in_member && s->n_next == 0 && !s->at_end)
                        r = fill(s);
                if (r == 0 && s->in_member)
                        n = inflate_some(s);
                if (r < 0 || n != 0)
                        return r < 0 ? r : n;
        }
}

static ssize_t read_plain(struct source *s)
{
        size_t n;
        int r = s->n_next == 0 && !s->at_end ? fill(s) : 0;

        if (r < 0)
                return r;
        n = s->n_next;
        memcpy(s->out, s->next, n);
        s->n_next = 0;
        return (ssize_t)n;
}

ssize_t source_read(struct source *s, const void **ret, struct err *err)
{
        ssize_t n;

        if (s->failed.code)
                return pass_on(s, err);
        n = s->kind == SNIFF_GZIP ? gunzip(s) : read_plain(s);
        if (n > 0 && (uint64_t)n > s->left)
                n = fail(s, EFBIG, "the archive unpacks to too many bytes");
        if (n < 0)
                return pass_on(s, err);
        s->left -= (uint64_t)n;
        *ret = s->out;
        return n;
}

int source_drain(struct source *s, struct err *err)
{
        const void *bytes;
        ssize_t n;

        do
                n = source_read(s, &bytes, err);
        while (n > 0);
        return (int)n;
}

void source_release(struct source *s)
{
        inflateEnd(&s->z); /* a stream that was never initialised is fine */
}
