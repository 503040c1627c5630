/* SPDX-License-Identifier: Apache-2.0 */
#include "json/fields.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct limits {
        uint32_t cpus;
        int64_t timeout_s;
};

struct sample {
        bool flag;
        int small;
        uint64_t large;
        const char *note;
        char *owned;
        char runtime[9];
        const char *path;
        const char *const *args;
        size_t n_args;
        const char *dns[2];
        size_t n_dns;
        int mode;
        struct limits limits;
        bool has_limits;
        int doubled;
};

static const char *const modes[] = {"none", "nat", NULL};

static const struct json_field limit_fields[] = {
        JSON_FIELD(limits, cpus, U32, 1, 32, JSON_REQUIRED),
        JSON_FIELD(limits, timeout_s, I64, 1, 60, 0),
        {0},
};
static const struct json_table limit_table = {.fields = limit_fields, .strict = true};

static int decode_half(const struct json_field *f, const struct json_path *at, json_t *value,
                       void *member, struct err *err)
{
        if (!json_is_integer(value))
                return json_fail(at, err, ENOTSUP, "only whole numbers");
        *(int *)member = (int)json_integer_value(value) * 2;
        return 0;
}

static json_t *encode_half(const struct json_field *f, const void *member)
{
        return json_integer(*(const int *)member / 2);
}

static const struct json_field sample_fields[] = {
        JSON_FIELD(sample, flag, BOOL, 0, 0, JSON_REQUIRED),
        JSON_FIELD(sample, small, INT, -5, 5, 0),
        JSON_FIELD(sample, large, U64, 0, INT64_MAX, 0),
        JSON_FIELD(sample, note, TEXT, 1, 8, JSON_PRINTABLE),
        JSON_FIELD(sample, owned, TEXT, 1, 8, JSON_OWNED),
        JSON_FIELD(sample, runtime, CHARS, 1, 8, JSON_EMPTY_IS_NULL),
        JSON_FIELD(sample, path, BYTES, 1, 8, 0),
        JSON_FIELD(sample, args, LIST, 0, 3, 0, .offset2 = offsetof(struct sample, n_args)),
        JSON_FIELD(sample, dns, ARRAY, 0, 2, 0, .offset2 = offsetof(struct sample, n_dns)),
        JSON_FIELD(sample, mode, WORD, 0, 0, 0, .words = modes),
        JSON_FIELD(sample, limits, OBJECT, 0, 0, 0, .table = &limit_table,
                   .offset2 = offsetof(struct sample, has_limits)),
        JSON_FIELD(sample, doubled, CUSTOM, 0, 0, 0, .decode = decode_half, .encode = encode_half),
        {.name = "gone", .type = JSON_FIELD_CUSTOM},
        {0},
};

static const char *suggest(const struct json_table *table, const char *name)
{
        return strcmp(name, "Flag") == 0 ? "flag" : NULL;
}

static const struct json_table strict = {
        .fields = sample_fields, .strict = true, .suggest = suggest};
static const struct json_table lenient = {.fields = sample_fields};
static const struct json_table with_nulls = {.fields = sample_fields, .nulls = true};

static json_t *parse(const char *text)
{
        json_t *value = NULL;

        assert_int_equal(
                json_parse(text, strlen(text), JSON_DECODE_ANY | JSON_ALLOW_NUL, &value, NULL), 0);
        return value;
}

static void expect_error(const struct json_table *table, const char *text, int code,
                         const char *message)
{
        _cleanup_json_ json_t *value = parse(text);
        struct sample s = {0};
        struct err err = ERR_INIT;

        assert_int_equal(json_fields_decode(table, NULL, value, &s, &err), -code);
        assert_int_equal(err.code, code);
        assert_string_equal(err.msg, message);
        json_fields_release(table, &s);
        assert_int_equal(json_fields_decode(table, NULL, value, &s, NULL), -code);
        json_fields_release(table, &s);
}

static void every_kind_of_field_survives_the_round_trip(void **state)
{
        static const char text[] =
                "{\"flag\":true,\"small\":-5,\"large\":9223372036854775807,\"note\":\"a\","
                "\"owned\":\"b\",\"runtime\":\"python\",\"path\":{\"base64\":\"Y2Fm6Q==\"},"
                "\"args\":[\"x\",{\"base64\":\"/w==\"}],\"dns\":[\"1.1.1.1\"],\"mode\":\"nat\","
                "\"limits\":{\"cpus\":2,\"timeout_s\":60},\"doubled\":21}";
        _cleanup_json_ json_t *value = parse(text), *again = NULL;
        _cleanup_free_ char *back = NULL;
        struct sample s = {0};
        struct err err = ERR_INIT;

        assert_int_equal(json_fields_decode(&strict, NULL, value, &s, &err), 0);
        assert_true(s.flag && s.has_limits);
        assert_int_equal(s.small, -5);
        assert_true(s.large == INT64_MAX);
        assert_string_equal(s.note, "a");
        assert_string_equal(s.owned, "b");
        assert_string_equal(s.runtime, "python");
        assert_string_equal(s.path, "caf\xe9");
        assert_int_equal(s.n_args, 2);
        assert_string_equal(s.args[1], "\xff");
        assert_null(s.args[2]);
        assert_int_equal(s.n_dns, 1);
        assert_string_equal(s.dns[0], "1.1.1.1");
        assert_int_equal(s.mode, 1);
        assert_int_equal(s.limits.cpus, 2);
        assert_int_equal(s.doubled, 42);
        assert_int_equal(json_fields_encode(&strict, NULL, &s, &again, &err), 0);
        back = json_dumps(again, JSON_COMPACT);
        assert_string_equal(back, text);
        json_fields_release(&strict, &s);
        assert_null(s.owned);
        assert_null(s.args);
}

static void absent_and_null_members_leave_the_struct_as_it_is(void **state)
{
        _cleanup_json_ json_t *value =
                parse("{\"flag\":true,\"small\":null,\"runtime\":\"\",\"limits\":null}");
        struct sample s = {.small = 3, .runtime = "default", .mode = 1};

        assert_int_equal(json_fields_decode(&strict, NULL, value, &s, NULL), 0);
        assert_int_equal(s.small, 3);
        assert_string_equal(s.runtime, "default");
        assert_int_equal(s.mode, 1);
        assert_false(s.has_limits);
}

static void errors_name_the_field(void **state)
{
        expect_error(&strict, "[]", EINVAL, "must be a JSON object");
        expect_error(&strict, "{}", EINVAL, "flag: missing");
        expect_error(&strict, "{\"flag\":null}", EINVAL, "flag: missing");
        expect_error(&strict, "{\"flag\":1}", EINVAL, "flag: must be true or false");
        expect_error(&strict, "{\"flag\":true,\"small\":6}", ERANGE,
                     "small: 6 is not between -5 and 5");
        expect_error(&strict, "{\"flag\":true,\"small\":1.0}", EINVAL,
                     "small: must be a whole number");
        expect_error(&strict, "{\"flag\":true,\"note\":7}", EINVAL, "note: must be a string");
        expect_error(&strict, "{\"flag\":true,\"note\":\"\\u001b\"}", EINVAL,
                     "note: must not contain control characters");
        expect_error(&strict, "{\"flag\":true,\"owned\":\"a\\u0000\"}", EINVAL,
                     "owned: must not contain a NUL character");
        expect_error(&strict, "{\"flag\":true,\"owned\":\"\"}", ERANGE,
                     "owned: must have 1 to 8 bytes");
        expect_error(&strict, "{\"flag\":true,\"runtime\":\"123456789\"}", ERANGE,
                     "runtime: must have 1 to 8 bytes");
        expect_error(&strict, "{\"flag\":true,\"path\":{}}", EINVAL,
                     "path: must be a string or {\"base64\": \"…\"}");
        expect_error(&strict, "{\"flag\":true,\"path\":{\"base64\":\"\"}}", ERANGE,
                     "path: must have 1 to 8 bytes");
        expect_error(&strict, "{\"flag\":true,\"args\":\"x\"}", EINVAL,
                     "args: must be an array of strings");
        expect_error(&strict, "{\"flag\":true,\"args\":[\"a\",7]}", EINVAL,
                     "args[1]: must be a string or {\"base64\": \"…\"}");
        expect_error(&strict, "{\"flag\":true,\"dns\":[\"a\",\"b\",\"c\"]}", ERANGE,
                     "dns: must have at most 2 entries");
        expect_error(&strict, "{\"flag\":true,\"mode\":\"bridge\"}", EINVAL,
                     "mode: \"bridge\" is not one of none, nat");
        expect_error(&strict, "{\"flag\":true,\"limits\":7}", EINVAL,
                     "limits: must be a JSON object");
        expect_error(&strict, "{\"flag\":true,\"limits\":{\"cpus\":0}}", ERANGE,
                     "limits.cpus: 0 is not between 1 and 32");
        expect_error(&strict, "{\"flag\":true,\"doubled\":\"x\"}", ENOTSUP,
                     "doubled: only whole numbers");
        expect_error(&strict, "{\"flag\":true,\"gone\":1}", ENOTSUP, "gone: not supported");
}

static void unknown_members_are_an_error_only_in_strict_tables(void **state)
{
        _cleanup_json_ json_t *value = parse("{\"flag\":true,\"other\":[1]}");
        struct sample s = {0};

        expect_error(&strict, "{\"other\":1}", EINVAL, "other: unknown field");
        expect_error(&strict, "{\"Flag\":1}", EINVAL, "Flag: unknown field; did you mean flag?");
        expect_error(&strict, "{\"flag\":true,\"limits\":{\"x\":1}}", EINVAL,
                     "limits.x: unknown field");
        assert_int_equal(json_fields_decode(&lenient, NULL, value, &s, NULL), 0);
        assert_true(s.flag);
}

static void a_path_precedes_the_name_of_the_field(void **state)
{
        const struct json_path drives = {.name = "drives"}, second = {&drives, NULL, 1};
        _cleanup_json_ json_t *value = parse("{\"flag\":true,\"limits\":{}}");
        struct sample s = {0};
        struct err err = ERR_INIT;

        assert_int_equal(json_fields_decode(&strict, &second, value, &s, &err), -EINVAL);
        assert_string_equal(err.msg, "drives[1].limits.cpus: missing");
}

static void a_partial_object_may_lack_required_fields(void **state)
{
        _cleanup_json_ json_t *value = parse("{\"small\":2}");
        struct sample s = {.flag = true};

        assert_int_equal(json_fields_decode_partial(&strict, NULL, value, &s, NULL), 0);
        assert_true(s.flag);
        assert_int_equal(s.small, 2);
}

static void values_out_of_bounds_are_not_encoded(void **state)
{
        static const char *const args[] = {"a", NULL};
        struct sample s = {.small = 6};
        json_t *value = NULL;
        struct err err = ERR_INIT;

        assert_int_equal(json_fields_encode(&strict, NULL, &s, &value, &err), -ERANGE);
        assert_string_equal(err.msg, "small: 6 is not between -5 and 5");
        s = (struct sample){.path = "too long for it"};
        assert_int_equal(json_fields_encode(&strict, NULL, &s, &value, &err), -ERANGE);
        assert_string_equal(err.msg, "path: must have 1 to 8 bytes");
        s = (struct sample){.owned = (char *)"\xff"};
        assert_int_equal(json_fields_encode(&strict, NULL, &s, &value, &err), -EINVAL);
        assert_string_equal(err.msg, "owned: must be UTF-8");
        s = (struct sample){.args = args, .n_args = 2};
        assert_int_equal(json_fields_encode(&strict, NULL, &s, &value, &err), -EINVAL);
        assert_string_equal(err.msg, "args[1]: missing");
        s = (struct sample){.has_limits = true};
        assert_int_equal(json_fields_encode(&strict, NULL, &s, &value, &err), -EINVAL);
        assert_string_equal(err.msg, "limits.cpus: missing");
        s.limits.cpus = 33;
        assert_int_equal(json_fields_encode(&strict, NULL, &s, &value, &err), -ERANGE);
        assert_string_equal(err.msg, "limits.cpus: 33 is not between 1 and 32");
        assert_null(value);
}

static void printable_text_is_cut_and_cleaned_by_the_encoder(void **state)
{
        static const char *const cases[][2] = {
                {"a\nb\x1b", "a?b?"},
                {"\xc3\xa4", "\xc3\xa4"},
                {"caf\xc3\xa9\xc3\xa9 and more", "caf\xc3\xa9\xc3\xa9 "},
                {"1234567\xc3\xa4", "1234567?"},
        };

        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
                struct sample s = {.note = cases[i][0]};
                _cleanup_json_ json_t *value = NULL;

                assert_int_equal(json_fields_encode(&strict, NULL, &s, &value, NULL), 0);
                assert_string_equal(json_string_value(json_object_get(value, "note")), cases[i][1]);
        }
}

static void nulls_are_encoded_only_if_the_table_says_so(void **state)
{
        struct sample s = {0};
        _cleanup_json_ json_t *without = NULL, *with = NULL;

        assert_int_equal(json_fields_encode(&lenient, NULL, &s, &without, NULL), 0);
        assert_null(json_object_get(without, "owned"));
        assert_int_equal(json_fields_encode(&with_nulls, NULL, &s, &with, NULL), 0);
        assert_true(json_is_null(json_object_get(with, "owned")));
        assert_true(json_is_null(json_object_get(with, "gone")));
        assert_int_equal(json_object_size(with), 13);
}

static void a_required_member_without_a_value_is_encoded_as_null_if_the_table_says_so(void **state)
{
        static const struct json_field fields[] = {
                JSON_FIELD(sample, owned, TEXT, 1, 8, JSON_REQUIRED),
                JSON_FIELD(limits, cpus, U32, 1, 32, JSON_REQUIRED),
                {0},
        };
        static const struct json_table nulls = {.fields = fields, .nulls = true};
        struct sample s = {0};
        _cleanup_json_ json_t *value = NULL;

        assert_int_equal(json_fields_encode(&nulls, NULL, &s, &value, NULL), 0);
        assert_true(json_is_null(json_object_get(value, "owned")));
        assert_true(json_is_null(json_object_get(value, "cpus")));
}

static void a_copy_owns_its_texts(void **state)
{
        static const struct json_field fields[] = {
                JSON_FIELD(sample, owned, TEXT, 1, 8, JSON_OWNED),
                JSON_FIELD(sample, small, INT, -5, 5, 0),
                {0},
        };
        static const struct json_table table = {.fields = fields};
        struct sample from = {.owned = strdup("text"), .small = 4}, to;

        assert_int_equal(json_fields_copy(&table, &to, &from, sizeof(to)), 0);
        assert_string_equal(to.owned, "text");
        assert_ptr_not_equal(to.owned, from.owned);
        assert_int_equal(to.small, 4);
        json_fields_release(&table, &from);
        json_fields_release(&table, &to);
}

static void parse_errors_give_the_position(void **state)
{
        struct err err = ERR_INIT;
        json_t *value = NULL;

        assert_int_equal(json_parse("{\n  1}", 6, 0, &value, &err), -EINVAL);
        assert_string_equal(err.msg,
                            "not JSON (line 2, column 3): string or '}' expected near '1'");
        assert_int_equal(json_parse("{\"a\":1,\"a\":2}", 13, 0, &value, &err), -EINVAL);
        assert_non_null(strstr(err.msg, "duplicate object key"));
        assert_null(value);
}

static void long_names_in_a_path_are_cut(void **state)
{
        char name[4096];
        const struct json_path outer = {.name = name}, inner = {&outer, name, 0};
        const struct json_path entry = {&inner, NULL, SIZE_MAX};
        struct err err = ERR_INIT;

        memset(name, 'x', sizeof(name) - 1);
        name[sizeof(name) - 1] = '\0';
        json_fail(&entry, &err, EINVAL, "%s", "wrong");
        assert_true(strlen(err.msg) < 256);
        assert_non_null(strstr(err.msg, ": wrong"));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(every_kind_of_field_survives_the_round_trip),
                cmocka_unit_test(absent_and_null_members_leave_the_struct_as_it_is),
                cmocka_unit_test(errors_name_the_field),
                cmocka_unit_test(unknown_members_are_an_error_only_in_strict_tables),
                cmocka_unit_test(a_path_precedes_the_name_of_the_field),
                cmocka_unit_test(a_partial_object_may_lack_required_fields),
                cmocka_unit_test(values_out_of_bounds_are_not_encoded),
                cmocka_unit_test(printable_text_is_cut_and_cleaned_by_the_encoder),
                cmocka_unit_test(nulls_are_encoded_only_if_the_table_says_so),
                cmocka_unit_test(
                        a_required_member_without_a_value_is_encoded_as_null_if_the_table_says_so),
                cmocka_unit_test(a_copy_owns_its_texts),
                cmocka_unit_test(parse_errors_give_the_position),
                cmocka_unit_test(long_names_in_a_path_are_cut),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
