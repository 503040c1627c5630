/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Label values of any bytes, separated by NULs. Each becomes a series of its own, unless it equals
 * another after it was made UTF-8, and each series is one line with correctly quoted values.
 */
#include "prom/prom.h"

#include <stdlib.h>
#include <string.h>

enum { VALUES_MAX = 64 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool holds)
{
        if (!holds)
                abort();
}

/* A line `c_total{a="...",b="..."} 1`. Returns what follows. */
static const char *check_line(const char *p)
{
        check(strncmp(p, "c_total{a=\"", 11) == 0);
        p += 11;
        for (int value = 0; value < 2; value++) {
                for (; *p != '"'; p++) {
                        check(*p && *p != '\n');
                        if (*p == '\\') {
                                p++;
                                check(*p == '\\' || *p == '"' || *p == 'n');
                        }
                }
                const char *next = value == 0 ? "\",b=\"" : "\"} ";
                check(strncmp(p, next, strlen(next)) == 0);
                p += strlen(next);
        }
        check(*p >= '1' && *p <= '9');
        p += strspn(p, "0123456789");
        check(*p == '\n');
        return p + 1;
}

static void check_text(const struct prom_buf *buf, bool open)
{
        check(strlen(buf->data) == buf->len);
        const char *p = strstr(buf->data, " counter\n");
        check(p != NULL);
        for (p += strlen(" counter\n"); *p && *p != '#';)
                p = check_line(p);
        check(strcmp(p, open ? "# EOF\n" : "") == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        static const char *const labels[] = {"a", "b", NULL};
        char *values = calloc(1, size + 1);
        struct prom_registry *r = prom_registry_new();
        const struct prom_desc desc = {
                .kind = PROM_COUNTER, .name = "c_total", .help = "h", .labels = labels};
        struct prom_family *family;
        struct prom_buf buf = PROM_BUF_INIT;
        check(values && r && prom_register(r, &desc, &family, NULL) == 0);
        memcpy(values, data, size);
        const char *before = "";
        size_t at = 0;
        for (int i = 0; i < VALUES_MAX && at < size; i++) {
                prom_counter_inc(prom_counter_with(family, values + at, before));
                before = values + at;
                at += strlen(values + at) + 1;
        }
        for (int round = 0; round < 2 && size; round++) {
                check(prom_render_text(r, &buf) == 0);
                check_text(&buf, false);
                const struct prom_format open = {PROM_OPENMETRICS_1_0_0, PROM_ALLOW_UTF8};
                check(prom_render(r, open, NULL, &buf) == 0);
                check_text(&buf, true);
                const struct prom_format proto = {PROM_PROTOBUF_DELIMITED, PROM_ALLOW_UTF8};
                check(prom_render(r, proto, NULL, &buf) == 0 && buf.len > 0);
        }
        prom_buf_release(&buf);
        prom_registry_free(r);
        free(values);
        return 0;
}
