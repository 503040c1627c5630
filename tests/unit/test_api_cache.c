/* SPDX-License-Identifier: Apache-2.0 */
#include "api/cache.h"
#include "base/ulid.h"

#include <stdlib.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

static uint64_t deletions;

static void add(struct api_cache *c, const char *id, const char *text, size_t n)
{
        struct buf body = BUF_INIT(1 << 20);

        assert_int_equal(buf_add(&body, text, n), 0);
        api_cache_add(c, id, deletions, &body);
        buf_release(&body);
}

static bool has(struct api_cache *c, const char *id, const char *text)
{
        struct buf body = BUF_INIT(API_CACHE_BODY_MAX);
        bool found = api_cache_find(c, id, deletions, &body);

        if (found)
                assert_string_equal(body.data, text);
        buf_release(&body);
        return found;
}

static void a_cached_answer_is_found(void **state)
{
        struct api_cache *c = api_cache_new();
        char id[ULID_LEN + 1], other[ULID_LEN + 1];

        assert_int_equal(ulid_new(id, NULL), 0);
        assert_int_equal(ulid_new(other, NULL), 0);
        assert_false(has(c, id, ""));
        add(c, id, "one", 3);
        assert_true(has(c, id, "one"));
        assert_false(has(c, other, ""));
        assert_false(has(c, "", ""));
        api_cache_free(c);
}

static void a_deletion_invalidates_cached_answers(void **state)
{
        struct api_cache *c = api_cache_new();
        char id[ULID_LEN + 1];

        assert_int_equal(ulid_new(id, NULL), 0);
        add(c, id, "one", 3);
        deletions++;
        assert_false(has(c, id, ""));
        add(c, id, "one", 3);
        assert_true(has(c, id, "one"));
        api_cache_free(c);
}

static void the_cache_is_bounded(void **state)
{
        struct api_cache *c = api_cache_new();
        char id[ULID_LEN + 1], ids[4 * API_CACHE_ENTRIES][ULID_LEN + 1];
        size_t found = 0;
        char *large = calloc(1, API_CACHE_BODY_MAX + 1);

        memset(large, 'x', API_CACHE_BODY_MAX + 1);
        assert_int_equal(ulid_new(id, NULL), 0);
        add(c, id, large, API_CACHE_BODY_MAX + 1);
        assert_false(has(c, id, ""));
        for (size_t i = 0; i < 4 * API_CACHE_ENTRIES; i++) {
                assert_int_equal(ulid_new(ids[i], NULL), 0);
                add(c, ids[i], ids[i], ULID_LEN);
                assert_true(has(c, ids[i], ids[i])); /* the last one is always cached */
        }
        for (size_t i = 0; i < 4 * API_CACHE_ENTRIES; i++)
                found += has(c, ids[i], ids[i]);
        assert_true(found > 0 && found <= API_CACHE_ENTRIES);
        free(large);
        api_cache_free(c);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(a_cached_answer_is_found),
                cmocka_unit_test(a_deletion_invalidates_cached_answers),
                cmocka_unit_test(the_cache_is_bounded),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
