// SPDX-License-Identifier: Apache-2.0
// prometheus-cpp under `make bench-prom` (bench/prom/harness.h).
#include "harness.h"

#include <arpa/inet.h>
#include <err.h>
#include <sys/socket.h>
#include <unistd.h>

#include <prometheus/counter.h>
#include <prometheus/exposer.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>
#include <prometheus/text_serializer.h>

#include <memory>
#include <string>
#include <vector>

using namespace prometheus;

static const Histogram::BucketBoundaries buckets = {0.005, 0.01, 0.025, 0.05, 0.1, 0.25,
                                                    0.5,   1,    2.5,   5,    10};
static const auto registry = std::make_shared<Registry>();

static Counter &counter = BuildCounter().Name("bench_total").Register(*registry).Add({});
static Family<Counter> &family = BuildCounter().Name("bench_found_total").Register(*registry);
static Gauge &gauge = BuildGauge().Name("bench_level").Register(*registry).Add({});
static Histogram &histogram =
        BuildHistogram().Name("bench_seconds").Register(*registry).Add({}, buckets);

// The fastest way: the program keeps what it found.
static std::vector<Counter *> retained;

static void look_up_one(const char *method, const char *status)
{
        family.Add({{"method", method}, {"status", status}}).Increment();
}

BENCH_LOOP(count_up, Counter &c = counter, c.Increment())
BENCH_LOOP(look_up, , look_up_one("GET", "200"))
BENCH_LOOP(look_up_in_turn, , look_up_one(bench_methods[i % 4], bench_statuses[i / 4 % 4]))
BENCH_LOOP(look_up_copies, ,
           look_up_one(bench_copies[i % BENCH_COPIES].method,
                       bench_copies[i % BENCH_COPIES].status))
BENCH_LOOP(count_retained, Counter *const *c = retained.data(), c[i % 16]->Increment())
BENCH_LOOP(set_gauge, Gauge &g = gauge, g.Set(static_cast<double>(i)))
BENCH_LOOP(add_gauge, Gauge &g = gauge, g.Increment(1))
BENCH_LOOP(observe, Histogram &h = histogram, h.Observe(bench_values[i % BENCH_VALUES]))

static bench_body render()
{
        static std::string text;
        text = TextSerializer().Serialize(registry->Collect());
        return {text.data(), text.size()};
}

// ---- scrapes ------------------------------------------------------------------------------------

static std::vector<Counter *> counters;
static std::vector<Histogram *> histograms;

static Labels labels_of(size_t i)
{
        return {{"method", "GET"}, {"path", "/api/" + std::to_string(i)}};
}

static void make_counters(size_t n)
{
        auto &scraped = BuildCounter().Name("bench_scraped_total").Help("h").Register(*registry);
        for (size_t i = 0; i < n; i++) {
                counters.push_back(&scraped.Add(labels_of(i)));
                counters.back()->Increment(static_cast<double>(i * BENCH_STEP));
        }
}

static void touch_counters()
{
        for (Counter *c : counters)
                c->Increment();
}

static void make_histograms(size_t n)
{
        auto &scraped =
                BuildHistogram().Name("bench_scraped_seconds").Help("h").Register(*registry);
        for (size_t i = 0; i < n; i++) {
                histograms.push_back(&scraped.Add(labels_of(i), buckets));
                for (size_t j = 0; j < BENCH_FIRST_VALUES; j++)
                        histograms.back()->Observe(bench_values[(i + j) % BENCH_VALUES]);
        }
}

static void touch_histograms()
{
        for (size_t i = 0; i < histograms.size(); i++)
                histograms[i]->Observe(bench_values[i % BENCH_VALUES]);
}

// This library has no handler without its HTTP server: the exchange over loopback is part of it.
static bench_body render_gzip()
{
        static Exposer *exposer;
        static std::string answer;
        if (!exposer) {
                exposer = new Exposer("127.0.0.1:0");
                exposer->RegisterCollectable(registry);
        }
        const std::string request = "GET /metrics HTTP/1.1\r\nHost: localhost\r\n"
                                    "Accept-Encoding: gzip\r\nConnection: close\r\n\r\n";
        static char chunk[1 << 16];
        sockaddr_in address = {};
        address.sin_family = AF_INET;
        address.sin_port = htons(static_cast<uint16_t>(exposer->GetListeningPorts().at(0)));
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        const int fd = socket(AF_INET, SOCK_STREAM, 0);
        if (fd < 0 || connect(fd, reinterpret_cast<sockaddr *>(&address), sizeof(address)) < 0 ||
            send(fd, request.data(), request.size(), 0) < 0)
                err(1, "loopback");
        answer.clear();
        for (ssize_t n; (n = recv(fd, chunk, sizeof(chunk), 0)) > 0;)
                answer.append(chunk, static_cast<size_t>(n));
        close(fd);
        const size_t head = answer.find("\r\n\r\n");
        if (head == std::string::npos)
                errx(1, "no answer");
        return {answer.data() + head + 4, answer.size() - head - 4};
}

int main(int argc, char **argv)
{
        static const bench_update updates[] = {
                {"counter", count_up},
                {"lookup", look_up},
                {"lookup-in-turn", look_up_in_turn},
                {"lookup-copies", look_up_copies},
                {"retained", count_retained},
                {"gauge-set", set_gauge},
                {"gauge-add", add_gauge},
                {"histogram", observe},
                {nullptr, nullptr},
        };
        static const bench_scrape scrapes[] = {
                {"scrape-counters", make_counters, touch_counters, render},
                {"scrape-histograms", make_histograms, touch_histograms, render},
                {"scrape-gzip", make_counters, touch_counters, render_gzip},
                {nullptr, nullptr, nullptr, nullptr},
        };
        const bench_peer peer = {"prometheus-cpp " PROMETHEUS_CPP_VERSION " (g++ " __VERSION__ ")",
                                 updates, scrapes, render};
        for (int i = 0; i < 16; i++)
                retained.push_back(&family.Add({{"method", bench_methods[i % 4]},
                                                {"status", bench_statuses[i / 4 % 4]}}));
        return bench_main(argc, argv, &peer);
}
