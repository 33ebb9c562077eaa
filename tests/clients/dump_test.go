package clients

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/xaproxy/xaproxy/tests/servers"
)

// family is a schema with about everything that a dump can hold. MariaDB does not know the number of the collation with which
// MySQL's console logs in, and falls back on its own character set.
const family = `
SET NAMES utf8mb4;
CREATE TABLE kinds (
	id INT PRIMARY KEY, i8 TINYINT, u64 BIGINT UNSIGNED, zeros INT(6) ZEROFILL, d DECIMAL(20,4), f FLOAT, r DOUBLE, day DATE, moment DATETIME(6),
	span TIME(3), y YEAR, stamp TIMESTAMP NULL, word VARCHAR(50), words TEXT, bin VARBINARY(10), bits BIT(8),
	choice ENUM('red','green'), several SET('a','b','c'), doc JSON, place POINT, nothing INT, twice INT GENERATED ALWAYS AS (i8 * 2) STORED,
	CHECK (id < 1000)
) CHARSET utf8mb4;
INSERT INTO kinds (id, i8, u64, zeros, d, f, r, day, moment, span, y, stamp, word, words, bin, bits, choice, several, doc, place)
VALUES (1, -128, 18446744073709551615, 42, 1234567890.1234, 1.5, 0.1, '2024-02-29', '2024-02-29 23:59:58.123456',
	'-12:34:56.789', 2024, '2024-02-29 12:00:00', 'Grüße', 'naïve 日本 🐬\n''"\\', x'00ff80', b'10100101', 'green', 'a,c',
	'{"k": [1, 2]}', ST_GeomFromText('POINT(1 2)')), (2, 0, 0, 0, 0, 0, 0, NULL, NULL, NULL, NULL, NULL, '', '', '', 0, NULL, '', NULL, NULL);
CREATE TABLE parents (
	id INT PRIMARY KEY AUTO_INCREMENT, name VARCHAR(50) NOT NULL COMMENT 'it''s; --', UNIQUE (name)
) AUTO_INCREMENT = 100 CHARSET latin1;
CREATE TABLE children (
	id INT PRIMARY KEY AUTO_INCREMENT, parent INT, note LONGTEXT, n INT NOT NULL DEFAULT 0, KEY (n),
	FOREIGN KEY (parent) REFERENCES parents (id) ON DELETE CASCADE
) CHARSET utf8mb4;
INSERT INTO parents (name) VALUES ('Ada'), ('Bôb');
INSERT INTO children (parent, note) SELECT a.id, REPEAT('0123456789ä\n', 100000) FROM parents a, parents b, parents c;
CREATE VIEW families AS SELECT p.name, COUNT(c.id) AS n FROM parents p LEFT JOIN children c ON c.parent = p.id GROUP BY p.name;
DELIMITER //
CREATE TRIGGER counted BEFORE INSERT ON children FOR EACH ROW
BEGIN
	SET NEW.n = COALESCE(NEW.n, 0) + 1;
END//
CREATE FUNCTION twice(x INT) RETURNS INT DETERMINISTIC RETURN x * 2//
CREATE PROCEDURE family(IN who VARCHAR(50))
BEGIN
	-- Both answers; the second is a number.
	SELECT name FROM parents WHERE name = who;
	SELECT COUNT(*) FROM children JOIN parents p ON p.id = parent WHERE p.name = who;
END//
CREATE EVENT tidy ON SCHEDULE EVERY 1 DAY STARTS '2030-01-01 00:00:00' DISABLE DO DELETE FROM children WHERE n > 1000//
DELIMITER ;
`

// dumpWays are sets of options to dump with.
var dumpWays = [][]string{
	nil,
	{"--routines", "--triggers", "--events"},
	{"--routines", "--triggers", "--events", "--skip-lock-tables", "--hex-blob", "--skip-extended-insert"},
	{"--single-transaction", "--quick"},
	{"--no-data", "--compact"},
	{"--complete-insert", "--where=id < 102", "--no-create-info"},
}

