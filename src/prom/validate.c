/* SPDX-License-Identifier: Apache-2.0 */
#include "prom/validate.h"

#include "prom/atomic.h"
#include "prom/error.h"
#include "prom/family.h"
#include "prom/collision.h"
#include "prom/utf8.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Any UTF-8, as in Prometheus 3.0 and later. */
static bool is_name(const char *name)
{
        const size_t n = strnlen(name, PROM_NAME_MAX + 1);
        return n > 0 && n <= PROM_NAME_MAX && prom_is_utf8_(name);
}

size_t prom_desc_n_buckets_(const struct prom_desc *desc)
{
        if (!prom_kind_has_(prom_kind_ops_(desc->kind, false), KIND_BUCKETS))
                return 0;
        if (!desc->buckets || desc->n_buckets == 0)
                return desc->native_factor > 0 ? 0 : PROM_DEFAULT_BUCKETS;
        double last = desc->buckets[desc->n_buckets - 1];
        return desc->n_buckets - (isinf(last) && last > 0);
}

const double *prom_desc_buckets_(const struct prom_desc *desc)
{
        return desc->buckets && desc->n_buckets ? desc->buckets : prom_default_buckets;
}

/* Whether scrapers without UTF-8 support would see a label that begins with "__", which is reserved
 * for Prometheus; some would reject the scrape. (Escaping by dots turns any first character other
 * than an ASCII letter into "__", by definition of the scheme.) */
static bool is_reserved(const char *label)
{
        char escaped[ESCAPED_NAME_MAX + 1];
        prom_escape_name_(label, PROM_ESCAPE_UNDERSCORES, true, escaped);
        return strncmp(escaped, "__", 2) == 0;
}

static int check_label(const struct prom_desc *desc, const char *label, struct prom_error *error)
{
        if (!is_name(label))
                return prom_fail_(error, EINVAL,
                                  "metric %s: label name \"%.100s\" is not valid (UTF-8 of 1 to %d "
                                  "bytes)",
                                  desc->name, label, PROM_NAME_MAX);
        if (strncmp(label, "__", 2) == 0)
                return prom_fail_(error, EINVAL,
                                  "metric %s: label %s: names starting with __ are reserved",
                                  desc->name, label);
        if (is_reserved(label))
                return prom_fail_(error, EINVAL,
                                  "metric %.80s: label %.80s would start with __ after escaping, "
                                  "which is reserved",
                                  desc->name, label);
        const struct kind_ops *ops = prom_kind_ops_(desc->kind, false);
        if (ops->reserved_label && strcmp(label, ops->reserved_label) == 0)
                return prom_fail_(error, EINVAL, "metric %s: label %s is reserved in %s",
                                  desc->name, label, ops->phrase);
        if (prom_kind_has_(ops, KIND_STATES) && prom_labels_meet_(label, desc->name))
                return prom_fail_(error, EINVAL,
                                  "metric %s: the label of this name is reserved for its states",
                                  desc->name);
        return 0;
}

static int check_labels(const struct prom_desc *desc, struct prom_error *error)
{
        const char *seen[PROM_LABELS_MAX];
        size_t n = 0;
        const char *const *label = desc->labels;
        const struct prom_label *fixed = desc->const_labels;
        for (;;) {
                const char *name = NULL;
                if (label && *label) {
                        name = *label++;
                } else if (fixed && fixed->name) {
                        name = fixed->name;
                        if (!fixed->value || !prom_is_utf8_(fixed->value) ||
                            strlen(fixed->value) > PROM_LABEL_VALUE_MAX)
                                return prom_fail_(
                                        error, EINVAL,
                                        "metric %s: the value of constant label \"%.100s\" "
                                        "must be UTF-8 of at most %d bytes",
                                        desc->name, name, PROM_LABEL_VALUE_MAX);
                        fixed++;
                }
                if (!name)
                        return 0;
                int r = check_label(desc, name, error);
                if (r < 0)
                        return r;
                if (n == PROM_LABELS_MAX)
                        return prom_fail_(error, EINVAL, "metric %s: more than %d labels",
                                          desc->name, PROM_LABELS_MAX);
                for (size_t i = 0; i < n; i++) {
                        if (strcmp(seen[i], name) == 0)
                                return prom_fail_(error, EINVAL, "metric %s: label %s given twice",
                                                  desc->name, name);
                        if (prom_labels_meet_(seen[i], name))
                                return prom_fail_(error, EINVAL,
                                                  "metric %.80s: labels %.40s and %.40s are "
                                                  "equal after escaping",
                                                  desc->name, seen[i], name);
                }
                seen[n++] = name;
        }
}

