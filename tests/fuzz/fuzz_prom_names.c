/* SPDX-License-Identifier: Apache-2.0 */
/* A metric and a label of any name, separated by the first NUL. They are rejected with a message,
 * or rendered in every format and escaping as exactly one sample with a valid name. */
#include "prom/prom.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool holds)
{
        if (!holds)
                abort();
}

static size_t count_lines(const struct prom_buf *buf)
{
        size_t n = 0;
        for (size_t i = 0; i < buf->len; i++)
                n += buf->data[i] == '\n';
        return n;
}

static void check_text(const struct prom_buf *buf, struct prom_format format)
{
        static const char legacy[] =
                "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_:";
        const bool open = format.kind == PROM_OPENMETRICS_1_0_0;
        check(count_lines(buf) == (open ? 4 : 3));
        check(memcmp(buf->data, "# HELP ", 7) == 0);
        const char *line = strstr(strchr(buf->data, '\n') + 1, "\n") + 1;
        check(memcmp(line - strlen(" gauge\n"), " gauge\n", 7) == 0);
        if (*line == '{') {
                check(format.escaping == PROM_ALLOW_UTF8 && line[1] == '"');
                return;
        }
        size_t n = strspn(line, legacy);
        check(n > 0 && line[n] == '{' && !(line[0] >= '0' && line[0] <= '9'));
        if (format.escaping != PROM_ALLOW_UTF8)
                check(line[n + 1] != '"');
}

static void check_message(const struct prom_buf *buf)
{
        size_t len = 0, at = 0;
        for (unsigned shift = 0;; shift += 7) {
                check(at < buf->len && shift < 64);
                len |= (size_t)(buf->data[at] & 0x7f) << shift;
                if (!(buf->data[at++] & 0x80))
                        break;
        }
        check(len == buf->len - at);
        check(buf->data[at] == 0x0a);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        char *names = calloc(1, size + 2);
        struct prom_registry *r = prom_registry_new();
        check(names && r);
        memcpy(names, data, size);
        const char *const labels[] = {names + strlen(names) + 1, NULL};
        const struct prom_desc desc = {
                .kind = PROM_GAUGE, .name = names, .help = names, .labels = labels};
        struct prom_family *family = NULL;
        struct prom_error error = {""};
        struct prom_buf buf = PROM_BUF_INIT;
        if (prom_register(r, &desc, &family, &error) < 0) {
                check(!family && error.msg[0]);
        } else {
                prom_gauge_set(prom_gauge_with(family, labels[0]), 1);
                for (int kind = 0; kind <= PROM_PROTOBUF_DELIMITED; kind++)
                        for (int e = 0; e <= PROM_ALLOW_UTF8; e++) {
                                struct prom_format format = {(enum prom_format_kind)kind,
                                                             (enum prom_escaping)e};
                                check(prom_render(r, format, NULL, &buf) == 0);
                                if (kind == PROM_PROTOBUF_DELIMITED)
                                        check_message(&buf);
                                else if (kind != PROM_TEXT_0_0_4 || e != PROM_ALLOW_UTF8)
                                        check_text(&buf, format);
                        }
        }
        prom_buf_release(&buf);
        prom_registry_free(r);
        free(names);
        return 0;
}
