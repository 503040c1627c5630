/* SPDX-License-Identifier: Apache-2.0 */
/* Probes and scrapes are answered while submissions, kills and followers of logs wait. */
#include "api_fixture.h"
#include "output/log.h"

#include <sched.h>
#include <sqlite3.h>

enum { MANY = 2 * API_WORKERS };

/* Holds the end of each workload back. */
static struct {
        pthread_mutex_t lock;
        pthread_cond_t changed;
        bool open;
} gate = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, false};

static void open_gate(void)
{
        pthread_mutex_lock(&gate.lock);
        gate.open = true;
        pthread_cond_broadcast(&gate.changed);
        pthread_mutex_unlock(&gate.lock);
}

static void wait_at_the_end(struct headless *f, enum headless_stage stage, void *ctx)
{
        if (stage != HEADLESS_ENDING)
                return;
        pthread_mutex_lock(&gate.lock);
        while (!gate.open)
                pthread_cond_wait(&gate.changed, &gate.lock);
        pthread_mutex_unlock(&gate.lock);
}

static int send_request(struct daemon *d, const char *method, const char *path, const char *body)
{
        char text[512];
        int fd = client_connect(&d->served);
        int n = snprintf(text, sizeof(text),
                         "%s %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
                         "Content-Length: %zu\r\n\r\n%s",
                         method, path, strlen(body), body);

        assert_true(client_send(fd, text, (size_t)n));
        return fd;
}

static unsigned status_of(int fd)
{
        struct answer a = {.all = BUF_INIT(CLIENT_ANSWER_MAX)};
        unsigned status;

        client_read(fd, &a.all);
        close(fd);
        answer_parse(&a);
        status = a.status;
        answer_release(&a);
        return status;
}

static void assert_probes_are_answered(struct daemon *d)
{
        static const char *const paths[] = {"/healthz", "/metrics"};

        for (size_t i = 0; i < 2; i++) {
                struct answer a = ask(&d->served, "GET", paths[i], NULL);

                assert_int_equal(a.status, 200);
                answer_release(&a);
        }
}

/* Scrapes until the metrics have this line. Each scrape must be answered, which is part of the
 * test. */
static void wait_metric(struct daemon *d, const char *line)
{
        for (bool found = false; !found;) {
                struct answer a = ask(&d->served, "GET", "/metrics", NULL);

                assert_int_equal(a.status, 200);
                found = strstr(a.body, line) != NULL;
                answer_release(&a);
        }
}

static void submit(struct daemon *d, char id[ULID_LEN + 1])
{
        json_t *json = ask_json(d, "POST", "/v1/workloads/async",
                                "{\"runtime\":\"sh\",\"code\":\"hang\"}", 202);

        memcpy(id, text_in(json, "id"), ULID_LEN + 1);
        json_decref(json);
}

static void kills_that_wait_for_a_cleanup_delay_no_probe(void **state)
{
        struct daemon *d = daemon_new(MANY, 4, NULL);
        char ids[MANY][ULID_LEN + 1], path[64];
        int fds[MANY];

        gate.open = false;
        d->backend->hook = wait_at_the_end;
        for (int i = 0; i < MANY; i++)
                submit(d, ids[i]);
        headless_wait_running(d->backend, MANY);
        for (int i = 0; i < MANY; i++) {
                snprintf(path, sizeof(path), "/v1/workloads/%.*s", ULID_LEN, ids[i]);
                fds[i] = send_request(d, "DELETE", path, "");
        }
        headless_wait_stops(d->backend, MANY);                /* each kill starts immediately, */
        headless_wait_cleanups(d->backend, API_KILL_WORKERS); /* and a few workers wait for them */
        assert_int_equal(d->backend->n_cleanups, API_KILL_WORKERS);
        wait_metric(d, "vulcan_http_long_requests 32\n");
        assert_probes_are_answered(d);
        json_decref(ask_json(d, "GET", "/v1/workloads?limit=1", NULL, 200));
        json_decref(ask_json(d, "POST", "/v1/workloads/async",
                             "{\"runtime\":\"sh\",\"code\":\"exit 0\"}", 202));
        open_gate();
        for (int i = 0; i < MANY; i++)
                assert_int_equal(status_of(fds[i]), 200);
        daemon_stop(d);
        daemon_free(d);
}

/* Waits until that many logs have begun. A log begins before the record of its workload is visible,
 * so a client that finds the record never sees its log as complete too early. */
static void wait_logs(struct daemon *d, size_t n)
{
        size_t there;

        do {
                pthread_mutex_lock(&d->output->lock);
                there = d->output->logs.n_entries;
                pthread_mutex_unlock(&d->output->lock);
                sched_yield();
        } while (there != n);
}

