package integration

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/xaproxy/xaproxy/tests/servers"
	"github.com/xaproxy/xaproxy/tests/servers/servertest"
	"github.com/xaproxy/xaproxy/wire"
)

// localFiles lets a server ask its clients for files, from now on: other tests may want it too.
func localFiles(t *testing.T, s *servers.Server) {
	t.Helper()
	admin := dial(t, wire.Dialer{Addr: s.Addr(), User: servers.AdminUser, Password: servers.AdminPassword})
	query(t, admin, "SET GLOBAL local_infile = 1")
}

// dataFile writes a file of n rows and returns its path.
func dataFile(t *testing.T, n int) string {
	t.Helper()
	var b bytes.Buffer
	for i := range n {
		fmt.Fprintf(&b, "%d\t%s\n", i, strings.Repeat("x", i%200))
	}
	path := filepath.Join(t.TempDir(), "rows.txt")
	check(t, os.WriteFile(path, b.Bytes(), 0o600))
	return path
}

// TestWireInfile lets real clients load files of several sizes through the relay, and an empty one, and one into a table
// that does not exist; without the permission the server gets an empty file.
func TestWireInfile(t *testing.T) {
	t.Parallel()
	const rows = 200_000
	path, empty := dataFile(t, rows), dataFile(t, 0)
	for _, kind := range []servers.Kind{servers.MariaDB, servers.MySQL} {
		s := servertest.Get(t, kind)
		localFiles(t, s)
		for _, allowed := range []bool{true, false} {
			p := &relayed{
				wire:    wire.Server{Version: s.Version, Accounts: accountMap{s.User: wire.NewAccount(s.Password)}},
				backend: wire.Dialer{Addr: s.Addr(), User: s.User, Password: s.Password},
				relay:   wire.Relay{Infile: allowed},
			}
			addr := p.start(t)
			for _, cl := range commandLines(t) {
				t.Run(fmt.Sprintf("%s/%s/%v", kind, cl.name, allowed), func(t *testing.T) {
					database := servertest.Database(t, s)
					load := func(path, table string) string {
						return fmt.Sprintf("LOAD DATA LOCAL INFILE '%s' INTO TABLE %s;\n", path, table)
					}
					out, err := cl.run(t, "CREATE TABLE t (id INT, v VARCHAR(255));\n"+load(empty, "t")+load(path, "t")+load(path, "absent")+
						"SELECT CONCAT_WS('/', COUNT(*), SUM(LENGTH(v)), SUM(id)) FROM t;\nSELECT 42;", addr, s.User, s.Password, database,
						append([]string{"--local-infile=1", "--force", "-vvv"}, cl.plain...)...)
					sum, lengths := rows*(rows-1)/2, rows/200*(199*200/2)
					want := fmt.Sprintf("| %d/%d/%d ", rows, lengths, sum)
					if !allowed {
						want = "| 0 "
					}
					if err != nil || !strings.Contains(out, want) || !strings.Contains(out, "| 42 |") || !strings.Contains(out, "ERROR 1146") ||
						strings.Contains(out, "Records: "+strconv.Itoa(rows)) != allowed {
						t.Errorf("%v: want %s in %s", err, want, out)
					}
				})
			}
		}
	}
}

// TestWireFileChunks loads a file that this side sends itself.
func TestWireFileChunks(t *testing.T) {
	t.Parallel()
	for _, kind := range []servers.Kind{servers.MariaDB, servers.MySQL} {
		s := servertest.Get(t, kind)
		localFiles(t, s)
		c := dial(t, wire.Dialer{Addr: s.Addr(), User: s.User, Password: s.Password, Schema: servertest.Database(t, s), Caps: wire.LocalFiles})
		query(t, c, "CREATE TABLE t (id INT)")
		check(t, c.SendCommand(wire.ComQuery, []byte("LOAD DATA LOCAL INFILE 'any' INTO TABLE t")))
		name, err := c.ReadFileRequest()
		if err != nil || name != "any" {
			t.Fatalf("%s: %q, %v", kind, name, err)
		}
		for range 10_000 {
			check(t, c.WriteFileChunk([]byte("1\n2\n3")))
			check(t, c.WriteFileChunk([]byte("\n")))
		}
		check(t, c.WriteFileChunk(nil))
		if r, err := c.ReadResult(1000); err != nil || r.OK.Affected != 30_000 {
			t.Errorf("%s: %+v, %v", kind, r, err)
		}
		check(t, c.SendCommand(wire.ComQuery, []byte("LOAD DATA LOCAL INFILE 'any' INTO TABLE absent")))
		var refused *wire.Error
		if _, err := c.ReadFileRequest(); !errors.As(err, &refused) || refused.Errno != 1146 {
			t.Errorf("%s: %v", kind, err)
		}
		if n := query(t, c, "SELECT COUNT(*) FROM t").Values[0][0]; string(n) != "30000" {
			t.Errorf("%s: %s rows", kind, n)
		}
	}
}
