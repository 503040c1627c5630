/* SPDX-License-Identifier: Apache-2.0 */
/* Lines of the log: their content, and what happens if standard error is blocked. */
#include "base/log.h"
#include "base/log_writer.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <limits.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static char line[LOG_LINE_MAX + 1];
static size_t n_lines;

static bool keep(const char *text, size_t n)
{
        assert_true(n <= LOG_LINE_MAX);
        assert_int_equal(text[n - 1], '\n');
        memcpy(line, text, n - 1);
        line[n - 1] = '\0';
        assert_null(strpbrk(line, "\r\n"));
        n_lines++;
        return true;
}

static int set_up(void **state)
{
        n_lines = 0;
        log_set_sink(keep);
        log_set_format(LOG_FORMAT_TEXT);
        log_set_level(LOG_LEVEL_INFO);
        return 0;
}

static int tear_down(void **state)
{
        log_set_sink(NULL);
        log_set_format(LOG_FORMAT_TEXT);
        return 0;
}

static json_t *object(void)
{
        json_t *json = json_loads(line, 0, NULL);

        if (!json)
                fail_msg("not JSON: %s", line);
        return json;
}

static const char *member(const json_t *json, const char *name)
{
        return json_string_value(json_object_get(json, name));
}

static void a_line_of_text_has_level_and_message(void **state)
{
        log_warn("%d of %s", 3, "four");
        assert_string_equal(line, "warn: 3 of four");
        log_debug("not logged");
        assert_int_equal(n_lines, 1);
}

static void no_message_forges_a_line(void **state)
{
        const struct log_field fields[] = {
                {.name = "path", .text = "/a b\nerror: forged=\"1\"\x9b"},
                {.name = "plain", .text = "/v1/x"},
                {.name = "empty", .text = ""},
                {.name = "status", .number = 404},
                {.name = "ms", .number = 0.125}};

        log_info("from %s", "a\r\nerror: b\x1b[2J\xe2\x80\xae");
        assert_string_equal(line, "info: from a??error: b?[2J?");
        log_fields(LOG_LEVEL_INFO, fields, 5, "request");
        assert_string_equal(line,
                            "info: request path=\"/a b?error: forged=\\\"1\\\"?\" plain=/v1/x "
                            "empty=\"\" status=404 ms=0.125");
}

static void json_is_one_object_per_line(void **state)
{
        const struct log_field fields[] = {
                {.name = "path",
                 .text = "/\"\\\n\x1b\xc2\x9b\xe2\x80\xae\xf3\xa0\x80\x81\xff\xc3\xa9"},
                {.name = "status", .number = 404}};
        json_t *json;

        log_set_format(LOG_FORMAT_JSON);
        log_fields(LOG_LEVEL_INFO, fields, 2, "request");
        for (const char *c = line; *c; c++)
                assert_true((unsigned char)*c >= ' ');
        assert_null(strstr(line, "\xc2\x9b"));
        json = object();
        assert_string_equal(member(json, "level"), "info");
        assert_string_equal(member(json, "msg"), "request");
        assert_string_equal(member(json, "path"),
                            "/\"\\\n\x1b\xc2\x9b\xe2\x80\xae\xf3\xa0\x80\x81\xef\xbf\xbd\xc3\xa9");
        assert_int_equal((int)json_number_value(json_object_get(json, "status")), 404);
        assert_int_equal(strlen(member(json, "ts")), strlen("2026-01-01T00:00:00.000Z"));
        json_decref(json);
}

static void a_workload_has_a_member(void **state)
{
        json_t *json;

        log_set_format(LOG_FORMAT_JSON);
        log_info("workload %s: ended", "01ARZ3NDEKTSV4RRFFQ69G5FAV");
        json = object();
        assert_string_equal(member(json, "workload"), "01ARZ3NDEKTSV4RRFFQ69G5FAV");
        json_decref(json);
        log_info("workload nobody knows");
        json = object();
        assert_null(member(json, "workload"));
        json_decref(json);
}

