// Package web looks at the dashboard of a running proxy, in front of real servers, in a browser. tests/web/setup.sh installs what that takes.
package web

import (
	"context"
	"database/sql"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	_ "github.com/go-sql-driver/mysql"

	"github.com/xaproxy/xaproxy/config"
	"github.com/xaproxy/xaproxy/tests/proxytest"
	"github.com/xaproxy/xaproxy/tests/servers"
	"github.com/xaproxy/xaproxy/tests/servers/servertest"
	"github.com/xaproxy/xaproxy/xa"
)

var shots = flag.String("shots", "", "folder for pictures of the dashboard, for the documentation")

func TestMain(m *testing.M) { servertest.Main(m) }

const token = "a-secret-of-the-admin-listener"

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// A transaction that is in doubt, because the backend of its branch is not in the configuration any more, is on the dashboard, and is resolved
// there. The rest of what is looked at is in dashboard.mjs.
func TestDashboard(t *testing.T) {
	my, maria := servertest.Get(t, servers.MySQL), servertest.Get(t, servers.MariaDB)
	schema := servertest.Database(t, my)
	p := proxytest.Run(t, proxytest.Options{
		Backends: []proxytest.Backend{proxytest.On("shop-1", my), proxytest.On("shop-2", maria)},
		Schemas:  []config.Schema{{Name: schema, Backend: "shop-1"}},
		Admin:    []string{`listen = "127.0.0.1:0"`, fmt.Sprintf("token = %q", token)}, Server: []string{`slow_statement = "100ms"`}, LogLevel: "info", RecoveryInterval: 200 * time.Millisecond,
	})
	said := func(message string) (line struct {
		Listen, Coord string
		Epoch         uint32
	},
	) {
		t.Helper()
		text, err := p.Log.Wait(t.Context(), 0, fmt.Sprintf(`"message":%q`, message))
		check(t, err)
		check(t, json.Unmarshal([]byte(text), &line))
		return line
	}
	base, serving := said("admin listener").Listen, said("serving")

	server, err := sql.Open("mysql", my.DSN(my.User, my.Password, schema))
	check(t, err)
	t.Cleanup(func() { check(t, server.Close()) })
	branch, err := server.Conn(t.Context())
	check(t, err)
	x := xa.XID{GTRID: xa.GTRID{Coord: serving.Coord, Epoch: serving.Epoch, Seq: 1_000_000}, BQUAL: "shop-9"}
	for _, q := range []string{
		"CREATE TABLE t (id INT PRIMARY KEY)", "XA START " + x.SQL(), "INSERT INTO t VALUES (1)", "XA END " + x.SQL(), "XA PREPARE " + x.SQL(),
	} {
		_, err := branch.ExecContext(t.Context(), q)
		check(t, err)
	}
	check(t, branch.Close())

	client, err := sql.Open("mysql", p.DSN(schema))
	check(t, err)
	t.Cleanup(func() { check(t, client.Close()) })
	_, err = client.ExecContext(t.Context(), "SELECT SLEEP(0.2), 'a value'")
	check(t, err)
	if *shots != "" {
		traffic(t, client)
	}

	cache, err := servers.CacheDir()
	check(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	look := exec.CommandContext(ctx, "node", "dashboard.mjs")
	look.Env = append(os.Environ(), "WEB="+filepath.Join(cache, "web"), "BASE=http://"+base, "TOKEN="+token, "GTRID="+x.GTRID.String(), "BACKEND=shop-1", "SHOTS="+*shots)
	if out, err := look.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	var rows int
	check(t, server.QueryRowContext(t.Context(), "SELECT COUNT(*) FROM t").Scan(&rows))
	if rows != 1 {
		t.Errorf("the branch is not committed: %d rows", rows)
	}
	line, err := p.Log.Wait(ctx, 0, `"message":"admin action"`, "resolve "+x.GTRID.String()+": commit")
	if err != nil || !strings.Contains(line, `"by":"dashboard@127.0.0.1:`) || !strings.Contains(line, `"done":true`) {
		t.Errorf("what was done is not written down with who it was: %s, %v", line, err)
	}
	if found := p.Log.Grep(token); len(found) > 0 {
		t.Errorf("the token is in the log: %s", found)
	}
}

// traffic is something to be seen in pictures.
func traffic(t *testing.T, client *sql.DB) {
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	t.Cleanup(func() { cancel(); <-done })
	go func() {
		defer close(done)
		for n := 0; ctx.Err() == nil; n++ {
			_, _ = client.ExecContext(ctx, fmt.Sprintf("SELECT COUNT(*) FROM t WHERE id < %d", n))
			time.Sleep(time.Duration(3+n/40%5) * time.Millisecond)
		}
	}()
}
