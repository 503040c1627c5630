/* SPDX-License-Identifier: Apache-2.0 */
#include "guest/inbound.h"

#include "base/beneath.h"
#include "base/cleanup.h"
#include "base/fs.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

void inbound_check_begin(struct inbound_check *c, uint64_t size, const char *sha256)
{
        sha256_init(&c->ctx);
        c->left = size;
        snprintf(c->sha256, sizeof(c->sha256), "%s", sha256 ? sha256 : "");
}

bool inbound_check_add(struct inbound_check *c, const void *bytes, size_t n)
{
        uint8_t digest[SHA256_DIGEST_SIZE];
        char hex[WIRE_SHA256_LEN + 1];

        sha256_update(&c->ctx, n, bytes);
        c->left -= n;
        if (c->left > 0)
                return true;
        sha256_digest(&c->ctx, sizeof(digest), digest);
        for (size_t i = 0; i < sizeof(digest); i++)
                sprintf(hex + 2 * i, "%02x", digest[i]);
        return strcmp(hex, c->sha256) == 0;
}

bool inbound_is_pending(const struct inbound *in)
{
        return in->files > 0 || in->check.left > 0;
}

static int create(struct inbound *in, const struct wire_file *file, int dir, uid_t uid,
                  struct err *err)
{
        char path[BENEATH_PATH_MAX];
        int r;

        if (beneath_clean(file->name, path) < 0 || !*path)
                return err_set(err, EPERM, "file \"%.200s\" leaves the working directory",
                               file->name);
        r = beneath_create(dir, path, file->mode, uid, err);
        if (r < 0) {
                err_wrap(err, "file \"%.200s\"", file->name);
                return r;
        }
        in->fd = r;
        /* The requested mode, whatever the umask. */
        return fchmod(in->fd, file->mode) < 0 ? err_errno(err, "file \"%s\"", in->name) : 0;
}

int inbound_file(struct inbound *in, const void *payload, size_t n, int dir, uid_t uid, bool drop,
                 struct err *err)
{
        struct wire_file file;
        int r;

        if (in->files == 0 || in->check.left > 0)
                return err_set(err, EPROTO, "FILE that the request does not announce");
        if ((r = wire_file_decode(payload, n, &file, err)) < 0)
                return r;
        if (file.error || file.size > in->size) {
                wire_file_release(&file);
                return err_set(err, EPROTO, "FILE with more bytes than the request announces");
        }
        in->files--;
        in->size -= file.size;
        inbound_check_begin(&in->check, file.size, file.sha256);
        snprintf(in->name, sizeof(in->name), "%s", file.name);
        r = drop ? 0 : create(in, &file, dir, uid, err);
        wire_file_release(&file);
        if (r < 0 || in->check.left == 0)
                close_fd(&in->fd);
        return r;
}

int inbound_data(struct inbound *in, const void *bytes, size_t n, struct err *err)
{
        bool sound;
        int r = 0;

        if (n > in->check.left)
                return err_set(err, EPROTO, "DATA without a FILE, or more of it than announced");
        sound = inbound_check_add(&in->check, bytes, n);
        if (in->fd < 0)
                return 0;
        if (fs_write_all(in->fd, bytes, n) < 0)
                r = err_errno(err, "file \"%s\"", in->name);
        else if (!sound)
                r = err_set(err, EIO, "file \"%s\" arrived damaged: its checksum does not match",
                            in->name);
        if (r < 0 || in->check.left == 0)
                close_fd(&in->fd);
        return r;
}

void inbound_release(struct inbound *in)
{
        close_fd(&in->fd);
}
