package postgres_test

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/xaproxy/xaproxy/backend"
	"github.com/xaproxy/xaproxy/config"
	"github.com/xaproxy/xaproxy/participant"
	"github.com/xaproxy/xaproxy/tests/chaos"
	"github.com/xaproxy/xaproxy/tests/proxytest"
	"github.com/xaproxy/xaproxy/tests/servers"
	"github.com/xaproxy/xaproxy/tests/servers/servertest"
)

// pair is a proxy over MariaDB, which has the accounts with even numbers, and PostgreSQL, which has the odd ones.
type pair struct {
	t      *testing.T
	schema string
	maria  *servers.Server
	face   *face
	tap    *chaos.Tap // in front of MariaDB
	pgTap  *chaos.Tap // in front of PostgreSQL
	proxy  *proxytest.Proxy
}

// newPair keeps the decisions in a file, unless another store is given.
func newPair(t *testing.T, stores ...chaos.Store) *pair {
	p := &pair{t: t, maria: servertest.Get(t, servers.MariaDB), face: newFace(t)}
	schema := servertest.Database(t, p.maria)
	p.schema = schema
	const table = "CREATE TABLE account (id int PRIMARY KEY, n int NOT NULL)"
	p.face.psql("ALTER SCHEMA shop RENAME TO "+schema, "SET search_path TO "+schema, table, "INSERT INTO account VALUES (1, 100), (3, 100)")
	if err := p.face.dialer.SetUp(t.Context()); err != nil {
		t.Fatal(err)
	}
	db, err := p.maria.DB()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	for _, s := range []string{strings.Replace(table, "account", schema+".account", 1), "INSERT INTO " + schema + ".account VALUES (0, 100), (2, 100)"} {
		if _, err := db.Exec(s); err != nil {
			t.Fatal(err)
		}
	}
	p.tap, p.pgTap = newTap(t, p.maria), newTap(t, p.face.server)
	var decision []string
	for _, store := range stores {
		decision = store.Lines()
		for _, on := range []config.Backend{p.admins()[0], p.admins()[1]} {
			if err := participant.Create(t.Context(), openAdmin(t, on)); err != nil {
				t.Fatal(err)
			}
		}
	}
	pg := proxytest.On("pg", p.face.server).Via(p.pgTap.Addr())
	pg.Lines = []string{fmt.Sprintf("database = %q", p.face.database)}
	p.proxy = proxytest.Run(t, proxytest.Options{
		Backends: []proxytest.Backend{proxytest.On("maria", p.maria).Via(p.tap.Addr()), pg},
		Tables:   []config.Table{{Schema: schema, Name: "account", Column: "id", Function: "modulo", Backends: []string{"maria", "pg"}}},
		// Nothing is finished but by a restart, unless a test waits for it.
		RecoveryInterval: 300 * time.Millisecond,
		Decision:         decision,
	})
	return p
}

func newTap(t *testing.T, s *servers.Server) *chaos.Tap {
	t.Helper()
	tap, err := chaos.NewTapOf(string(s.Kind), s)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := tap.Close(); err != nil {
			t.Error(err)
		}
	})
	return tap
}

// admins are the two backends, without the taps.
func (p *pair) admins() [2]config.Backend {
	maria, pg := config.DefaultBackend(config.MariaDB), config.DefaultBackend(config.Postgres)
	maria.Name, maria.Port, maria.User, maria.Password = "maria", p.maria.Port, p.maria.User, config.Secret(p.maria.Password)
	pg.Name, pg.Port, pg.User, pg.Password, pg.Database = "pg", p.face.server.Port, p.face.server.User, config.Secret(p.face.server.Password), p.face.database
	return [2]config.Backend{maria, pg}
}

func openAdmin(t testing.TB, b config.Backend) *backend.Admin {
	t.Helper()
	a, err := backend.NewAdmin(b)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := a.Close(); err != nil {
			t.Error(err)
		}
	})
	return a
}

func (p *pair) db() *sql.DB { return p.proxy.DB(p.t, p.schema) }

// prepared are the branches that PostgreSQL holds.
func (p *pair) prepared() string {
	p.t.Helper()
	out, err := p.face.server.PSQL(context.Background(), "SELECT gid FROM pg_prepared_xacts WHERE database = '"+p.face.database+"'")
	if err != nil {
		p.t.Fatal(err)
	}
	return strings.TrimSpace(out)
}