// mysqldump and mariadb-dump write the same through xaproxy as on a direct connection, and what they write makes the same
// schema again when a console loads it through xaproxy.
func TestDumps(t *testing.T) {
	script := filepath.Join(t.TempDir(), "family.sql")
	if err := os.WriteFile(script, []byte(family), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, kind := range []servers.Kind{servers.MariaDB, servers.MySQL} {
		for _, m := range makers(t) {
			p := newPlace(t, kind)
			d := dumper{p, m}
			// Neither the server's own character set nor its collation.
			execute(t, p.server, "", "ALTER DATABASE "+p.schema+" CHARSET utf8mb4 COLLATE utf8mb4_unicode_ci")
			d.load(t, p.schema, "source "+script)
			if m.name == "MariaDB" && kind == servers.MySQL {
				execute(t, p.server, p.schema, "ALTER TABLE kinds DROP twice") // which it would dump as a plain column of MySQL
			}
			for _, way := range dumpWays {
				judge(t, d.failure(t, way), "")
				countTool()
			}
			d.roundTrip(t)
		}
	}
}

// dumper is a maker's tools at a place.
type dumper struct {
	place
	maker
}

// String says which, for failures.
func (d dumper) String() string { return fmt.Sprintf("%s's dump of %s", d.name, d.kind) }

// dump dumps a schema, and returns what the tool complained of too. Comments are left out: they have the time, the host and the
// schema's name.
func (d dumper) dump(t *testing.T, to login, schema string, options ...string) (dump, said string, err error) {
	t.Helper()
	args := slices.Concat(d.plain, options, []string{"--skip-comments", schema})
	if to.addr == d.server.Addr() {
		args = slices.Concat(d.direct, args)
	}
	if d.name == "MySQL" {
		// Otherwise it wants the rights of an administrator when it is loaded: it keeps itself out of the binary log.
		args = append([]string{"--set-gtid-purged=OFF"}, args...)
	}
	dump, said, err = outputs(tool(t, d.maker.dump, to, args...))
	// MariaDB puts this in front of its version when it greets, for old clients, and one warning of mysqldump has it.
	return strings.ReplaceAll(dump, "server 5.5.5-10.", "server 10."), said, err
}

// failure says what differs between the dumps of a schema with the same options, directly and through xaproxy.
func (d dumper) failure(t *testing.T, options []string) string {
	t.Helper()
	want, complaints, err := d.dump(t, d.directly(), d.schema, options...)
	if err != nil {
		t.Fatalf("%v, directly, with %q: %v", d, options, err)
	}
	got, said, err := d.dump(t, d.proxied(), d.schema, options...)
	switch {
	case err != nil:
		return fmt.Sprintf("%v with %q: %v", d, options, err)
	case said != complaints:
		return fmt.Sprintf("%v with %q complains of %q, and directly of %q", d, options, said, complaints)
	}
	if diff := firstDifference(got, want); diff != "" {
		return fmt.Sprintf("%v with %q: %s", d, options, diff)
	}
	return ""
}

// load has the console read a script, or carry out what it says.
func (d dumper) load(t *testing.T, schema, script string) {
	t.Helper()
	cmd := tool(t, d.console, d.proxied(), slices.Concat(d.plain, d.commands, []string{"-D", schema})...)
	cmd.Stdin = strings.NewReader(script)
	if _, err := output(cmd); err != nil {
		t.Fatalf("%v: load: %v", d, err)
	}
}

// roundTrip dumps the schema through xaproxy, loads it into the other one, and compares both on the server.
func (d dumper) roundTrip(t *testing.T) {
	t.Helper()
	everything := []string{"--routines", "--triggers", "--events", "--skip-lock-tables"}
	script, _, err := d.dump(t, d.proxied(), d.schema, everything...)
	if err != nil {
		t.Fatalf("%v: %v", d, err)
	}
	execute(t, d.server, "", "ALTER DATABASE "+d.copy+" CHARSET utf8mb4 COLLATE utf8mb4_unicode_ci")
	d.load(t, d.copy, script)
	want, _, err := d.dump(t, d.directly(), d.schema, everything...)
	if err != nil {
		t.Fatal(err)
	}
	got, _, err := d.dump(t, d.directly(), d.copy, everything...)
	if err != nil {
		t.Fatal(err)
	}
	for _, sign := range []string{"point", "TRIGGER", "PROCEDURE", "EVENT", "VIEW", "Grüße"} {
		if !strings.Contains(want, sign) {
			t.Fatalf("%v has no %s:\n%.5000s", d, sign, want)
		}
	}
	if diff := firstDifference(got, want); diff != "" {
		t.Errorf("%v, loaded again, differs: %s", d, diff)
	}
	countTool()
}
