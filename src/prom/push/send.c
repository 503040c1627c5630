/* SPDX-License-Identifier: Apache-2.0 */
/* Credentials, deadlines and retries of a push. */
#include "prom/push/send.h"

#include "prom/push/error.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

/* ---- credentials -------------------------------------------------------------------------- */

static int read_secret(const char *path, char secret[PROM_PUSH_SECRET_MAX],
                       struct prom_error *error)
{
        int fd = open(path, O_RDONLY | O_CLOEXEC);
        ssize_t n = fd < 0 ? -1 : read(fd, secret, PROM_PUSH_SECRET_MAX - 1);
        int code = errno;
        if (fd >= 0)
                close(fd);
        if (n < 0)
                return prom_push_fail_(error, code, "%.150s: %s", path, strerror(code));
        secret[n] = '\0';
        size_t len = strcspn(secret, "\r\n");
        if (len == PROM_PUSH_SECRET_MAX - 1)
                return prom_push_fail_(error, EINVAL, "%.150s: the first line is too long", path);
        secret[len] = '\0';
        for (size_t i = 0; i < len; i++)
                if ((unsigned char)secret[i] < 0x20 || secret[i] == 0x7f)
                        return prom_push_fail_(error, EINVAL, "%.150s: the first line is not text",
                                               path);
        return len ? 0 : prom_push_fail_(error, EINVAL, "%.150s: the first line is empty", path);
}

static void put_base64(char *out, const char *in, size_t n)
{
        static const char digits[] =
                "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
        for (size_t i = 0; i < n; i += 3) {
                uint32_t b[3] = {(unsigned char)in[i], i + 1 < n ? (unsigned char)in[i + 1] : 0,
                                 i + 2 < n ? (unsigned char)in[i + 2] : 0};
                uint32_t word = b[0] << 16 | b[1] << 8 | b[2];
                *out++ = digits[word >> 18];
                *out++ = digits[word >> 12 & 63];
                *out++ = i + 1 < n ? digits[word >> 6 & 63] : '=';
                *out++ = i + 2 < n ? digits[word & 63] : '=';
        }
        *out = '\0';
}

static int take_credentials(struct push *push, struct prom_error *error)
{
        const struct prom_push_target *target = push->target;
        char secret[PROM_PUSH_SECRET_MAX], both[PROM_PUSH_SECRET_MAX + 256];
        if (!target->user && !target->password_file && !target->token_file)
                return 0;
        if ((target->user && target->token_file) || !target->user != !target->password_file)
                return prom_push_fail_(error, EINVAL,
                                       "give either a token file, or a user and a password file");
        int r = read_secret(target->user ? target->password_file : target->token_file, secret,
                            error);
        if (r < 0)
                return r;
        if (!target->user) {
                snprintf(push->authorization, sizeof(push->authorization),
                         "Authorization: Bearer %s", secret);
                return 0;
        }
        int n = snprintf(both, sizeof(both), "%s:%s", target->user, secret);
        if (n >= (int)sizeof(both) || strchr(target->user, ':'))
                return prom_push_fail_(error, EINVAL, "invalid user \"%.100s\"", target->user);
        size_t at = (size_t)sprintf(push->authorization, "Authorization: Basic ");
        put_base64(push->authorization + at, both, (size_t)n);
        return 0;
}

/* ---- the target --------------------------------------------------------------------------- */

static int check_url(const char *url, struct prom_error *error)
{
        const char *host = url && strncmp(url, "http://", 7) == 0    ? url + 7
                           : url && strncmp(url, "https://", 8) == 0 ? url + 8
                                                                     : NULL;
        if (!host || !*host || *host == '/' || strlen(url) > PROM_PUSH_URL_MAX)
                return prom_push_fail_(error, EINVAL,
                                       "\"%.150s\" is not of the form http://HOST:PORT/PATH",
                                       url ? url : "");
        if (memchr(host, '@', strcspn(host, "/?#")))
                return prom_push_fail_(
                        error, EINVAL,
                        "credentials are not allowed in the URL; put them into a file");
        for (const char *p = url; *p; p++)
                if ((unsigned char)*p <= 0x20 || *p == 0x7f)
                        return prom_push_fail_(error, EINVAL, "\"%.150s\" contains a blank", url);
        return 0;
}

