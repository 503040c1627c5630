/* SPDX-License-Identifier: Apache-2.0 */
#include "http/refusal.h"

#include <microhttpd.h>
#include <stdio.h>
#include <sys/socket.h>

/* Escapes printable text for a JSON string. Cuts what does not fit. */
static void quote(const char *text, char *ret, size_t size)
{
        size_t n = 0;

        for (; *text && n + 2 < size; text++) {
                if (*text == '"' || *text == '\\')
                        ret[n++] = '\\';
                ret[n++] = *text;
        }
        ret[n] = '\0';
}

void http_refusal_send(int fd, unsigned status, const char *message, const char *id)
{
        char body[320], text[768], quoted[200];
        int n_body, n;

        quote(message, quoted, sizeof(quoted));
        n_body = snprintf(body, sizeof(body), "{\"error\":\"%s\",\"request_id\":\"%.26s\"}\n",
                          quoted, id);
        n = snprintf(text, sizeof(text),
                     "HTTP/1.1 %u %s\r\nContent-Type: application/json\r\n"
                     "Content-Length: %d\r\nCache-Control: no-store\r\n"
                     "X-Content-Type-Options: nosniff\r\nX-Request-Id: %.26s\r\n",
                     status, MHD_get_reason_phrase_for(status), n_body, id);

        if (status == 503)
                n += snprintf(text + n, sizeof(text) - (size_t)n, "Retry-After: %d\r\n",
                              HTTP_RETRY_AFTER_S);
        n += snprintf(text + n, sizeof(text) - (size_t)n, "Connection: close\r\n\r\n%s", body);
        if (send(fd, text, (size_t)n, MSG_NOSIGNAL | MSG_DONTWAIT) != n)
                return; /* nobody reads */
}
