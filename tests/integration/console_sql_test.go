//go:build gms_pure_go

package integration

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"

	"github.com/xaproxy/xaproxy/tests/proxytest"
)

// errnoOf is the number of an error, 0 of none.
func errnoOf(err error) uint16 {
	var e *mysql.MySQLError
	if errors.As(err, &e) {
		return e.Number
	}
	return 0
}

// The schema answers SQL about the moment, with joins and by statements prepared on the server, to administrators who use it or name it, and leaves
// statements about everything else where they were.
func TestSchema(t *testing.T) {
	t.Parallel()
	w, root, app := newConsole(t)
	app.exec("BEGIN", "INSERT INTO accounts VALUES (1, 1), (2, 2)")
	if got := root.rows("SELECT t.state, COUNT(*), MIN(s.user) FROM xaproxy.transactions t JOIN xaproxy.branches b ON b.gtrid = t.gtrid JOIN xaproxy.sessions s ON s.id = t.session GROUP BY t.state"); got != "active,2,"+proxytest.User {
		t.Errorf("transactions: %s", got)
	}
	if got := root.rows("SELECT id FROM accounts"); got != "" {
		t.Errorf("uncommitted rows: %s", got)
	}
	root.exec("USE xaproxy")
	if got := root.rows("SHOW TABLES"); !strings.Contains(got, "branches") || !strings.Contains(got, "slow_statements") {
		t.Errorf("SHOW TABLES: %s", got)
	}
	if got := root.rows("SELECT column_comment FROM information_schema.columns WHERE table_schema = 'xaproxy' AND table_name = 'pools' AND column_name = 'wait_seconds'"); got != "how long they have waited together, in seconds" {
		t.Errorf("comment: %s", got)
	}
	if got := root.rows("DESCRIBE backends"); !strings.HasPrefix(got, "name,") {
		t.Errorf("DESCRIBE: %s", got)
	}
	if got := root.rows("SELECT name FROM backends WHERE state LIKE 'UP' ORDER BY name DESC LIMIT 1"); got != "b1" {
		t.Errorf("backends: %s", got)
	}
	if got := root.rows("SELECT COUNT(*) FROM " + w.schema + ".accounts"); got != "0" {
		t.Errorf("a table of another schema: %s", got)
	}
	root.fails(1142, "DELETE FROM sessions")
	root.fails(1235, "SELECT * FROM sessions, "+w.schema+".accounts")
	var (
		id   uint64
		came string
		text string
		age  float64
	)
	check(t, root.QueryRowContext(t.Context(), "SELECT id, connected, state, state_seconds FROM sessions WHERE gtrid <> '' AND id > ? AND state LIKE ? LIMIT ?", 0, "idle in%", 1).Scan(&id, &came, &text, &age))
	since, err := time.Parse("2006-01-02 15:04:05", came)
	if check(t, err); id == 0 || time.Since(since).Abs() > time.Minute || text != "idle in transaction" || age < 0 {
		t.Errorf("prepared: %d %s %q %v", id, came, text, age)
	}
	if _, err := root.PrepareContext(t.Context(), "SELECT nothing FROM sessions WHERE id = ?"); errnoOf(err) != 1054 {
		t.Errorf("prepare: %v", err)
	}
	app.exec("COMMIT")
	if got := root.rows("SELECT outcome, branches, recorded FROM decisions"); got != "commit,2,1" {
		t.Errorf("decisions: %s", got)
	}
	if got := root.rows("SELECT executions, total_seconds > 0, longest_seconds >= average_seconds FROM plans WHERE statement LIKE 'insert into accounts%' AND executions > 0"); got != "1,1,1" {
		t.Errorf("plans: %s", got)
	}
	if got := root.rows("SELECT * FROM config WHERE path LIKE '%password' OR path LIKE '%token'"); strings.Contains(got, adminToken) || !strings.Contains(got, "***") {
		t.Errorf("config: %s", got)
	}
	app.fails(1142, "SELECT * FROM xaproxy.sessions")
	if _, err := app.PrepareContext(t.Context(), "SELECT * FROM xaproxy.sessions WHERE id = ?"); errnoOf(err) != 1142 {
		t.Errorf("prepare: %v", err)
	}
}
