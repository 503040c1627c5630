/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/token.h"

#include "base/log.h"
#include "base/trust.h"
#include "http/bounds.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

static int check_word(const struct buf *token, const char *path, struct err *err)
{
        if (!token->len || strpbrk(token->data, " \t\r\n") || strlen(token->data) != token->len)
                return err_set(err, EINVAL, "token file %s: must contain one word", path);
        if (token->len < HTTP_TOKEN_MIN)
                return err_set(err, EINVAL,
                               "token file %.200s: the token has %zu bytes; it must have at least "
                               "%d, since a short one can be guessed; make one with: "
                               "head -c 32 /dev/urandom | base64 -w0",
                               path, token->len, HTTP_TOKEN_MIN);
        return 0;
}

int token_read(const char *path, struct buf *ret, struct err *err)
{
        struct buf token = BUF_INIT(HTTP_TOKEN_MAX);
        struct stat st;
        int r = trust_read(path, &token, err);

        if (r < 0) {
                buf_release(&token);
                return err_wrap(err, "token file"), r;
        }
        while (token.len && strchr(" \t\r\n", token.data[token.len - 1]))
                token.data[--token.len] = '\0';
        if ((r = check_word(&token, path, err)) < 0) {
                buf_release(&token);
                return r;
        }
        if (stat(path, &st) == 0 && st.st_mode & 077)
                log_warn("token file %s can be read by others; chmod 600 %s", path, path);
        *ret = token;
        return 0;
}
