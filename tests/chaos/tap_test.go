package chaos

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"

	"github.com/xaproxy/xaproxy/tests/servers"
	"github.com/xaproxy/xaproxy/tests/servers/servertest"
)

func TestMain(m *testing.M) { servertest.Main(m) }

// newTap puts a tap in front of an address for the length of a test.
func newTap(t *testing.T, name, target string) *Tap {
	t.Helper()
	tap, err := NewTap(name, target)
	if err != nil {
		t.Fatal(err)
	}
	closing(t, tap)
	return tap
}

// newTapOf is newTap for a server of this kind.
func newTapOf(t *testing.T, name string, s *servers.Server) *Tap {
	t.Helper()
	tap, err := NewTapOf(name, s)
	if err != nil {
		t.Fatal(err)
	}
	closing(t, tap)
	return tap
}

func closing(t *testing.T, tap *Tap) {
	t.Cleanup(func() {
		if err := tap.Close(); err != nil {
			t.Error(err)
		}
	})
}

// recorder is a hook that notes events.
type recorder struct {
	mu     sync.Mutex
	events []Event
}

func (r *recorder) hook(e Event) Verdict {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.events = append(r.events, e)
	return Pass
}

// said returns the events about the steps of the protocol, one word each.
func (r *recorder) said() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var words []string
	for _, e := range r.events {
		if e.Step != Other {
			word := fmt.Sprintf("%s.%s", e.Step, e.Point)
			if e.Failed {
				word += "!"
			}
			words = append(words, word)
		}
	}
	return strings.Join(words, " ")
}

// forget drops what was recorded.
func (r *recorder) forget() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.events = nil
}

// tapped opens one connection to a server through a tap, which allows several statements in one packet.
func tapped(t *testing.T, s *servers.Server, tap *Tap) *sql.Conn {
	t.Helper()
	c, err := mysql.ParseDSN(s.DSN(s.User, s.Password, ""))
	if err != nil {
		t.Fatal(err)
	}
	c.Addr, c.MultiStatements, c.Logger = tap.Addr(), true, &mysql.NopLogger{}
	connector, err := mysql.NewConnector(c)
	if err != nil {
		t.Fatal(err)
	}
	db := sql.OpenDB(connector)
	conn, err := db.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = errors.Join(conn.Close(), db.Close()) }) // it may have been cut by the test
	return conn
}

// A tap sees each step once at each of its points, also when its answer has several results, rows or an error.
func TestTapSeesSteps(t *testing.T) {
	for _, kind := range []servers.Kind{servers.MariaDB, servers.MySQL} {
		t.Run(string(kind), func(t *testing.T) {
			s := servertest.Get(t, kind)
			tap := newTap(t, "a", s.Addr())
			var r recorder
			conn := tapped(t, s, tap)
			tap.SetHook(r.hook)
			xid := fmt.Sprintf("'tap-%s','b',7", kind)
			for _, step := range []struct{ sql, want string }{
				{"XA START " + xid + ";SELECT 1 UNION SELECT 2;SET @a = 1", "start.asked start.answered start.told"},
				{"SELECT 1", ""},
				{"XA END " + xid + ";XA PREPARE " + xid, "prepare.asked prepare.answered prepare.told"},
				{"XA START " + xid, "start.asked start.answered! start.told!"},
				{"XA COMMIT " + xid, "commit.asked commit.answered commit.told"},
				{"XA START " + xid + ";DO 1;XA END " + xid, "start.asked start.answered start.told"},
				{"XA COMMIT " + xid + " ONE PHASE", "one-phase.asked one-phase.answered one-phase.told"},
				{"XA ROLLBACK " + xid, "rollback.asked rollback.answered! rollback.told!"},
			} {
				_, err := conn.ExecContext(t.Context(), step.sql)
				if failed := strings.Contains(step.want, "!"); failed != (err != nil) {
					t.Errorf("%s: %v", step.sql, err)
				}
				eventually(t, 10*time.Second, step.sql, func() error { // the last event comes after the client has its answer
					if got := r.said(); got != step.want {
						return fmt.Errorf("the tap saw %q, want %q", got, step.want)
					}
					return nil
				})
				r.forget()
			}
			var rows []string
			answer, err := conn.QueryContext(t.Context(), "SELECT REPEAT('x', 70000) UNION SELECT 'y'")
			if err != nil {
				t.Fatal(err)
			}
			for answer.Next() {
				var row string
				if err := answer.Scan(&row); err != nil {
					t.Fatal(err)
				}
				rows = append(rows, row[:1])
			}
			if err := errors.Join(answer.Err(), answer.Close()); err != nil || !slices.Equal(rows, []string{"x", "y"}) {
				t.Errorf("rows %q, error %v", rows, err)
			}
		})
	}
}

// A cut before the request means that the server never gets it; a cut before the answer, that it has carried it out.
func TestTapCuts(t *testing.T) {
	s := servertest.Get(t, servers.MariaDB)
	database := servertest.Database(t, s)
	db, err := s.DB()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := db.Exec("CREATE TABLE " + database + ".t (n INT)"); err != nil {
		t.Fatal(err)
	}
	for i, c := range []struct {
		at   Point
		rows int
	}{{Asked, 0}, {Answered, 1}, {Told, 2}} {
		tap := newTap(t, "a", s.Addr())
		conn := tapped(t, s, tap)
		tap.SetHook(func(e Event) Verdict {
			if strings.HasPrefix(e.Text, "INSERT") && e.Point == c.at {
				return Cut
			}
			return Pass
		})
		_, err := conn.ExecContext(context.WithoutCancel(t.Context()), fmt.Sprintf("INSERT INTO %s.t VALUES (%d)", database, i))
		if lost := err != nil; lost != (c.at != Told) {
			t.Errorf("cut when %s: the client got %v", c.at, err)
		}
		var rows int
		if err := db.QueryRow("SELECT COUNT(*) FROM " + database + ".t").Scan(&rows); err != nil || rows != c.rows {
			t.Errorf("cut when %s: %d rows, want %d (%v)", c.at, rows, c.rows, err)
		}
		if err := conn.PingContext(t.Context()); err == nil {
			t.Errorf("cut when %s: the connection lives on", c.at)
		}
	}
}
