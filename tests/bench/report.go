//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"golang.org/x/sys/unix"
)

// What is promised of memory. Sizes are in bytes.
const (
	streamLimit = 32 * mb // by which a streamed result makes the resident memory grow
	longLimit   = 64 * mb // of resident memory while a long literal goes in and out
	idleLimit   = 16 * kb // of an idle client without TLS and compression
)

// report collects the tables.
type report struct {
	head    []string // paragraphs
	summary table
	idling  table
	tables  []table
	broken  []string // promises that were not kept
}

// table is a table of Markdown.
type table struct {
	name  string
	notes string
	rows  [][]string // the first one is the head
}

func (t *table) row(cells ...string) { t.rows = append(t.rows, cells) }

func newReport(args []string) *report {
	r := &report{
		summary: table{name: "CPU time of the proxy, as a multiple of haproxy's in the same round"},
		idling:  table{name: "Idle clients"},
	}
	r.summary.row("", "median", "smallest", "largest")
	r.idling.row("", "KB of memory for each client")
	command := "    go run ./tests/bench"
	for _, arg := range args {
		if strings.ContainsAny(arg, " '\"") {
			arg = strconv.Quote(arg)
		}
		command += " " + arg
	}
	r.head = append(r.head, command)
	return r
}

// about says what was measured where.
func (r *report) about(w *world, o options) {
	version, err := exec.CommandContext(context.Background(), w.binary, "version").Output()
	if err != nil {
		version = []byte("xaproxy of an unknown version")
	}
	r.head = append([]string{
		fmt.Sprintf("%s, %s, haproxy %s, MariaDB %s, %s, %s, load average %s at the start.", time.Now().UTC().Format("2006-01-02"),
			strings.TrimSpace(string(version)), w.haproxy.version, w.server.Version, kernel(), processors(), loadAverage()),
		fmt.Sprintf("%d connections, %d rounds of %s over all paths.", o.connections, o.rounds, o.length),
	}, r.head...)
}

// load writes the table of a statement that was sent again and again.
func (r *report) load(name string, paths []*path, samples [][]sample) {
	t := table{name: name}
	t.row("", "statements/s", "of direct", "CPU µs/statement", "of haproxy", "user", "system", "switches/statement", "peak MB")
	for i, p := range paths {
		cells := []string{p.name, spread("%.0f", each(samples[i], rate)), "", "", "", "", "", "", ""}
		if i != direct {
			cells[2] = spread("%.2f", ratios(samples[i], samples[direct], rate))
			cells[3] = spread("%.1f", each(samples[i], per(func(s sample) float64 { return micros(s.cpu) })))
			cells[5] = fmt.Sprintf("%.1f", overall(samples[i], func(s sample) float64 { return micros(s.user) }))
			cells[6] = fmt.Sprintf("%.1f", overall(samples[i], func(s sample) float64 { return micros(s.system) }))
			cells[7] = fmt.Sprintf("%.2f", overall(samples[i], func(s sample) float64 { return s.switches }))
			cells[8] = fmt.Sprintf("%.0f", peak(samples[i]))
		}
		if i > byHaproxy {
			cells[4] = r.compare(name, p, samples[i], samples[byHaproxy])
		}
		t.row(cells...)
	}
	r.tables = append(r.tables, t)
}

// stream writes the table of a streamed result.
func (r *report) stream(size int, paths []*path, samples [][]sample) {
	t := table{name: fmt.Sprintf("%d MB result", size)}
	t.row("", "MB/s", "of direct", "CPU ms/GB", "of haproxy", "peak MB", "growth MB")
	for i, p := range paths {
		cells := []string{p.name, spread("%.0f", each(samples[i], func(s sample) float64 { return rate(s) / mb })), "", "", "", "", ""}
		if i != direct {
			cells[2] = spread("%.2f", ratios(samples[i], samples[direct], rate))
			cells[3] = spread("%.0f", each(samples[i], per(func(s sample) float64 { return micros(s.cpu) / 1000 * (1 << 30) })))
			cells[5] = fmt.Sprintf("%.0f", peak(samples[i]))
			cells[6] = fmt.Sprintf("%.1f", growth(samples[i]))
		}
		if i > byHaproxy {
			cells[4] = r.compare(t.name, p, samples[i], samples[byHaproxy])
		}
		if i == byXaproxy {
			r.promise(t.name+": memory grew by", growth(samples[i])*mb, streamLimit, mb, "MB")
		}
		t.row(cells...)
	}
	r.tables = append(r.tables, t)
}

// long writes the table of a literal that goes in and comes out again.
func (r *report) long(size int, paths []*path, samples [][]sample) {
	t := table{name: fmt.Sprintf("%d MB literal in, %d MB result out", size, size)}
	t.row("", "ms", "CPU ms", "of haproxy", "peak MB", "growth MB")
	for i, p := range paths {
		cells := []string{p.name, spread("%.0f", each(samples[i], func(s sample) float64 { return micros(s.took) / 1000 })), "", "", "", ""}
		if i != direct {
			cells[2] = spread("%.0f", each(samples[i], func(s sample) float64 { return micros(s.cpu) / 1000 }))
			cells[4] = fmt.Sprintf("%.0f", peak(samples[i]))
			cells[5] = fmt.Sprintf("%.1f", growth(samples[i]))
		}
		if i > byHaproxy {
			cells[3] = r.compare(t.name, p, samples[i], samples[byHaproxy])
		}
		if i == byXaproxy {
			r.promise(t.name+": peak of memory", peak(samples[i])*mb, longLimit, mb, "MB")
		}
		t.row(cells...)
	}
	r.tables = append(r.tables, t)
}

