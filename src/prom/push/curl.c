/* SPDX-License-Identifier: Apache-2.0 */
/* Requests by libcurl. */
#include "prom/push/curl.h"
#include "prom/push.h"
#include "prom/push/error.h"
#include "prom/push/libcurl.h"

#include <errno.h>
#include <string.h>
#include <time.h>

static size_t on_header(char *bytes, size_t size, size_t count, void *ctx)
{
        prom_push_take_header_(ctx, bytes, size * count);
        return size * count;
}

/* Ends the transfer beyond the limit. The status is known by then. */
static size_t on_body(char *bytes, size_t size, size_t count, void *ctx)
{
        struct push_answer *answer = ctx;
        prom_push_take_body_(answer, bytes, size * count);
        return answer->read <= PROM_PUSH_ANSWER_MAX ? size * count : 0;
}

static CURLcode set_up(CURL *easy, const struct push_request *request, unsigned timeout_ms,
                       struct curl_slist *headers, struct push_answer *answer, char *details)
{
        CURLcode r = CURLE_OK;
#define SET(option, value)                                                                         \
        if (r == CURLE_OK)                                                                         \
        r = curl_easy_setopt(easy, option, value)
        SET(CURLOPT_URL, request->url);
        SET(CURLOPT_PROTOCOLS_STR, "http,https");
        SET(CURLOPT_NOPROXY, "*");
        SET(CURLOPT_NOSIGNAL, 1L);
        SET(CURLOPT_QUICK_EXIT, 1L); /* do not wait for name servers that do not answer */
        SET(CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
        SET(CURLOPT_TIMEOUT_MS, (long)timeout_ms);
        SET(CURLOPT_CONNECTTIMEOUT_MS, (long)timeout_ms);
        SET(CURLOPT_ERRORBUFFER, details);
        SET(CURLOPT_HTTPHEADER, headers);
        SET(CURLOPT_CUSTOMREQUEST, request->method);
        if (request->body) {
                SET(CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)request->body_size);
                SET(CURLOPT_POSTFIELDS, (const char *)request->body);
        }
        SET(CURLOPT_HEADERFUNCTION, on_header);
        SET(CURLOPT_HEADERDATA, answer);
        SET(CURLOPT_WRITEFUNCTION, on_body);
        SET(CURLOPT_WRITEDATA, answer);
#undef SET
        return r;
}

/* Translates an error of libcurl into an errno and a message. */
static int explain(CURL *easy, CURLcode code, const char *details, struct prom_error *error)
{
        long os = 0;
        switch (code) {
        case CURLE_COULDNT_RESOLVE_HOST:
                return prom_push_fail_(error, EHOSTUNREACH, "unknown host");
        case CURLE_COULDNT_CONNECT:
                curl_easy_getinfo(easy, CURLINFO_OS_ERRNO, &os);
                return prom_push_fail_(error, os ? (int)os : ECONNREFUSED, "cannot connect%s%s",
                                       os ? ": " : "", os ? strerror((int)os) : "");
        case CURLE_OPERATION_TIMEDOUT:
                return prom_push_fail_(error, ETIMEDOUT, "no answer in time");
        case CURLE_GOT_NOTHING:
        case CURLE_SEND_ERROR:
        case CURLE_RECV_ERROR:
                return prom_push_fail_(error, ECONNRESET,
                                       "the connection broke before the answer arrived");
        case CURLE_OUT_OF_MEMORY:
                return prom_push_fail_(error, ENOMEM, "out of memory");
        case CURLE_URL_MALFORMAT:
                return prom_push_fail_(error, EINVAL, "invalid URL");
        default:
                return prom_push_fail_(error, EIO, "%s",
                                       *details ? details : curl_easy_strerror(code));
        }
}

static int perform(CURL *easy, struct push_answer *answer, const char *details,
                   struct prom_error *error)
{
        CURLcode code = curl_easy_perform(easy);
        curl_off_t retry_after = 0;
        long status = 0;
        curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
        curl_easy_getinfo(easy, CURLINFO_RETRY_AFTER, &retry_after);
        answer->status = (unsigned)status;
        answer->retry_after_s = retry_after > 0 && retry_after < INT32_MAX ? (unsigned)retry_after
                                : retry_after > 0                          ? INT32_MAX
                                                                           : 0;
        /* The status line is enough of an answer. */
        const bool cut = code == CURLE_WRITE_ERROR || code == CURLE_PARTIAL_FILE;
        return code == CURLE_OK || (cut && status) ? 0 : explain(easy, code, details, error);
}

/* An empty "Expect:" keeps libcurl from waiting for "100 Continue". */
static struct curl_slist *make_headers(const struct push_request *request)
{
        struct curl_slist *headers = curl_slist_append(NULL, "Expect:");
        for (size_t i = 0; headers && request->headers[i]; i++) {
                struct curl_slist *more = curl_slist_append(headers, request->headers[i]);
                if (!more)
                        curl_slist_free_all(headers);
                headers = more;
        }
        return headers;
}

/* The session is a handle of libcurl, which keeps the connection. */
static int send_request(void *ctx, void **session, const struct push_request *request,
                        unsigned timeout_ms, struct push_answer *ret, struct prom_error *error)
{
        char details[CURL_ERROR_SIZE] = "";
        CURL *easy = *session ? *session : curl_easy_init();
        struct curl_slist *headers = make_headers(request);
        int r = -ENOMEM;
        *session = easy;
        if (!easy || !headers ||
            set_up(easy, request, timeout_ms, headers, ret, details) != CURLE_OK)
                prom_push_fail_(error, ENOMEM, "cannot set up libcurl");
        else
                r = perform(easy, ret, details, error);
        if (easy)
                curl_easy_reset(easy); /* it must forget headers, answer and details */
        curl_slist_free_all(headers);
        return r;
}

static void end(void *ctx, void *session)
{
        if (session)
                curl_easy_cleanup(session);
}

static uint64_t now_ms(void *ctx)
{
        return prom_now_ns() / 1000000;
}

static void wait_ms(void *ctx, unsigned ms)
{
        struct timespec left = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000L};
        while (nanosleep(&left, &left) < 0 && errno == EINTR)
                ;
}

const struct prom_push_io prom_push_curl_ = {send_request, end, now_ms, wait_ms, NULL};
