package integration

import (
	"bytes"
	"crypto/rand"
	"crypto/tls"
	"database/sql"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"

	"github.com/xaproxy/xaproxy/tests/proxytest"
	"github.com/xaproxy/xaproxy/tests/servers"
	"github.com/xaproxy/xaproxy/tests/servers/servertest"
	"github.com/xaproxy/xaproxy/wire"
)

// certificate makes a self-signed certificate for 127.0.0.1 and writes it and its key to a folder.
func certificate(t *testing.T) (cert, key string, pair tls.Certificate) {
	t.Helper()
	cert, key = proxytest.Certificate(t)
	pair, err := tls.LoadX509KeyPair(cert, key)
	check(t, err)
	return cert, key, pair
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// mariadbTLS boots a MariaDB with TLS and room for packets over 16 MB.
func mariadbTLS(t *testing.T) *servers.Server {
	t.Helper()
	cert, key, _ := certificate(t)
	s, err := servers.Start(t.Context(), servers.Options{
		Kind: servers.MariaDB,
		Args: []string{"--ssl-cert=" + cert, "--ssl-key=" + key, "--max-allowed-packet=64M"},
	})
	check(t, err)
	t.Cleanup(func() { check(t, s.Stop()) })
	return s
}

// dial logs in to a server and checks that it answers.
func dial(t testing.TB, d wire.Dialer) *wire.Conn {
	t.Helper()
	d.Timeout = time.Minute
	c, g, err := d.Dial(t.Context())
	check(t, err)
	t.Cleanup(func() { c.Close() })
	r := query(t, c, "SELECT CONNECTION_ID(), NULL, ''")
	if id := strconv.FormatUint(uint64(g.ConnID), 10); string(r.Values[0][0]) != id || r.Values[0][1] != nil || r.Values[0][2] == nil {
		t.Errorf("greeting says connection %s, row %q", id, r.Values[0])
	}
	if g.Status&wire.StatusAutocommit == 0 || r.OK.Status&wire.StatusAutocommit == 0 {
		t.Errorf("status %b and %b", g.Status, r.OK.Status)
	}
	return c
}

func query(t testing.TB, c *wire.Conn, text string) wire.Rows {
	t.Helper()
	check(t, c.SendCommand(wire.ComQuery, []byte(text)))
	r, err := c.ReadResult(64 << 20)
	if err != nil {
		t.Fatalf("%.80s: %v", text, err)
	}
	return r
}

// TestWireDial logs in to real servers over TCP, TLS and a socket: mysql_native_password on MariaDB,
// caching_sha2_password on MySQL, there for each transport with a user of its own, so that the first login is the long
// one, then with the server's cache.
func TestWireDial(t *testing.T) {
	t.Parallel()
	for _, s := range []*servers.Server{mariadbTLS(t), servertest.Get(t, servers.MySQL)} {
		admin := dial(t, wire.Dialer{Addr: s.Addr(), User: servers.AdminUser, Password: servers.AdminPassword})
		for _, transport := range []string{"tcp", "tls", "unix"} {
			for _, password := range []string{"", "p", "pässword with 32 characters.....", strings.Repeat("long", 30)} {
				t.Run(fmt.Sprintf("%s/%s/%d", s.Kind, transport, len(password)), func(t *testing.T) {
					user := fmt.Sprintf("dial_%s_%d", transport, len(password))
					query(t, admin, fmt.Sprintf("CREATE USER '%s'@'%%' IDENTIFIED BY '%s'", user, password))
					t.Cleanup(func() { query(t, admin, fmt.Sprintf("DROP USER '%s'@'%%'", user)) })
					d := wire.Dialer{Network: transport, Addr: s.Addr(), User: user, Password: password}
					switch transport {
					case "tls":
						d.Network, d.TLS = "tcp", &tls.Config{InsecureSkipVerify: true}
					case "unix":
						d.Addr = s.Socket
					}
					for range 2 {
						c := dial(t, d)
						cipher := query(t, c, "SHOW STATUS LIKE 'Ssl_cipher'").Values[0][1]
						if (len(cipher) > 0) != (transport == "tls") {
							t.Errorf("cipher %q", cipher)
						}
					}
					d.Password = "wrong"
					_, _, err := d.Dial(t.Context())
					var refused *wire.Error
					if !errors.As(err, &refused) || refused.Errno != 1045 || refused.State != "28000" {
						t.Errorf("wrong password: %v", err)
					}
				})
			}
		}
		_, _, err := (&wire.Dialer{Addr: s.Addr(), User: s.User, Password: s.Password, Schema: "absent"}).Dial(t.Context())
		var refused *wire.Error
		if !errors.As(err, &refused) || refused.Errno != 1049 {
			t.Errorf("unknown schema: %v", err)
		}
		if c := dial(t, wire.Dialer{
			Addr: s.Addr(), User: s.User, Password: s.Password, Schema: "mysql", Caps: wire.FoundRows,
			Attrs: map[string]string{"program_name": "test"},
		}); !c.Caps().Has(wire.FoundRows | wire.ConnectWithDB | wire.ConnectAttrs | wire.DeprecateEOF | wire.MultiStatements) {
			t.Errorf("capabilities %b", c.Caps())
		}
	}
}

// TestWireTooManyConnections reads the ERR that comes instead of a greeting.
func TestWireTooManyConnections(t *testing.T) {
	t.Parallel()
	s, err := servers.Start(t.Context(), servers.Options{Kind: servers.MariaDB, Args: []string{"--max-connections=10"}})
	check(t, err)
	t.Cleanup(func() { check(t, s.Stop()) })
	d := wire.Dialer{Addr: s.Addr(), User: servers.LimitedUser, Password: servers.LimitedPassword, Timeout: time.Minute}
	for range 20 {
		c, _, err := d.Dial(t.Context())
		if err == nil {
			t.Cleanup(func() { c.Close() })
			continue
		}
		var refused *wire.Error
		if !errors.As(err, &refused) || refused.Errno != 1040 {
			t.Fatal(err)
		}
		return
	}
	t.Fatal("20 connections to a server that allows 10")
}

// TestWireResults reads results of real servers: packets around and over 16 MB both ways, an ERR amid the rows, several
// results to one command, info and warnings.
func TestWireResults(t *testing.T) {
	t.Parallel()
	for _, s := range []*servers.Server{mariadbTLS(t), servertest.Get(t, servers.MySQL)} {
		t.Run(string(s.Kind), func(t *testing.T) {
			c := dial(t, wire.Dialer{Addr: s.Addr(), User: s.User, Password: s.Password, Schema: servertest.Database(t, s)})

			const chunk = 1<<24 - 1
			for _, n := range []int{chunk - 1, chunk, chunk + 1, 2*chunk - 1, 2 * chunk, 20_000_000} {
				head, tail := "SELECT LENGTH('", "')" // with the command's byte, the packet has n bytes
				text := bytes.Repeat([]byte("x"), n-1-len(head)-len(tail))
				check(t, c.SendCommand(wire.ComQuery, []byte(head), text, []byte(tail)))
				r, err := c.ReadResult(1000)
				check(t, err)
				if got := string(r.Values[0][0]); got != strconv.Itoa(len(text)) {
					t.Errorf("request of %d bytes: length %s", n, got)
				}
				r = query(t, c, fmt.Sprintf("SELECT REPEAT('y', %d)", n-4)) // 4: the length before the value
				if got := r.Values[0][0]; len(got) != n-4 || bytes.Trim(got, "y") != nil && len(bytes.Trim(got, "y")) > 0 {
					t.Errorf("row of %d bytes: value of %d", n, len(got))
				}
			}

			query(t, c, "CREATE TABLE t (id INT PRIMARY KEY, v INT)")
			query(t, c, "INSERT INTO t SELECT a.n*100+b.n*10+c.n, 0 FROM "+digits("a")+", "+digits("b")+", "+digits("c"))
			check(t, c.SendCommand(wire.ComQuery, []byte("SELECT id, EXP(id) FROM t ORDER BY id")))
			var refused *wire.Error
			if _, err := c.ReadResult(1 << 20); !errors.As(err, &refused) || refused.Errno != 1690 || refused.State != "22003" {
				t.Errorf("ERR amid rows: %v", err)
			}

			r := query(t, c, "UPDATE t SET v = 1 WHERE id < 7")
			if r.OK.Affected != 7 || r.OK.Info != "Rows matched: 7  Changed: 7  Warnings: 0" {
				t.Errorf("update: %+v", r.OK)
			}
			if r := query(t, c, "SELECT CAST('1x' AS SIGNED)"); r.OK.Warnings != 1 {
				t.Errorf("warnings of a select: %+v", r.OK)
			}
			if r := query(t, c, "BEGIN"); r.OK.Status&wire.StatusInTrans == 0 {
				t.Errorf("begin: %+v", r.OK)
			}
			query(t, c, "ROLLBACK")

			check(t, c.SendCommand(wire.ComQuery, []byte("DO 1; SELECT id, v FROM t WHERE id = 3; SELECT 1 FROM absent")))
			if r, err := c.ReadResult(1000); err != nil || r.OK.Status&wire.StatusMoreResults == 0 {
				t.Errorf("first of several: %+v, %v", r, err)
			}
			r, err := c.ReadResult(1000)
			if err != nil || r.OK.Status&wire.StatusMoreResults == 0 || string(r.Values[0][0]) != "3" {
				t.Errorf("second of several: %+v, %v", r, err)
			}
			if col := r.Columns[0]; col.Name != "id" || col.OrgTable != "t" || col.Type != wire.TypeLong || col.Flags&2 == 0 {
				t.Errorf("column %+v", col)
			}
			if _, err := c.ReadResult(1000); !errors.As(err, &refused) || refused.Errno != 1146 {
				t.Errorf("third of several: %v", err)
			}
			check(t, c.SendCommand(wire.ComQuery, []byte("SELECT * FROM t")))
			if _, err := c.ReadResult(1000); !errors.Is(err, wire.ErrResultTooLarge) {
				t.Errorf("a result over the limit: %v", err)
			}
		})
	}
}

// digits is a derived table of 0 to 9.
func digits(name string) string {
	return "(SELECT 0 n UNION SELECT 1 UNION SELECT 2 UNION SELECT 3 UNION SELECT 4 UNION SELECT 5 UNION SELECT 6 " +
		"UNION SELECT 7 UNION SELECT 8 UNION SELECT 9) " + name
}

// TestWireServerLogins lets real clients log in: every kind of account, in clear and in TLS.
func TestWireServerLogins(t *testing.T) {
	t.Parallel()
	const password = "p4ss-w0rd"
	backend := servertest.Get(t, servers.MySQL)
	database := servertest.Database(t, backend)
	_, _, pair := certificate(t)
	p := &relayed{
		wire:    wire.Server{Version: backend.Version, TLS: &tls.Config{Certificates: []tls.Certificate{pair}}},
		backend: wire.Dialer{Addr: backend.Addr(), User: backend.User, Password: backend.Password},
	}
	accounts := func() accountMap {
		return accountMap{
			"plain": wire.NewAccount(password), "empty": wire.NewAccount(""),
			"native": account(t, nativeHash(t, password)), "sha2": account(t, storedHash(t, backend, password)),
		}
	}
	p.wire.Accounts = accounts()
	addr := p.start(t)
	for _, transport := range []string{"plain", "tls"} {
		for user := range accounts() {
			secret := password
			if user == "empty" {
				secret = ""
			}
			for _, cl := range commandLines(t) {
				t.Run(transport+"/"+user+"/"+cl.name, func(t *testing.T) {
					args := cl.plain
					if transport == "tls" {
						args = cl.tls
					}
					p := &relayed{wire: wire.Server{Version: backend.Version, TLS: p.wire.TLS, Accounts: accounts()}, backend: p.backend}
					addr := p.start(t)
					for range 2 {
						out, err := cl.run(t, "SELECT 1 + 1 AS sum", addr, user, secret, database, args...)
						if user == "native" && cl.name == "mysql" {
							if !strings.Contains(out, "mysql_native_password") {
								t.Errorf("MySQL 9.7 has no native plugin: %s", out)
							}
							return
						}
						if err != nil || !strings.Contains(out, "sum\n2\n") {
							t.Fatalf("%v: %s", err, out)
						}
						if l := p.logins[len(p.logins)-1]; l.TLS != (transport == "tls") || l.Schema != database || l.Attrs["_client_name"] == "" {
							t.Errorf("login %+v", l)
						}
					}
					out, err := cl.run(t, "SELECT 1", addr, user, "wrong", database, args...)
					if err == nil || !strings.Contains(out, "1045 (28000)") {
						t.Errorf("wrong password: %v: %s", err, out)
					}
					out, err = cl.run(t, "SELECT 1", addr, "nobody", secret+"x", database, args...)
					if err == nil || !strings.Contains(out, "1045 (28000)") {
						t.Errorf("unknown user: %v: %s", err, out)
					}
				})
			}
			t.Run(transport+"/"+user+"/go", func(t *testing.T) {
				cfg := mysql.NewConfig()
				cfg.Net, cfg.Addr, cfg.User, cfg.Passwd, cfg.DBName = "tcp", addr, user, secret, database
				cfg.AllowNativePasswords = true
				if transport == "tls" {
					cfg.TLSConfig = "skip-verify"
				}
				db, err := sql.Open("mysql", cfg.FormatDSN())
				check(t, err)
				defer db.Close()
				var sum int
				check(t, db.QueryRow("SELECT 1 + ?", 1).Scan(&sum))
				if sum != 2 {
					t.Errorf("1 + 1 = %d", sum)
				}
			})
		}
	}
}

type accountMap map[string]*wire.Account

func (m accountMap) Account(user string) (*wire.Account, bool) {
	a, ok := m[user]
	return a, ok
}

func account(t *testing.T, hash string) *wire.Account {
	t.Helper()
	a, err := wire.NewAccountHash(hash)
	check(t, err)
	return a
}

// nativeHash returns what MariaDB stores for a password under mysql_native_password.
func nativeHash(t *testing.T, password string) string {
	t.Helper()
	s := servertest.Get(t, servers.MariaDB)
	c := dial(t, wire.Dialer{Addr: s.Addr(), User: s.User, Password: s.Password})
	return string(query(t, c, fmt.Sprintf("SELECT PASSWORD('%s')", password)).Values[0][0])
}

// storedHash returns what MySQL stores for a password under caching_sha2_password.
func storedHash(t *testing.T, s *servers.Server, password string) string {
	t.Helper()
	admin := dial(t, wire.Dialer{Addr: s.Addr(), User: servers.AdminUser, Password: servers.AdminPassword})
	user := "stored" + rand.Text()
	query(t, admin, fmt.Sprintf("CREATE USER %s IDENTIFIED WITH caching_sha2_password BY '%s'", user, password))
	defer query(t, admin, "DROP USER "+user)
	r := query(t, admin, fmt.Sprintf("SELECT CONCAT('0x', HEX(authentication_string)) FROM mysql.user WHERE user = '%s'", user))
	return string(r.Values[0][0])
}

// TestWireStoredHashes logs in with the hashes that real servers made of passwords of many lengths: those around the
// block and digest sizes of SHA-256 take different ways through SHA-crypt.
func TestWireStoredHashes(t *testing.T) {
	t.Parallel()
	my := servertest.Get(t, servers.MySQL)
	accounts := accountMap{}
	passwords := map[string]string{}
	for _, n := range []int{1, 2, 15, 16, 17, 31, 32, 33, 55, 56, 63, 64, 65, 100, 127, 128, 200} {
		password := strings.Repeat("Ab3-xYz_9", 30)[:n]
		accounts[fmt.Sprint("sha2-", n)] = account(t, storedHash(t, my, password))
		accounts[fmt.Sprint("native-", n)] = account(t, nativeHash(t, password))
		passwords[fmt.Sprint("sha2-", n)], passwords[fmt.Sprint("native-", n)] = password, password
	}
	p := &relayed{
		wire:    wire.Server{Version: my.Version, Accounts: accounts},
		backend: wire.Dialer{Addr: my.Addr(), User: my.User, Password: my.Password},
	}
	addr := p.start(t)
	for user, password := range passwords {
		d := wire.Dialer{Addr: addr, User: user, Password: password, Timeout: time.Minute}
		c, _, err := d.Dial(t.Context())
		if err != nil {
			t.Errorf("%s: %v", user, err)
			continue
		}
		c.Close()
		d.Password += "x"
		if _, _, err := d.Dial(t.Context()); err == nil {
			t.Errorf("%s: logged in with a wrong password", user)
		}
	}
}

// script is run by a command-line client, once directly and once through the relay.
const script = `
CREATE TABLE t (id INT AUTO_INCREMENT PRIMARY KEY, z INT(8) ZEROFILL, d DECIMAL(20,5), f DOUBLE, s VARCHAR(50), b VARBINARY(50),
  j JSON, y YEAR, ts TIMESTAMP(6) NULL, e ENUM('a','b'), bits BIT(9));
INSERT INTO t (z, d, f, s, b, j, y, ts, e, bits) VALUES
  (42, 1.5, 1e308, 'ä', x'00ff', '{"a": 1}', 1999, '2026-01-02 03:04:05.678', 'b', b'101'), (NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL);
SELECT * FROM t;
SELECT * FROM t WHERE 1 = 0;
UPDATE t SET s = CONCAT(s, '!') WHERE id < 9;
INSERT INTO t (z) SELECT z FROM t;
SELECT CAST('1x' AS SIGNED), 1/0;
SHOW WARNINGS;
SELECT 1 FROM absent;
SELEC 1;
SELECT id, EXP(id * 300) FROM t ORDER BY id;
SET SESSION cte_max_recursion_depth = 100000;
SET SESSION max_recursive_iterations = 100000;
WITH RECURSIVE n AS (SELECT 1 i UNION ALL SELECT i + 1 FROM n WHERE i < 20000) SELECT i, REPEAT('x', i % 300) FROM n;
SELECT LENGTH(REPEAT('x', 1000000)), REPEAT('y', 300000);
DELIMITER //
CREATE PROCEDURE p() BEGIN SELECT 1; SELECT 2, 3; UPDATE t SET z = 7; SELECT * FROM t WHERE 1 = 0; END//
CREATE PROCEDURE q() BEGIN SELECT 1; SELECT 1 FROM absent; END//
SELECT 1; SELECT 2; DO 0; SELECT 3//
DELIMITER ;
CALL p();
CALL q();
BEGIN;
DELETE FROM t;
ROLLBACK;
SELECT COUNT(*) FROM t;
PREPARE s FROM 'SELECT ? + 1';
SET @a = 41;
EXECUTE s USING @a;
DROP PROCEDURE p;
DROP PROCEDURE q;
DROP TABLE t;
`

// TestWireRelay compares what real clients print of a script, column types, info and warnings included, between a direct
// connection and the relay, with and without a preamble before each statement, for both servers.
func TestWireRelay(t *testing.T) {
	t.Parallel()
	for _, kind := range []servers.Kind{servers.MariaDB, servers.MySQL} {
		s := servertest.Get(t, kind)
		for _, preamble := range []string{"", "DO 1;"} {
			p := &relayed{
				wire:     wire.Server{Version: s.Version, Accounts: accountMap{s.User: wire.NewAccount(s.Password)}},
				backend:  wire.Dialer{Addr: s.Addr(), User: s.User, Password: s.Password},
				preamble: preamble,
			}
			addr := p.start(t)
			for _, cl := range commandLines(t) {
				if kind == servers.MariaDB && cl.name == "mysql" {
					continue // without mysql_native_password it cannot log in directly, so there is nothing to compare with
				}
				t.Run(fmt.Sprintf("%s/%s/%q", kind, cl.name, preamble), func(t *testing.T) {
					database := servertest.Database(t, s)
					args := append([]string{"-vvv", "--force", "--show-warnings", "--column-type-info", "--unbuffered", "--default-character-set=utf8mb4"}, cl.plain...)
					direct, err := cl.run(t, script, s.Addr(), s.User, s.Password, database, args...)
					if err != nil || strings.Count(direct, "\n") < 20_000 || strings.Count(direct, "\nERROR ") < 4 {
						t.Fatalf("direct: %v: %.2000s", err, direct)
					}
					got, err := cl.run(t, script, addr, s.User, s.Password, database, args...)
					if err != nil {
						t.Error(err)
					}
					if got != direct {
						a, b := strings.Split(got, "\n"), strings.Split(direct, "\n")
						for i := range min(len(a), len(b)) {
							if a[i] != b[i] {
								t.Fatalf("line %d\nrelayed: %.300q\ndirect:  %.300q", i, a[i:min(len(a), i+8)], b[i:min(len(b), i+8)])
							}
						}
						t.Fatalf("%d lines, %d directly", len(a), len(b))
					}
				})
			}
		}
	}
}
