package clients

import (
	"context"
	"flag"
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

var direct = flag.Bool("direct", false, "run the programs on the servers themselves, to see what is different there")

func TestMain(m *testing.M) { servertest.Main(m) }

const (
	clientTimeout = 2 * time.Minute // bounds one run of a program
	leastChecks   = 10              // fewer mean that a program stopped half-way and did not notice
	idsPerProgram = 10
)

// program is one client program with its arguments. The path of an interpreter or of a built program may be relative to
// the cache folder of the clients, after "@".
type program struct {
	name    string
	command []string
	not     string // the schema with whose proxy it cannot work; docs/compatibility.md says why
}

var programs = []program{
	{name: "go-sql-driver, text", command: []string{"@/go/sqldriver", "text"}},
	{name: "go-sql-driver, prepared", command: []string{"@/go/sqldriver", "prepared"}},
	{name: "GORM", command: []string{"@/go/gorm"}},
	{name: "PyMySQL", command: []string{"@/python/bin/python", "python/pymysql_client.py"}},
	{name: "mysql-connector-python", command: []string{"@/python/bin/python", "python/connector_client.py", "text"}},
	{name: "mysql-connector-python, prepared", command: []string{"@/python/bin/python", "python/connector_client.py", "prepared"}},
	{name: "SQLAlchemy", command: []string{"@/python/bin/python", "python/sqlalchemy_client.py"}},
	{name: "Django", command: []string{"@/python/bin/python", "python/django_client.py"}},
	{name: "mysql2, query", command: []string{"node", "node/client.js", "query"}},
	{name: "mysql2, execute", command: []string{"node", "node/client.js", "execute"}},
	{name: "MySQL Connector J, text", command: []string{"java", "-cp", "@/java/*", "java/Client.java", "mysql", "false"}, not: "plain_mariadb"},
	{name: "MySQL Connector J, prepared", command: []string{"java", "-cp", "@/java/*", "java/Client.java", "mysql", "true"}, not: "plain_mariadb"},
	{name: "MariaDB Connector J, text", command: []string{"java", "-cp", "@/java/*", "java/Client.java", "mariadb", "false"}, not: "plain_mysql"},
	{name: "MariaDB Connector J, prepared", command: []string{"java", "-cp", "@/java/*", "java/Client.java", "mariadb", "true"}, not: "plain_mysql"},
	{name: "PHP mysqli", command: []string{"php", "php/mysqli.php"}},
	{name: "PHP PDO, emulated", command: []string{"php", "php/pdo.php", "emulated"}},
	{name: "PHP PDO, prepared", command: []string{"php", "php/pdo.php", "prepared"}},
	{name: "Perl DBD::mysql, text", command: []string{"perl", "perl/client.pl", "text"}},
	{name: "Perl DBD::mysql, prepared", command: []string{"perl", "perl/client.pl", "prepared"}},
}

const tables = `
CREATE TABLE kinds (
	id INT PRIMARY KEY, i8 TINYINT, i16 SMALLINT, i32 INT, i64 BIGINT, u64 BIGINT UNSIGNED, d DECIMAL(20,4),
	f FLOAT, r DOUBLE, day DATE, moment DATETIME(6), span TIME(3), y YEAR, word VARCHAR(50), words TEXT,
	bin VARBINARY(10), bits BIT(8), choice ENUM('red','green'), several SET('a','b','c'), doc JSON, nothing INT
) CHARSET utf8mb4;
INSERT INTO kinds VALUES (1, -128, 32767, -2147483648, 9223372036854775807, 18446744073709551615, 1234567890.1234,
	1.5, 0.1, '2024-02-29', '2024-02-29 23:59:58.123456', '-12:34:56.789', 2024, 'Grüße', 'naïve 日本 🐬',
	x'00ff80', b'10100101', 'green', 'a,c', '{"k": [1, 2]}', NULL);
CREATE TABLE notes (
	id INT PRIMARY KEY AUTO_INCREMENT, title VARCHAR(100) NOT NULL UNIQUE, body LONGTEXT, n INT
) CHARSET utf8mb4`

const accounts = "CREATE TABLE accounts (id BIGINT PRIMARY KEY, v INT NOT NULL, owner VARCHAR(50)) CHARSET utf8mb4"

// Every program of every library does through the proxy what it is made to do, with its plain tables on MariaDB and on
// MySQL, and leaves on the servers what it said it would.
func TestClients(t *testing.T) {
	cache := clientCache(t)
	maria, mysql := servertest.Get(t, servers.MariaDB), servertest.Get(t, servers.MySQL)
	execute(t, maria, "", "CREATE DATABASE plain_mariadb CHARSET utf8mb4", "CREATE DATABASE shop CHARSET utf8mb4")
	execute(t, mysql, "", "CREATE DATABASE plain_mysql CHARSET utf8mb4", "CREATE DATABASE shop CHARSET utf8mb4")
	execute(t, maria, "plain_mariadb", strings.Split(tables, ";\n")...)
	execute(t, mysql, "plain_mysql", strings.Split(tables, ";\n")...)
	execute(t, maria, "shop", accounts)
	execute(t, mysql, "shop", accounts)
	// The first backend gives the version that clients are told, and is where statements of the sharded schema go that
	// name no table: each server is the first of one proxy.
	even, odd := proxytest.On("even", maria), proxytest.On("odd", mysql)
	fronts := []front{
		{"plain_mariadb", maria, run(t, even, odd)},
		{"plain_mysql", mysql, run(t, odd, even)},
	}
	base := 1000
	for _, p := range programs {
		for _, f := range fronts {
			base += idsPerProgram
			if p.not == f.plain && !*direct {
				continue
			}
			t.Run(p.name+"/"+f.plain, func(t *testing.T) {
				execute(t, f.home, f.plain, "DELETE FROM notes")
				if *direct {
					p.run(t, cache, login{f.home.Addr(), f.home.User, f.home.Password}, f.plain, base)
					return
				}
				checks := p.run(t, cache, login{f.proxy.Addr, proxytest.User, proxytest.Password}, f.plain, base)
				if checks < leastChecks {
					t.Errorf("it made %d checks, fewer than %d", checks, leastChecks)
				}
				for i, s := range []*servers.Server{maria, mysql} {
					want := fmt.Sprintf("%d=%d", base+i, 10*(i+1))
					if got := holdings(t, s, base); got != want {
						t.Errorf("%s has the accounts %q, want %q", s.Kind, got, want)
					}
				}
			})
		}
	}
	for _, s := range []*servers.Server{maria, mysql} {
		left, err := s.Prepared(t.Context())
		if err != nil || len(left) > 0 {
			t.Errorf("%s is left with prepared branches %q (%v)", s.Kind, left, err)
		}
	}
}

// front is a proxy with the schema for plain tables and the server where that and what belongs to no table is.
type front struct {
	plain string
	home  *servers.Server
	proxy *proxytest.Proxy
}

func run(t *testing.T, first, second proxytest.Backend) *proxytest.Proxy {
	return proxytest.Run(t, proxytest.Options{
		Backends: []proxytest.Backend{first, second},
		Schemas: []config.Schema{
			{Name: "plain_mariadb", Backend: "even"}, {Name: "plain_mysql", Backend: "odd"}, {Name: "shop", Backend: first.Name},
		},
		Tables:   []config.Table{{Schema: "shop", Name: "accounts", Column: "id", Function: "modulo", Backends: []string{"even", "odd"}}},
		LogLevel: "info",
	})
}

// login is where and as whom a program logs in.
type login struct{ addr, user, password string }

// run runs the program and returns how many checks it made.
func (p program) run(t *testing.T, cache string, to login, plain string, base int) int {
	t.Helper()
	host, port, err := net.SplitHostPort(to.addr)
	if err != nil {
		t.Fatal(err)
	}
	args := make([]string, len(p.command))
	for i, a := range p.command {
		args[i] = strings.Replace(a, "@", cache, 1)
	}
	ctx, cancel := context.WithTimeout(t.Context(), clientTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	cmd.Env = append(os.Environ(), "DB_HOST="+host, "DB_PORT="+port, "DB_USER="+to.user, "DB_PASSWORD="+to.password,
		"DB_PLAIN="+plain, "DB_SHARDED=shop", "DB_BASE="+strconv.Itoa(base),
		"NODE_PATH="+filepath.Join(cache, "node", "node_modules"), "PYTHONDONTWRITEBYTECODE=1")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v (is it set up? tests/clients/setup.sh)\n%s", strings.Join(args, " "), err, out)
	}
	m := okPattern.FindSubmatch(out)
	if m == nil {
		t.Fatalf("it does not say that all is well:\n%s", out)
	}
	n, err := strconv.Atoi(string(m[1]))
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d checks", n)
	return n
}

var okPattern = regexp.MustCompile(`(?m)^ok (\d+) checks$`)

func clientCache(t *testing.T) string {
	t.Helper()
	cache, err := servers.CacheDir()
	if err != nil {
		t.Fatal(err)
	}
	return filepath.Join(cache, "clients")
}

// execute runs statements on a server itself.
func execute(t *testing.T, s *servers.Server, schema string, statements ...string) {
	t.Helper()
	db, err := s.DB()
	if err != nil {
		t.Fatal(err)
	}
	conn, err := db.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if schema != "" {
		statements = append([]string{"USE " + schema}, statements...)
	}
	for _, q := range statements {
		if _, err := conn.ExecContext(t.Context(), q); err != nil {
			t.Fatalf("%s: %s: %v", s.Kind, q, err)
		}
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
}

// holdings lists a server's accounts of one program as id=v.
func holdings(t *testing.T, s *servers.Server, base int) string {
	t.Helper()
	db, err := s.DB()
	if err != nil {
		t.Fatal(err)
	}
	var list string
	row := db.QueryRow("SELECT COALESCE(GROUP_CONCAT(id, '=', v ORDER BY id), '') FROM shop.accounts WHERE id >= ? AND id < ?", base, base+idsPerProgram)
	if err := row.Scan(&list); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	return list
}
