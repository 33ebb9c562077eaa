//go:build linux

package main

import (
	"fmt"
	"io"
	"slices"
	"time"
)

// report writes the tables. Errors of the writer are not looked at: there is nobody else to tell.
type report struct{ w io.Writer }

func newReport(w io.Writer) *report { return &report{w} }

func (r *report) line(format string, args ...any) { _, _ = fmt.Fprintf(r.w, format+"\n", args...) }

const columns = "%-14s %-9s %22s %18s %22s %18s %8s"

// queries writes the table of a case. The first path is the direct one, the second haproxy.
func (r *report) queries(name string, paths []*path, samples [][]sample) {
	r.line("")
	r.line(columns, name, "", "queries/s", "of direct", "CPU µs/query", "of haproxy", "RSS MB")
	r.rows(paths, samples, func(s sample) float64 { return s.perSecond }, "%.0f", func(s sample) float64 { return float64(s.cpu) / float64(time.Microsecond) })
}

// streams writes the table of the streamed result.
func (r *report) streams(name string, paths []*path, samples [][]sample) {
	r.line("")
	r.line(columns, name, "", "MB/s", "of direct", "CPU ms/GB", "of haproxy", "peak MB")
	r.rows(paths, samples, func(s sample) float64 { return s.perSecond / mega }, "%.0f", func(s sample) float64 { return float64(s.cpu) / float64(time.Millisecond) })
}

func (r *report) rows(paths []*path, samples [][]sample, rate func(sample) float64, format string, cpu func(sample) float64) {
	direct, haproxy := samples[0], samples[1]
	for i, p := range paths {
		mine := samples[i]
		ofDirect, perQuery, ofHaproxy, rss := "", "", "", ""
		if i > 0 {
			ofDirect = spread("%.2f", ratios(mine, direct, rate))
			perQuery = spread("%.1f", each(mine, cpu))
			rss = fmt.Sprintf("%.0f", median(each(mine, func(s sample) float64 { return float64(s.rss) / mega })))
		}
		if i > 1 {
			ofHaproxy = spread("%.2f", ratios(mine, haproxy, cpu))
		}
		r.line(columns, "", p.name, spread(format, each(mine, rate)), ofDirect, perQuery, ofHaproxy, rss)
	}
}

// each takes a figure of every round.
func each(samples []sample, of func(sample) float64) []float64 {
	all := make([]float64, len(samples))
	for i, s := range samples {
		all[i] = of(s)
	}
	return all
}

// ratios divides the figures of the same round.
func ratios(a, b []sample, of func(sample) float64) []float64 {
	all := make([]float64, len(a))
	for i := range a {
		all[i] = of(a[i]) / of(b[i])
	}
	return all
}

func median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	n := len(sorted)
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}

// spread writes the median with the smallest and largest value.
func spread(format string, values []float64) string {
	return fmt.Sprintf(format+" ("+format+"–"+format+")", median(values), slices.Min(values), slices.Max(values))
}
