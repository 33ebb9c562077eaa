package clients

import (
	"context"
	"flag"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/xaproxy/xaproxy/config"
	"github.com/xaproxy/xaproxy/tests/proxytest"
	"github.com/xaproxy/xaproxy/tests/servers"
	"github.com/xaproxy/xaproxy/tests/servers/servertest"
)

var direct = flag.Bool("direct", false, "run programs and suites on the servers themselves, to see what is different there")

func TestMain(m *testing.M) { servertest.Main(m, report) }

const idsPerProgram = 10

var programs = []program{
	{name: "go-sql-driver, text", command: []string{"@/go/sqldriver", "text"}},
	{name: "go-sql-driver, prepared", command: []string{"@/go/sqldriver", "prepared"}},
	{name: "GORM", command: []string{"@/go/gorm"}},
	{name: "PyMySQL", command: []string{"@/python/bin/python", "python/pymysql_client.py"}},
	{name: "mysqlclient", command: []string{"@/python/bin/python", "python/mysqlclient_client.py"}},
	{name: "mysql-connector-python", command: []string{"@/python/bin/python", "python/connector_client.py", "text"}},
	{
		name: "mysql-connector-python, its own collation", command: []string{"@/python/bin/python", "python/connector_client.py", "chosen"},
	},
	{name: "mysql-connector-python, prepared", command: []string{"@/python/bin/python", "python/connector_client.py", "prepared"}},
	{name: "SQLAlchemy, PyMySQL", command: []string{"@/python/bin/python", "python/sqlalchemy_client.py", "pymysql"}},
	{name: "SQLAlchemy, mysqlclient", command: []string{"@/python/bin/python", "python/sqlalchemy_client.py", "mysqldb"}},
	{name: "Django, PyMySQL", command: []string{"@/python/bin/python", "python/django_client.py", "pymysql"}},
	{name: "Django, mysqlclient", command: []string{"@/python/bin/python", "python/django_client.py", "mysqlclient"}},
	{name: "mysql2, query", command: []string{"node", "node/client.js", "query"}},
	{name: "mysql2, execute", command: []string{"node", "node/client.js", "execute"}},
	{name: "Sequelize", command: []string{"node", "node/sequelize.js"}},
	{
		name: "MySQL Connector J, text", command: []string{"java", "-cp", "@/java/*", "java/Client.java", "mysql", "false"},
	},
	{
		name: "MySQL Connector J, prepared", command: []string{"java", "-cp", "@/java/*", "java/Client.java", "mysql", "true"},
	},
	{
		name: "MariaDB Connector J, text", command: []string{"java", "-cp", "@/java/*", "java/Client.java", "mariadb", "false"},
	},
	{
		name: "MariaDB Connector J, prepared", command: []string{"java", "-cp", "@/java/*", "java/Client.java", "mariadb", "true"},
	},
	{name: "PHP mysqli", command: []string{"php", "php/mysqli.php"}},
	{name: "PHP PDO, emulated", command: []string{"php", "php/pdo.php", "emulated"}},
	{name: "PHP PDO, prepared", command: []string{"php", "php/pdo.php", "prepared"}},
	{name: "Perl DBD::mysql, text", command: []string{"perl", "perl/client.pl", "text"}},
	{name: "Perl DBD::mysql, prepared", command: []string{"perl", "perl/client.pl", "prepared"}},
	{name: "Rust mysql_async, text", command: []string{"@/rust/debug/client", "text"}},
	{name: "Rust mysql_async, prepared", command: []string{"@/rust/debug/client", "prepared"}},
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
			t.Run(p.name+"/"+f.plain, func(t *testing.T) {
				execute(t, f.home, f.plain, "DELETE FROM notes")
				if *direct {
					out, err := p.run(t, login{f.home.Addr(), f.home.User, f.home.Password}, f.plain, base)
					if err != nil {
						t.Fatalf("%v\n%s", err, out)
					}
					countProgram(p.name, checks(t, out))
					return
				}
				out, err := p.run(t, login{f.proxy.Addr, proxytest.User, proxytest.Password}, f.plain, base)
				failure := ""
				if err != nil {
					failure = fmt.Sprintf("%v\n%s", err, out)
				}
				if !judge(t, failure, p.known(f.plain)) {
					return
				}
				countProgram(p.name, checks(t, out))
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

func clientCache(t *testing.T) string {
	t.Helper()
	cache, err := servers.CacheDir()
	if err != nil {
		t.Fatal(err)
	}
	return filepath.Join(cache, "clients")
}

// execute runs statements on a server itself. It may be called in a clean-up, when the test's context has ended.
func execute(t *testing.T, s *servers.Server, schema string, statements ...string) {
	t.Helper()
	db, err := s.DB()
	if err != nil {
		t.Fatal(err)
	}
	conn, err := db.Conn(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	if schema != "" {
		statements = append([]string{"USE " + schema}, statements...)
	}
	for _, q := range statements {
		if _, err := conn.ExecContext(context.Background(), q); err != nil {
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
	return ask(t, s, fmt.Sprintf("SELECT COALESCE(GROUP_CONCAT(id, '=', v ORDER BY id), '') FROM shop.accounts WHERE id >= %d AND id < %d", base, base+idsPerProgram))
}

// ask returns the one value of a query on a server itself.
func ask(t *testing.T, s *servers.Server, query string) string {
	t.Helper()
	db, err := s.DB()
	if err != nil {
		t.Fatal(err)
	}
	var value string
	if err := db.QueryRowContext(t.Context(), query).Scan(&value); err != nil {
		t.Fatalf("%s: %s: %v", s.Kind, query, err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	return value
}
