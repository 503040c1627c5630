/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The macros and inline functions of prom.h. Callers need not read this: metrics.h, collector.h and
 * reader.h document prom_gauge_set(), prom_count_failure(), prom_..._with(), the scopes and the C++
 * wrappers.
 */
#pragma once

#include "prom/collector.h"
#include "prom/metrics.h"
#include "prom/reader.h"

#ifdef PROM_CATCHES_
#include <cxxabi.h>
#include <exception>
#endif

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

/* Strict C and C++ do not drop the comma before an empty __VA_ARGS__, and g++ takes no address of
 * an unnamed array. Hence each macro comes in two forms, 0_ for a family alone and 1_ for one with
 * values; X_ stops compilation if there are too many values. */
#define PROM_HAS_VALUES_(...)                                                                      \
        PROM_PICK_(__VA_ARGS__, X_, X_, X_, X_, X_, X_, X_, X_, X_, X_, X_, X_, X_, X_, X_, X_,    \
                   1_, 1_, 1_, 1_, 1_, 1_, 1_, 1_, 1_, 1_, 1_, 1_, 1_, 1_, 1_, 1_, 0_, 0)
#define PROM_PICK_(_0, _1, _2, _3, _4, _5, _6, _7, _8, _9, _10, _11, _12, _13, _14, _15, _16, _17, \
                   _18, _19, _20, _21, _22, _23, _24, _25, _26, _27, _28, _29, _30, _31, _32,      \
                   picked, ...)                                                                    \
        picked
#ifdef __cplusplus
#define PROM_TOO_MANY_VALUES_()                                                                    \
        static_assert(false, "a metric has at most 16 labels (PROM_LABELS_MAX)")
#else
#define PROM_TOO_MANY_VALUES_()                                                                    \
        _Static_assert(0, "a metric has at most 16 labels (PROM_LABELS_MAX)")
#endif
#define PROM_PASTE_(a, b) PROM_PASTE_EXPANDED_(a, b)
#define PROM_PASTE_EXPANDED_(a, b) a##b

#define PROM_VALUES_HERE_(...) const char *const prom_values_here_[] = {__VA_ARGS__}
#define PROM_N_VALUES_HERE_ (sizeof(prom_values_here_) / sizeof(prom_values_here_[0]))

/* With PROM_DEBUG, a look-up with the wrong kind or number of values prints file and line and
 * aborts. Without it, the look-up returns NULL and is counted. kind 0: any. */
void prom_check_use_(const struct prom_family *family, int kind, size_t n_values, const char *file,
                     int line);
#ifdef PROM_DEBUG
#define PROM_CHECK_USE_(family_, kind_, n_)                                                        \
        prom_check_use_(family_, (int)(kind_), n_, __FILE__, __LINE__)
#else
#define PROM_CHECK_USE_(family_, kind_, n_) (void)0
#endif
enum {
        PROM_KIND_OF_prom_info_with_values = PROM_INFO,
        PROM_KIND_OF_prom_info_set_values = PROM_INFO,
        PROM_KIND_OF_prom_stateset_with_values = PROM_STATESET,
        PROM_KIND_OF_prom_remove_values = 0,
};

#define PROM_CALL_(call, ...)                                                                      \
        PROM_PASTE_(PROM_CALL_, PROM_HAS_VALUES_(__VA_ARGS__))(call, __VA_ARGS__)
