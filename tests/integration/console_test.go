package integration

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/xaproxy/xaproxy/admin/live"
	"github.com/xaproxy/xaproxy/tests/proxytest"
	"github.com/xaproxy/xaproxy/tests/servers"
	"github.com/xaproxy/xaproxy/tests/servers/servertest"
	"github.com/xaproxy/xaproxy/xa"
)

// newConsole is a proxy with an administrator, and backends whose connections nobody waits for long.
func newConsole(t *testing.T) (w *watched, root, app *conn) {
	t.Helper()
	w = newWatched(t, []*servers.Server{servertest.Get(t, servers.MySQL), servertest.Get(t, servers.MariaDB)}, func(o *proxytest.Options) {
		for i := range o.Backends {
			o.Backends[i].Lines = append(o.Backends[i].Lines, `pool_wait = "1s"`)
		}
	})
	return w, w.conn("root", "pw"), w.conn(proxytest.User, proxytest.Password)
}

// The short forms show each table to administrators and to nobody else, with the transaction that is open, and no secret.
func TestShowXaproxy(t *testing.T) {
	t.Parallel()
	w, root, app := newConsole(t)
	app.exec("BEGIN", "INSERT INTO accounts VALUES (1, 1), (2, 2)")
	all := ""
	for _, name := range live.Names() {
		rows := root.rows("SHOW XAPROXY " + strings.ToUpper(name))
		if rows == "" && name != "shards" && name != "slow_statements" && name != "decisions" {
			t.Errorf("%s is empty", name)
		}
		all += rows + "\n"
	}
	for _, secret := range []string{adminToken, proxytest.Password, "pw"} {
		if strings.Contains(root.rows("SHOW XAPROXY config"), fmt.Sprintf("%q", secret)) || len(secret) > 8 && strings.Contains(all, secret) {
			t.Errorf("%q is shown", secret)
		}
	}
	if got := root.rows("SHOW XAPROXY TRANSACTIONS"); !strings.Contains(got, "active") || !strings.Contains(got, "b0, b1") && !strings.Contains(got, "b1, b0") {
		t.Errorf("transactions: %s", got)
	}
	if got := root.rows("SHOW XAPROXY BRANCHES"); strings.Count(got, "in flight") != 2 {
		t.Errorf("branches: %s", got)
	}
	if got := root.rows("SHOW XAPROXY SESSIONS"); !strings.Contains(got, "idle in transaction") || !strings.Contains(got, "SHOW XAPROXY SESSIONS") {
		t.Errorf("sessions: %s", got)
	}
	for view, want := range map[string]string{"s": "idle in transaction", "t": "active"} {
		out, status, err := w.Command(t.Context(), "top", "--once", "--view", view)
		if check(t, err); status != 0 || !strings.Contains(out, want) || !strings.Contains(out, "b1") {
			t.Errorf("top %s: status %d\n%s", view, status, out)
		}
	}
	app.exec("COMMIT")
	if got := root.rows("SHOW XAPROXY TRANSACTIONS"); got != "" {
		t.Errorf("transactions after COMMIT: %s", got)
	}
	waitFor(t, "the decision is shown as finished", func() bool { return strings.Contains(root.rows("SHOW XAPROXY DECISIONS"), "commit,finished") })
	root.fails(1146, "SHOW XAPROXY NOTHING")
	app.fails(1227, "SHOW XAPROXY SESSIONS")
	app.fails(1044, "USE xaproxy")
	app.fails(1142, "SELECT * FROM xaproxy.sessions")
	for _, command := range []string{"DRAIN", "PAUSE BACKEND b1", "RESUME BACKEND b1", "KILL 1", "RECOVER", "RESOLVE 'x' COMMIT FORCE"} {
		app.fails(1227, "XAPROXY "+command)
	}
	if status, text := w.get("/live/sessions", adminToken); status != 200 || !strings.Contains(text, `"name":"state_seconds","about":"how long ago that was, in seconds"`) {
		t.Errorf("/live/sessions: %d %s", status, text)
	}
	if status, _ := w.get("/live/sessions", ""); status != 401 {
		t.Errorf("/live/sessions without the token: %d", status)
	}
}

