package once

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/go-sql-driver/mysql"

	"github.com/xaproxy/xaproxy/tests/servers"
)

// counts are numbers by what they count.
type counts map[string]int

// tally counts what happens. It is safe for concurrent use.
type tally struct {
	mu         sync.Mutex // protects the following
	attempts   int
	refused    int    // connections while a proxy was away
	endings    counts // of attempts
	losses     counts // of connections, by cause
	outcomes   counts // of xaproxy_outcome, by answer
	errors     counts // that were answered, by number and SQLSTATE
	faults     counts
	unheard    counts // what became of attempts of unknown end
	violations []string
}

func (t *tally) count(c *counts, what string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if *c == nil {
		*c = make(counts)
	}
	(*c)[what]++
}

func (t *tally) lost(cause string)  { t.count(&t.losses, cause) }
func (t *tally) told(answer string) { t.count(&t.outcomes, answer) }
func (t *tally) fault(name string)  { t.count(&t.faults, name) }

func (t *tally) refuse() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.refused++
}

func (t *tally) attempt(a attempt) {
	t.mu.Lock()
	t.attempts++
	t.mu.Unlock()
	t.count(&t.endings, a.end.String())
	var said *mysql.MySQLError
	if errors.As(a.err, &said) {
		t.count(&t.errors, fmt.Sprintf("%d (%s)", said.Number, said.SQLState[:]))
	}
}

// found counts what became of the attempts of which the client did not know.
func (t *tally) found(op *operation, is applied) {
	for i, a := range op.attempts {
		switch _, ok := is[i]; {
		case a.end != unknown:
		case ok:
			t.count(&t.unheard, "committed")
		default:
			t.count(&t.unheard, "not committed")
		}
	}
}

func (t *tally) violation(format string, args ...any) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.violations = append(t.violations, fmt.Sprintf(format, args...))
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
		line := fmt.Sprintf("%4.0fs  %d of %d operations, %d attempts, %d connections lost, %d times 20042, %d violations",
			time.Since(started).Seconds(), w.done.Load(), w.o.Operations, t.attempts, t.losses.sum(), t.endings[already.String()], len(t.violations))
		t.mu.Unlock()
		w.o.Progress(line)
	}
}

func (c counts) sum() (n int) {
	for _, k := range c {
		n += k
	}
	return n
}

// Report is what a run was and what it found.
type Report struct {
	Options
	Started    time.Time
	Took       time.Duration // without the checks
	Servers    [2]string
	Program    string // what xaproxy says of its version
	Proxies    int
	Done       int // operations
	Violations []string

	tally *tally
}

func (w *world) report(started time.Time, took time.Duration) *Report {
	r := &Report{
		Options: w.o, Started: started, Took: took, Proxies: len(w.fronts), Done: int(w.done.Load()), Violations: w.tally.violations, tally: &w.tally,
	}
	for i, s := range w.servers {
		name := map[servers.Kind]string{
			servers.MariaDB: "MariaDB %s without binary log", servers.MariaDBBinlog: "MariaDB %s with binary log", servers.MySQL: "MySQL %s",
		}[s.Kind]
		r.Servers[i] = fmt.Sprintf(name, s.Version)
	}
	if out, err := exec.Command(w.o.Binary, "version").Output(); err == nil { // else it has none to show
		r.Program = strings.TrimSpace(string(out))
	}
	return r
}

// Empty says why the run has shown nothing, or "".
func (r *Report) Empty() string {
	for _, x := range []struct {
		what  string
		times int
	}{
		{"operation was acknowledged", r.tally.endings[acknowledged.String()]},
		{"attempt was told 20042", r.tally.endings[already.String()]},
		{"unknown attempt was committed", r.tally.unheard["committed"]},
		{"connection was lost with a killed xaproxy", r.tally.losses["xaproxy killed"]},
		{"connection of a client was cut", r.tally.losses["the client's connection cut"]},
		{"answer of xaproxy_outcome was heard", r.tally.outcomes.sum()},
		{"server was killed", r.tally.faults["server killed"]},
	} {
		if x.times == 0 {
			return "no " + x.what
		}
	}
	return ""
}

// Good reports whether the run has shown something and found nothing wrong.
func (r *Report) Good() bool {
	return len(r.Violations) == 0 && r.Empty() == "" && r.Done == r.Operations
}

// Verdict says in one line how it went.
func (r *Report) Verdict() string {
	switch {
	case len(r.Violations) > 0:
		return fmt.Sprintf("%d violations", len(r.Violations))
	case r.Done != r.Operations:
		return fmt.Sprintf("interrupted after %d operations", r.Done)
	case r.Empty() != "":
		return "an empty run: " + r.Empty()
	}
	return "no violations"
}

// WriteMarkdown writes the report as a document.
func (r *Report) WriteMarkdown(to io.Writer) error {
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	table := func(what string, c counts) {
		line("")
		line("| %s | times |", what)
		line("|---|---|")
		for _, name := range slices.Sorted(maps.Keys(c)) {
			line("| %s | %d |", name, c[name])
		}
	}
	line("# Exactly once: %s store, %s and %s", r.Store, r.Servers[0], r.Servers[1])
	line("")
	line("%s, %s, %s/%s, %d processors, xaproxies: %d, %d clients, %s, seed %d: **%s**.", r.Started.UTC().Format("2006-01-02"), r.Program,
		runtime.GOOS, runtime.GOARCH, runtime.NumCPU(), r.Proxies, r.Clients, r.Took.Round(time.Second), r.Seed, r.Verdict())
	line("")
	line("Each operation changes accounts on one server or on two and has a commit key. Its client repeats it on new connections, to any")
	line("xaproxy, until it hears OK or 20042; after a lost connection it may ask `xaproxy_outcome()`. Every attempt leaves rows of its own.")
	line("Afterwards the rows of every operation must be those of exactly one attempt, which agrees with all that its client was told, and")
	line("every balance must be the sum of its changes.")
	line("")
	line("    go run ./tests/once/cmd/once --mix %s,%s --store %s --operations %d --seed %d", r.Kinds[0], r.Kinds[1], r.Store, r.Operations, r.Seed)
	t := r.tally
	table("what", counts{
		"operations": r.Done, "attempts": t.attempts, "lost connections": t.losses.sum(),
		"connections refused while xaproxy was away": t.refused, "violations": len(r.Violations),
	})
	table("what the client knew of an attempt", t.endings)
	table("what became of attempts of unknown end", t.unheard)
	table("why a connection was lost", t.losses)
	table("answer of xaproxy_outcome()", t.outcomes)
	table("error (SQLSTATE) that was answered", t.errors)
	table("what was broken", t.faults)
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
