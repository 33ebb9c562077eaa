package integration

import (
	"errors"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"

	"github.com/xaproxy/xaproxy/tests/proxytest"
	"github.com/xaproxy/xaproxy/tests/servers"
	"github.com/xaproxy/xaproxy/tests/servers/servertest"
)

// A server that freezes, with its connections open, is known without a statement and without a pass of recovery. What comes is refused at once, what
// waits is given up when its time is over, what waits for nothing goes on afterwards, and clients of the other server notice nothing.
func TestFrozenBackendIsKnown(t *testing.T) {
	t.Parallel()
	for _, kind := range []servers.Kind{servers.MySQL, servers.MariaDB} {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			cold := ownServer(t, kind)
			w := newWatched(t, []*servers.Server{servertest.Get(t, servers.MySQL), cold}, func(o *proxytest.Options) {
				o.RecoveryInterval = time.Hour
				o.Backends[1].Lines = append(o.Backends[1].Lines, `probe_interval = "100ms"`, `connect_timeout = "300ms"`, `answer_timeout = "2s"`)
			})
			ready := func(statements ...string) *conn {
				c := w.conn(proxytest.User, proxytest.Password)
				c.exec(statements...)
				return c
			}
			const there = "SELECT v FROM accounts WHERE id = 3"
			reader, writer, inside, patient, late := ready("BEGIN", there), ready("BEGIN", there), ready("BEGIN", "INSERT INTO accounts VALUES (5, 1)", "INSERT INTO accounts VALUES (4, 1)"),
				ready("BEGIN", "INSERT INTO accounts VALUES (7, 1)", "INSERT INTO accounts VALUES (6, 1)"), ready(there)
			reader.exec("ROLLBACK") // and there are connections for both now
			writer.exec("ROLLBACK")
			check(t, cold.Freeze())
			t.Cleanup(func() { _ = cold.Thaw() })
			frozen := time.Now()
			waiting := map[string]<-chan error{}
			for name, one := range map[string]struct {
				*conn
				q string
			}{
				"a query": {reader, there}, "a change": {writer, "INSERT INTO accounts VALUES (9, 1)"}, "in a transaction": {inside, "UPDATE accounts SET v = 2 WHERE id = 5"},
			} {
				waiting[name] = later(func() error { _, err := one.ExecContext(t.Context(), one.q); return err })
			}
			w.readiness("/readyz?backends=all", 503, "backend b1: since ")
			begun := time.Now()
			late.fails(1429, there)
			if took := time.Since(begun); took > time.Second {
				t.Errorf("a statement that is to be refused at once took %s", took)
			}
			for name, want := range map[string]uint16{"a query": 1429, "a change": 20041, "in a transaction": 1180} {
				var said *mysql.MySQLError
				if err := soon(t, name, 20*time.Second, waiting[name]); !errors.As(err, &said) || said.Number != want {
					t.Errorf("%s that waited: %v, want %d", name, err, want)
				}
			}
			if took := time.Since(frozen); took < 2*time.Second {
				t.Errorf("what waited was given up after %s, before its time was over", took)
			}
			late.exec("SELECT v FROM accounts WHERE id = 2")
			check(t, cold.Thaw())
			w.readiness("/readyz?backends=all", 200, "ready\n")
			patient.exec("COMMIT")
			late.exec(there)
			if got := late.rows("SELECT id FROM accounts WHERE id IN (4, 5, 6, 7) ORDER BY id"); got != "6 7" {
				t.Errorf("afterwards there are %s, want the rows of the transaction that waited for nothing", got)
			}
		})
	}
}
