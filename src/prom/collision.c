/* SPDX-License-Identifier: Apache-2.0 */
#include "prom/collision.h"

#include "prom/error.h"

#include <errno.h>
#include <string.h>

bool prom_is_sample_name_(const char *name, const char *base, const struct kind_ops *ops)
{
        const size_t n = strlen(base);
        if (strncmp(name, base, n) != 0)
                return false;
        for (size_t i = 0; i < KIND_SUFFIXES_MAX && ops->suffixes[i]; i++)
                if (strcmp(name + n, ops->suffixes[i]) == 0)
                        return true;
        return false;
}

/* Whether the two families have a name in common, with suffixes. Then one base begins with the other,
 * and the rest of the longer one together with one of its suffixes is a suffix of the shorter one. */
static bool names_meet(const char *a, const struct kind_ops *a_ops, const char *b,
                       const struct kind_ops *b_ops)
{
        const size_t n = strlen(b);
        if (strlen(a) < n)
                return names_meet(b, b_ops, a, a_ops);
        if (strncmp(a, b, n) != 0)
                return false;
        char name[ESCAPED_NAME_MAX + sizeof("_created")];
        for (size_t i = 0; i < KIND_SUFFIXES_MAX && a_ops->suffixes[i]; i++) {
                strcpy(stpcpy(name, a), a_ops->suffixes[i]);
                if (prom_is_sample_name_(name, b, b_ops))
                        return true;
        }
        return false;
}

static bool same_text(const char *a, const char *b)
{
        return a == b || (a && b && strcmp(a, b) == 0);
}

/* Two families of one name are one metric to a scraper: it must have one HELP, TYPE and UNIT, and no
 * series of one may be one of the other. So they have the same labels, of which some are const in
 * both, with another value of at least one. */
static int check_siblings(const struct prom_family *new, const struct prom_family *old,
                          struct prom_error *error)
{
        bool differs = false, alike = new->n_slots == old->n_slots;
        for (unsigned i = 0; alike && i < new->n_slots; i++) {
                const struct label_slot *a = &new->slots[i], *b = &old->slots[i];
                alike = strcmp(a->name, b->name) == 0 && !a->raw == !b->raw;
                differs |= alike && a->raw && strcmp(a->raw, b->raw) != 0;
        }
        if (alike && !differs)
                return prom_fail_(error, EEXIST, "metric %s is registered already%s", new->name,
                                  new->n_slots > new->n_labels ? ", with the same const labels"
                                                               : "");
        if (!alike || new->kind != old->kind || !same_text(new->help, old->help) ||
            !same_text(new->unit, old->unit))
                return prom_fail_(error, EEXIST,
                                  "metric %s is registered already: with other const labels it "
                                  "must have the same kind, help, unit and names of labels",
                                  new->name);
        return 0;
}

int prom_check_collision_(const struct prom_family *new, const struct prom_family *old,
                          struct prom_error *error)
{
        if (strcmp(new->name, old->name) == 0)
                return check_siblings(new, old, error);
        const bool legacy = new->legacy_names && old->legacy_names;
        for (int e = N_ESCAPINGS - 1; e >= (legacy ? N_ESCAPINGS - 1 : 0); e--) {
                if (!names_meet(new->open_names[e], new->ops, old->open_names[e], old->ops))
                        continue;
                return prom_fail_(error, EEXIST,
                                  "metric %.80s collides with a line of metric %.80s, which is "
                                  "registered already%s",
                                  new->name, old->name,
                                  e == PROM_ALLOW_UTF8 ? "" : " (after escaping)");
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