static void a_long_message_is_cut_to_one_line(void **state)
{
        char text[2 * LOG_LINE_MAX];
        struct log_field fields[3];
        json_t *json;

        memset(text, '\x01', sizeof(text) - 1);
        text[sizeof(text) - 1] = '\0';
        for (int i = 0; i < 3; i++)
                fields[i] = (struct log_field){.name = "f", .text = text};
        log_set_format(LOG_FORMAT_JSON);
        log_fields(LOG_LEVEL_INFO, fields, 3, text);
        json = object();
        assert_int_equal(strlen(member(json, "msg")), LOG_MESSAGE_MAX);
        json_decref(json);
        log_error("%s", text);
        json_decref(object());
}

/* ---- the thread that writes ---- */

/* Standard error becomes a pipe; returns its reading end. */
static int replace_stderr(int *ret_was)
{
        int fds[2];

        assert_int_equal(pipe(fds), 0);
        *ret_was = dup(STDERR_FILENO);
        dup2(fds[1], STDERR_FILENO);
        close(fds[1]);
        return fds[0];
}

static void restore_stderr(int was)
{
        dup2(was, STDERR_FILENO);
        close(was);
}

static void *read_all(void *arg)
{
        char **ret = arg;
        size_t n = 0, size = 4 * LOG_QUEUE_MAX;
        int fd = atoi(*ret);
        ssize_t got;

        *ret = malloc(size);
        while ((got = read(fd, *ret + n, size - n - 1)) > 0)
                n += (size_t)got;
        (*ret)[n] = '\0';
        return NULL;
}

/* Nobody reads the pipe: logging does not wait, lines are dropped and counted, and a later line
 * reports the number. */
static void a_full_pipe_delays_no_thread(void **state)
{
        char number[16], *text = number;
        struct err err = ERR_INIT;
        unsigned at_line = 0, dropped = 0;
        uint64_t before = log_writer_dropped();
        pthread_t reader;
        int was, fd = replace_stderr(&was);

        log_set_sink(NULL);
        assert_int_equal(log_writer_start(&err), 0);
        for (unsigned i = 0; i < 10000; i++)
                log_info("line %05u, and so many words that the pipe and the queue are soon full",
                         i);
        assert_true(log_writer_dropped() > before);
        snprintf(number, sizeof(number), "%d", fd);
        pthread_create(&reader, NULL, read_all, &text);
        log_writer_stop();
        restore_stderr(was);
        pthread_join(reader, NULL);
        close(fd);
        for (char *at = strtok(text, "\n"); at; at = strtok(NULL, "\n")) {
                unsigned i, n;

                if (sscanf(at, "info: line %u,", &i) == 1)
                        assert_int_equal(i, at_line++);
                else if (sscanf(at, "warn: %u lines were dropped here", &n) == 1)
                        at_line += n, dropped += n;
                else
                        fail_msg("a broken line: %s", at);
        }
        assert_int_equal(at_line, 10000);
        assert_int_equal(log_writer_dropped() - before, dropped);
        free(text);
}

static void the_stop_waits_for_a_reader_for_a_limited_time(void **state)
{
        struct err err = ERR_INIT;
        int was, fd = replace_stderr(&was);

        log_set_sink(NULL);
        assert_int_equal(log_writer_start(&err), 0);
        for (unsigned i = 0; i < 10000; i++)
                log_info("line %05u, and so many words that the pipe and the queue are soon full",
                         i);
        log_writer_stop(); /* would hang otherwise */
        restore_stderr(was);
        close(fd);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
        const struct CMUnitTest tests[] = {
                TEST(a_line_of_text_has_level_and_message),
                TEST(no_message_forges_a_line),
                TEST(json_is_one_object_per_line),
                TEST(a_workload_has_a_member),
                TEST(a_long_message_is_cut_to_one_line),
                TEST(a_full_pipe_delays_no_thread),
                TEST(the_stop_waits_for_a_reader_for_a_limited_time),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