bool prom_push_wants_(const struct prom_push_target *target, const char *name)
{
        const char *const *names = target->names;
        while (names && *names && strcmp(*names, name) != 0)
                names++;
        return !target->names || !*target->names || *names;
}

int prom_push_begin_(struct push *push, const struct prom_push_target *target,
                     const struct prom_push_io *io, struct prom_error *error)
{
        *push = (struct push){.target = target, .io = io};
        int r = check_url(target->url, error);
        if (r == 0)
                r = take_credentials(push, error);
        if (r < 0)
                return r;
        snprintf(push->agent, sizeof(push->agent), "User-Agent: %.200s",
                 target->user_agent ? target->user_agent : "prom-push/" PROM_PUSH_VERSION);
        push->deadline_ms = io->now_ms(io->ctx) +
                            (target->timeout_ms ? target->timeout_ms : PROM_PUSH_TIMEOUT_MS);
        return 0;
}

void prom_push_end_(struct push *push, struct prom_push_result *ret_result)
{
        push->io->end(push->io->ctx, push->session);
        if (ret_result)
                *ret_result = push->result;
}

/* ---- sending ------------------------------------------------------------------------------ */

static void add_header(struct push_request *request, const char *line)
{
        size_t n = 0;
        while (request->headers[n])
                n++;
        if (*line && n < PUSH_HEADERS_MAX)
                request->headers[n] = line;
}

/* Whether another try may succeed. `result` is that of prom_push_io.send(). */
static bool is_transient(int result, unsigned status)
{
        switch (-result) {
        case 0:
                return status == 429 || status >= 500;
        case ECONNREFUSED:
        case ECONNRESET:
        case EHOSTUNREACH:
        case ENETUNREACH:
                return true;
        default:
                return false;
        }
}

static int explain(const struct push *push, const struct push_request *request, int result,
                   const struct prom_error *why, struct prom_error *error)
{
        const struct push_answer *a = &push->answer;
        if (result < 0)
                return prom_push_fail_(error, -result, "push to %.120s: %.100s", request->url,
                                       why->msg);
        return prom_push_fail_(error, EREMOTEIO, "push to %.90s: answered %u%s%s", request->url,
                               a->status, *a->line ? ": " : "", a->line);
}

int prom_push_send_(struct push *push, struct push_request *request, struct prom_error *error)
{
        const struct prom_push_target *target = push->target;
        const struct prom_push_io *io = push->io;
        const unsigned attempts = target->attempts_max ? target->attempts_max : PROM_PUSH_ATTEMPTS;
        uint64_t backoff_ms = PROM_PUSH_BACKOFF_MS;
        add_header(request, push->agent);
        add_header(request, push->authorization);
        for (unsigned attempt = 1;; attempt++) {
                struct prom_error why = {.msg = ""};
                uint64_t now = io->now_ms(io->ctx);
                if (now >= push->deadline_ms)
                        return prom_push_fail_(error, ETIMEDOUT, "push to %.150s: timed out",
                                               request->url);
                push->answer = (struct push_answer){0};
                int r = io->send(io->ctx, &push->session, request,
                                 (unsigned)(push->deadline_ms - now), &push->answer, &why);
                push->result.attempts++;
                push->result.status = push->answer.status;
                if (r == 0 && push->answer.status / 100 == 2)
                        return 0;
                uint64_t wait_ms = push->answer.retry_after_s * UINT64_C(1000);
                wait_ms = wait_ms > backoff_ms ? wait_ms : backoff_ms;
                if (!is_transient(r, push->answer.status) || attempt == attempts ||
                    io->now_ms(io->ctx) + wait_ms >= push->deadline_ms)
                        return explain(push, request, r, &why, error);
                io->wait_ms(io->ctx, (unsigned)wait_ms);
                backoff_ms *= 2;
        }
}
