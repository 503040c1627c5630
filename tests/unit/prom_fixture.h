/* SPDX-License-Identifier: Apache-2.0 */
/* A registry for each test, and families in it. Include it in one file per program. */
#pragma once

#include "prom/prom.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define NAMES(...) ((const char *const[]){__VA_ARGS__, NULL})
#define LABELS(...) ((const struct prom_label[]){__VA_ARGS__, {NULL, NULL}})

static struct prom_registry *registry;
static struct prom_buf buf; /* the last scrape */

static int set_up(void **state)
{
        registry = prom_registry_new();
        return registry ? 0 : -1;
}

static int tear_down(void **state)
{
        prom_registry_free(registry);
        prom_buf_release(&buf);
        return 0;
}

/* Registers the metric with some help. */
static inline struct prom_family *add(struct prom_desc desc)
{
        struct prom_family *family;
        struct prom_error error = {""};
        desc.help = "h";
        if (prom_register(registry, &desc, &family, &error) < 0)
                fail_msg("%s", error.msg);
        return family;
}

/* Whether a scrape contains this text. */
static inline bool mentions(const char *text)
{
        assert_int_equal(prom_render_text(registry, &buf), 0);
        return strstr(buf.data, text) != NULL;
}