#define PROM_CALL_0_(call, family)                                                                 \
        __extension__({                                                                            \
                struct prom_family *prom_family_here_ = (family);                                  \
                PROM_CHECK_USE_(prom_family_here_, PROM_KIND_OF_##call, 0);                        \
                call(prom_family_here_, NULL, 0);                                                  \
        })
#define PROM_CALL_1_(call, family, ...)                                                            \
        __extension__({                                                                            \
                PROM_VALUES_HERE_(__VA_ARGS__);                                                    \
                struct prom_family *prom_family_here_ = (family);                                  \
                PROM_CHECK_USE_(prom_family_here_, PROM_KIND_OF_##call, PROM_N_VALUES_HERE_);      \
                call(prom_family_here_, prom_values_here_, PROM_N_VALUES_HERE_);                   \
        })
#define PROM_CALL_X_(call, ...)                                                                    \
        __extension__({                                                                            \
                PROM_TOO_MANY_VALUES_();                                                           \
                call(NULL, NULL, 0);                                                               \
        })

#define PROM_EMIT_0_(emitter, index, v) prom_emit_values(emitter, index, v, NULL, 0)
#define PROM_EMIT_1_(emitter, index, v, ...)                                                       \
        __extension__({                                                                            \
                PROM_VALUES_HERE_(__VA_ARGS__);                                                    \
                prom_emit_values(emitter, index, v, prom_values_here_, PROM_N_VALUES_HERE_);       \
        })

#define PROM_EMIT_X_(emitter, index, ...)                                                          \
        __extension__({                                                                            \
                PROM_TOO_MANY_VALUES_();                                                           \
                (void)(emitter);                                                                   \
        })
#define PROM_EMIT_HISTOGRAM_X_(emitter, index, counts, ...) PROM_EMIT_X_(emitter, index, 0)

#define PROM_EMIT_HISTOGRAM_0_(emitter, index, counts, n_counts, sum)                              \
        prom_emit_histogram_values(emitter, index, counts, n_counts, sum, NULL, 0)
#define PROM_EMIT_HISTOGRAM_1_(emitter, index, counts, n_counts, sum, ...)                         \
        __extension__({                                                                            \
                PROM_VALUES_HERE_(__VA_ARGS__);                                                    \
                prom_emit_histogram_values(emitter, index, counts, n_counts, sum,                  \
                                           prom_values_here_, PROM_N_VALUES_HERE_);                \
        })

/* Look-ups by up to 4 values, which are passed in registers, and by any number. */
void *prom_with_1_(struct prom_family *family, enum prom_kind kind, const char *a);
void *prom_with_2_(struct prom_family *family, enum prom_kind kind, const char *a, const char *b);
void *prom_with_3_(struct prom_family *family, enum prom_kind kind, const char *a, const char *b,
                   const char *c);
void *prom_with_4_(struct prom_family *family, enum prom_kind kind, const char *a, const char *b,
                   const char *c, const char *d);
void *prom_with_many_(struct prom_family *family, enum prom_kind kind, const char *const *values,
                      size_t n);
enum {
        PROM_KIND_counter_ = PROM_COUNTER,
        PROM_KIND_gauge_ = PROM_GAUGE,
        PROM_KIND_histogram_ = PROM_HISTOGRAM,
        PROM_KIND_summary_ = PROM_SUMMARY,
};

#define PROM_WITH_(kind_, ...)                                                                     \
        PROM_PASTE_(PROM_WITH_, PROM_HAS_VALUES_(__VA_ARGS__))(kind_, __VA_ARGS__)
#define PROM_WITH_0_(kind_, family_)                                                               \
        PROM_WITH_FOUND_(kind_, family_, 0,                                                        \
                         prom_with_many_(prom_family_here_, prom_kind_here_, NULL, 0))
#define PROM_WITH_1_(kind_, family_, ...)                                                          \
        PROM_WITH_FOUND_(kind_, family_, PROM_N_VALUES_(__VA_ARGS__),                              \
                         PROM_FEW_(PROM_FIND_, __VA_ARGS__))
#define PROM_WITH_X_(kind_, ...)                                                                   \
        __extension__({                                                                            \
                PROM_TOO_MANY_VALUES_();                                                           \
                (struct prom_##kind_ *)0;                                                          \
        })
#define PROM_N_VALUES_(...)                                                                        \
        PROM_PICK_(0, __VA_ARGS__, 32, 31, 30, 29, 28, 27, 26, 25, 24, 23, 22, 21, 20, 19, 18, 17, \
                   16, 15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0)
#define PROM_WITH_FOUND_(kind_, family_, n_values_, find_)                                         \
        __extension__({                                                                            \
                const enum prom_kind prom_kind_here_ = (enum prom_kind)PROM_KIND_##kind_##_;       \
                struct prom_family *prom_family_here_ = (family_);                                 \
                PROM_CHECK_USE_(prom_family_here_, prom_kind_here_, n_values_);                    \
                (struct prom_##kind_ *)find_;                                                      \
        })

/* macro_1_(values) to macro_4_(values), or macro_many_(values) if there are more than 4. */
#define PROM_FEW_(macro_, ...)                                                                     \
        PROM_PASTE_(macro_,                                                                        \
                    PROM_PICK_(0, __VA_ARGS__, many_, many_, many_, many_, many_, many_, many_,    \
                               many_, many_, many_, many_, many_, many_, many_, many_, many_,      \
                               many_, many_, many_, many_, many_, many_, many_, many_, many_,      \
                               many_, many_, many_, 4_, 3_, 2_, 1_, 0))                            \
        (__VA_ARGS__)

#define PROM_FIND_1_(a) prom_with_1_(prom_family_here_, prom_kind_here_, a)
#define PROM_FIND_2_(a, b) prom_with_2_(prom_family_here_, prom_kind_here_, a, b)
#define PROM_FIND_3_(a, b, c) prom_with_3_(prom_family_here_, prom_kind_here_, a, b, c)
#define PROM_FIND_4_(a, b, c, d) prom_with_4_(prom_family_here_, prom_kind_here_, a, b, c, d)
#define PROM_FIND_many_(...)                                                                       \
        __extension__({                                                                            \
                PROM_VALUES_HERE_(__VA_ARGS__);                                                    \
                prom_with_many_(prom_family_here_, prom_kind_here_, prom_values_here_,             \
                                PROM_N_VALUES_HERE_);                                              \
        })

/* The beginning of struct prom_series. */
struct prom_series_head_ {
        uint32_t cell;
        uint8_t state;
        uint64_t *word;
};
enum { PROM_SERIES_REMOVED_ = 2 };

void prom_gauge_ignored_(struct prom_gauge *gauge);

static inline void prom_gauge_set(struct prom_gauge *gauge, double v)
{
        struct prom_series_head_ *series = (struct prom_series_head_ *)(void *)gauge;
        if (__builtin_expect(!series || __atomic_load_n(&series->state, __ATOMIC_RELAXED) ==
                                                PROM_SERIES_REMOVED_,
                             0)) {
                prom_gauge_ignored_(gauge);
                return;
        }
        uint64_t bits;
        __builtin_memcpy(&bits, &v, sizeof(bits));
        __atomic_store_n(series->word, bits, __ATOMIC_RELAXED);
}

static inline int prom_count_failure(struct prom_counter *counter, int result)
{
        if (result < 0)
                prom_counter_inc(counter);
        return result;
}

/* Calls a collector. In C++ it catches all exceptions. */
typedef void prom_guard_fn_(prom_collect_fn *collect, struct prom_emitter *emitter, void *data);
int prom_register_guarded_(struct prom_registry *registry, const struct prom_desc *descs, size_t n,
                           prom_collect_fn *collect, void *data, prom_guard_fn_ *guard,
                           struct prom_collector **ret_collector, struct prom_error *error);
int prom_register_guarded_value_(struct prom_registry *registry, const struct prom_desc *desc,
                                 prom_value_fn *value, void *data, prom_guard_fn_ *guard,
                                 struct prom_collector **ret_collector, struct prom_error *error);
void prom_collector_failed_(struct prom_emitter *emitter);

int prom_visit_(struct prom_registry *registry, prom_visit_fn *visit, void *data);

#ifdef PROM_CATCHES_
struct prom_visit_guard_ {
        prom_visit_fn *visit;
        void *data;
        std::exception_ptr *thrown;
};

static inline int prom_visit_guarded_(const struct prom_view *family,
                                      const struct prom_point *point, void *data)
{
        struct prom_visit_guard_ *guard = static_cast<struct prom_visit_guard_ *>(data);
        try {
                return guard->visit(family, point, guard->data);
        } catch (abi::__forced_unwind &) {
                throw;
        } catch (...) {
                *guard->thrown = std::current_exception();
                return -1;
        }
}

static inline int prom_visit(struct prom_registry *registry, prom_visit_fn *visit, void *data)
{
        std::exception_ptr thrown;
        struct prom_visit_guard_ guard = {visit, data, &thrown};
        int r = prom_visit_(registry, prom_visit_guarded_, &guard);
        if (thrown)
                std::rethrow_exception(thrown);
        return r;
}

static inline void prom_guard_(prom_collect_fn *collect, struct prom_emitter *emitter, void *data)
{
        try {
                collect(emitter, data);
        } catch (abi::__forced_unwind &) { /* pthread_exit(): catching it would abort the program */
                throw;
        } catch (...) {
                prom_collector_failed_(emitter);
        }
}

static inline int prom_register_collector(struct prom_registry *registry,
                                          const struct prom_desc *descs, size_t n,
                                          prom_collect_fn *collect, void *data,
                                          struct prom_collector **ret_collector,
                                          struct prom_error *error)
{
        return prom_register_guarded_(registry, descs, n, collect, data, prom_guard_, ret_collector,
                                      error);
}

static inline int prom_register_value(struct prom_registry *registry, const struct prom_desc *desc,
                                      prom_value_fn *value, void *data,
                                      struct prom_collector **ret_collector,
                                      struct prom_error *error)
{
        return prom_register_guarded_value_(registry, desc, value, data, prom_guard_, ret_collector,
                                            error);
}
#endif

/* For libprom-push: whether the registry has a histogram with native buckets, which text cannot
 * show. */
int prom_has_native_(struct prom_registry *registry);

/* For libprom-push: compresses n bytes to a gzip file in memory from malloc(). -ENOTSUP if gzip is
 * not built in; -ENOMEM. */
int prom_gzip_(const char *data, size_t n, char **ret_data, size_t *ret_n);

#define PROM_UNIQUE_(name) PROM_PASTE_(name, __COUNTER__)

struct prom_time_scope_ {
        struct prom_histogram *histogram;
        uint64_t start_ns;
};

static inline void prom_time_scope_end_(struct prom_time_scope_ *scope)
{
        prom_histogram_observe_since_ns(scope->histogram, scope->start_ns);
}

struct prom_summary_time_scope_ {
        struct prom_summary *summary;
        uint64_t start_ns;
};

static inline void prom_summary_time_scope_end_(struct prom_summary_time_scope_ *scope)
{
        prom_summary_observe_since_ns(scope->summary, scope->start_ns);
}

static inline struct prom_gauge *prom_in_progress_begin_(struct prom_gauge *gauge)
{
        prom_gauge_inc(gauge);
        return gauge;
}

static inline void prom_in_progress_end_(struct prom_gauge **gauge)
{
        prom_gauge_dec(*gauge);
}

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif
