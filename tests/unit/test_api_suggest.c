/* SPDX-License-Identifier: Apache-2.0 */
/* Suggestions for unknown members. */
#include "api/submission.h"
#include "api/suggest.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

/* The message about a body with this additional member. */
static void check(const char *field, const char *want)
{
        struct err err = ERR_INIT;
        struct api_submission submission;
        char body[512];

        snprintf(body, sizeof(body), "{\"runtime\":\"sh\",\"code\":\"x\",%s}", field);
        assert_int_equal(api_submission_parse(body, strlen(body), &submission, &err), -EINVAL);
        if (strcmp(err.msg, want) != 0)
                fail_msg("%s: \"%s\", not \"%s\"", field, err.msg, want);
}

static void names_of_other_services_are_recognised(void **state)
{
        check("\"stdin\":\"x\"", "stdin: unknown field; did you mean input?");
        check("\"stdin_base64\":\"x\"", "stdin_base64: unknown field; did you mean input_base64?");
        check("\"timeout\":5", "timeout: unknown field; did you mean resources.timeout_s?");
        check("\"memory\":5", "memory: unknown field; did you mean resources.mem_mb?");
        check("\"memory_mb\":5", "memory_mb: unknown field; did you mean resources.mem_mb?");
        check("\"cpus\":5", "cpus: unknown field; did you mean resources.cpus?");
        check("\"language\":\"x\"", "language: unknown field; did you mean runtime?");
        check("\"image\":\"x\"", "image: unknown field; did you mean runtime?");
        check("\"cmd\":[]", "cmd: unknown field; did you mean args?");
        check("\"script\":\"x\"", "script: unknown field; did you mean code?");
        check("\"archive\":\"x\"", "archive: unknown field; did you mean code_archive?");
        check("\"environment\":{}", "environment: unknown field; did you mean env?");
        check("\"resources\":{\"timeout\":1}",
              "resources.timeout: unknown field; did you mean resources.timeout_s?");
        check("\"resources\":{\"memory\":1}",
              "resources.memory: unknown field; did you mean resources.mem_mb?");
        check("\"resources\":{\"vcpus\":1}",
              "resources.vcpus: unknown field; did you mean resources.cpus?");
        check("\"resources\":{\"env\":1}", "resources.env: unknown field");
}

static void other_spellings_are_recognised(void **state)
{
        check("\"timeoutSeconds\":5",
              "timeoutSeconds: unknown field; did you mean resources.timeout_s?");
        check("\"codeArchive\":\"x\"", "codeArchive: unknown field; did you mean code_archive?");
        check("\"Args\":[]", "Args: unknown field; did you mean args?");
        check("\"resources\":{\"mem-mb\":1}",
              "resources.mem-mb: unknown field; did you mean resources.mem_mb?");
}

static void typos_are_recognised(void **state)
{
        check("\"runtme\":\"x\"", "runtme: unknown field; did you mean runtime?");
        check("\"netwrok\":\"nat\"", "netwrok: unknown field; did you mean network?");
        check("\"resources\":{\"timeot_s\":1}",
              "resources.timeot_s: unknown field; did you mean resources.timeout_s?");
}

static void unrelated_names_get_no_suggestion(void **state)
{
        check("\"colour\":\"x\"", "colour: unknown field");
        check("\"x\":1", "x: unknown field");
        check("\"\":1", ": unknown field");
        check("\"\\u202e\\u009b\":1", "??: unknown field");
}

/* A member that does not exist is not suggested. */
static void only_existing_members_are_suggested(void **state)
{
        const char *const known[] = {"code"}, *const more[] = {"code", "fetch"};

        assert_null(api_suggest_field("", "artifacts", known, 1));
        assert_string_equal(api_suggest_field("", "artifacts", more, 2), "fetch");
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(names_of_other_services_are_recognised),
                cmocka_unit_test(other_spellings_are_recognised),
                cmocka_unit_test(typos_are_recognised),
                cmocka_unit_test(unrelated_names_get_no_suggestion),
                cmocka_unit_test(only_existing_members_are_suggested),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