// A paused backend gets no new statement, though the transaction that has a branch there goes on to its end; who waits when it is resumed goes on.
func TestPause(t *testing.T) {
	t.Parallel()
	_, root, app := newConsole(t)
	app.exec("INSERT INTO accounts VALUES (1, 10), (2, 20)", "BEGIN", "UPDATE accounts SET v = v + 1 WHERE id = 1", "UPDATE accounts SET v = v + 1 WHERE id = 2")
	root.exec("XAPROXY PAUSE BACKEND b1")
	root.fails(1105, "XAPROXY PAUSE BACKEND b1")
	root.fails(1105, "XAPROXY PAUSE BACKEND nowhere")
	if got := root.rows("SHOW XAPROXY BACKENDS"); !strings.Contains(got, "paused by root@") {
		t.Errorf("backends: %s", got)
	}
	app.exec("UPDATE accounts SET v = v + 1 WHERE id = 1", "COMMIT")

	began := time.Now()
	text := app.fails(1429, "SELECT v FROM accounts WHERE id = 1")
	if took := time.Since(began); took < time.Second || took > 5*time.Second || !strings.Contains(text, "backend b1 is paused") {
		t.Errorf("after %s: %s", took, text)
	}
	if got := app.rows("SELECT v FROM accounts WHERE id = 2"); got != "21" {
		t.Errorf("the other backend has %s", got)
	}
	app.exec("BEGIN", "UPDATE accounts SET v = 0 WHERE id = 2") // a transaction that finds the pause in its way is as it was
	app.fails(1429, "UPDATE accounts SET v = 0 WHERE id = 1")
	app.exec("ROLLBACK")

	answer := make(chan error, 1)
	go func() {
		_, err := app.ExecContext(context.Background(), "UPDATE accounts SET v = v + 100 WHERE id = 1")
		answer <- err
	}()
	waitFor(t, "the statement waits", func() bool { return strings.Contains(root.rows("SHOW XAPROXY SESSIONS"), "v + 100") })
	root.exec("XAPROXY RESUME BACKEND b1")
	check(t, <-answer)
	root.fails(1105, "XAPROXY RESUME BACKEND b1")
	if got := app.rows("SELECT v FROM accounts ORDER BY id"); got != "112 21" {
		t.Errorf("accounts: %q", got)
	}
}

// A branch that recovery leaves to people, because its backend is not in the configuration, is listed and ended by SQL, either way.
func TestResolveBySQL(t *testing.T) {
	t.Parallel()
	w, root, _ := newConsole(t)
	server, err := pool(t, w.servers[0]).Conn(t.Context())
	check(t, err)
	defer server.Close()
	for seq, want := range map[uint64]string{1_000_000: "COMMIT", 1_000_001: "ROLLBACK"} {
		x := xa.XID{GTRID: xa.GTRID{Coord: w.Coord(), Epoch: w.Epoch(), Seq: seq}, BQUAL: "gone"}
		for _, q := range []string{
			"XA START " + x.SQL(), fmt.Sprintf("INSERT INTO %s.accounts VALUES (%d, 1)", w.schema, seq), "XA END " + x.SQL(), "XA PREPARE " + x.SQL(),
		} {
			_, err := server.ExecContext(t.Context(), q)
			check(t, err)
		}
		g := x.GTRID.String()
		waitFor(t, "recovery has found it", func() bool { return strings.Contains(root.rows("SHOW XAPROXY BRANCHES"), g) })
		root.exec("XAPROXY RESOLVE '" + g + "' " + want + " FORCE")
		waitFor(t, "it is gone", func() bool { return !strings.Contains(root.rows("SHOW XAPROXY BRANCHES"), g) })
		_, err := w.Log.Wait(t.Context(), 0, `"message":"admin action"`, "resolve "+g+": "+strings.ToLower(want), `"by":"root@`, `"done":true`)
		check(t, err)
	}
	if got := rowsOf(t, pool(t, w.servers[0]), "SELECT id FROM "+w.schema+".accounts"); got != "1000000" {
		t.Errorf("rows %s, want that of the branch that was committed", got)
	}
}

// Commands do what they say, and each is in the log with who it was, and among the events.
func TestCommands(t *testing.T) {
	t.Parallel()
	w, root, app := newConsole(t)
	app.exec("BEGIN", "INSERT INTO accounts VALUES (4, 4)")
	id := app.rows("SELECT CONNECTION_ID()")
	root.fails(1094, "XAPROXY KILL 999999")
	root.exec("XAPROXY KILL " + id)
	if _, err := app.ExecContext(t.Context(), "COMMIT"); err == nil {
		t.Error("the session lives on")
	}
	waitFor(t, "its transaction is gone", func() bool { return root.rows("SHOW XAPROXY TRANSACTIONS") == "" })
	if got := root.rows("SELECT COUNT(*) FROM accounts"); got != "0" {
		t.Errorf("%s rows", got)
	}
	if got := root.rows("XAPROXY RECOVER"); got == "" {
		t.Error("recover says nothing")
	}
	root.exec("XAPROXY RECOVER DRY RUN")
	root.fails(1105, "XAPROXY RESOLVE 'not a name' COMMIT FORCE")
	root.fails(1235, "XAPROXY RESOLVE 'x' COMMIT")
	for _, texts := range [][]string{
		{`"audit":"kill"`, `"by":"root@`, `"done":true`},
		{`"audit":"kill"`, `"done":false`},
		{`"audit":"recover"`, `"by":"root@`},
		{`"audit":"recover --dry-run"`},
		{`"audit":"resolve not a name: commit"`, `"done":false`},
	} {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		if _, err := w.Log.Wait(ctx, 0, append(texts, `"message":"admin action"`)...); err != nil {
			t.Error(err)
		}
		cancel()
	}
	if got := root.rows("SHOW XAPROXY EVENTS"); !strings.Contains(got, "resolve not a name: commit") || !strings.Contains(got, "start checks passed") {
		t.Errorf("events: %s", got)
	}
	last := w.conn(proxytest.User, proxytest.Password)
	last.exec("BEGIN", "INSERT INTO accounts VALUES (5, 5), (6, 6)")
	root.exec("XAPROXY DRAIN")
	w.readiness("/readyz", 503, "stopping")
	last.exec("COMMIT")
	waitFor(t, "xaproxy has ended", func() bool { return !w.Running() })
}
