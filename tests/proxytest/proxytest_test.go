package proxytest_test

import (
	"context"
	"database/sql"
	"os"
	"strings"
	"testing"

	"github.com/xaproxy/xaproxy/config"
	"github.com/xaproxy/xaproxy/tests/proxytest"
	"github.com/xaproxy/xaproxy/tests/servers"
	"github.com/xaproxy/xaproxy/tests/servers/servertest"
)

func TestMain(m *testing.M) { servertest.Main(m) }

// run starts a proxy in front of one server, with one table t in the schema that it returns.
func run(t *testing.T) (*proxytest.Proxy, string) {
	t.Helper()
	s := servertest.Get(t, servers.MariaDB)
	schema := servertest.Database(t, s)
	p := proxytest.Run(t, proxytest.Options{
		Backends: []proxytest.Backend{proxytest.On("a", s)},
		Schemas:  []config.Schema{{Name: schema, Backend: "a"}},
	})
	if _, err := p.DB(t, schema).ExecContext(t.Context(), "CREATE TABLE t (n INT PRIMARY KEY)"); err != nil {
		t.Fatal(err)
	}
	return p, schema
}

func count(t *testing.T, db *sql.DB) int {
	t.Helper()
	var n int
	if err := db.QueryRowContext(t.Context(), "SELECT COUNT(*) FROM t").Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

// A proxy that was killed or stopped comes back with its address, its decision log and a higher epoch.
func TestRestart(t *testing.T) {
	p, schema := run(t)
	db := p.DB(t, schema)
	if _, err := db.Exec("INSERT INTO t VALUES (?)", 7); err != nil {
		t.Fatal(err)
	}
	addr, coord := p.Addr, p.Coord()
	for i, end := range []func() error{p.Kill, p.Stop} {
		if err := end(); err != nil {
			t.Fatal(err)
		}
		if p.Running() {
			t.Fatal("it runs after it was ended")
		}
		if err := db.PingContext(t.Context()); err == nil {
			t.Fatal("it answers after it was ended")
		}
		if err := p.Restart(t.Context()); err != nil {
			t.Fatal(err)
		}
		if p.Addr != addr || p.Coord() != coord || coord == "" || p.Epoch() != uint32(i+2) {
			t.Errorf("address %s, coord %s, epoch %d after start %d; at first %s and %s", p.Addr, p.Coord(), p.Epoch(), i+2, addr, coord)
		}
		if n := count(t, db); n != 1 {
			t.Errorf("%d rows, want 1", n)
		}
	}
}

// A frozen proxy does not answer; a thawed one goes on.
func TestFreeze(t *testing.T) {
	p, schema := run(t)
	db := p.DB(t, schema)
	if err := p.Freeze(); err != nil {
		t.Fatal(err)
	}
	answered := make(chan error, 1)
	go func() { answered <- db.PingContext(context.WithoutCancel(t.Context())) }()
	select {
	case err := <-answered:
		t.Errorf("answered while it was frozen: %v", err)
	default:
	}
	if err := p.Thaw(); err != nil {
		t.Fatal(err)
	}
	if err := <-answered; err != nil {
		t.Error(err)
	}
}

// What a proxy that does not start has to say is in the error.
func TestRefusal(t *testing.T) {
	p, _ := run(t)
	if err := p.Stop(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(p.ConfigPath(), []byte("[server]\nlisten = 1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	err := p.Restart(t.Context())
	if err == nil || !strings.Contains(err.Error(), "status 1") || !strings.Contains(err.Error(), "server.listen") {
		t.Errorf("got %v, want status 1 and the mistake in server.listen", err)
	}
}

// The recover command speaks of the same decision log, with the proxy running and without.
func TestRecover(t *testing.T) {
	p, _ := run(t)
	for _, end := range []func() error{nil, p.Stop} {
		if end != nil {
			if err := end(); err != nil {
				t.Fatal(err)
			}
		}
		out, status, err := p.Recover(t.Context(), "--json")
		if err != nil || status != 0 || !strings.Contains(out, p.Coord()) {
			t.Errorf("status %d, error %v, output %s; want 0 and coord %s", status, err, out, p.Coord())
		}
	}
}