// accounts are the balances, as the servers themselves have them.
func (p *pair) accounts() string {
	p.t.Helper()
	out := p.face.psql("SELECT string_agg(id || ':' || n, ' ' ORDER BY id) FROM " + p.schema + ".account")
	db, err := p.maria.DB()
	if err != nil {
		p.t.Fatal(err)
	}
	defer db.Close()
	var maria string
	if err := db.QueryRow("SELECT GROUP_CONCAT(id, ':', n ORDER BY id SEPARATOR ' ') FROM " + p.schema + ".account").Scan(&maria); err != nil {
		p.t.Fatal(err)
	}
	return maria + " " + out
}

func (p *pair) wantAccounts(want string) {
	p.t.Helper()
	if got := p.accounts(); got != want {
		p.t.Errorf("accounts are %s, want %s", got, want)
	}
}

// A transaction over MariaDB and PostgreSQL commits on both or on neither.
func TestTransfer(t *testing.T) {
	p := newPair(t)
	db := p.db()
	transfer := func(n int, end string) {
		t.Helper()
		tx, err := db.Conn(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		defer tx.Close()
		for _, s := range []string{"BEGIN", fmt.Sprintf("UPDATE account SET n = n - %d WHERE id = 0", n), fmt.Sprintf("UPDATE account SET n = n + %d WHERE id = 1", n), end} {
			if _, err := tx.ExecContext(t.Context(), s); err != nil {
				t.Fatalf("%s: %v", s, err)
			}
		}
	}
	transfer(5, "COMMIT")
	p.wantAccounts("0:95 2:100 1:105 3:100")
	transfer(7, "ROLLBACK")
	p.wantAccounts("0:95 2:100 1:105 3:100")
	var n int
	if err := db.QueryRow("SELECT n FROM account WHERE id = 1").Scan(&n); err != nil || n != 105 {
		t.Errorf("account 1 has %d (%v), want 105", n, err)
	}
	if left := p.prepared(); left != "" {
		t.Errorf("still prepared: %s", left)
	}
}

// The proxy is killed between the votes and the decision, and between the decision and its end. The next one finishes what it finds: without a
// decision it rolls back, with one it commits.
func TestKilledProxy(t *testing.T) {
	for _, c := range []struct {
		step chaos.Step
		want string
	}{{chaos.Prepare, "0:100 2:100 1:100 3:100"}, {chaos.Commit, "0:90 2:100 1:110 3:100"}} {
		t.Run(string(c.step), func(t *testing.T) {
			p := newPair(t)
			held, release := make(chan struct{}), make(chan struct{})
			p.tap.SetHook(func(e chaos.Event) chaos.Verdict {
				// With Prepare, MariaDB's vote does not arrive. With Commit, MariaDB does not hear of the decision.
				if e.Step == c.step && (e.Step == chaos.Prepare && e.Point == chaos.Answered || e.Step == chaos.Commit && e.Point == chaos.Asked) && e.Opening != "" {
					close(held)
					<-release
					return chaos.Cut
				}
				return chaos.Pass
			})
			db := p.db()
			tx, err := db.Begin()
			if err != nil {
				t.Fatal(err)
			}
			for _, s := range []string{"UPDATE account SET n = n - 10 WHERE id = 0", "UPDATE account SET n = n + 10 WHERE id = 1"} {
				if _, err := tx.Exec(s); err != nil {
					t.Fatal(err)
				}
			}
			answered := make(chan error, 1)
			go func() { answered <- tx.Commit() }()
			<-held
			for c.step == chaos.Prepare && p.prepared() == "" { // PostgreSQL's vote
			}
			if err := p.proxy.Kill(); err != nil {
				t.Fatal(err)
			}
			close(release)
			if err := <-answered; err == nil {
				t.Error("COMMIT was answered with OK by a proxy that was killed before")
			}
			p.tap.SetHook(nil)
			if c.step == chaos.Prepare && p.prepared() == "" {
				t.Error("PostgreSQL holds nothing prepared, so that the test shows nothing")
			}
			if err := p.proxy.Restart(t.Context()); err != nil {
				t.Fatal(err)
			}
			deadline := time.Now().Add(20 * time.Second)
			for p.prepared() != "" || p.accounts() != c.want {
				if time.Now().After(deadline) {
					t.Fatalf("accounts are %s, want %s; prepared: %s", p.accounts(), c.want, p.prepared())
				}
			}
		})
	}
}
