/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/token.h"

#include "base/fs.h"
#include "base/log.h"
#include "http/server.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

int token_read(const char *path, struct buf *ret, struct err *err)
{
        struct buf token = BUF_INIT(HTTP_TOKEN_MAX);
        struct stat st;
        int r = fs_read(path, &token, err);

        if (r < 0) {
                buf_release(&token);
                return err_wrap(err, "token file"), r;
        }
        while (token.len && strchr(" \t\r\n", token.data[token.len - 1]))
                token.data[--token.len] = '\0';
        if (!token.len || strpbrk(token.data, " \t\r\n") || strlen(token.data) != token.len) {
                buf_release(&token);
                return err_set(err, EINVAL, "token file %s: must hold one word", path);
        }
        if (stat(path, &st) == 0 && st.st_mode & 077)
                log_warn("token file %s can be read by others; chmod 600 %s", path, path);
        *ret = token;
        return 0;
}
