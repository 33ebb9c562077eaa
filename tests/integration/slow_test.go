package integration

import (
	"context"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/xaproxy/xaproxy/tests/proxytest"
	"github.com/xaproxy/xaproxy/tests/servers"
	"github.com/xaproxy/xaproxy/tests/servers/servertest"
)

// slowLine is a line of the log about a slow statement; times are in milliseconds.
type slowLine struct {
	Level, User, Schema, Kind, Plan, Statement, Outline, GTRID string
	Took, Queued                                               float64
	Backends                                                   map[string]float64
	Rows                                                       int
	Errno                                                      int
}

// slow returns the line about the next slow statement from the line on whose text has this in it.
func (w *watched) slow(from int, text string) (l slowLine) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), 20*time.Second)
	defer cancel()
	line, err := w.Log.Wait(ctx, from, `"message":"slow statement"`, text)
	check(w.t, err)
	check(w.t, json.Unmarshal([]byte(line), &l))
	return l
}

// A statement that takes long is in the log, with its plan, what it has waited for and its transaction, and without its values.
func TestSlowStatements(t *testing.T) {
	t.Parallel()
	w := newWatched(t, []*servers.Server{servertest.Get(t, servers.MySQL), servertest.Get(t, servers.MariaDB)}, func(o *proxytest.Options) {
		o.Server = []string{`slow_statement = "400ms"`}
	})
	c := w.conn(proxytest.User, proxytest.Password)
	c.exec("INSERT INTO accounts VALUES (2, 1)", "INSERT INTO accounts VALUES (3, 1)", "SELECT v FROM accounts WHERE id = 3")

	from := w.Log.Len()
	c.exec("SELECT v, SLEEP(0.5), 'a-secret' FROM accounts WHERE id = 3")
	one := w.slow(from, "SLEEP(?)")
	if one.Level != "warn" || one.User != proxytest.User || one.Schema != w.schema || one.Kind != "select" || one.Plan != "one_backend" || one.Rows != 1 || one.GTRID != "" ||
		one.Statement != "SELECT v, SLEEP(?), ? FROM accounts WHERE id = ?" || one.Outline != "one backend: b1" || one.Took < 400 || one.Backends["b1"] < 400 || one.Backends["b1"] > one.Took {
		t.Errorf("on one backend: %+v", one)
	}

	c.exec("SELECT id, SLEEP(IF(id = 2, 1, 0)) FROM accounts")
	all := w.slow(from, "IF(id = ?")
	if all.Plan != "rows" || all.Rows != 2 || all.Backends["b0"] < 900 || all.Backends["b1"] >= all.Backends["b0"] || !strings.HasPrefix(all.Outline, "2 backends") {
		t.Errorf("on both, one of which is slow: %+v", all)
	}

	c.exec("BEGIN", "UPDATE accounts SET v = 2 WHERE id = 2", "UPDATE accounts SET v = SLEEP(0.5) WHERE id = 3")
	in := w.slow(from, "UPDATE")
	c.exec("COMMIT")
	if in.GTRID == "" || in.Rows != 1 || in.Backends["b1"] < 400 {
		t.Errorf("in a transaction: %+v", in)
	}

	lock, wait := w.conn(proxytest.User, proxytest.Password), w.conn(proxytest.User, proxytest.Password)
	lock.exec("BEGIN", "UPDATE accounts SET v = 2 WHERE id = 2")
	wait.exec("SET innodb_lock_wait_timeout = 1")
	wait.fails(1205, "UPDATE accounts SET v = 3 WHERE id = 2")
	if failed := w.slow(w.Log.Len()-1, `"errno":1205`); failed.Took < 400 || failed.Backends["b0"] < 400 {
		t.Errorf("one that failed: %+v", failed)
	}
	lock.exec("ROLLBACK")

	w.reload(0, func(o *proxytest.Options) { o.Server = []string{`slow_statement = "0s"`} })
	c.exec("SELECT SLEEP(0.5)")
	c.exec("SELECT 1")
	if got := w.Log.Grep("slow statement"); len(got) != 4 {
		t.Errorf("%d lines about slow statements, want 4: one for each that was, and none once nobody wants them:\n%s", len(got), strings.Join(got, "\n"))
	}
	if got := w.Log.Grep("a-secret"); len(got) > 0 {
		t.Errorf("a value is in the log: %s", got)
	}
}