// idle adds what an idle client costs.
func (r *report) idle(name string, each float64) {
	r.idling.row(name, fmt.Sprintf("%.1f", each/kb))
	if name == "xaproxy" {
		r.promise("an idle client: memory", each, idleLimit, kb, "KB")
	}
}

// compare adds a line of the summary and returns its figures as a cell.
func (r *report) compare(name string, p *path, mine, haproxy []sample) string {
	all := ratios(mine, haproxy, per(func(s sample) float64 { return micros(s.cpu) }))
	if p.name != "xaproxy" {
		name += ", " + p.name
	}
	r.summary.row(name, fmt.Sprintf("%.2f", median(all)), fmt.Sprintf("%.2f", slices.Min(all)), fmt.Sprintf("%.2f", slices.Max(all)))
	return spread("%.2f", all)
}

// promise notes whether a limit was kept.
func (r *report) promise(what string, got, limit, unit float64, unitName string) {
	if got >= limit {
		r.broken = append(r.broken, fmt.Sprintf("%s: %.1f %s, promised are less than %.0f", what, got/unit, unitName, limit/unit))
	}
}

// write prints the report and writes it to the file. The error says which promises were broken.
func (r *report) write(o options) error {
	text := r.text(o)
	fmt.Print(text)
	if o.report != "" {
		if err := os.WriteFile(o.report, []byte(text), 0o644); err != nil {
			return err
		}
	}
	if len(r.broken) > 0 {
		return errors.New(strings.Join(r.broken, "; "))
	}
	return nil
}

func (r *report) text(o options) string {
	var b strings.Builder
	b.WriteString("# Benchmark: xaproxy beside haproxy and a direct connection\n")
	for _, p := range append(r.head, "Load average at the end: "+loadAverage()+". Figures are medians over the rounds, with the smallest and the largest value.") {
		b.WriteString("\n" + p + "\n")
	}
	if o.idle > 0 {
		r.idling.notes = fmt.Sprintf("%d clients that have logged in and run a statement; to haproxy, connections over which a byte has come.", o.idle)
	}
	for _, t := range append(append([]table{r.summary}, r.tables...), r.idling) {
		if len(t.rows) > 1 {
			t.write(&b)
		}
	}
	return b.String()
}

// write pads the cells, so that the table can be read as it is.
func (t *table) write(b *strings.Builder) {
	fmt.Fprintf(b, "\n## %s\n\n", strings.ToUpper(t.name[:1])+t.name[1:])
	if t.notes != "" {
		fmt.Fprintf(b, "%s\n\n", t.notes)
	}
	widths := make([]int, len(t.rows[0]))
	for _, row := range t.rows {
		for i, cell := range row {
			widths[i] = max(widths[i], utf8.RuneCountInString(cell), 3)
		}
	}
	for n, row := range t.rows {
		for i, cell := range row {
			padding := strings.Repeat(" ", widths[i]-utf8.RuneCountInString(cell))
			if i == 0 {
				fmt.Fprintf(b, "| %s%s ", cell, padding)
			} else {
				fmt.Fprintf(b, "| %s%s ", padding, cell)
			}
		}
		b.WriteString("|\n")
		if n == 0 {
			for i, w := range widths {
				if i == 0 {
					b.WriteString("|" + strings.Repeat("-", w+2))
				} else {
					b.WriteString("|" + strings.Repeat("-", w+1) + ":")
				}
			}
			b.WriteString("|\n")
		}
	}
}

// rate is how much there was in a second.
func rate(s sample) float64 { return s.count / s.took.Seconds() }

// per divides a figure by the count.
func per(of func(sample) float64) func(sample) float64 {
	return func(s sample) float64 { return of(s) / math.Max(s.count, 1) }
}

// overall is a figure of all rounds together, divided by their count: for one that is counted too coarsely for one round.
func overall(samples []sample, of func(sample) float64) float64 {
	sum, count := 0.0, 0.0
	for _, s := range samples {
		sum, count = sum+of(s), count+s.count
	}
	return sum / count
}

func micros(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) }

// peak is the largest peak of memory, in MB.
func peak(samples []sample) float64 {
	return slices.Max(each(samples, func(s sample) float64 { return float64(s.peak) / mb }))
}

// growth is the most by which memory grew in one round, in MB.
func growth(samples []sample) float64 {
	return slices.Max(each(samples, func(s sample) float64 { return float64(s.peak-s.before) / mb }))
}

// each takes a figure of every round.
func each[S any](samples []S, of func(S) float64) []float64 {
	all := make([]float64, len(samples))
	for i, s := range samples {
		all[i] = of(s)
	}
	return all
}

// ratios divides the figures of the same round.
func ratios[S any](a, b []S, of func(S) float64) []float64 {
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

func kernel() string {
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		return "Linux"
	}
	return "Linux " + unix.ByteSliceToString(u.Release[:])
}

// processors says how many there are, and their model.
func processors() string {
	model := ""
	data, _ := os.ReadFile("/proc/cpuinfo") // without it there is no model to tell
	for line := range strings.Lines(string(data)) {
		if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
			model = " (" + strings.TrimSpace(value) + ")"
			break
		}
	}
	return fmt.Sprintf("%d processors%s", runtime.NumCPU(), model)
}

// loadAverage is that of the last minute.
func loadAverage() string {
	data, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return "unknown"
	}
	load, _, _ := strings.Cut(string(data), " ")
	return load
}
