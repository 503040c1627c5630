// SPDX-License-Identifier: Apache-2.0
//! The crate `prometheus` under `make bench-prom`.
use bench_prom::*;
use prometheus::{
    Encoder, Gauge, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, Opts,
    Registry, TextEncoder,
};
use std::hint::black_box;
use std::sync::Arc;

struct Library {
    registry: Registry,
}

impl Library {
    fn add<C: prometheus::core::Collector + Clone + 'static>(&self, collector: C) -> C {
        self.registry.register(Box::new(collector.clone())).unwrap();
        collector
    }

    fn vector(&self) -> IntCounterVec {
        let opts = Opts::new("bench_found_total", "h");
        self.add(IntCounterVec::new(opts, &["method", "status"]).unwrap())
    }
}

impl Peer for Library {
    fn about() -> String {
        about("prometheus")
    }

    fn update(&mut self, name: &str) -> Option<Arc<dyn Fn(usize) + Send + Sync>> {
        Some(match name {
            "counter" => {
                let c = self.add(IntCounter::new("bench_total", "h").unwrap());
                Arc::new(move |count| (0..count).for_each(|_| black_box(&c).inc()))
            }
            "lookup" => {
                let v = self.vector();
                Arc::new(move |count| {
                    for _ in 0..count {
                        black_box(&v).with_label_values(&["GET", "200"]).inc();
                    }
                })
            }
            "lookup-in-turn" => {
                let v = self.vector();
                Arc::new(move |count| {
                    for i in 0..count {
                        let labels = [METHODS[i % 4], STATUSES[i / 4 % 4]];
                        black_box(&v).with_label_values(&labels).inc();
                    }
                })
            }
            "lookup-copies" => {
                let (v, copies) = (self.vector(), copies());
                Arc::new(move |count| {
                    for i in 0..count {
                        black_box(&v).with_label_values(&copies[i % COPIES]).inc();
                    }
                })
            }
            "retained" => {
                let v = self.vector();
                let children: Vec<_> = (0..16)
                    .map(|i| v.with_label_values(&[METHODS[i % 4], STATUSES[i / 4 % 4]]))
                    .collect();
                Arc::new(move |count| {
                    for i in 0..count {
                        black_box(&children)[i % 16].inc();
                    }
                })
            }
            "counter-local" => {
                let c = self.add(IntCounter::new("bench_total", "h").unwrap());
                Arc::new(move |count| {
                    let local = c.local();
                    for _ in 0..count / VALUES {
                        (0..VALUES).for_each(|_| black_box(&local).inc());
                        local.flush();
                    }
                })
            }
            "histogram-local" => {
                let opts = HistogramOpts::new("bench_seconds", "h").buckets(BUCKETS.to_vec());
                let (h, values) = (self.add(Histogram::with_opts(opts).unwrap()), values());
                Arc::new(move |count| {
                    let local = h.local();
                    for _ in 0..count / VALUES {
                        values.iter().for_each(|v| black_box(&local).observe(*v));
                        local.flush();
                    }
                })
            }
            "gauge-set" => {
                let g = self.add(Gauge::new("bench_level", "h").unwrap());
                Arc::new(move |count| (0..count).for_each(|i| black_box(&g).set(i as f64)))
            }
            "gauge-add" => {
                let g = self.add(Gauge::new("bench_level", "h").unwrap());
                Arc::new(move |count| (0..count).for_each(|_| black_box(&g).add(1.0)))
            }
            "histogram" => {
                let opts = HistogramOpts::new("bench_seconds", "h").buckets(BUCKETS.to_vec());
                let (h, values) = (self.add(Histogram::with_opts(opts).unwrap()), values());
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
        let labels = ["method", "path"];
        match name {
            "scrape-counters" => {
                let opts = Opts::new("bench_scraped_total", HELP);
                let vec = self.add(IntCounterVec::new(opts, &labels).unwrap());
                let series: Vec<_> =
                    (0..n).map(|i| vec.with_label_values(&["GET", &path(i)])).collect();
                series.iter().enumerate().for_each(|(i, c)| c.inc_by(i as u64 * STEP));
                Some(Arc::new(move || series.iter().for_each(|c| c.inc())))
            }
            "scrape-histograms" => {
                let opts = HistogramOpts::new("bench_scraped_seconds", HELP);
                let vec =
                    self.add(HistogramVec::new(opts.buckets(BUCKETS.to_vec()), &labels).unwrap());
                let series: Vec<_> =
                    (0..n).map(|i| vec.with_label_values(&["GET", &path(i)])).collect();
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
        let mut bytes = std::mem::take(body).into_bytes();
        bytes.clear();
        TextEncoder::new().encode(&self.registry.gather(), &mut bytes).unwrap();
        *body = String::from_utf8(bytes).unwrap();
    }
}

fn main() {
    bench_prom::main(Library { registry: Registry::new() });
}
