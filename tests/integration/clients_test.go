package integration

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/xaproxy/xaproxy/config"
	"github.com/xaproxy/xaproxy/tests/proxytest"
	"github.com/xaproxy/xaproxy/tests/servers"
	"github.com/xaproxy/xaproxy/tests/servers/servertest"
)

// programTimeout bounds one run of a client.
const programTimeout = 2 * time.Minute

// typist is a command line client, with the options that make it connect without and with TLS, and those without which
// it could not connect to a server directly.
type typist struct {
	name, path         string
	plain, tls, direct []string
}

func typists(t *testing.T) []typist {
	t.Helper()
	cache, err := servers.CacheDir()
	check(t, err)
	mysql := filepath.Join(cache, "mysql-9.7")
	return []typist{
		{
			name: "mysql", path: filepath.Join(mysql, "bin", "mysql"),
			plain: []string{"--ssl-mode=DISABLED", "--get-server-public-key"}, tls: []string{"--ssl-mode=REQUIRED"},
			// MariaDB wants mysql_native_password, which this client loads from a file; xaproxy does not.
			direct: []string{"--plugin-dir=" + filepath.Join(mysql, "usr", "lib", "mysql", "plugin")},
		},
		{
			name: "mariadb", path: "mariadb",
			plain: []string{"--skip-ssl"}, tls: []string{"--ssl", "--skip-ssl-verify-server-cert"},
		},
	}
}

// run feeds a script to the client and returns what it wrote, both outputs in one.
func (c typist) run(t *testing.T, addr, user, password, schema, script string, options ...string) string {
	t.Helper()
	program, err := exec.LookPath(c.path)
	if err != nil {
		t.Fatalf("%v: run tests/setup.sh", err)
	}
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		t.Fatal(err)
	}
	args := append([]string{"--no-defaults", "--force", "--verbose", "--table", "-h", host, "-P", port, "-u", user, "-D", schema}, options...)
	cmd, cancel := command(t, program, args...)
	defer cancel()
	cmd.Env = append(os.Environ(), "MYSQL_PWD="+password, "MYSQL_HISTFILE=/dev/null")
	cmd.Stdin = strings.NewReader(script)
	out, err := cmd.CombinedOutput()
	if err != nil && cmd.ProcessState == nil {
		t.Fatalf("%s: %v", c.name, err)
	}
	return string(out) // with --force an error is in the output, and in the exit status
}

func command(t *testing.T, program string, args ...string) (*exec.Cmd, context.CancelFunc) {
	ctx, cancel := context.WithTimeout(t.Context(), programTimeout)
	return exec.CommandContext(ctx, program, args...), cancel
}

// typed is what a person might type. Its answers do not depend on who asks, or when.
const typed = `
SELECT 1 AS one, 'ä€' AS text, NULL AS nothing, 1.50 AS amount, x'00ff' AS bytes;
CREATE TABLE pets (id INT PRIMARY KEY AUTO_INCREMENT, name VARCHAR(20) NOT NULL UNIQUE, born DATE) CHARSET utf8mb4;
SHOW TABLES LIKE 'pets';
DESCRIBE pets;
INSERT INTO pets (name, born) VALUES ('Ada', '2020-02-29'), ('Bob', NULL);
INSERT INTO pets (name) VALUES ('Ada');
SHOW WARNINGS;
SELECT * FROM pets ORDER BY id; SELECT COUNT(*) FROM pets;
BEGIN;
UPDATE pets SET name = 'Eve' WHERE id = 2;
SAVEPOINT s;
DELETE FROM pets;
ROLLBACK TO SAVEPOINT s;
SELECT name FROM pets ORDER BY id;
ROLLBACK;
SELECT name FROM pets ORDER BY id;
SELECT nonsense;
SELECT SLEEP(0), DATABASE() IS NOT NULL, @@autocommit;
SET SESSION sql_mode = 'ANSI_QUOTES';
SELECT "name" FROM "pets" WHERE "id" = 1;
SET NAMES utf8mb4;
SELECT LENGTH('ä');
DELIMITER //
SELECT 'a;b' AS semicolon//
DELIMITER ;
DROP TABLE pets;
`

// The command line clients of MySQL and MariaDB show the same through xaproxy as on a direct connection, byte for byte,
// with and without TLS, on either server.
func TestCommandLineClients(t *testing.T) {
	cert, key, _ := certificate(t)
	for _, kind := range []servers.Kind{servers.MariaDB, servers.MySQL} {
		server := servertest.Get(t, kind)
		schema := servertest.Database(t, server)
		proxy := proxytest.Run(t, proxytest.Options{
			Backends: []proxytest.Backend{proxytest.On("one", server)},
			Schemas:  []config.Schema{{Name: schema, Backend: "one"}},
			Server:   []string{fmt.Sprintf("tls_cert = %q\ntls_key = %q", cert, key)},
		})
		for _, client := range typists(t) {
			want := client.run(t, server.Addr(), server.User, server.Password, schema, typed, append(client.plain, client.direct...)...)
			if !strings.Contains(want, "Ada") || !strings.Contains(want, "ERROR 1062") {
				t.Fatalf("%s on %s, directly, says:\n%s", client.name, kind, want)
			}
			for name, options := range map[string][]string{"plain": client.plain, "TLS": client.tls} {
				got := client.run(t, proxy.Addr, proxytest.User, proxytest.Password, schema, typed, options...)
				if got != want {
					t.Errorf("%s on %s, %s: %s", client.name, kind, name, firstDifference(got, want))
				}
				wrong := client.run(t, proxy.Addr, proxytest.User, "wrong", schema, "SELECT 1", options...)
				if !strings.Contains(wrong, "ERROR 1045 (28000)") {
					t.Errorf("%s, %s, with a wrong password: %s", client.name, name, wrong)
				}
			}
		}
	}
}

