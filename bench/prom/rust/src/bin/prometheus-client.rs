// SPDX-License-Identifier: Apache-2.0
//! The crate `prometheus-client` under `make bench-prom`.
use bench_prom::*;
use prometheus_client::encoding::{text, EncodeLabelSet};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Metric, Registry};
use std::hint::black_box;
use std::sync::atomic::AtomicU64;
use std::sync::Arc;

/// The cheapest label set this crate can have: it copies two pointers where others copy strings.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Found {
    method: &'static str,
    status: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Scraped {
    method: &'static str,
    path: String,
}

type Level = Gauge<f64, AtomicU64>;
type Histograms = Family<Scraped, Histogram, fn() -> Histogram>;

struct Library {
    registry: Registry,
}

impl Library {
    fn add<M: Metric + Clone>(&mut self, name: &str, metric: M) -> M {
        self.registry.register(name, HELP, metric.clone());
        metric
    }
}

fn new_histogram() -> Histogram {
    Histogram::new(BUCKETS)
}

impl Peer for Library {
    fn about() -> String {
        about("prometheus-client")
    }

    fn update(&mut self, name: &str) -> Option<Arc<dyn Fn(usize) + Send + Sync>> {
        let found = |method, status| Found { method, status };
        Some(match name {
            "counter" => {
                let c = self.add("bench", Counter::<u64>::default());
                Arc::new(move |count| {
                    for _ in 0..count {
                        black_box(&c).inc();
                    }
                })
            }
            "lookup" => {
                let f = self.add("bench_found", Family::<Found, Counter>::default());
                Arc::new(move |count| {
                    for _ in 0..count {
                        black_box(&f).get_or_create(&found("GET", "200")).inc();
                    }
                })
            }
            "lookup-in-turn" => {
                let f = self.add("bench_found", Family::<Found, Counter>::default());
                Arc::new(move |count| {
                    for i in 0..count {
                        let labels = found(METHODS[i % 4], STATUSES[i / 4 % 4]);
                        black_box(&f).get_or_create(&labels).inc();
                    }
                })
            }
            "lookup-copies" => {
                let f = self.add("bench_found", Family::<Found, Counter>::default());
                let copies = copies();
                Arc::new(move |count| {
                    for i in 0..count {
                        let [method, status] = copies[i % COPIES];
                        black_box(&f).get_or_create(&found(method, status)).inc();
                    }
                })
            }
            "retained" => {
                let f = self.add("bench_found", Family::<Found, Counter>::default());
                let children: Vec<Counter> = (0..16)
                    .map(|i| f.get_or_create(&found(METHODS[i % 4], STATUSES[i / 4 % 4])).clone())
                    .collect();
                Arc::new(move |count| {
                    for i in 0..count {
                        black_box(&children)[i % 16].inc();
                    }
                })
            }
            "gauge-set" => {
                let g = self.add("bench_level", Level::default());
                Arc::new(move |count| {
                    for i in 0..count {
                        black_box(&g).set(i as f64);
                    }
                })
            }
            "gauge-add" => {
                let g = self.add("bench_level", Level::default());
                Arc::new(move |count| {
                    for _ in 0..count {
                        black_box(&g).inc_by(1.0);
                    }
                })
            }
            "histogram" => {
                let (h, values) = (self.add("bench_seconds", new_histogram()), values());
                Arc::new(move |count| {
                    for i in 0..count {
                        black_box(&h).observe(values[i % VALUES]);
                    }
                })
            }
            _ => return None,
        })
    }

    fn series(&mut self, name: &str, n: usize) -> Option<Arc<dyn Fn() + Send + Sync>> {
        let labels = |i| Scraped { method: "GET", path: path(i) };
        match name {
            "scrape-counters" => {
                let family = self.add("bench_scraped", Family::<Scraped, Counter>::default());
                let series: Vec<Counter> =
                    (0..n).map(|i| family.get_or_create(&labels(i)).clone()).collect();
                series.iter().enumerate().for_each(|(i, c)| {
                    c.inc_by(i as u64 * STEP);
                });
                Some(Arc::new(move || {
                    series.iter().for_each(|c| {
                        c.inc();
                    })
                }))
            }
            "scrape-histograms" => {
                let family: Histograms = Family::new_with_constructor(new_histogram);
                let family = self.add("bench_scraped_seconds", family);
                let series: Vec<Histogram> =
                    (0..n).map(|i| family.get_or_create(&labels(i)).clone()).collect();
                let values = values();
                for (i, h) in series.iter().enumerate() {
                    (0..FIRST_VALUES).for_each(|j| h.observe(values[(i + j) % VALUES]));
                }
                Some(Arc::new(move || {
                    series.iter().enumerate().for_each(|(i, h)| h.observe(values[i % VALUES]))
                }))
            }
            _ => None,
        }
    }

    fn render(&self, body: &mut String) {
        body.clear();
        text::encode(body, &self.registry).unwrap();
    }
}

fn main() {
    bench_prom::main(Library { registry: Registry::default() });
}
