/* SPDX-License-Identifier: Apache-2.0 */
/* The deadline of a conversation, on a clock that the test sets: it interposes clock_gettime(). */
#include "session/outcome.h"

#include "base/cleanup.h"
#include "base/clock.h"

#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

enum { LIMIT_S = 1, GRACE_MS = 100 };

static uint64_t now_ns = 1000 * NS_PER_S;

int clock_gettime(clockid_t id, struct timespec *ret)
{
        *ret = clock_timespec(now_ns);
        return 0;
}

struct fixture {
        int host, agent;
        struct session session;
        struct workload_spec spec;
        struct image_runtime runtime;
        struct workload_outcome outcome;
        uint64_t began_ns, sink_takes_ns; /* by each call of the sink */
};

/* A reader that takes its time. */
static int on_output(void *ctx, enum workload_stream stream, const void *bytes, size_t n)
{
        now_ns += ((struct fixture *)ctx)->sink_takes_ns;
        return 0;
}

static const struct session_events events = {.output = on_output};

static int begin(void **state)
{
        struct fixture *f = calloc(1, sizeof(*f));
        int fds[2];

        if (!f || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) < 0)
                return -1;
        f->host = fds[0];
        f->agent = fds[1];
        f->session = SESSION_INIT;
        f->spec = WORKLOAD_SPEC_INIT;
        f->spec.limits =
                (struct workload_limits){.timeout_s = LIMIT_S, .output_max = UINT64_C(1) << 40};
        f->runtime = (struct image_runtime){.file = "main", .exec = "run {entry}", .env = ""};
        f->outcome.exit_code = -1;
        f->began_ns = now_ns;
        *state = f;
        f->spec.code = strdup("x");
        f->spec.code_size = 1;
        return session_begin(&f->session,
                             &(struct session_task){.id = "01HZZZZZZZZZZZZZZZZZZZZZZZ",
                                                    .spec = &f->spec,
                                                    .runtime = &f->runtime,
                                                    .grace_ms = GRACE_MS,
                                                    .events = &events,
                                                    .ctx = f,
                                                    .outcome = &f->outcome},
                             NULL);
}

static int end(void **state)
{
        struct fixture *f = *state;

        close_fd(&f->host);
        close_fd(&f->agent);
        session_release(&f->session);
        workload_spec_release(&f->spec);
        free(f);
        return 0;
}

static void say(struct fixture *f, enum wire_type type, const void *payload, size_t n)
{
        uint8_t header[WIRE_HEADER_SIZE];

        wire_header(header, type, (uint32_t)n);
        assert_int_equal(send(f->agent, header, sizeof(header), 0), sizeof(header));
        assert_int_equal(send(f->agent, payload, n, 0), (ssize_t)n);
}

static int advance(struct fixture *f, short events_seen, struct err *err)
{
        return session_advance(&f->session, f->host, events_seen, false, err);
}

static enum workload_status decide(struct fixture *f, int r, const struct err *err)
{
        session_decide(&f->session, r, err, false, &f->outcome);
        return f->outcome.status;
}

static void an_agent_that_does_not_report_is_overdue(void **state)
{
        struct fixture *f = *state;
        struct err err = ERR_INIT;

        assert_int_equal(session_deadline_ns(&f->session),
                         f->began_ns + LIMIT_S * NS_PER_S + GRACE_MS * NS_PER_MS);
        now_ns = session_deadline_ns(&f->session) - 1;
        assert_int_equal(advance(f, 0, &err), 0);
        now_ns++;
        assert_int_equal(advance(f, 0, &err), -ETIMEDOUT);
        assert_int_equal(decide(f, -ETIMEDOUT, &err), WORKLOAD_FAILED);
        assert_string_equal(f->outcome.error, "workload timed out after 1 s");
}

/* The sink blocks for longer than limit and grace together; the result has been waiting
 * meanwhile. */
static void a_slow_reader_does_not_use_up_the_time_limit(void **state)
{
        static const char result[] =
                "{\"exit_code\":4,\"signal\":0,\"timed_out\":false,\"oom\":false,"
                "\"wall_us\":1,\"user_us\":0,\"system_us\":0,"
                "\"memory_peak\":0,\"dropped_bytes\":0}";
        struct fixture *f = *state;
        struct err err = ERR_INIT;

        f->sink_takes_ns = (LIMIT_S * 1000 + 2 * GRACE_MS) * NS_PER_MS;
        say(f, WIRE_STDOUT, "one\n", 4);
        assert_int_equal(advance(f, POLLIN, &err), 0);
        say(f, WIRE_RESULT, result, strlen(result));
        if (advance(f, POLLIN, &err) < 0)
                fail_msg("%s", err.msg);
        assert_true(f->session.has_result);
        assert_int_equal(decide(f, 0, NULL), WORKLOAD_COMPLETED);
        assert_int_equal(f->outcome.exit_code, 4);
}

/* However the guest cuts its output, its wait ends at limit + grace + credit (a tenth of the limit,
 * and the grace) + one last grace. */
static void a_flood_does_not_stretch_the_time_limit(void **state)
{
        static const uint64_t takes_us[] = {2, 200, 2000, 50 * 1000};
        const uint64_t most_ns =
                LIMIT_S * NS_PER_S + LIMIT_S * NS_PER_S / 10 + 3 * GRACE_MS * NS_PER_MS;

        for (size_t i = 0; i < sizeof(takes_us) / sizeof(takes_us[0]); i++) {
                struct err err = ERR_INIT;
                struct fixture *f;
                int r = 0;

                end(state);
                assert_int_equal(begin(state), 0);
                f = *state;
                f->sink_takes_ns = takes_us[i] * NS_PER_US;
                while (r == 0) {
                        for (int frame = 0; frame < 50; frame++)
                                say(f, frame % 2 ? WIRE_STDERR : WIRE_STDOUT, "x", 1);
                        r = advance(f, POLLIN, &err);
                }
                assert_int_equal(r, -ETIMEDOUT);
                assert_in_range(now_ns - f->began_ns, LIMIT_S * NS_PER_S,
                                most_ns + f->sink_takes_ns);
                assert_int_equal(decide(f, r, &err), WORKLOAD_FAILED);
                assert_true(f->outcome.timed_out);
        }
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, begin, end)
        const struct CMUnitTest tests[] = {
                T(an_agent_that_does_not_report_is_overdue),
                T(a_slow_reader_does_not_use_up_the_time_limit),
                T(a_flood_does_not_stretch_the_time_limit),
        };

        return cmocka_run_group_tests_name("session time", tests, NULL, NULL);
}
