/* SPDX-License-Identifier: Apache-2.0 */
/* Metrics lines: format, deltas, files and FIFOs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fs.h"
#include "vmm/config.h"
#include "vmm/metrics.h"

static json_int_t value(const json_t *line, const char *group, const char *key)
{
        const json_t *v = json_object_get(json_object_get(line, group), key);

        assert_non_null(v);
        return json_integer_value(v);
}

static json_t *render(const struct vmm_metrics *now, const struct vmm_metrics *last)
{
        struct buf b = BUF_INIT(4096);
        json_t *line;

        assert_int_equal(metrics_render(&b, &(struct metrics_head){0}, now, last, 1234), 0);
        assert_int_equal(b.data[b.len - 1], '\n');
        assert_ptr_equal(strchr(b.data, '\n'), b.data + b.len - 1); /* one line */
        line = json_loadb(b.data, b.len, JSON_REJECT_DUPLICATES, NULL);
        assert_non_null(line);
        buf_release(&b);
        return line;
}

static void a_line_has_the_growth_since_the_last_one(void **state)
{
        struct vmm_metrics last = {.vsock_rx_bytes_count = 100, .process_startup_time_us = 50};
        struct vmm_metrics now = {.vsock_rx_bytes_count = 175,
                                  .vsock_conns_added = 3,
                                  .process_startup_time_us = 50,
                                  .put_drive_count = 2};
        json_t *line = render(&now, &last);

        (void)state;
        assert_int_equal(json_integer_value(json_object_get(line, "utc_timestamp_ms")), 1234);
        assert_int_equal(value(line, "vsock", "rx_bytes_count"), 75);
        assert_int_equal(value(line, "vsock", "conns_added"), 3);
        assert_int_equal(value(line, "put_api_requests", "drive_count"), 2);
        /* Absolute values are repeated in each line. */
        assert_int_equal(value(line, "api_server", "process_startup_time_us"), 50);
        json_decref(line);
}

static void a_line_may_begin_with_id_and_properties(void **state)
{
        struct vmm_metrics now = {.block_read_bytes = 9, .sighup = 1}, last = {0};
        static const char begin[] = "{\"utc_timestamp_ms\":7,\"id\":\"vm-1\","
                                    "\"properties\":{\"a\":\"b\"},\"api_server\":{";
        struct metrics_head head = {"vm-1", "{\"a\":\"b\"}"};
        struct buf b = BUF_INIT(4096);

        (void)state;
        assert_int_equal(metrics_render(&b, &head, &now, &last, 7), 0);
        assert_memory_equal(b.data, begin, strlen(begin));
        assert_non_null(strstr(b.data, "\"read_bytes\":9,"));
        assert_non_null(strstr(b.data, "\"sighup\":1}"));
        buf_release(&b);
}

static void largest_values_fit_a_line(void **state)
{
        struct vmm_metrics now, last = {0};
        char properties[VM_PROPERTIES_MAX + 1], id[65];
        struct metrics_head head = {id, properties};
        struct buf b = BUF_INIT(8191);

        (void)state;
        memset(&now, 0xff, sizeof(now));
        memset(properties, ' ', sizeof(properties) - 1);
        memset(id, 'a', sizeof(id) - 1);
        properties[VM_PROPERTIES_MAX] = id[64] = '\0';
        assert_int_equal(metrics_render(&b, &head, &now, &last, INT64_MAX), 0);
        buf_release(&b);
}

static void lines_are_appended(void **state)
{
        char path[] = "/tmp/metrics-XXXXXX";
        int fd = mkstemp(path);
        struct metrics_file mf = METRICS_FILE_INIT;
        struct vmm_metrics m = {.vsock_conns_added = 2};
        struct buf text = BUF_INIT(16384);
        json_t *line;
        char *second;

        (void)state;
        assert_int_equal(metrics_file_write(&mf, &m, NULL), 0); /* no file: nothing to do */
        assert_int_equal(metrics_file_open(&mf, path, NULL), 0);
        assert_int_equal(metrics_file_write(&mf, &m, NULL), 0);
        m.vsock_conns_added = 5;
        assert_int_equal(metrics_file_write(&mf, &m, NULL), 0);
        assert_int_equal(fs_read(path, &text, NULL), 0);
        second = strchr(text.data, '\n') + 1;
        line = json_loads(text.data, JSON_DISABLE_EOF_CHECK, NULL);
        assert_int_equal(value(line, "vsock", "conns_added"), 2);
        json_decref(line);
        line = json_loads(second, JSON_DISABLE_EOF_CHECK, NULL);
        assert_int_equal(value(line, "vsock", "conns_added"), 3);
        json_decref(line);
        metrics_file_close(&mf);
        buf_release(&text);
        close(fd);
        unlink(path);
}

static void a_full_fifo_loses_whole_lines(void **state)
{
        char dir[] = "/tmp/metrics-XXXXXX", path[64];
        struct metrics_file mf = METRICS_FILE_INIT;
        struct vmm_metrics m = {.vsock_conns_added = 1};
        char line[8192];
        int lost = 0, whole = 0;
        char last = 0;
        ssize_t n;
        int fd;

        (void)state;
        assert_non_null(mkdtemp(dir));
        snprintf(path, sizeof(path), "%s/fifo", dir);
        assert_int_equal(mkfifo(path, 0600), 0);
        assert_int_equal(metrics_file_open(&mf, path, NULL), 0); /* a FIFO without a reader */
        fd = open(path, O_RDONLY | O_NONBLOCK);
        for (int i = 0; i < 200; i++)
                lost += metrics_file_write(&mf, &m, NULL) < 0;
        assert_true(lost > 0);
        assert_int_equal(m.missed_metrics_count, lost);
        while ((n = read(fd, line, sizeof(line))) > 0) {
                for (ssize_t i = 0; i < n; i++)
                        whole += line[i] == '\n';
                last = line[n - 1];
        }
        assert_int_equal(last, '\n');
        assert_int_equal(whole, 200 - lost);
        /* The next line has the growth of the lost one too. */
        m.vsock_conns_added = 9;
        assert_int_equal(metrics_file_write(&mf, &m, NULL), 0);
        n = read(fd, line, sizeof(line));
        assert_true(n > 0);
        line[n] = '\0';
        assert_non_null(strstr(line, "\"conns_added\":8,"));
        close(fd);
        metrics_file_close(&mf);
        unlink(path);
        rmdir(dir);
}

static void a_path_that_cannot_be_opened_is_named(void **state)
{
        struct metrics_file mf = METRICS_FILE_INIT;
        struct err err = ERR_INIT;

        (void)state;
        assert_int_equal(metrics_file_open(&mf, "/nonexistent/m", &err), -ENOENT);
        assert_non_null(strstr(err.msg, "metrics_path: cannot open /nonexistent/m"));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(a_line_has_the_growth_since_the_last_one),
                cmocka_unit_test(a_line_may_begin_with_id_and_properties),
                cmocka_unit_test(largest_values_fit_a_line),
                cmocka_unit_test(lines_are_appended),
                cmocka_unit_test(a_full_fifo_loses_whole_lines),
                cmocka_unit_test(a_path_that_cannot_be_opened_is_named),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
