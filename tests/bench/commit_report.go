//go:build linux

package main

import (
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"time"
)

// commitReport collects the tables of the subcommand commit.
type commitReport struct {
	command string
	head    []string // paragraphs
	transactions
}

func newCommitReport(args []string) *commitReport {
	return &commitReport{command: "    go run ./tests/bench " + strings.Join(args, " "), transactions: newTransactions()}
}

// transactions are the tables of commits on two servers.
type transactions struct {
	summary table
	tables  []table
}

func newTransactions() transactions {
	t := transactions{summary: table{name: "Transactions per second, as a multiple of the floor's in the same round"}}
	t.summary.row("", "servers", "clients", "median", "smallest", "largest", "latency p50", "p99")
	return t
}

// about says what was measured where.
func (r *commitReport) about(w *pairWorld, o commitOptions) {
	if r.head == nil {
		version, err := exec.CommandContext(background, w.binary, "version").Output()
		if err != nil {
			version = []byte("xaproxy of an unknown version")
		}
		r.head = []string{
			fmt.Sprintf("%s, %s, haproxy %s, %s, %s, load average %s at the start.", time.Now().UTC().Format("2006-01-02"),
				strings.TrimSpace(string(version)), w.haproxy.version, kernel(), processors(), loadAverage()),
			fmt.Sprintf("%d rounds of %s over all ways. A transaction is two updates, one on either server, and a commit.", o.rounds, o.length),
		}
	}
	r.head = append(r.head, fmt.Sprintf("Servers %s: %s, %s.", w.kinds(), w.servers[0].Version, w.durable))
}

// measured writes the table of a number of clients, and lines of the summary.
func (r *transactions) measured(w *pairWorld, clients int, samples [][]commitSample) {
	rate := func(s commitSample) float64 { return s.rate }
	p50 := func(s commitSample) float64 { return s.percentile(0.5) }
	p99 := func(s commitSample) float64 { return s.percentile(0.99) }
	t := table{name: fmt.Sprintf("Servers %s, clients: %d", w.kinds(), clients)}
	t.row("", "transactions/s", "of the floor", "p50 ms", "p99 ms", "CPU µs/transaction: between", "client", "servers", "all")
	base := 0
	for i, one := range w.ways {
		if one.floor && one.between == nil {
			base = i
		}
		cpu := func(of func(commitSample) float64) string { return fmt.Sprintf("%.0f", median(each(samples[i], of))) }
		cells := []string{
			one.name, spread("%.0f", each(samples[i], rate)), "",
			fmt.Sprintf("%.2f", median(each(samples[i], p50))), fmt.Sprintf("%.2f", median(each(samples[i], p99))),
			cpu(func(s commitSample) float64 { return s.between }), cpu(func(s commitSample) float64 { return s.client }),
			cpu(func(s commitSample) float64 { return s.database }),
			cpu(func(s commitSample) float64 { return s.between + s.client + s.database }),
		}
		if i != base {
			all := ratios(samples[i], samples[base], rate)
			cells[2] = spread("%.2f", all)
			of := func(value float64) string { return fmt.Sprintf("%.2f", value) }
			r.summary.row(one.name, w.kinds(), fmt.Sprint(clients), of(median(all)), of(slices.Min(all)), of(slices.Max(all)),
				of(median(ratios(samples[i], samples[base], p50))), of(median(ratios(samples[i], samples[base], p99))))
		}
		t.row(cells...)
	}
	r.tables = append(r.tables, t)
}

// write prints the report and writes it to a file, if there is to be one.
func (r *commitReport) write(file string) error {
	return publish(file, "commits on two servers, beside the same protocol written by hand", append(r.head, r.command), append([]table{r.summary}, r.tables...))
}

// publish prints the report of a benchmark, without tables that are empty, and writes it to a file, if there is to be one.
func publish(file, title string, head []string, tables []table) error {
	var b strings.Builder
	b.WriteString("# Benchmark: " + title + "\n")
	for _, p := range append(head, "Load average at the end: "+loadAverage()+". Figures are medians over the rounds, with the smallest and the largest value.") {
		b.WriteString("\n" + p + "\n")
	}
	for _, t := range tables {
		if len(t.rows) > 1 {
			t.write(&b)
		}
	}
	fmt.Print(b.String())
	if file == "" {
		return nil
	}
	return os.WriteFile(file, []byte(b.String()), 0o644)
}
