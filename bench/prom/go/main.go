// SPDX-License-Identifier: Apache-2.0

// client_golang under `make bench-prom`. What it is called with, does and prints: bench/prom/harness.h.
package main

import (
	"bytes"
	"fmt"
	"log"
	"net/http"
	"os"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/prometheus/common/expfmt"
)

const (
	nValues     = 1024
	nFirst      = 20
	nCopies     = 256
	step        = 7919
	noSuchCase  = 3
	description = "A metric."
)

var (
	values   [nValues]float64
	methods  = [4]string{"GET", "POST", "PUT", "DELETE"}
	statuses = [4]string{"200", "301", "404", "503"}
	copies   [nCopies][2]string
	registry = prometheus.NewRegistry()
)

func fillTables() {
	x := uint32(1)
	for i := range values {
		x = x*1103515245 + 12345
		exponent := (x >> 28) * 13 >> 4
		values[i] = float64(16+(x>>24&15)) / 16 * float64(uint64(1)<<exponent) / 256
	}
	for i := range copies {
		copies[i] = [2]string{strings.Clone(methods[i%4]), strings.Clone(statuses[i/4%4])}
	}
}

// ---- updates ---------------------------------------------------------------------------------

func add[T prometheus.Collector](c T) T {
	registry.MustRegister(c)
	return c
}

// The loops by name; each makes only the metric it needs.
var updates = map[string]func() func(count int){
	"counter": func() func(int) {
		c := add(prometheus.NewCounter(prometheus.CounterOpts{Name: "bench_total", Help: "h"}))
		return func(count int) {
			for i := 0; i < count; i++ {
				c.Inc()
			}
		}
	},
	"lookup": func() func(int) {
		v := vector()
		return func(count int) {
			for i := 0; i < count; i++ {
				v.WithLabelValues("GET", "200").Inc()
			}
		}
	},
	"lookup-in-turn": func() func(int) {
		v := vector()
		return func(count int) {
			for i := 0; i < count; i++ {
				v.WithLabelValues(methods[i%4], statuses[i/4%4]).Inc()
			}
		}
	},
	"lookup-copies": func() func(int) {
		v := vector()
		return func(count int) {
			for i := 0; i < count; i++ {
				c := &copies[i%nCopies]
				v.WithLabelValues(c[0], c[1]).Inc()
			}
		}
	},
	"retained": func() func(int) {
		v := vector()
		var children [16]prometheus.Counter
		for i := range children {
			children[i] = v.WithLabelValues(methods[i%4], statuses[i/4%4])
		}
		return func(count int) {
			for i := 0; i < count; i++ {
				children[i%16].Inc()
			}
		}
	},
	"gauge-set": func() func(int) {
		g := add(prometheus.NewGauge(prometheus.GaugeOpts{Name: "bench_level", Help: "h"}))
		return func(count int) {
			for i := 0; i < count; i++ {
				g.Set(float64(i))
			}
		}
	},
	"gauge-add": func() func(int) {
		g := add(prometheus.NewGauge(prometheus.GaugeOpts{Name: "bench_level", Help: "h"}))
		return func(count int) {
			for i := 0; i < count; i++ {
				g.Add(1)
			}
		}
	},
	"histogram": func() func(int) {
		return observe(prometheus.HistogramOpts{Name: "bench_seconds", Help: "h"})
	},
	"native": func() func(int) {
		return observe(prometheus.HistogramOpts{Name: "bench_sparse_seconds", Help: "h",
			NativeHistogramBucketFactor: 1.1})
	},
}

func vector() *prometheus.CounterVec {
	return add(prometheus.NewCounterVec(prometheus.CounterOpts{Name: "bench_found_total", Help: "h"},
		[]string{"method", "status"}))
}

func observe(opts prometheus.HistogramOpts) func(int) {
	h := add(prometheus.NewHistogram(opts))
	return func(count int) {
		for i := 0; i < count; i++ {
			h.Observe(values[i%nValues])
		}
	}
}

// Of the whole process: a goroutine has no clock of its own.
func cpuTime() time.Duration {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		log.Fatal(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

// From the first goroutine's begin to the last one's end, and the processor's time.
func runThreads(loop func(int), threads, count int) (ns, cpu time.Duration) {
	var ready, done sync.WaitGroup
	start := make(chan struct{})
	begins, ends := make([]time.Time, threads), make([]time.Time, threads)
	for t := 0; t < threads; t++ {
		ready.Add(1)
		done.Add(1)
		go func() {
			defer done.Done()
			ready.Done()
			<-start
			begins[t] = time.Now()
			loop(count)
			ends[t] = time.Now()
		}()
	}
	ready.Wait()
	cpu = cpuTime()
	close(start)
	done.Wait()
	cpu = cpuTime() - cpu
	begin, end := begins[0], ends[0]
	for t := range begins {
		if begins[t].Before(begin) {
			begin = begins[t]
		}
		if ends[t].After(end) {
			end = ends[t]
		}
	}
	return end.Sub(begin), cpu
}

// ---- scrapes ---------------------------------------------------------------------------------

func makeCounters(n int) (touch func()) {
	vec := add(prometheus.NewCounterVec(prometheus.CounterOpts{Name: "bench_scraped_total",
		Help: description}, []string{"method", "path"}))
	series := make([]prometheus.Counter, n)
	for i := range series {
		series[i] = vec.WithLabelValues("GET", "/api/"+strconv.Itoa(i))
		series[i].Add(float64(i * step))
	}
	return func() {
		for _, c := range series {
			c.Inc()
		}
	}
}

func makeHistograms(n int, nativeFactor float64) (touch func()) {
	vec := add(prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "bench_scraped_seconds",
		Help: description, NativeHistogramBucketFactor: nativeFactor}, []string{"method", "path"}))
	series := make([]prometheus.Observer, n)
	for i := range series {
		series[i] = vec.WithLabelValues("GET", "/api/"+strconv.Itoa(i))
		for j := 0; j < nFirst; j++ {
			series[i].Observe(values[(i+j)%nValues])
		}
	}
	return func() {
		for i, h := range series {
			h.Observe(values[i%nValues])
		}
	}
}

