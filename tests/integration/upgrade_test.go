package integration

import (
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/xaproxy/xaproxy/tests/proxytest"
)

// Where a service manager keeps the socket open, xaproxy is stopped and started again, as for an upgrade, and clients that look whether a
// connection was closed before they use it see nothing of it: no statement outside of a transaction fails, nor one inside that ends within
// drain_timeout.
func TestUpgrade(t *testing.T) {
	t.Parallel()
	stores(t, func(t *testing.T, store string) {
		manager, err := proxytest.NewManager(t.TempDir())
		check(t, err)
		t.Cleanup(func() { check(t, manager.Close()) })
		r := newReloaded(t, store, three(t), func(o *proxytest.Options) { o.Manager = manager })
		says := func(want string) {
			t.Helper()
			if got, err := manager.Told(time.Minute); err != nil || !strings.HasPrefix(got, want) {
				t.Errorf("the manager is told %q, %v; want %s", got, err, want)
			}
		}
		says("READY=1")
		db := r.DB(t, r.schema)
		db.SetMaxIdleConns(8)
		_, err = db.Exec("INSERT INTO accounts VALUES (0, 100), (1, 100), (2, 0)")
		check(t, err)
		var done atomic.Bool
		var commits, singles atomic.Int64
		var running sync.WaitGroup
		for i := range 8 {
			running.Go(func() {
				for !done.Load() {
					var err error
					switch i % 4 {
					case 0, 1:
						_, err = begun(db)
						commits.Add(1)
					case 2: // prepared, executed and closed
						_, err = db.Exec("UPDATE accounts SET v = v + ? WHERE id = ?", 1, 2)
						singles.Add(1)
					case 3:
						var v int
						err = db.QueryRow("SELECT v FROM accounts WHERE id = 1").Scan(&v)
					}
					if err != nil {
						t.Errorf("client %d: %v", i, err)
						return
					}
				}
			})
		}
		for range 3 {
			before := commits.Load()
			waitFor(t, "clients commit", func() bool { return commits.Load() > before+20 || t.Failed() })
			check(t, r.Stop())
			says("STOPPING=1")
			check(t, r.Restart(t.Context()))
			says("READY=1")
		}
		done.Store(true)
		running.Wait()
		got := rowsOf(t, db, "SELECT v FROM accounts ORDER BY id")
		if want := fmt.Sprintf("%d\n%d\n%d", 100-commits.Load(), 100+commits.Load(), singles.Load()); strings.Join(strings.Fields(got), "\n") != want {
			t.Errorf("the accounts are %q, want %q", got, want)
		}
	})
}
