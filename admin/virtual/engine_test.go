//go:build gms_pure_go

package virtual

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/xaproxy/xaproxy/admin/live"
	"github.com/xaproxy/xaproxy/wire"
)

// proxy is a source with two sessions, a transaction and two backends. Every look at sessions finds them older.
type proxy struct {
	live.Source
	looks int
}

func (p *proxy) Sessions() []live.Session {
	p.looks++
	return []live.Session{
		{ID: 7, User: "app", State: "running", For: time.Duration(p.looks) * time.Second, Statement: "SELECT 'a%'", Since: time.Date(2026, 11, 27, 1, 2, 3, 4000, time.UTC)},
		{ID: 9, User: "root", State: "idle", For: time.Hour},
	}
}

func (*proxy) Transactions() []live.Transaction {
	return []live.Transaction{{GTRID: "x1", Session: 7, State: "committing", Recorded: true, Branches: 2}}
}

func (*proxy) Branches() []live.Branch {
	return []live.Branch{{GTRID: "x1", Backend: "a", State: "committed"}, {GTRID: "x1", Backend: "b", State: "committing", Age: 1500 * time.Millisecond}}
}

func (*proxy) Backends() []live.Backend {
	return []live.Backend{{Name: "a", State: "up", Looked: live.Unknown()}, {Name: "b", State: "down", InDoubt: 3}}
}

func (*proxy) Plans() []live.Plan {
	return make([]live.Plan, 2000)
}

func ask(t *testing.T, s *Schema, sql string) string {
	t.Helper()
	r, err := s.Ask(t.Context(), Name, sql)
	if err != nil {
		var e *wire.Error
		if !errors.As(err, &e) {
			t.Fatalf("%s: %v is no error for a client", sql, err)
		}
		t.Logf("%s: %v", sql, e)
		return fmt.Sprint(e.Errno)
	}
	var b strings.Builder
	for i, row := range r.Rows {
		if i > 0 {
			b.WriteString("; ")
		}
		for j, v := range row {
			if j > 0 {
				b.WriteString(" ")
			}
			if v == nil {
				b.WriteString("NULL")
			} else {
				b.Write(v)
			}
		}
	}
	return b.String()
}

// Statements of every kind that people write at a console are answered with the rows of the moment, and nothing else is.
func TestAsk(t *testing.T) {
	s := New(&proxy{})
	for _, c := range []struct{ sql, want string }{
		{"SELECT id, user FROM sessions ORDER BY id DESC", "9 root; 7 app"},
		{"SELECT s.user, b.backend, b.age_seconds FROM xaproxy.sessions s JOIN transactions t ON t.session = s.id JOIN branches b ON b.gtrid = t.gtrid WHERE b.state <> 'committed'", "app b 1.5"},
		{"SELECT state, COUNT(*) AS n FROM branches GROUP BY state HAVING n > 0 ORDER BY state LIMIT 1", "committed 1"},
		{"SELECT id FROM sessions WHERE statement LIKE 'select%'", "7"},
		{"SELECT name FROM backends WHERE looked_seconds IS NULL", "a"},
		{"SELECT since FROM sessions WHERE id = 7", "2026-11-27 01:02:03.000004"},
		{"SELECT recorded, DATABASE() FROM transactions", "1 xaproxy"},
		{"SELECT a.state_seconds - b.state_seconds FROM sessions a, sessions b WHERE a.id = 7 AND b.id = 7", "0"},
		{"SHOW TABLES LIKE 's%'", "sessions; shards; slow_statements"},
		{"WITH x AS (SELECT 1 AS n) SELECT n + 1 FROM x", "2"},
		{"SELECT column_comment FROM information_schema.columns WHERE table_schema = 'xaproxy' AND table_name = 'branches' AND column_name = 'in_doubt'", "1: prepared, and no transaction works on it: recovery finishes it"},
		{"SELECT COUNT(*) FROM information_schema.columns WHERE table_schema = 'xaproxy' AND column_comment = ''", "0"},
		{"SELECT table_comment FROM information_schema.tables WHERE table_name = 'pools'", "Connections to backends."},
		{"SELECT gtrid FROM sessions s JOIN transactions t ON t.session = s.id", "1052"},
		{"SELECT * FROM nothing", "1146"},
		{"SELECT nothing FROM sessions", "1054"},
		{"SELECT * FROM shop.orders", "1235"},
		{"SELECT FROM WHERE", "1064"},
		{"DELETE FROM sessions", "1142"},
		{"CREATE TABLE t (id INT)", "1142"},
		{"SET GLOBAL secure_file_priv = ''", "1142"},
		{"SELECT a.bytes FROM plans a, plans b", "1104"},
	} {
		if got := ask(t, s, c.sql); got != c.want {
			t.Errorf("%s: %s, want %s", c.sql, got, c.want)
		}
	}
	if got := ask(t, s, "DESCRIBE pools"); !strings.HasPrefix(got, "backend longtext") {
		t.Errorf("DESCRIBE: %s", got)
	}
	if got := ask(t, s, "SHOW FULL COLUMNS FROM pools"); !strings.Contains(got, "statements that wait for a connection") {
		t.Errorf("SHOW FULL COLUMNS: %s", got)
	}
}

// No file is read and none is written, though the engine could.
func TestFiles(t *testing.T) {
	s, dir := New(&proxy{}), t.TempDir()
	secret := filepath.Join(dir, "secret")
	if err := os.WriteFile(secret, []byte("hunter2"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, sql := range []string{
		"SELECT LOAD_FILE('" + secret + "')",
		"SELECT /*+ SET_VAR(secure_file_priv='') */ LOAD_FILE('" + secret + "')",
		"SELECT 1 INTO OUTFILE '" + dir + "/out'",
		"SELECT 1 INTO DUMPFILE '" + dir + "/out'",
	} {
		if got := ask(t, s, sql); strings.Contains(got, "hunter2") {
			t.Errorf("%s: %s", sql, got)
		}
	}
	if found, err := os.ReadDir(dir); err != nil || len(found) != 1 {
		t.Errorf("%v, %v", found, err)
	}
}

// Who gives up is not kept waiting, and a statement ends with its context.
func TestInterrupted(t *testing.T) {
	s := New(&proxy{})
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	began := time.Now()
	_, err := s.Ask(ctx, Name, "SELECT COUNT(*) FROM plans a, plans b, plans c")
	var e *wire.Error
	if !errors.As(err, &e) || e.Errno != 1317 || time.Since(began) > patience/2 {
		t.Errorf("%v after %s", err, time.Since(began))
	}
}

// BenchmarkAsk is a statement on a table of a few rows.
func BenchmarkAsk(b *testing.B) {
	s := New(&proxy{})
	b.ReportAllocs()
	for b.Loop() {
		if _, err := s.Ask(b.Context(), Name, "SELECT * FROM sessions WHERE state = 'running'"); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkFirst is the first statement of a process, with the making of the engine.
func BenchmarkFirst(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if _, err := New(&proxy{}).Ask(b.Context(), Name, "SELECT * FROM sessions"); err != nil {
			b.Fatal(err)
		}
	}
}
