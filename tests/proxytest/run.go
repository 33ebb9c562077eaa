package proxytest

import (
	"database/sql"
	"slices"
	"strings"
	"syscall"
	"testing"
)

// Run starts a proxy for a test and ends it with the test. Unless the test has ended it itself, it must end cleanly
// then; at no time may it have panicked. When the test has failed, its log is printed: all of it, or the lines about
// what was given to Explain.
func Run(t testing.TB, o Options) *Proxy {
	t.Helper()
	path, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	o.Binary, o.Dir = path, t.TempDir()
	p, err := Start(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Stop(); err != nil {
			t.Error(err)
		}
		if bad := p.Faults(); len(bad) > 0 {
			t.Errorf("xaproxy broke down:\n%s", strings.Join(bad, "\n"))
		}
		if t.Failed() {
			p.explain(t)
		}
	})
	return p
}

// Faults returns the lines of the log that no run may have: panics, data races, a decision log that failed, unless it met the limit of
// LimitFiles.
func (p *Proxy) Faults() []string {
	limited := func(line string) bool { return strings.Contains(line, syscall.EFBIG.Error()) }
	return slices.DeleteFunc(p.Log.Grep("panic", "DATA RACE", "fatal error", "the decision log cannot be relied on", "this is a mistake in xaproxy"), limited)
}

// Explain chooses what is printed of the log when the test fails: the lines that contain one of the texts, usually
// gtrids. It adds to what was chosen before.
func (p *Proxy) Explain(texts ...string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, s := range texts {
		if s != "" && !slices.Contains(p.interesting, s) {
			p.interesting = append(p.interesting, s)
		}
	}
}

func (p *Proxy) explain(t testing.TB) {
	p.mu.Lock()
	texts := p.interesting
	p.mu.Unlock()
	what := strings.Join(texts, ", ")
	if len(texts) == 0 {
		what = "everything"
	}
	t.Logf("xaproxy's log about %s:\n%s", what, strings.Join(p.Log.Grep(texts...), "\n"))
}

// DB opens a pool of clients of the proxy, which is closed with the test. schema may be empty.
func (p *Proxy) DB(t testing.TB, schema string) *sql.DB {
	t.Helper()
	db, err := Open(p.Addr, schema)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return db
}
