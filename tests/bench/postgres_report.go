//go:build linux

package main

import (
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"time"

	"github.com/xaproxy/xaproxy/tests/servers"
)

// postgresReport collects the tables of the subcommand postgres.
type postgresReport struct {
	command string
	head    []string // paragraphs
	summary table
	commits table
	tables  []table
}

func newPostgresReport(args []string) *postgresReport {
	r := &postgresReport{
		command: "    go run ./tests/bench " + strings.Join(args, " "),
		summary: table{name: "CPU time of proxy and server together with PostgreSQL, as a multiple of that with MySQL in the same round"},
		commits: table{name: "Transfers between MySQL and PostgreSQL per second, as a multiple of the floor's in the same round"},
	}
	r.summary.row("", "", "median", "smallest", "largest")
	r.commits.row("", "clients", "median", "smallest", "largest", "latency p50")
	return r
}

// about says what was measured where.
func (r *postgresReport) about(w *mixedWorld) {
	version, err := exec.CommandContext(background, w.binary, "version").Output()
	if err != nil {
		version = []byte("xaproxy of an unknown version")
	}
	r.head = []string{
		fmt.Sprintf("%s, %s, MySQL %s, PostgreSQL %s, %s, %s, load average %s at the start.", time.Now().UTC().Format("2006-01-02"),
			strings.TrimSpace(string(version)), w.servers[0].Version, w.servers[1].Version, kernel(), processors(), loadAverage()),
		fmt.Sprintf("%d rounds of %s over everything. A transfer is two updates, one on either server, and a commit. Rows have an INT, a BIGINT, a DECIMAL, a DATETIME and a VARCHAR.", w.o.rounds, w.o.length),
	}
}

// compare writes the table of statements or rows, and lines of the summary: each xaproxy's PostgreSQL beside its MySQL.
func (r *postgresReport) compare(name, unit string, sources []*source, samples [][]sideSample) {
	t := table{name: name}
	t.row("", "", unit+"s/s", "CPU µs/"+unit+": proxy", "server", "both", "of MySQL's")
	for i, s := range sources {
		cell := func(format string, of func(sideSample) float64) string { return spread(format, each(samples[i], of)) }
		cells := []string{
			s.name, string(s.kind), cell("%.0f", func(m sideSample) float64 { return m.rate }), cell("%.2f", func(m sideSample) float64 { return m.proxy }),
			cell("%.2f", func(m sideSample) float64 { return m.backend }), cell("%.2f", sideSample.both), "",
		}
		if s.kind == servers.Postgres { // MySQL's is before it
			all := ratios(samples[i], samples[i-1], sideSample.both)
			cells[6] = spread("%.2f", all)
			r.summary.row(name, s.name, fmt.Sprintf("%.2f", median(all)), fmt.Sprintf("%.2f", slices.Min(all)), fmt.Sprintf("%.2f", slices.Max(all)))
		}
		t.row(cells...)
	}
	r.tables = append(r.tables, t)
}

// transfers writes the table of a number of clients, and lines of the summary.
func (r *postgresReport) transfers(w *mixedWorld, clients int, samples [][]commitSample) {
	rate := func(s commitSample) float64 { return s.rate }
	p50 := func(s commitSample) float64 { return s.percentile(0.5) }
	t := table{name: fmt.Sprintf("Transfers, clients: %d", clients)}
	t.row("", "transactions/s", "of the floor", "p50 ms", "p99 ms", "CPU µs/transaction: between", "client")
	base := 0
	for i, one := range w.ways {
		if one.floor {
			base = i
		}
		cells := []string{
			one.name, spread("%.0f", each(samples[i], rate)), "", fmt.Sprintf("%.2f", median(each(samples[i], p50))),
			fmt.Sprintf("%.2f", median(each(samples[i], func(s commitSample) float64 { return s.percentile(0.99) }))),
			fmt.Sprintf("%.0f", median(each(samples[i], func(s commitSample) float64 { return s.between }))),
			fmt.Sprintf("%.0f", median(each(samples[i], func(s commitSample) float64 { return s.client }))),
		}
		if i != base {
			all := ratios(samples[i], samples[base], rate)
			cells[2] = spread("%.2f", all)
			r.commits.row(one.name, fmt.Sprint(clients), fmt.Sprintf("%.2f", median(all)), fmt.Sprintf("%.2f", slices.Min(all)), fmt.Sprintf("%.2f", slices.Max(all)),
				fmt.Sprintf("%.2f", median(ratios(samples[i], samples[base], p50))))
		}
		t.row(cells...)
	}
	r.tables = append(r.tables, t)
}

// write prints the report and writes it to a file, if there is to be one.
func (r *postgresReport) write(file string) error {
	return publish(file, "a PostgreSQL backend beside a MySQL backend", append(r.head, r.command), append([]table{r.summary, r.commits}, r.tables...))
}
