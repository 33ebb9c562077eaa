package clients

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/xaproxy/xaproxy/config"
	"github.com/xaproxy/xaproxy/tests/proxytest"
	"github.com/xaproxy/xaproxy/tests/servers"
	"github.com/xaproxy/xaproxy/tests/servers/servertest"
)

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

// sourced is a file that a console reads with its source command.
const sourced = `
CREATE TABLE numbers (n INT PRIMARY KEY, half DECIMAL(5,1));
DELIMITER $$
CREATE PROCEDURE fill(IN up_to INT)
BEGIN
	DECLARE i INT DEFAULT 0;
	WHILE i < up_to DO
		INSERT INTO numbers VALUES (i, i / 2);
		SET i = i + 1;
	END WHILE;
	SELECT COUNT(*) AS filled FROM numbers;
	SELECT n, half FROM numbers WHERE n = up_to - 1;
END$$
CREATE TRIGGER smaller BEFORE INSERT ON numbers FOR EACH ROW SET NEW.half = NEW.half - 0.1$$
DELIMITER ;
CALL fill(5);
/* a comment; with a semicolon */ SELECT 'it''s' AS q, "a;b" AS s; # another; comment
SHOW CREATE PROCEDURE fill\G
DROP PROCEDURE fill;
DROP TABLE numbers;
`

// warned is given as an argument. Its statements have warnings, which the console asks for itself.
const warned = "SELECT CAST('1x' AS SIGNED) AS n; CREATE TABLE IF NOT EXISTS few (n INT); CREATE TABLE IF NOT EXISTS few (n INT); " +
	"INSERT IGNORE INTO few VALUES ('2y'), (3000000000); SELECT n, 1/0 FROM few ORDER BY n; DROP TABLE IF EXISTS few, none"

// The consoles of MySQL and MariaDB show the same through xaproxy as on a direct connection, byte for byte, on either server:
// with and without TLS and compression, of what is typed, given as an argument or read from a file, with warnings shown.
func TestConsoles(t *testing.T) {
	file := filepath.Join(t.TempDir(), "sourced.sql")
	if err := os.WriteFile(file, []byte(sourced), 0o600); err != nil {
		t.Fatal(err)
	}
	tasks := []struct {
		name, stdin string
		args        []string
		signs       []string // that it did what it is for
	}{
		{"typed", typed, []string{"--force", "--verbose", "--table"}, []string{"Ada", "ERROR 1062"}},
		{"-e", "", []string{"--show-warnings", "--table", "-e", warned}, []string{"Warning (Code 1292)", "Note (Code 1050)", "2147483647"}},
		{"source", "source " + file, []string{"--table", "-vv"}, []string{"a;b", "filled", "1.9", "CREATE DEFINER"}},
	}
	for _, kind := range []servers.Kind{servers.MariaDB, servers.MySQL} {
		p := newPlace(t, kind)
		for _, m := range makers(t) {
			say := func(to login, stdin string, args ...string) string {
				cmd := tool(t, m.console, to, slices.Concat(args, m.commands, []string{"-D", p.schema})...)
				cmd.Stdin = strings.NewReader(stdin)
				out, err := cmd.CombinedOutput()
				if err != nil && cmd.ProcessState == nil {
					t.Fatalf("%s: %v", m.console, err)
				}
				return string(out) // an error is in the output, too
			}
			ways := map[string][]string{"plain": m.plain, "TLS": m.tls}
			for _, options := range m.compressed {
				ways[options[0]] = slices.Concat(m.plain, options)
			}
			for _, task := range tasks {
				want := say(p.directly(), task.stdin, slices.Concat(m.plain, m.direct, task.args)...)
				for _, sign := range task.signs {
					if !strings.Contains(want, sign) {
						t.Fatalf("%s's console on %s, directly, %s, does not say %q but:\n%s", m.name, kind, task.name, sign, want)
					}
				}
				for name, options := range ways {
					got := say(p.proxied(), task.stdin, slices.Concat(options, task.args)...)
					if diff := firstDifference(got, want); diff != "" {
						t.Errorf("%s's console on %s, %s, %s: %s in\n%s", m.name, kind, task.name, name, diff, got)
					}
					countTool()
				}
			}
			for name, options := range ways {
				wrong := say(login{p.proxy.Addr, proxytest.User, "wrong"}, "SELECT 1", options...)
				if !strings.Contains(wrong, "ERROR 1045 (28000)") {
					t.Errorf("%s's console, %s, with a wrong password: %s", m.name, name, wrong)
				}
			}
		}
	}
}

// A transaction typed by hand over two servers is on both.
func TestConsoleTransfer(t *testing.T) {
	a, b := servertest.Get(t, servers.MariaDB), servertest.Get(t, servers.MySQL)
	schema := servertest.Database(t, a)
	execute(t, b, "", "CREATE DATABASE "+schema)
	t.Cleanup(func() { execute(t, b, "", "DROP DATABASE "+schema) })
	for _, s := range []*servers.Server{a, b} {
		execute(t, s, schema, "CREATE TABLE accounts (id INT PRIMARY KEY, v INT NOT NULL)")
	}
	proxy := proxytest.Run(t, proxytest.Options{
		Backends: []proxytest.Backend{proxytest.On("a", a), proxytest.On("b", b)},
		Tables:   []config.Table{{Schema: schema, Name: "accounts", Column: "id", Function: "modulo", Backends: []string{"a", "b"}}},
	})
	for i, m := range makers(t) {
		even, odd := 10*i, 10*i+1
		cmd := tool(t, m.console, login{proxy.Addr, proxytest.User, proxytest.Password}, append(m.plain, "-D", schema)...)
		cmd.Stdin = strings.NewReader(fmt.Sprintf(`
			INSERT INTO accounts (id, v) VALUES (%[1]d, 100), (%[2]d, 100);
			BEGIN;
			UPDATE accounts SET v = v - 1 WHERE id = %[1]d;
			UPDATE accounts SET v = v + 1 WHERE id = %[2]d;
			COMMIT;`, even, odd))
		out, err := output(cmd)
		if err != nil {
			t.Errorf("%v\n%s", err, out)
		}
		for _, c := range []struct {
			server   *servers.Server
			id, want int
		}{{a, even, 99}, {b, odd, 101}} {
			got := ask(t, c.server, fmt.Sprintf("SELECT v FROM %s.accounts WHERE id = %d", schema, c.id))
			if got != fmt.Sprint(c.want) {
				t.Errorf("%s's console: account %d has %s on %s, want %d; it said:\n%s", m.name, c.id, got, c.server.Kind, c.want, out)
			}
		}
		countTool()
	}
}