// A transaction typed by hand over two servers is on both.
func TestCommandLineTransfer(t *testing.T) {
	a, b := servertest.Get(t, servers.MariaDB), servertest.Get(t, servers.MySQL)
	schema := servertest.Database(t, a)
	admin(t, b, "CREATE DATABASE "+schema)
	t.Cleanup(func() { admin(t, b, "DROP DATABASE "+schema) })
	for _, s := range []*servers.Server{a, b} {
		admin(t, s, "CREATE TABLE "+schema+".accounts (id INT PRIMARY KEY, v INT NOT NULL)")
	}
	proxy := proxytest.Run(t, proxytest.Options{
		Backends: []proxytest.Backend{proxytest.On("a", a), proxytest.On("b", b)},
		Tables:   []config.Table{{Schema: schema, Name: "accounts", Column: "id", Function: "modulo", Backends: []string{"a", "b"}}},
	})
	for i, client := range typists(t) {
		even, odd := 10*i, 10*i+1
		out := client.run(t, proxy.Addr, proxytest.User, proxytest.Password, schema, fmt.Sprintf(`
			INSERT INTO accounts (id, v) VALUES (%[1]d, 100), (%[2]d, 100);
			BEGIN;
			UPDATE accounts SET v = v - 1 WHERE id = %[1]d;
			UPDATE accounts SET v = v + 1 WHERE id = %[2]d;
			COMMIT;`, even, odd), client.plain...)
		for _, c := range []struct {
			server   *servers.Server
			id, want int
		}{{a, even, 99}, {b, odd, 101}} {
			var v int
			err := pool(t, c.server).QueryRow("SELECT v FROM "+schema+".accounts WHERE id = ?", c.id).Scan(&v)
			if err != nil || v != c.want {
				t.Errorf("%s: account %d has %d on %s, want %d (%v); the client said:\n%s", client.name, c.id, v, c.server.Kind, c.want, err, out)
			}
		}
	}
}

// sysbench runs its transactions through xaproxy, which makes a branch of each, as text and as prepared statements, COMMIT
// included.
func TestSysbench(t *testing.T) {
	program, err := exec.LookPath("sysbench")
	if err != nil {
		t.Fatalf("%v: run tests/setup.sh", err)
	}
	const events = 200
	for _, kind := range []servers.Kind{servers.MariaDB, servers.MySQL} {
		server := servertest.Get(t, kind)
		schema := servertest.Database(t, server)
		proxy := proxytest.Run(t, proxytest.Options{
			Backends: []proxytest.Backend{proxytest.On("one", server)},
			Schemas:  []config.Schema{{Name: schema, Backend: "one"}},
		})
		host, port, err := net.SplitHostPort(proxy.Addr)
		if err != nil {
			t.Fatal(err)
		}
		sysbench := func(what string, options ...string) string {
			cmd, cancel := command(t, program, append(options, "oltp_read_write", "--mysql-host="+host, "--mysql-port="+port,
				"--mysql-user="+proxytest.User, "--mysql-password="+proxytest.Password, "--mysql-db="+schema,
				"--tables=2", "--table-size=1000", "--threads=4", "--time=0", "--events="+strconv.Itoa(events), what)...)
			defer cancel()
			out, err := cmd.CombinedOutput()
			if err != nil || bytes.Contains(out, []byte("FATAL")) {
				t.Fatalf("sysbench %s on %s: %v\n%s", what, kind, err, out)
			}
			return string(out)
		}
		sysbench("prepare")
		for _, mode := range []string{"--db-ps-mode=disable", "--db-ps-mode=auto"} {
			out := sysbench("run", mode)
			m := regexp.MustCompile(`transactions:\s+(\d+)`).FindStringSubmatch(out)
			if m == nil || m[1] != strconv.Itoa(events) {
				t.Errorf("on %s with %s not all of %d transactions were done:\n%s", kind, mode, events, out)
			}
		}
		sysbench("cleanup")
		left, err := server.Prepared(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, branch := range left {
			if proxy.Owns(branch) {
				t.Errorf("on %s branch %s is left", kind, branch)
			}
		}
	}
}

// firstDifference shows where two outputs part.
func firstDifference(got, want string) string {
	g, w := strings.Split(got, "\n"), strings.Split(want, "\n")
	for i := range max(len(g), len(w)) {
		line := func(all []string) string {
			if i < len(all) {
				return all[i]
			}
			return "the end"
		}
		if line(g) != line(w) {
			return fmt.Sprintf("line %d is\n  %s\nnot\n  %s\nin\n%s", i+1, line(g), line(w), got)
		}
	}
	return "no difference"
}
