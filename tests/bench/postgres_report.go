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
	tables  []table
	commits transactions
}

func newPostgresReport(args []string) *postgresReport {
	r := &postgresReport{
		command: "    go run ./tests/bench " + strings.Join(args, " "),
		summary: table{name: "CPU time of proxy and server together with PostgreSQL, as a multiple of that with MySQL in the same round"},
		commits: newTransactions(),
	}
	r.summary.row("", "", "median", "smallest", "largest")
	return r
}

// about says what was measured where.
func (r *postgresReport) about(w *mixedWorld) {
	version, err := exec.CommandContext(background, w.binary, "version").Output()
	if err != nil {
		version = []byte("xaproxy of an unknown version")
	}
	r.head = []string{
		fmt.Sprintf("%s, %s, haproxy %s, MySQL %s, PostgreSQL %s, %s, %s, load average %s at the start.", time.Now().UTC().Format("2006-01-02"),
			strings.TrimSpace(string(version)), w.haproxy.version, w.servers[0].Version, w.servers[1].Version, kernel(), processors(), loadAverage()),
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

// write prints the report and writes it to a file, if there is to be one.
func (r *postgresReport) write(file string) error {
	return publish(file, "a PostgreSQL backend beside a MySQL backend", append(r.head, r.command), slices.Concat([]table{r.summary, r.commits.summary}, r.tables, r.commits.tables))
}