static int check_buckets(const struct prom_desc *desc, struct prom_error *error)
{
        if (!prom_kind_has_(prom_kind_ops_(desc->kind, false), KIND_BUCKETS)) {
                if (desc->buckets || desc->n_buckets)
                        return prom_fail_(error, EINVAL, "metric %s: only a histogram has buckets",
                                          desc->name);
                return 0;
        }
        if (desc->n_buckets && !desc->buckets)
                return prom_fail_(error, EINVAL, "metric %s: n_buckets without buckets",
                                  desc->name);
        if (desc->buckets && !desc->n_buckets)
                return prom_fail_(error, EINVAL,
                                  "metric %s: buckets without n_buckets (PROM_BUCKETS() sets both)",
                                  desc->name);
        size_t n = prom_desc_n_buckets_(desc);
        const double *bounds = prom_desc_buckets_(desc);
        if (n > PROM_BUCKETS_MAX)
                return prom_fail_(error, EINVAL, "metric %s: more than %d buckets", desc->name,
                                  PROM_BUCKETS_MAX);
        for (size_t i = 0; i < n; i++)
                if (!isfinite(bounds[i]) || (i && !(bounds[i] > bounds[i - 1])))
                        return prom_fail_(error, EINVAL,
                                          "metric %s: bucket %zu must be finite and larger than "
                                          "the one before",
                                          desc->name, i);
        return 0;
}

int prom_check_desc_(const struct prom_desc *desc, struct prom_error *error)
{
        if (!desc->name || !is_name(desc->name))
                return prom_fail_(error, EINVAL,
                                  "metric name \"%.100s\" is not valid (UTF-8 of 1 to %d bytes)",
                                  desc->name ? desc->name : "", PROM_NAME_MAX);
        if (desc->kind < PROM_COUNTER || desc->kind > PROM_STATESET)
                return prom_fail_(error, EINVAL, "metric %s: %d is not a kind of metric",
                                  desc->name, (int)desc->kind);
        if (!desc->help || !prom_is_utf8_(desc->help) || strlen(desc->help) > PROM_HELP_MAX)
                return prom_fail_(error, EINVAL,
                                  "metric %s: the help must be UTF-8 of at most %d bytes",
                                  desc->name, PROM_HELP_MAX);
        if (prom_kind_has_(prom_kind_ops_(desc->kind, false), KIND_STATES) &&
            is_reserved(desc->name))
                return prom_fail_(error, EINVAL,
                                  "metric %s: its name becomes a label, and labels that start "
                                  "with __, as they are or after escaping, are reserved",
                                  desc->name);
        if (desc->max_series > PROM_SERIES_MAX)
                return prom_fail_(error, EINVAL, "metric %s: max_series is above %d", desc->name,
                                  PROM_SERIES_MAX);
        int r = check_labels(desc, error);
        if (r == 0)
                r = check_buckets(desc, error);
        return r < 0 ? r : prom_check_kind_(desc, error);
}

/* ---- misuse, where the program wants to hear of it ----------------------------------------- */

void prom_check_use_(const struct prom_family *family, int kind, size_t n_values, const char *file,
                     int line)
{
        if (!family)
                return;
        const bool right_kind = kind == 0 || (int)family->kind == kind;
        if (right_kind && family->n_labels == n_values && !LOAD(&family->collector))
                return;
        const char *wanted =
                kind ? prom_kind_ops_((enum prom_kind)kind, false)->phrase : "a metric";
        fprintf(stderr,
                "%s:%d: metric %s is used as %s with %zu label values, but it is %s%s "
                "with %u\n",
                file, line, family->name, wanted, n_values, family->ops->phrase,
                LOAD(&family->collector) ? " of a collector" : "", family->n_labels);
        abort();
}
