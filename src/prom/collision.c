/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which names cannot stand in one registry. OpenMetrics decides: no name of a family, with or
 * without the suffixes its kind may have, may be one of another. That must hold under each escaping,
 * or scrapers that know no UTF-8 would get two metrics as one and refuse the whole scrape.
 */
#include "prom/render.h"

#include <errno.h>
#include <string.h>

enum { SUFFIXES_MAX = 5 };

static const char *const suffixes[][SUFFIXES_MAX] = {
        [PROM_COUNTER] = {"", "_total", "_created"},
        [PROM_GAUGE] = {""},
        [PROM_HISTOGRAM] = {"", "_bucket", "_sum", "_count", "_created"},
        [PROM_SUMMARY] = {"", "_sum", "_count", "_created"},
        [PROM_INFO] = {"", "_info"},
        [PROM_STATESET] = {""},
};

bool prom_is_sample_name_(const char *name, const char *base, enum prom_kind kind)
{
        const size_t n = strlen(base);
        if (strncmp(name, base, n) != 0)
                return false;
        for (size_t i = 0; i < SUFFIXES_MAX && suffixes[kind][i]; i++)
                if (strcmp(name + n, suffixes[kind][i]) == 0)
                        return true;
        return false;
}

/* Do two names share one, with suffixes? Then one of the bases begins with the other, and what is
 * left of the longer, together with one of its suffixes, is a suffix of the shorter. */
static bool names_meet(const char *a, enum prom_kind a_kind, const char *b, enum prom_kind b_kind)
{
        const size_t n = strlen(b);
        if (strlen(a) < n)
                return names_meet(b, b_kind, a, a_kind);
        if (strncmp(a, b, n) != 0)
                return false;
        char name[ESCAPED_NAME_MAX + sizeof("_created")];
        for (size_t i = 0; i < SUFFIXES_MAX && suffixes[a_kind][i]; i++) {
                strcpy(stpcpy(name, a), suffixes[a_kind][i]);
                if (prom_is_sample_name_(name, b, b_kind))
                        return true;
        }
        return false;
}

int prom_check_collision_(const struct prom_family *new, const struct prom_family *old,
                          struct prom_error *error)
{
        if (strcmp(new->name, old->name) == 0)
                return prom_fail_(error, EEXIST, "metric %s is registered already", new->name);
        const bool legacy = new->legacy_names && old->legacy_names;
        for (int e = N_ESCAPINGS - 1; e >= (legacy ? N_ESCAPINGS - 1 : 0); e--) {
                if (!names_meet(new->open_names[e], new->kind, old->open_names[e], old->kind))
                        continue;
                return prom_fail_(error, EEXIST,
                                  "metric %.80s collides with a line of metric %.80s, which is "
                                  "registered already%s",
                                  new->name, old->name,
                                  e == PROM_ALLOW_UTF8 ? "" : ", where names are escaped");
        }
        return 0;
}

bool prom_labels_meet_(const char *a, const char *b)
{
        char escaped[2][ESCAPED_NAME_MAX + 1];
        if (prom_is_legacy_name_(a, true) && prom_is_legacy_name_(b, true))
                return strcmp(a, b) == 0;
        for (int e = 0; e < N_ESCAPINGS; e++) {
                prom_escape_name_(a, (enum prom_escaping)e, true, escaped[0]);
                prom_escape_name_(b, (enum prom_escaping)e, true, escaped[1]);
                if (strcmp(escaped[0], escaped[1]) == 0)
                        return true;
        }
        return false;
}
