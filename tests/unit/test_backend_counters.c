/* SPDX-License-Identifier: Apache-2.0 */
/* Firecracker's own counters: increments are summed, absolute values kept, bad input rejected. */
#include "backend/firecracker/counters.h"

#include "backend/firecracker/flush.h"
#include "base/fs.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

static double total(struct fc_metrics *m, enum fc_metric metric, const char *label)
{
        struct prom_family *family = m->family[metric];

        return prom_counter_value(label ? prom_counter_with(family, label)
                                        : prom_counter_with(family));
}

static int add(struct fc_counters *c, const char *line)
{
        return fc_counters_add_line(c, line, strlen(line));
}

static void lines_are_summed_into_totals(void **state)
{
        struct prom_registry *registry = prom_registry_new();
        struct fc_metrics m;
        struct fc_counters first = {0}, second = {0};

        assert_int_equal(fc_metrics_init(&m, registry, NULL, 0, NULL), 0);
        assert_int_equal(add(&first, "{\"vsock\":{\"rx_bytes_count\":10,\"conns_added\":1},"
                                     "\"seccomp\":{\"num_faults\":2}}"),
                         0);
        assert_int_equal(add(&first, "{\"vsock\":{\"rx_bytes_count\":5},"
                                     "\"seccomp\":{\"num_faults\":3},\"unknown\":[1]}"),
                         0);
        fc_counters_publish(&first, &m);
        assert_int_equal(total(&m, FC_VMM_VSOCK_BYTES_TOTAL, "rx"), 15);
        assert_int_equal(total(&m, FC_VMM_VSOCK_BYTES_TOTAL, "tx"), 0);
        assert_int_equal(total(&m, FC_VMM_SECCOMP_FAULTS_TOTAL, NULL), 3);

        /* Another VM adds to the same totals. */
        assert_int_equal(add(&second, "{\"vsock\":{\"rx_bytes_count\":1},"
                                      "\"seccomp\":{\"num_faults\":1}}"),
                         0);
        fc_counters_publish(&second, &m);
        assert_int_equal(total(&m, FC_VMM_VSOCK_BYTES_TOTAL, "rx"), 16);
        assert_int_equal(total(&m, FC_VMM_SECCOMP_FAULTS_TOTAL, NULL), 4);
        assert_int_equal(total(&m, FC_VMM_VSOCK_CONNECTIONS_TOTAL, "added"), 1);
        prom_registry_free(registry);
}

static void torn_and_hostile_lines_change_nothing(void **state)
{
        static const char *const bad[] = {"", "{", "{\"vsock\":{\"rx_bytes", "[]", "7", "{} {}"};
        struct fc_counters c = {0}, zero = {0};

        for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
                assert_int_equal(add(&c, bad[i]), -EINVAL);
        assert_int_equal(add(&c, "{\"vsock\":{\"rx_bytes_count\":-5,\"tx_bytes_count\":\"9\"},"
                                 "\"block\":7,\"net\":null}"),
                         0);
        assert_memory_equal(&c, &zero, sizeof(c));
}

static void two_backends_share_the_metrics(void **state)
{
        struct prom_registry *registry = prom_registry_new();
        char runtimes[2][WORKLOAD_RUNTIME_MAX] = {"python", "sh"};
        struct fc_metrics a, b;
        struct prom_buf text = PROM_BUF_INIT;

        assert_int_equal(fc_metrics_init(&a, registry, runtimes, 2, NULL), 0);
        assert_int_equal(fc_metrics_init(&b, registry, runtimes, 2, NULL), 0);
        fc_metrics_count_workload(&a, "sh", WORKLOAD_FAILED);
        fc_metrics_count_workload(&b, "sh", WORKLOAD_FAILED);
        assert_int_equal(prom_render_text(registry, &text), 0);
        assert_non_null(strstr(text.data, "vulcan_firecracker_workloads_total{runtime=\"sh\","
                                          "status=\"failed\"} 2\n"));
        assert_non_null(strstr(text.data, "vulcan_firecracker_workloads_total{runtime=\"python\","
                                          "status=\"killed\"} 0\n"));
        assert_non_null(strstr(text.data, "\nvulcan_firecracker_active_vms 0\n"));
        prom_buf_release(&text);
        prom_registry_free(registry);
}

struct files {
        char dir[32];
        struct prom_registry *registry;
        struct fc_metrics metrics;
        struct fc_flush flush;
        int dir_fd;
};

