/* SPDX-License-Identifier: Apache-2.0 */
/* Checks that depend on the kind of metric. */
#include "prom/validate.h"

#include "prom/error.h"
#include "prom/escape.h"
#include "prom/kind.h"
#include "prom/utf8.h"

#include <errno.h>
#include <math.h>
#include <string.h>

enum { DURATION_MAX_S = 1000000000 };

static bool has(const struct prom_desc *desc, enum kind_trait trait)
{
        return prom_kind_has_(prom_kind_ops_(desc->kind, false), trait);
}

static int check_states(const struct prom_desc *desc, struct prom_error *error)
{
        size_t n = 0;
        if (has(desc, KIND_STATES) != (desc->states != NULL))
                return prom_fail_(
                        error, EINVAL,
                        "metric %s: a state set needs states, and only a state set has them",
                        desc->name);
        for (; desc->states && desc->states[n]; n++) {
                const char *state = desc->states[n];
                if (n == PROM_STATES_MAX || strlen(state) > PROM_LABEL_VALUE_MAX ||
                    !prom_is_utf8_(state))
                        return prom_fail_(
                                error, EINVAL,
                                "metric %s: a state set has at most %d states, each UTF-8 "
                                "of at most %d bytes",
                                desc->name, PROM_STATES_MAX, PROM_LABEL_VALUE_MAX);
                for (size_t i = 0; i < n; i++)
                        if (strcmp(desc->states[i], state) == 0)
                                return prom_fail_(error, EINVAL, "metric %s: state %s given twice",
                                                  desc->name, state);
        }
        if (desc->states && n == 0)
                return prom_fail_(error, EINVAL, "metric %s: no states", desc->name);
        return 0;
}

static int check_quantiles(const struct prom_desc *desc, struct prom_error *error)
{
        if (!has(desc, KIND_QUANTILES) && (desc->quantiles || desc->n_quantiles || desc->max_age_s))
                return prom_fail_(error, EINVAL, "metric %s: only a summary has quantiles",
                                  desc->name);
        if (!(desc->max_age_s >= 0 && desc->max_age_s <= DURATION_MAX_S))
                return prom_fail_(error, EINVAL, "metric %s: max_age_s must be 0 to %d", desc->name,
                                  DURATION_MAX_S);
        if (desc->n_quantiles > PROM_QUANTILES_MAX || !desc->quantiles != !desc->n_quantiles)
                return prom_fail_(error, EINVAL,
                                  "metric %s: more than %d quantiles, or n_quantiles does not "
                                  "match them",
                                  desc->name, PROM_QUANTILES_MAX);
        for (size_t i = 0; i < desc->n_quantiles; i++) {
                const double q = desc->quantiles[i];
                if (!(q >= 0 && q <= 1) || (i && !(q > desc->quantiles[i - 1])))
                        return prom_fail_(error, EINVAL,
                                          "metric %s: quantile %zu must be in [0, 1] and larger "
                                          "than the one before",
                                          desc->name, i);
        }
        return 0;
}

/* OpenMetrics 1.0, "Info": the sample has this name. */
static int check_suffix(const struct prom_desc *desc, struct prom_error *error)
{
        const struct kind_ops *ops = prom_kind_ops_(desc->kind, false);
        const size_t n = strlen(desc->name), m = ops->name_suffix ? strlen(ops->name_suffix) : 0;
        if (m == 0 || (n > m && strcmp(desc->name + n - m, ops->name_suffix) == 0))
                return 0;
        return prom_fail_(error, EINVAL, "metric %s: the name of %s ends with %s", desc->name,
                          ops->phrase, ops->name_suffix);
}

static bool is_duration(double seconds)
{
        return seconds >= 0 && seconds <= DURATION_MAX_S;
}

static int check_native(const struct prom_desc *desc, struct prom_error *error)
{
        if (desc->native_factor == 0) {
                if (desc->native_max_buckets || desc->native_zero_threshold ||
                    desc->native_max_zero_threshold || desc->native_min_reset_s)
                        return prom_fail_(error, EINVAL,
                                          "metric %s: native buckets need a native_factor",
                                          desc->name);
                return 0;
        }
        if (!has(desc, KIND_BUCKETS))
                return prom_fail_(error, EINVAL, "metric %s: only a histogram has native buckets",
                                  desc->name);
        if (!(desc->native_factor > 1) || !isfinite(desc->native_factor))
                return prom_fail_(error, EINVAL, "metric %s: native_factor must be above 1",
                                  desc->name);
        if (desc->native_max_buckets > PROM_NATIVE_BUCKETS_MAX)
                return prom_fail_(error, EINVAL, "metric %s: native_max_buckets is above %d",
                                  desc->name, PROM_NATIVE_BUCKETS_MAX);
        if (!isfinite(desc->native_zero_threshold) || !isfinite(desc->native_max_zero_threshold) ||
            desc->native_max_zero_threshold < 0 || !is_duration(desc->native_min_reset_s))
                return prom_fail_(error, EINVAL,
                                  "metric %s: a zero threshold is not finite, or a duration is not "
                                  "0 to %d seconds",
                                  desc->name, DURATION_MAX_S);
        return 0;
}

/* OpenMetrics 1.0, "Unit": the name of the family must end with it. */
static int check_unit(const struct prom_desc *desc, struct prom_error *error)
{
        if (!desc->unit)
                return 0;
        if (!has(desc, KIND_UNIT))
                return prom_fail_(error, EINVAL, "metric %s: an info or state set has no unit",
                                  desc->name);
        size_t n = strlen(desc->name), unit = strlen(desc->unit);
        if (has(desc, KIND_GROWS) && n > 6 && strcmp(desc->name + n - 6, "_total") == 0)
                n -= 6;
        bool valid = unit > 0 && unit <= PROM_UNIT_MAX;
        for (size_t i = 0; valid && i < unit; i++)
                valid = prom_is_name_char_(desc->unit[i]);
        if (!valid || n <= unit + 1 || desc->name[n - unit - 1] != '_' ||
            memcmp(desc->name + n - unit, desc->unit, unit) != 0)
                return prom_fail_(error, EINVAL,
                                  "metric %s: its name must end with _ and its unit \"%.40s\" "
                                  "(letters, digits, _ and :, at most %d bytes)",
                                  desc->name, desc->unit, PROM_UNIT_MAX);
        return 0;
}

static int check_idle_timeout(const struct prom_desc *desc, struct prom_error *error)
{
        if (desc->idle_timeout_s > 0 && !has(desc, KIND_CHANGES))
                return prom_fail_(error, EINVAL,
                                  "metric %s: an info cannot be idle, because it never changes",
                                  desc->name);
        if (desc->idle_remove && desc->idle_timeout_s == 0)
                return prom_fail_(error, EINVAL, "metric %s: idle_remove needs an idle_timeout_s",
                                  desc->name);
        if (is_duration(desc->idle_timeout_s))
                return 0;
        return prom_fail_(error, EINVAL, "metric %s: idle_timeout_s must be 0 to %d", desc->name,
                          DURATION_MAX_S);
}

int prom_check_kind_(const struct prom_desc *desc, struct prom_error *error)
{
        static int (*const checks[])(const struct prom_desc *, struct prom_error *) = {
                check_states, check_quantiles, check_suffix,
                check_native, check_unit,      check_idle_timeout,
        };
        for (size_t i = 0; i < sizeof(checks) / sizeof(checks[0]); i++) {
                int r = checks[i](desc, error);
                if (r < 0)
                        return r;
        }
        return 0;
}