static void submissions_that_wait_for_the_store_delay_no_probe(void **state)
{
        struct daemon *d = daemon_new(2, MANY, NULL);
        char path[96];
        sqlite3 *other;
        int fds[MANY];

        snprintf(path, sizeof(path), "%s/db", d->dir);
        assert_int_equal(sqlite3_open(path, &other), SQLITE_OK);
        assert_int_equal(sqlite3_exec(other, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
        for (int i = 0; i < MANY; i++)
                fds[i] = send_request(d, "POST", "/v1/workloads/async",
                                      "{\"runtime\":\"sh\",\"code\":\"exit 0\"}");
        wait_metric(d, "vulcan_http_long_requests 32\n");
        wait_logs(d, API_SUBMIT_WORKERS);
        assert_probes_are_answered(d);
        assert_int_equal(sqlite3_exec(other, "ROLLBACK", NULL, NULL, NULL), SQLITE_OK);
        sqlite3_close(other);
        for (int i = 0; i < MANY; i++)
                assert_int_equal(status_of(fds[i]), 202);
        daemon_stop(d);
        daemon_free(d);
}

/* Reads of the store wait for the writer. */
static void reads_that_wait_for_the_store_delay_no_probe(void **state)
{
        enum { CONNECTIONS = 64, ROOM = 56 };
        struct daemon *d = daemon_bounded(2, MANY, NULL, 0, 0, CONNECTIONS);
        int async, fds[ROOM], refused = 0;
        char path[96];
        sqlite3 *other;

        snprintf(path, sizeof(path), "%s/db", d->dir);
        assert_int_equal(sqlite3_open(path, &other), SQLITE_OK);
        assert_int_equal(sqlite3_exec(other, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
        async = send_request(d, "POST", "/v1/workloads/async",
                             "{\"runtime\":\"sh\",\"code\":\"exit 0\"}");
        wait_logs(d, 1);
        for (int i = 0; i < ROOM; i++)
                fds[i] = send_request(d, "GET", "/v1/stats", "");
        wait_metric(d, "vulcan_http_long_requests 56\n");
        assert_probes_are_answered(d);
        assert_int_equal(sqlite3_exec(other, "ROLLBACK", NULL, NULL, NULL), SQLITE_OK);
        sqlite3_close(other);
        for (int i = 0; i < ROOM; i++)
                refused += status_of(fds[i]) == 503;
        assert_int_equal(refused, 1);
        assert_int_equal(status_of(async), 202);
        daemon_stop(d);
        daemon_free(d);
}

/* Followers and waiting submissions have a limit; kills and async submissions may use more. */
static void long_requests_leave_connections_to_probes(void **state)
{
        enum { CONNECTIONS = 32, HOLD = 16, FOLLOW = 10 };
        struct daemon *d = daemon_bounded(CONNECTIONS, 4, NULL, 0, 0, CONNECTIONS);
        char id[ULID_LEN + 1], path[64], logs[80];
        int fds[HOLD];
        struct answer a;

        submit(d, id);
        snprintf(path, sizeof(path), "/v1/workloads/%s", id);
        snprintf(logs, sizeof(logs), "%s/logs", path);
        for (int i = 0; i < HOLD; i++)
                fds[i] = i < FOLLOW ? send_request(d, "GET", logs, "")
                                    : send_request(d, "POST", "/v1/workloads",
                                                   "{\"runtime\":\"sh\",\"code\":\"gate\"}");
        wait_metric(d, "vulcan_http_long_requests 16\n");
        a = ask(&d->served, "GET", logs, NULL);
        assert_int_equal(a.status, 503);
        assert_contains(a.headers, "Retry-After: 5");
        answer_release(&a);
        a = ask(&d->served, "POST", "/v1/workloads", "{\"runtime\":\"sh\",\"code\":\"exit 0\"}");
        assert_int_equal(a.status, 503);
        answer_release(&a);
        assert_probes_are_answered(d);
        json_decref(ask_json(d, "POST", "/v1/workloads/async",
                             "{\"runtime\":\"sh\",\"code\":\"exit 0\"}", 202));
        json_decref(ask_json(d, "DELETE", path, NULL, 200));
        headless_open_gate(d->backend);
        for (int i = 0; i < HOLD; i++)
                assert_int_equal(status_of(fds[i]), i < FOLLOW ? 200 : 201);
        daemon_stop(d);
        assert_contains(d->served.metrics.data,
                        "vulcan_workloads_rejected_total{reason=\"busy\"} 1\n");
        daemon_free(d);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(kills_that_wait_for_a_cleanup_delay_no_probe),
                cmocka_unit_test(submissions_that_wait_for_the_store_delay_no_probe),
                cmocka_unit_test(reads_that_wait_for_the_store_delay_no_probe),
                cmocka_unit_test(long_requests_leave_connections_to_probes),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
