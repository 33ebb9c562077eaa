package chaos

import (
	"context"
	"fmt"
	"io"
	"maps"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/xaproxy/xaproxy/tests/servers"
)

// Report is what a run was and what it found.
type Report struct {
	Started   time.Time
	Asked     time.Duration // to run
	Seed      uint64
	Clients   int
	Store     Store
	Proxies   int
	Kinds     [2]servers.Kind
	Versions  [2]string // of the servers
	Program   string    // what xaproxy says of its version
	Processor string

	Transactions, Acknowledged, RolledBack, Unknown int

	Refused        int            // attempts while the proxy or a server was away
	Faults         map[string]int // by kind and step
	InDoubt        int            // branches seen prepared with nobody attached
	LongestInDoubt time.Duration  // from when everything ran again
	// Recoveries are the times from a kill of proxies that left branches in doubt to when these were finished, in order of size.
	Recoveries []time.Duration
	Violations []string
	Log        []string // the proxy's, about the transactions in Violations
}

// Empty says why the run has shown nothing, or "".
func (r *Report) Empty() string {
	switch {
	case r.Acknowledged == 0:
		return "no transaction was committed"
	case len(r.Faults) == 0:
		return "nothing was broken"
	case r.InDoubt == 0:
		return "no branch was ever in doubt"
	}
	return ""
}

// Good reports whether the run has shown something and found nothing wrong.
func (r *Report) Good() bool { return len(r.Violations) == 0 && r.Empty() == "" }

// Verdict says in one line how it went.
func (r *Report) Verdict() string {
	switch {
	case len(r.Violations) > 0:
		return fmt.Sprintf("%d violations", len(r.Violations))
	case r.Empty() != "":
		return "an empty run: " + r.Empty()
	}
	return "no violations"
}

func (w *world) report(started time.Time) *Report {
	t := &w.tally
	r := &Report{
		Started: started, Asked: w.o.Duration, Seed: w.o.Seed, Clients: w.o.Clients, Store: w.o.Store, Proxies: w.o.Proxies, Kinds: w.o.Kinds,
		Processor:    fmt.Sprintf("%s/%s, %d processors", runtime.GOOS, runtime.GOARCH, runtime.NumCPU()),
		Transactions: int(t.transactions.Load()), Acknowledged: int(t.acknowledged.Load()),
		RolledBack: int(t.rolledBack.Load()), Unknown: int(t.unknown.Load()), Refused: int(t.refused.Load()),
	}
	for i, s := range w.servers {
		r.Versions[i] = s.Version
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	r.Faults, r.InDoubt, r.LongestInDoubt = maps.Clone(t.kills), t.inDoubt, t.longest
	r.Violations, r.Recoveries = slices.Clone(t.violations), slices.Sorted(slices.Values(t.recoveries))
	return r
}

// progress says once a second how it stands.
func (w *world) progress(ctx context.Context, started time.Time) {
	if w.o.Progress == nil {
		return
	}
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		t := &w.tally
		t.mu.Lock()
		faults, inDoubt, longest, violations := t.faults, t.inDoubt, t.longest, len(t.violations)
		t.mu.Unlock()
		w.o.Progress(fmt.Sprintf("%3.0fs  %d transactions: %d acknowledged, %d rolled back, %d unknown  %d faults  %d in doubt, longest %s  %d violations",
			time.Since(started).Seconds(), t.transactions.Load(), t.acknowledged.Load(), t.rolledBack.Load(), t.unknown.Load(),
			faults, inDoubt, longest.Round(time.Millisecond), violations))
	}
}

// Server names one of the servers.
func (r *Report) Server(i int) string {
	name := map[servers.Kind]string{
		servers.MariaDB: "MariaDB %s without binary log", servers.MariaDBBinlog: "MariaDB %s with binary log", servers.MySQL: "MySQL %s", servers.Postgres: "PostgreSQL %s",
	}[r.Kinds[i]]
	return fmt.Sprintf(name, r.Versions[i])
}

// Median returns the middle of the Recoveries, 0 if there were none.
func (r *Report) Median() time.Duration {
	if len(r.Recoveries) == 0 {
		return 0
	}
	return r.Recoveries[len(r.Recoveries)/2]
}

// WriteMarkdown writes the report as a document.
func (r *Report) WriteMarkdown(to io.Writer) error {
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	line("# Chaos: %s and %s, %s store", r.Server(0), r.Server(1), r.Store)
	line("")
	line("%s, %s, %s, proxies: %d, %d clients for %s, seed %d: **%s**.",
		r.Started.UTC().Format("2006-01-02"), r.Program, r.Processor, r.Proxies, r.Clients, r.Asked, r.Seed, r.Verdict())
	line("")
	line("The clients moved money between %d accounts, sharded over both servers, while the faults below were injected one after", accounts)
	line("the other. Afterwards every transfer was looked up on the servers: those whose COMMIT was answered with OK must be there")
	line("on all shards, those that were rolled back on none, those without an answer on all or on none. Every balance must be the")
	line("sum of its transfers, and nothing may be left prepared.")
	line("")
	line("Most faults hit when a branch came to a step of the commit protocol: when its request had not reached the server (asked),")
	line("when the server's answer had not reached the proxy (answered), or right after it had (told).")
	line("")
	line("    go run ./tests/chaos/cmd/chaos --mix %s,%s --store %s --proxies %d --duration %s --seed %d",
		r.Kinds[0], r.Kinds[1], r.Store, r.Proxies, r.Asked, r.Seed)
	line("")
	line("| | |")
	line("|---|---|")
	for _, row := range []struct {
		what  string
		count any
	}{
		{"transactions", r.Transactions},
		{"acknowledged", r.Acknowledged},
		{"rolled back, by the client or with an error that says so", r.RolledBack},
		{"without an answer, or with one that says that the outcome is unknown", r.Unknown},
		{"attempts while the proxy or a server was away", r.Refused},
		{"branches seen in doubt", r.InDoubt},
		{"longest time in doubt after everything ran again", r.LongestInDoubt.Round(time.Millisecond)},
		{"kills of proxies that left branches in doubt", len(r.Recoveries)},
		{"median time from such a kill until they were finished", r.Median().Round(time.Millisecond)},
		{"violations", len(r.Violations)},
	} {
		line("| %s | %v |", row.what, row.count)
	}
	line("")
	line("| fault | step | times |")
	line("|---|---|---|")
	for _, name := range slices.Sorted(maps.Keys(r.Faults)) {
		kind, step, _ := strings.Cut(name, ", ")
		line("| %s | %s | %d |", kind, step, r.Faults[name])
	}
	if len(r.Violations) > 0 {
		line("")
		line("Violations:")
		line("")
		for _, v := range r.Violations {
			line("- %s", v)
		}
	}
	_, err := io.WriteString(to, b.String())
	return err
}
