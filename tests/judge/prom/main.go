// SPDX-License-Identifier: Apache-2.0

// Command judge reads expositions with the parsers of a current Prometheus, for
// tests/integration/test_prom_formats.py.
//
//	judge read CONTENT-TYPE   reads a scrape from standard input; writes one JSON object per line: a sample
//	                          {name, labels, value} or a native histogram {name, labels, schema,
//	                          zero, count, sum, buckets}
//	judge escape              reads one name per line; writes each escaped by underscores,
//	                          dots and values, separated by tabs
package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/exemplar"
	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/textparse"
)

type entry struct {
	Name     string            `json:"name"`
	Labels   map[string]string `json:"labels"`
	Value    string            `json:"value,omitempty"`
	Native   bool              `json:"native"`
	Schema   int32             `json:"schema"`
	Zero     uint64            `json:"zero"`
	Count    uint64            `json:"count"`
	Sum      string            `json:"sum,omitempty"`
	Buckets  int               `json:"buckets"`
	Exemplar map[string]string `json:"exemplar,omitempty"`
}

func number(v float64) string {
	return strconv.FormatFloat(v, 'g', -1, 64)
}

func (e *entry) setHistogram(h *histogram.Histogram) error {
	e.Native = true
	e.Schema, e.Zero, e.Count, e.Sum = h.Schema, h.ZeroCount, h.Count, number(h.Sum)
	for _, it := range []histogram.BucketIterator[uint64]{
		h.PositiveBucketIterator(), h.NegativeBucketIterator(),
	} {
		for it.Next() {
			if it.At().Count > 0 {
				e.Buckets++
			}
		}
	}
	return h.Validate()
}

func next(p textparse.Parser, kind textparse.Entry) (*entry, error) {
	var e entry
	switch kind {
	case textparse.EntrySeries:
		_, _, v := p.Series()
		e.Value = number(v)
	case textparse.EntryHistogram:
		_, _, h, _ := p.Histogram()
		if h == nil {
			return nil, errors.New("a histogram of floats")
		}
		if err := e.setHistogram(h); err != nil {
			return nil, err
		}
	default:
		return nil, nil
	}
	var l labels.Labels
	p.Labels(&l)
	e.Labels = l.Map()
	e.Name = e.Labels[labels.MetricName]
	delete(e.Labels, labels.MetricName)
	var x exemplar.Exemplar
	if p.Exemplar(&x) {
		e.Exemplar = x.Labels.Map()
	}
	return &e, nil
}

func read(contentType string) error {
	body, err := io.ReadAll(os.Stdin)
	if err != nil {
		return err
	}
	p, err := textparse.New(body, contentType, labels.NewSymbolTable(), textparse.ParserOptions{})
	if err != nil {
		return err
	}
	out := json.NewEncoder(os.Stdout)
	for {
		kind, err := p.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		e, err := next(p, kind)
		if err != nil {
			return err
		}
		if e != nil {
			if err := out.Encode(e); err != nil {
				return err
			}
		}
	}
}

func escape() error {
	names := bufio.NewScanner(os.Stdin)
	for names.Scan() {
		n := names.Text()
		if model.LegacyValidation.IsValidMetricName(n) {
			// Like Prometheus' client library: no scheme changes such a name.
			fmt.Printf("%s\t%s\t%s\n", n, n, n)
			continue
		}
		fmt.Printf("%s\t%s\t%s\n", model.EscapeName(n, model.UnderscoreEscaping),
			model.EscapeName(n, model.DotsEscaping), model.EscapeName(n, model.ValueEncodingEscaping))
	}
	return names.Err()
}

func main() {
	err := errors.New("usage: judge read CONTENT-TYPE | judge escape")
	if len(os.Args) == 3 && os.Args[1] == "read" {
		err = read(os.Args[2])
	} else if len(os.Args) == 2 && os.Args[1] == "escape" {
		err = escape()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "judge:", err)
		os.Exit(1)
	}
}
