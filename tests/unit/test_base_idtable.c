/* SPDX-License-Identifier: Apache-2.0 */
#include "base/idtable.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

enum { OBJECTS = 1000 };

struct object {
        int number;
        char id[16];
        struct idtable_entry by_id;
};

static struct object objects[OBJECTS];

static struct object *find(const struct idtable *table, const char *id)
{
        return IDTABLE_OBJECT(idtable_find(table, id), struct object, by_id);
}

/* Adds all objects, with ids "id-0", "id-1" and so on. */
static void fill(struct idtable *table, size_t expected)
{
        assert_int_equal(idtable_init(table, expected), 0);
        for (int i = 0; i < OBJECTS; i++) {
                objects[i].number = i;
                snprintf(objects[i].id, sizeof(objects[i].id), "id-%d", i);
                idtable_add(table, &objects[i].by_id, objects[i].id);
        }
}

static void an_empty_table_finds_nothing(void **state)
{
        struct idtable table;

        assert_int_equal(idtable_init(&table, 0), 0);
        assert_null(idtable_find(&table, "id"));
        assert_null(idtable_find(&table, ""));
        idtable_release(&table);
}

static void a_table_that_grows_still_finds_every_object(void **state)
{
        struct idtable table;

        fill(&table, 0);
        assert_int_equal(table.n_entries, OBJECTS);
        assert_true(table.n_buckets >= OBJECTS);
        for (int i = 0; i < OBJECTS; i++)
                assert_ptr_equal(find(&table, objects[i].id), &objects[i]);
        assert_null(find(&table, "id-1000"));
        idtable_release(&table);
}

static void a_table_of_the_expected_size_does_not_grow(void **state)
{
        struct idtable table, before;

        assert_int_equal(idtable_init(&before, OBJECTS), 0);
        fill(&table, OBJECTS);
        assert_int_equal(table.n_buckets, before.n_buckets);
        idtable_release(&before);
        idtable_release(&table);
}

static void a_removed_object_is_not_found_and_the_others_are(void **state)
{
        struct idtable table;

        fill(&table, 0);
        for (int i = 0; i < OBJECTS; i += 3)
                idtable_remove(&table, &objects[i].by_id);
        for (int i = 0; i < OBJECTS; i++)
                assert_ptr_equal(find(&table, objects[i].id), i % 3 == 0 ? NULL : &objects[i]);
        for (int i = 0; i < OBJECTS; i++)
                if (i % 3)
                        idtable_remove(&table, &objects[i].by_id);
        assert_int_equal(table.n_entries, 0);
        idtable_release(&table);
}

static void a_removed_object_can_be_added_again(void **state)
{
        struct object object = {.id = "again"};
        struct idtable table;

        assert_int_equal(idtable_init(&table, 0), 0);
        for (int i = 0; i < 3; i++) {
                idtable_add(&table, &object.by_id, object.id);
                assert_ptr_equal(find(&table, "again"), &object);
                idtable_remove(&table, &object.by_id);
                assert_null(find(&table, "again"));
        }
        idtable_release(&table);
}

static void ids_with_the_same_hash_are_distinguished(void **state)
{
        /* A known collision of 32-bit FNV-1a. */
        struct object a = {.id = "costarring"}, b = {.id = "liquid"};
        struct idtable table;

        assert_int_equal(idtable_hash(a.id), idtable_hash(b.id));
        assert_int_equal(idtable_init(&table, 0), 0);
        idtable_add(&table, &a.by_id, a.id);
        assert_null(find(&table, b.id));
        idtable_add(&table, &b.by_id, b.id);
        assert_ptr_equal(find(&table, a.id), &a);
        assert_ptr_equal(find(&table, b.id), &b);
        idtable_remove(&table, &b.by_id);
        assert_ptr_equal(find(&table, a.id), &a);
        idtable_release(&table);
}

static void the_hash_is_fnv_1a(void **state)
{
        /* Test vectors of draft-eastlake-fnv, appendix C. */
        assert_int_equal(idtable_hash(""), 0x811c9dc5);
        assert_int_equal(idtable_hash("a"), 0xe40c292c);
        assert_int_equal(idtable_hash("foobar"), 0xbf9cf968);
}

static void releasing_a_zeroed_table_is_harmless(void **state)
{
        struct idtable table = {0};

        idtable_release(&table);
        idtable_release(&table);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(an_empty_table_finds_nothing),
                cmocka_unit_test(a_table_that_grows_still_finds_every_object),
                cmocka_unit_test(a_table_of_the_expected_size_does_not_grow),
                cmocka_unit_test(a_removed_object_is_not_found_and_the_others_are),
                cmocka_unit_test(a_removed_object_can_be_added_again),
                cmocka_unit_test(ids_with_the_same_hash_are_distinguished),
                cmocka_unit_test(the_hash_is_fnv_1a),
                cmocka_unit_test(releasing_a_zeroed_table_is_harmless),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
