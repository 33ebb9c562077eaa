package integration

import (
	"database/sql"
	"fmt"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/xaproxy/xaproxy/config"
	"github.com/xaproxy/xaproxy/tests/proxytest"
)

// begun runs a transaction over two backends. started says that it had begun before it failed.
func begun(db *sql.DB) (started bool, err error) {
	tx, err := db.Begin()
	if err != nil {
		return false, err
	}
	for i, by := range []int{-1, 1} {
		if _, err := tx.Exec("UPDATE accounts SET v = v + ? WHERE id = ?", by, i); err != nil {
			return true, err
		}
	}
	return true, tx.Commit()
}

// After SIGTERM nobody comes in, who does nothing is sent away, and what has begun ends well: each transaction of clients that commit all the
// time, and one that takes longer.
func TestShutdown(t *testing.T) {
	t.Parallel()
	stores(t, func(t *testing.T, store string) {
		r := newReloaded(t, store, three(t), func(o *proxytest.Options) { o.Server = []string{`drain_timeout = "1h"`} })
		db := r.DB(t, r.schema)
		db.SetMaxIdleConns(8)
		_, err := db.Exec("INSERT INTO accounts VALUES (0, 100), (1, 100), (2, 100)")
		check(t, err)
		long, idle := r.conn(proxytest.User, proxytest.Password), r.conn(proxytest.User, proxytest.Password)
		long.exec("BEGIN", "UPDATE accounts SET v = v - 7 WHERE id = 2")
		idle.exec("SELECT 1")
		var stopping atomic.Bool
		var commits atomic.Int64
		var running sync.WaitGroup
		for range 8 {
			running.Go(func() {
				for {
					began, err := begun(db)
					switch {
					case err == nil:
						commits.Add(1)
					case began || !stopping.Load():
						t.Errorf("a transaction that had begun: %t failed: %v", began, err)
						return
					default:
						return
					}
				}
			})
		}
		waitFor(t, "clients commit", func() bool { return commits.Load() > 20 })
		stopping.Store(true)
		check(t, r.Signal(syscall.SIGTERM))
		running.Wait()
		for i := range 2 { // it may have a last word
			if _, err := idle.ExecContext(t.Context(), "SELECT 1"); i > 0 && err == nil {
				t.Error("an idle session goes on")
			}
		}
		if err := r.as(proxytest.User, proxytest.Password).PingContext(t.Context()); err == nil {
			t.Error("another client came in")
		}
		if store == config.ParticipantStore { // others must not take it for dead
			beat := func() string {
				return rowsOf(t, pool(t, r.servers[0]), "SELECT beat_at FROM xaproxy.xaproxy_proxy WHERE coord = '"+r.Coord()+"'")
			}
			first := beat()
			waitFor(t, "its heart beats", func() bool { return beat() != first })
		}
		long.exec("UPDATE accounts SET v = v + 7 WHERE id = 1", "COMMIT")
		check(t, r.Stop())
		got := []string{
			rowsOf(t, pool(t, r.servers[0]), "SELECT SUM(v) FROM "+r.schema+".accounts"), rowsOf(t, pool(t, r.servers[1]), "SELECT v FROM "+r.schema+".accounts"),
		}
		if want := []string{fmt.Sprint(193 - commits.Load()), fmt.Sprint(107 + commits.Load())}; got[0] != want[0] || got[1] != want[1] {
			t.Errorf("the accounts are %q, want %q after %d commits", got, want, commits.Load())
		}
	})
}

// Who does not end a transaction has drain_timeout, and no more, and not that after a second signal.
func TestShutdownOverdue(t *testing.T) {
	for name, limit := range map[string]string{"drain_timeout": "1s", "second signal": "1h"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			shutdownOverdue(t, limit)
		})
	}
}

// shutdownOverdue stops a proxy with that drain_timeout, and once more when it has begun to stop.
func shutdownOverdue(t *testing.T, limit string) {
	r := newReloaded(t, config.FileStore, three(t), nil)
	r.reload(0, func(o *proxytest.Options) { o.Server = []string{fmt.Sprintf("drain_timeout = %q", limit)} })
	c, slow := r.conn(proxytest.User, proxytest.Password), r.conn(proxytest.User, proxytest.Password)
	c.exec("BEGIN", "INSERT INTO accounts VALUES (0, 1), (1, 1)")
	slow.exec("INSERT INTO orders VALUES (1, 1)")
	answered := make(chan error)
	go func() {
		_, err := slow.ExecContext(t.Context(), "UPDATE orders SET v = 2 WHERE SLEEP(3600) = 0")
		answered <- err
	}()
	waitFor(t, "the statement runs", func() bool {
		return rowsOf(t, pool(t, r.servers[0]), "SELECT COUNT(*) FROM information_schema.processlist WHERE info LIKE 'UPDATE%SLEEP(3600)%' AND db = '"+r.schema+"'") == "1"
	})
	if limit == "1h" {
		check(t, r.Signal(syscall.SIGTERM))
		waitFor(t, "nobody comes in", func() bool { return r.as(proxytest.User, proxytest.Password).PingContext(t.Context()) != nil })
	}
	check(t, r.Stop())
	if err := <-answered; err == nil {
		t.Error("a statement was answered")
	}
	for i, s := range r.servers[:2] {
		waitFor(t, "the transaction is rolled back", func() bool {
			return rowsOf(t, pool(t, s), "SELECT COUNT(*) FROM "+r.schema+".accounts") == "0"
		})
		if i == 0 && r.has(0) != "1" {
			t.Errorf("orders are %s", r.has(0))
		}
	}
}