var body bytes.Buffer

func render() {
	families, err := registry.Gather()
	if err != nil {
		log.Fatal(err)
	}
	body.Reset()
	encoder := expfmt.NewEncoder(&body, expfmt.NewFormat(expfmt.TypeTextPlain))
	for _, family := range families {
		if err := encoder.Encode(family); err != nil {
			log.Fatal(err)
		}
	}
}

type response struct{ header http.Header }

func (r *response) Header() http.Header         { return r.header }
func (r *response) Write(b []byte) (int, error) { return body.Write(b) }
func (r *response) WriteHeader(status int) {
	if status != http.StatusOK {
		log.Fatal("status ", status)
	}
}

// The handler, asked as Prometheus asks.
func renderGzip() func() {
	handler := promhttp.HandlerFor(registry, promhttp.HandlerOpts{})
	request, err := http.NewRequest("GET", "/metrics", nil)
	if err != nil {
		log.Fatal(err)
	}
	request.Header.Set("Accept", "text/plain;version=0.0.4;q=0.5,*/*;q=0.1")
	request.Header.Set("Accept-Encoding", "gzip")
	return func() {
		body.Reset()
		handler.ServeHTTP(&response{http.Header{}}, request)
	}
}

// Each in a thread of its own, as in the other programs.
func touchAndStay(touch func(), threads int) {
	var touched sync.WaitGroup
	for t := 0; t < threads; t++ {
		touched.Add(1)
		go func() {
			runtime.LockOSThread()
			touch()
			touched.Done()
			select {}
		}()
	}
	touched.Wait()
}

func scrapes(touch, scrape func(), count int) (ns, cpu time.Duration, allocations uint64) {
	var before, after runtime.MemStats
	for i := -1; i < count; i++ {
		touch()
		runtime.ReadMemStats(&before)
		begin, cpuBegin := time.Now(), cpuTime()
		scrape()
		end, cpuEnd := time.Now(), cpuTime()
		runtime.ReadMemStats(&after)
		if i >= 0 {
			ns += end.Sub(begin)
			cpu += cpuEnd - cpuBegin
			allocations += after.Mallocs - before.Mallocs
		}
	}
	return ns, cpu, allocations
}

// ----------------------------------------------------------------------------------------------

func about() string {
	version := "?"
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, module := range info.Deps {
			if module.Path == "github.com/prometheus/client_golang" {
				version = strings.TrimPrefix(module.Version, "v")
			}
		}
	}
	return "client_golang " + version + " (" + runtime.Version() + ")"
}

func memoryKB(name string) int {
	status, _ := os.ReadFile("/proc/self/status")
	_, rest, _ := strings.Cut(string(status), name)
	kb := 0
	fmt.Sscan(rest, &kb)
	return kb
}

func finish(ns, cpu time.Duration, allocations uint64, residentKB int, path string) {
	fmt.Printf("{\"ns\": %d, \"cpu_ns\": %d, \"allocations\": %d, \"resident_kb\": %d, "+
		"\"peak_kb\": %d}\n", ns, cpu, allocations, residentKB, memoryKB("VmHWM:"))
	if err := os.WriteFile(path, body.Bytes(), 0o600); err != nil {
		log.Fatal(err)
	}
}

func number(s string) int {
	n, err := strconv.Atoi(s)
	if err != nil {
		log.Fatal(err)
	}
	return n
}

func main() {
	if len(os.Args) == 2 && os.Args[1] == "--about" {
		fmt.Println(about())
		return
	}
	if len(os.Args) != 6 {
		log.Fatal("usage: PROGRAM --about | CASE THREADS COUNT SERIES OUT")
	}
	fillTables()
	name, threads, count, n := os.Args[1], number(os.Args[2]), number(os.Args[3]), number(os.Args[4])
	if update, ok := updates[name]; ok {
		ns, cpu := runThreads(update(), threads, count)
		render()
		finish(ns, cpu, 0, 0, os.Args[5])
		return
	}
	var touch func()
	scrape := render
	switch name {
	case "scrape-counters":
		touch = makeCounters(n)
	case "scrape-gzip":
		touch = makeCounters(n)
		scrape = renderGzip()
	case "scrape-histograms":
		touch = makeHistograms(n, 0)
	case "scrape-natives":
		touch = makeHistograms(n, 1.1)
	default:
		os.Exit(noSuchCase)
	}
	touchAndStay(touch, threads-1)
	debug.FreeOSMemory()
	residentKB := memoryKB("VmRSS:")
	ns, cpu, allocations := scrapes(touch, scrape, count)
	finish(ns, cpu, allocations, residentKB, os.Args[5])
}
