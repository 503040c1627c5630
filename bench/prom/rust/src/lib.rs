// SPDX-License-Identifier: Apache-2.0
//! What the two Rust programs of `make bench-prom` share. What they are called with, do and print:
//! bench/prom/harness.h.
use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Barrier};
use std::time::{Duration, Instant};

pub const VALUES: usize = 1024;
pub const FIRST_VALUES: usize = 20;
pub const COPIES: usize = 256;
pub const STEP: u64 = 7919;
pub const HELP: &str = "A metric.";
pub const BUCKETS: [f64; 11] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];
pub const METHODS: [&str; 4] = ["GET", "POST", "PUT", "DELETE"];
pub const STATUSES: [&str; 4] = ["200", "301", "404", "503"];
const NO_SUCH_CASE: i32 = 3;

/// Counts calls that allocate while COUNTING.
struct Counting;
static COUNTING: AtomicBool = AtomicBool::new(false);
static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);

fn count() {
    if COUNTING.load(Relaxed) {
        ALLOCATIONS.fetch_add(1, Relaxed);
    }
}

unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        System.alloc(layout)
    }
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count();
        System.alloc_zeroed(layout)
    }
    unsafe fn realloc(&self, p: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count();
        System.realloc(p, layout, size)
    }
    unsafe fn dealloc(&self, p: *mut u8, layout: Layout) {
        System.dealloc(p, layout)
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// What is observed, by the rule of harness.c.
pub fn values() -> [f64; VALUES] {
    let mut x: u32 = 1;
    std::array::from_fn(|_| {
        x = x.wrapping_mul(1103515245).wrapping_add(12345);
        let exponent = ((x >> 28) * 13) >> 4;
        f64::from(16 + (x >> 24 & 15)) / 16.0 * (1u64 << exponent) as f64 / 256.0
    })
}

/// Label values, each at an address of its own.
pub fn copies() -> Vec<[&'static str; 2]> {
    let copy = |s: &str| -> &'static str { Box::leak(s.to_owned().into_boxed_str()) };
    (0..COPIES).map(|i| [copy(METHODS[i % 4]), copy(STATUSES[i / 4 % 4])]).collect()
}

pub fn path(i: usize) -> String {
    format!("/api/{i}")
}

/// A library under test.
pub trait Peer {
    fn about() -> String;
    /// Makes the metric of an update case; the result is its loop.
    fn update(&mut self, name: &str) -> Option<Arc<dyn Fn(usize) + Send + Sync>>;
    /// Makes the series of a scrape case; the result touches all of them.
    fn series(&mut self, name: &str, n: usize) -> Option<Arc<dyn Fn() + Send + Sync>>;
    /// Into the same buffer each time.
    fn render(&self, body: &mut String);
}

/// Of this thread.
fn cpu_time() -> Duration {
    let mut t = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    let failed = unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &mut t) };
    assert_eq!(failed, 0);
    Duration::new(t.tv_sec as u64, t.tv_nsec as u32)
}

/// From the first thread's begin to the last one's end, and the processor's time.
fn run_threads(
    update: Arc<dyn Fn(usize) + Send + Sync>,
    threads: usize,
    count: usize,
) -> (Duration, Duration) {
    let start = Arc::new(Barrier::new(threads));
    let workers: Vec<_> = (0..threads)
        .map(|_| {
            let (start, update) = (start.clone(), update.clone());
            std::thread::spawn(move || {
                start.wait();
                let (begin, cpu) = (Instant::now(), cpu_time());
                update(count);
                let cpu = cpu_time() - cpu;
                (begin, Instant::now(), cpu)
            })
        })
        .collect();
    let times: Vec<_> = workers.into_iter().map(|w| w.join().unwrap()).collect();
    let begin = times.iter().map(|t| t.0).min().unwrap();
    (times.iter().map(|t| t.1).max().unwrap() - begin, times.iter().map(|t| t.2).sum())
}

fn memory_kb(name: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|l| l.strip_prefix(name)).unwrap_or("");
    line.split_whitespace().next().and_then(|n| n.parse().ok()).unwrap_or(0)
}

fn finish(time: Duration, cpu: Duration, allocations: u64, resident_kb: u64, out: (&str, &str)) {
    print!("{{\"ns\": {}, \"cpu_ns\": {}, ", time.as_nanos(), cpu.as_nanos());
    print!("\"allocations\": {allocations}, \"resident_kb\": {resident_kb}, ");
    println!("\"peak_kb\": {}}}", memory_kb("VmHWM:"));
    std::fs::write(out.0, out.1).unwrap();
}

/// Touches all series in threads that live on.
fn touch_and_stay(touch: &Arc<dyn Fn() + Send + Sync>, threads: usize) {
    let touched = Arc::new(Barrier::new(threads + 1));
    for _ in 0..threads {
        let (touch, touched) = (touch.clone(), touched.clone());
        std::thread::spawn(move || {
            touch();
            touched.wait();
            loop {
                std::thread::park();
            }
        });
    }
    touched.wait();
}

pub fn main<P: Peer>(mut peer: P) {
    let args: Vec<String> = std::env::args().skip(1).collect();
    if args.len() == 1 && args[0] == "--about" {
        println!("{}", P::about());
        return;
    }
    let [name, threads, count, n, path] = &args[..] else {
        panic!("usage: PROGRAM --about | CASE THREADS COUNT SERIES OUT");
    };
    let number = |s: &String| -> usize { s.parse().unwrap() };
    let (threads, count, n) = (number(threads), number(count), number(n));
    let mut body = String::new();
    if let Some(update) = peer.update(name) {
        let (time, cpu) = run_threads(update, threads, count);
        peer.render(&mut body);
        return finish(time, cpu, 0, 0, (path, &body));
    }
    let Some(touch) = peer.series(name, n) else {
        std::process::exit(NO_SUCH_CASE);
    };
    touch_and_stay(&touch, threads - 1);
    let resident_kb = memory_kb("VmRSS:");
    let (mut time, mut cpu, mut allocations) = (Duration::ZERO, Duration::ZERO, 0);
    for i in 0..=count {
        touch();
        ALLOCATIONS.store(0, Relaxed);
        COUNTING.store(true, Relaxed);
        let (begin, cpu_begin) = (Instant::now(), cpu_time());
        peer.render(&mut body);
        let (cpu_end, end) = (cpu_time(), Instant::now());
        COUNTING.store(false, Relaxed);
        if i > 0 {
            time += end - begin;
            cpu += cpu_end - cpu_begin;
            allocations += ALLOCATIONS.load(Relaxed);
        }
    }
    finish(time, cpu, allocations, resident_kb, (path, &body));
}

/// The version of a crate in Cargo.lock, and the compiler's.
pub fn about(name: &str) -> String {
    let lock = include_str!("../Cargo.lock");
    let entry = lock.split("[[package]]").find(|p| p.contains(&format!("name = \"{name}\"\n")));
    let version = entry.and_then(|p| p.split("version = \"").nth(1)?.split('"').next());
    format!("{name} {} ({})", version.unwrap_or("?"), env!("BENCH_RUSTC"))
}