static int open_files(void **state)
{
        struct files *f = calloc(1, sizeof(*f));

        if (!f)
                return -1;
        strcpy(f->dir, "/tmp/vulcan-unit-XXXXXX");
        f->registry = prom_registry_new();
        f->flush = FC_FLUSH_INIT;
        *state = f;
        if (!mkdtemp(f->dir))
                return -1;
        f->dir_fd = open(f->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        return f->dir_fd < 0 ? -1 : fc_metrics_init(&f->metrics, f->registry, NULL, 0, NULL);
}

static int close_files(void **state)
{
        struct files *f = *state;

        close(f->dir_fd);
        fs_remove_tree(f->dir, NULL);
        prom_registry_free(f->registry);
        free(f);
        return 0;
}

static int lost(struct files *f)
{
        return (int)prom_counter_value(f->metrics.lost_lines);
}

static void a_torn_or_endless_line_is_lost_alone(void **state)
{
        static const char good[] = "{\"vsock\":{\"rx_bytes_count\":5}}\n";
        struct files *f = *state;
        size_t n = 3 * FC_COUNTERS_LINE_MAX, used = strlen(good);
        char *text = malloc(n + 2 * sizeof(good) + 16);
        char path[64];

        memcpy(text, good, used);
        memset(text + used, 'x', n);
        used += n;
        text[used++] = '\n';
        memcpy(text + used, good, strlen(good));
        used += strlen(good);
        memcpy(text + used, "{\"vsock\":", 9);
        used += 9;
        snprintf(path, sizeof(path), "%s/metrics", f->dir);
        assert_int_equal(fs_write(path, text, used, 0600, NULL), 0);
        free(text);
        fc_flush_collect(&f->flush, f->dir_fd, false, &f->metrics);
        assert_int_equal(total(&f->metrics, FC_VMM_VSOCK_BYTES_TOTAL, "rx"), 10);
        assert_int_equal(lost(f), 2);
}

/* A VMM that was taken over could put anything under this name. */
static void only_a_regular_file_is_read(void **state)
{
        struct files *f = *state;
        char path[64];

        snprintf(path, sizeof(path), "%s/metrics", f->dir);
        fc_flush_collect(&f->flush, f->dir_fd, false, &f->metrics); /* no file */
        assert_int_equal(lost(f), 1);
        assert_int_equal(mkfifo(path, 0600), 0);
        fc_flush_collect(&f->flush, f->dir_fd, false, &f->metrics);
        assert_int_equal(lost(f), 2);
        assert_int_equal(unlink(path), 0);
        assert_int_equal(symlink("/dev/zero", path), 0);
        fc_flush_collect(&f->flush, f->dir_fd, false, &f->metrics);
        assert_int_equal(lost(f), 3);
        assert_int_equal(unlink(path), 0);
        assert_int_equal(fs_write(path, "", 0, 0600, NULL), 0);
        assert_int_equal(truncate(path, (off_t)1 << 40), 0); /* sparse */
        fc_flush_collect(&f->flush, f->dir_fd, false, &f->metrics);
        assert_int_equal(lost(f), 4);
}

static const struct {
        const char *file;
        int64_t wall_ms; /* -1: unknown */
} first_lines[] = {
        {"{\"utc_timestamp_ms\":1739000000123,\"api_server\":{\"x\":0}}\n{\"utc_timestamp_ms\":2}"
         "\n",
         1739000000123},
        {"{\"utc_timestamp_ms\":1739000000123}\n", 1739000000123},
        {"{\"utc_timestamp_ms\":999999999999999,\"a\":0}", 999999999999999},
        {"{\"utc_timestamp_ms\":9999999999999999,\"a\":0}", -1},
        {"{\"utc_timestamp_ms\":1739000000123", -1}, /* torn: it may have more digits */
        {"{\"utc_timestamp_ms\":-5,\"a\":0}", -1},
        {"{\"utc_timestamp_ms\":0,\"a\":0}", -1},
        {"{\"utc_timestamp_ms\":\"1\",\"a\":0}", -1},
        {"{\"vsock\":{},\"utc_timestamp_ms\":1739000000123}", -1},
        {"\n{\"utc_timestamp_ms\":1739000000123,", -1},
        {"", -1},
};

static void the_first_line_has_the_time_of_the_guests_start(void **state)
{
        struct files *f = *state;
        int64_t ms = -1;
        char path[64];

        snprintf(path, sizeof(path), "%s/metrics", f->dir);
        assert_int_equal(fc_flush_first_ms(f->dir_fd, &ms), -ENODATA); /* no file */
        for (size_t i = 0; i < sizeof(first_lines) / sizeof(first_lines[0]); i++) {
                const char *text = first_lines[i].file;
                int r;

                ms = -1;
                assert_int_equal(fs_write(path, text, strlen(text), 0600, NULL), 0);
                r = fc_flush_first_ms(f->dir_fd, &ms);
                if (ms != first_lines[i].wall_ms || r != (ms < 0 ? -ENODATA : 0))
                        fail_msg("%s: %d, %lld", text, r, (long long)ms);
        }
        assert_int_equal(unlink(path), 0);
        assert_int_equal(mkfifo(path, 0600), 0);
        assert_int_equal(fc_flush_first_ms(f->dir_fd, &ms), -ENODATA);
}

/* Lost means: requested, and neither acknowledged nor written. */
static void a_flush_without_effect_counts_as_lost(void **state)
{
        static const char line[] = "{\"vsock\":{\"rx_bytes_count\":5}}\n";
        struct files *f = *state;
        char path[64];

        snprintf(path, sizeof(path), "%s/metrics", f->dir);
        assert_int_equal(fs_write(path, line, strlen(line), 0600, NULL), 0);
        fc_flush_collect(&f->flush, f->dir_fd, false, &f->metrics); /* not requested */
        assert_int_equal(prom_counter_value(f->metrics.lost_counters), 0);
        f->flush = (struct fc_flush){.fd = -1, .asked = true, .answered = true, .from = 100};
        fc_flush_collect(&f->flush, f->dir_fd, false, &f->metrics);
        assert_int_equal(prom_counter_value(f->metrics.lost_counters), 0);
        f->flush.answered = false;
        f->flush.from = strlen(line) - 1; /* the line was written after the request */
        fc_flush_collect(&f->flush, f->dir_fd, false, &f->metrics);
        assert_int_equal(prom_counter_value(f->metrics.lost_counters), 0);
        f->flush.from = strlen(line);
        fc_flush_collect(&f->flush, f->dir_fd, false, &f->metrics);
        assert_int_equal(prom_counter_value(f->metrics.lost_counters), 1);
        /* After a kill, nothing is expected. */
        fc_flush_collect(&f->flush, f->dir_fd, true, &f->metrics);
        assert_int_equal(prom_counter_value(f->metrics.lost_counters), 1);
}

struct api {
        int listener;
        char request[512];
};

/* Reads one request and sends the response in pieces. */
static void *serve(void *arg)
{
        struct api *api = arg;
        int fd = accept4(api->listener, NULL, NULL, SOCK_CLOEXEC);
        size_t have = 0;
        ssize_t n;

        while (have < sizeof(api->request) - 1 && !strstr(api->request, "\r\n\r\n{") &&
               (n = read(fd, api->request + have, sizeof(api->request) - 1 - have)) > 0)
                have += (size_t)n;
        dprintf(fd, "HTT");
        dprintf(fd, "P/1.1 204 No Content\r\n\r\n");
        close(fd);
        return NULL;
}

static void the_vmm_flushes_on_request(void **state)
{
        struct files *f = *state;
        struct sockaddr_un addr = {.sun_family = AF_UNIX};
        struct api api = {.listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)};
        pthread_t thread;
        char *body;

        fc_flush_ask(&f->flush, f->dir, f->dir_fd); /* nothing listens */
        assert_true(fc_flush_await(&f->flush, -1, 0) && !f->flush.answered);
        snprintf(addr.sun_path, sizeof(addr.sun_path), "%s/api.sock", f->dir);
        assert_int_equal(bind(api.listener, (struct sockaddr *)&addr, sizeof(addr)), 0);
        assert_int_equal(listen(api.listener, 1), 0);
        assert_int_equal(pthread_create(&thread, NULL, serve, &api), 0);
        fc_flush_ask(&f->flush, f->dir, f->dir_fd);
        assert_true(fc_flush_await(&f->flush, -1, 0) && f->flush.answered);
        pthread_join(thread, NULL);
        assert_ptr_equal(strstr(api.request, "PUT /actions HTTP/1.1\r\nHost: "), api.request);
        body = strstr(api.request, "\r\n\r\n") + 4;
        assert_string_equal(body, "{\"action_type\":\"FlushMetrics\"}");
        assert_int_equal(strtoul(strstr(api.request, "Content-Length: ") + 16, NULL, 10),
                         strlen(body));

        /* It listens and does not respond: the wait is bounded. */
        fc_flush_ask(&f->flush, f->dir, f->dir_fd);
        assert_false(fc_flush_await(&f->flush, -1, 1));
        assert_true(fc_flush_await(&f->flush, -1, 0) && !f->flush.answered);
        close(api.listener);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(lines_are_summed_into_totals),
                cmocka_unit_test(torn_and_hostile_lines_change_nothing),
                cmocka_unit_test(two_backends_share_the_metrics),
                cmocka_unit_test_setup_teardown(a_torn_or_endless_line_is_lost_alone, open_files,
                                                close_files),
                cmocka_unit_test_setup_teardown(only_a_regular_file_is_read, open_files,
                                                close_files),
                cmocka_unit_test_setup_teardown(the_first_line_has_the_time_of_the_guests_start,
                                                open_files, close_files),
                cmocka_unit_test_setup_teardown(a_flush_without_effect_counts_as_lost, open_files,
                                                close_files),
                cmocka_unit_test_setup_teardown(the_vmm_flushes_on_request, open_files,
                                                close_files),
        };

        return cmocka_run_group_tests_name("backend counters", tests, NULL, NULL);
}
