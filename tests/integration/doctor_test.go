package integration

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/xaproxy/xaproxy/ddl"
	"github.com/xaproxy/xaproxy/router"
	"github.com/xaproxy/xaproxy/tests/servers"
)

// says checks what xaproxy doctor finds: the status, and that there is a line with each text, and none with what begins with "!".
func (c *crash) says(status int, args []string, texts ...string) {
	c.t.Helper()
	out := c.command(status, append([]string{"doctor"}, args...)...)
	for _, text := range texts {
		absent, no := strings.CutPrefix(text, "!")
		if strings.Contains(out, absent) == no {
			c.t.Errorf("doctor %v, want %q:\n%s", args, text, out)
		}
	}
}

const alike = ") DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin"

// TestDoctor breaks one thing after the other.
func TestDoctor(t *testing.T) {
	c := newCrash(t)
	orders := c.schema + ".orders"
	c.says(1, nil, c.schema+".country: it is missing on all its backends", "!"+orders)
	c.exec("CREATE TABLE country (id INT PRIMARY KEY" + alike)
	c.exec("CREATE TABLE pays (customer INT NOT NULL, id BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY" + alike)
	c.says(0, nil, "warning  "+c.schema+".pays: unique key PRIMARY (id) lacks the shard key (customer)", "xaproxy_sequence on north, is missing", "!error", "!"+orders)
	c.says(0, []string{"--fix"}, "fixed    "+c.schema+".pays")
	c.says(0, nil, "!xaproxy_sequence")
	c.exec("INSERT INTO pays (customer) VALUES (1), (2)")

	c.exec("INSERT INTO orders VALUES (1, 1), (2, 2), (3, 3), (4, 4), (5, 5), (6, 6)")
	c.says(0, []string{"--rows", "100"}, "!"+orders)
	north, south := c.on(0, "SELECT MIN(customer) FROM SCHEMA.orders"), c.on(1, "SELECT MIN(customer) FROM SCHEMA.orders")
	admin(t, c.servers[0], fmt.Sprintf("INSERT INTO %s VALUES (%s, 0)", orders, south))
	c.says(1, []string{"--rows", "100"}, `looked at on north, 1 belong on another backend, where they would be looked for: customer is "`+south+`"`, "!"+`customer is "`+north)
	c.says(0, nil, "!"+orders)
	admin(t, c.servers[0], fmt.Sprintf("DELETE FROM %s WHERE customer = %s", orders, south))

	for _, broken := range []struct{ server, sql, undo, says string }{
		{"1", "ALTER TABLE %s ADD x INT", "ALTER TABLE %s DROP x", "column x is missing on north (int default NULL on south)"},
		{"0", "ALTER TABLE %s MODIFY v BIGINT UNSIGNED NOT NULL", "ALTER TABLE %s MODIFY v INT", "column v is bigint unsigned not null on north, int default NULL on south"},
		{"0", "ALTER TABLE %s ENGINE = MyISAM", "ALTER TABLE %s ENGINE = InnoDB", "its engine on north is MyISAM"},
		{"1", "RENAME TABLE %[1]s TO %[1]s_away", "RENAME TABLE %[1]s_away TO %[1]s", "it is missing on south"},
		{"01", "ALTER TABLE %s MODIFY customer DECIMAL(10,0) NOT NULL", "ALTER TABLE %s MODIFY customer INT NOT NULL", "column customer, its shard key, is decimal(10,0), and function hash takes an integer or a character type"},
		{"01", "ALTER TABLE %s DROP PRIMARY KEY, DROP customer", "ALTER TABLE %s ADD customer INT PRIMARY KEY FIRST", "it has no column customer, its shard key"},
	} {
		run := func(q string) {
			for _, i := range broken.server {
				admin(t, c.servers[i-'0'], fmt.Sprintf(q, orders))
			}
		}
		for i := range c.servers {
			admin(t, c.servers[i], "TRUNCATE "+orders)
		}
		run(broken.sql)
		c.says(1, nil, "error    "+orders+": "+broken.says)
		run(broken.undo)
		c.says(0, nil, "!"+orders)
	}

	for _, setting := range []struct{ name, value, says string }{
		{"sql_mode", "CONCAT(@@global.sql_mode, ',NO_BACKSLASH_ESCAPES')", "sql_mode is 'NO_BACKSLASH_ESCAPES,STRICT_TRANS_TABLES', and 'STRICT_TRANS_TABLES' on north"},
		{"time_zone", "'+05:00'", "time_zone is '05:00:00, 05:00:00', and '00:00:00, 00:00:00' on north"},
	} {
		was := c.on(1, "SELECT @@global."+setting.name)
		admin(t, c.servers[1], "SET GLOBAL "+setting.name+" = "+setting.value)
		restore := sync.OnceFunc(func() { admin(t, c.servers[1], fmt.Sprintf("SET GLOBAL %s = '%s'", setting.name, was)) })
		t.Cleanup(restore)
		c.says(1, nil, "error    backend south: "+setting.says)
		restore()
	}
	c.says(0, nil, "!backend south")

	admin(t, c.servers[1], "ALTER TABLE "+orders+" ADD x INT")
	if _, err := c.db.Exec("ALTER TABLE orders ADD x INT"); err == nil {
		t.Error("a column was added twice")
	}
	c.says(1, nil, orders+": DDL ", "is unfinished; run xaproxy ddl resume")
	c.resume(0, "--done", "south")
	admin(t, c.servers[0], "DROP DATABASE IF EXISTS "+c.schema+"_gone")
	c.says(0, nil, "!unfinished")
}

// TestDoctorCannotLook: what cannot be seen is not taken for good, and the account's rights are looked at.
func TestDoctorCannotLook(t *testing.T) {
	c := newCrash(t)
	text, err := os.ReadFile(c.proxy.ConfigPath())
	check(t, err)
	run := func(status int, config string, texts ...string) {
		t.Helper()
		path := filepath.Join(c.proxy.Dir, "changed.toml")
		check(t, os.WriteFile(path, []byte(config), 0o600))
		check(t, os.Rename(c.proxy.ConfigPath(), c.proxy.ConfigPath()+".kept"))
		check(t, os.Rename(path, c.proxy.ConfigPath()))
		c.says(status, nil, texts...)
		check(t, os.Rename(c.proxy.ConfigPath()+".kept", c.proxy.ConfigPath()))
	}
	port, err := servers.FreePort()
	check(t, err)
	run(2, strings.Replace(string(text), fmt.Sprintf("port = %d", c.servers[1].Port), fmt.Sprintf("port = %d", port), 1), "unseen   backend south")
	account := regexp.MustCompile(`user = "[^"]*"\npassword = "[^"]*"`)
	run(1, account.ReplaceAllString(string(text), fmt.Sprintf("user = %q\npassword = %q", servers.LimitedUser, servers.LimitedPassword)), "error    backend south: user "+servers.LimitedUser+" may not list prepared branches")
	run(1, strings.ReplaceAll(string(text), c.schema, c.schema+"_gone"), "error    backend north: schema "+c.schema+"_gone is missing", "error    backend south: schema "+c.schema+"_gone is missing")
}

// TestDefinitionsAcrossKinds: the same text makes tables that are alike on MariaDB and MySQL, in whatever words they say it; and
// each difference is seen, alone.
func TestDefinitionsAcrossKinds(t *testing.T) {
	s := newDDLStack(t, []servers.Kind{servers.MariaDB, servers.MySQL})
	c := s.conn()
	o := []router.Object{{Schema: s.schema, Name: "orders"}}
	differences := func() string {
		t.Helper()
		found, err := ddl.Differences(t.Context(), o, s.backends)
		check(t, err)
		var all []string
		for _, d := range found {
			all = append(all, d.What)
		}
		return strings.Join(all, "\n")
	}
	c.exec("CREATE TABLE country (id INT PRIMARY KEY) COLLATE utf8mb4_unicode_ci", `CREATE TABLE orders (
		customer BIGINT UNSIGNED NOT NULL, a TINYINT(1) NOT NULL DEFAULT 0, b INT(5) ZEROFILL, c YEAR, d DECIMAL(10,2) NOT NULL DEFAULT -1.50, e DOUBLE DEFAULT 1.5,
		f FLOAT, g BIT(4) DEFAULT b'101', h CHAR(3) DEFAULT '5', i VARCHAR(20) NOT NULL DEFAULT 'it''s', j TEXT, k BLOB, l JSON, m ENUM('X','y') DEFAULT 'X', n SET('p','q'),
		o DATE DEFAULT '2020-01-02', p DATETIME(3) NULL DEFAULT CURRENT_TIMESTAMP(3) ON UPDATE CURRENT_TIMESTAMP(3), q TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP,
		r TIME(2), s VARBINARY(9) DEFAULT 'x', t VARCHAR(9) CHARACTER SET utf8mb3 COLLATE utf8mb3_bin, u INT GENERATED ALWAYS AS (customer + 1) STORED, v INT AS (a * 2) VIRTUAL,
		w CHAR(36) DEFAULT (UUID()), x INT DEFAULT (1 + 2), y POINT NOT NULL, z INT NOT NULL AUTO_INCREMENT, co INT,
		PRIMARY KEY (customer, z), UNIQUE KEY u1 (z), KEY k1 (i(4), d), FULLTEXT KEY f1 (i), SPATIAL KEY s1 (y), CONSTRAINT fk FOREIGN KEY (co) REFERENCES country (id) ON DELETE CASCADE
	) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci`)
	if got := differences(); got != "" {
		t.Fatalf("the same text makes tables that differ:\n%s", got)
	}
	for _, one := range [][3]string{
		{"MODIFY b INT", "MODIFY b INT(5) ZEROFILL", "column b is int default NULL on b0, int(5) unsigned zerofill default NULL on b1"},
		{"ALTER d SET DEFAULT 1", "ALTER d SET DEFAULT -1.50", "column d is decimal(10,2) not null default '1' on b0, decimal(10,2) not null default '-1.5' on b1"},
		{"ALTER a DROP DEFAULT", "ALTER a SET DEFAULT 0", "column a is tinyint not null on b0, tinyint not null default '0' on b1"},
		{"MODIFY i VARCHAR(20) NOT NULL DEFAULT 'its'", "MODIFY i VARCHAR(20) NOT NULL DEFAULT 'it''s'", "column i is varchar(20) collate utf8mb4_unicode_ci not null default 'its' on b0, varchar(20) collate utf8mb4_unicode_ci not null default 'it's' on b1"},
		{"MODIFY m ENUM('x','y') DEFAULT 'x'", "MODIFY m ENUM('X','y') DEFAULT 'X'", "column m is enum('x','y') collate utf8mb4_unicode_ci default 'x' on b0, enum('X','y') collate utf8mb4_unicode_ci default 'X' on b1"},
		{"MODIFY q TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP", "MODIFY q TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP", "column q is timestamp not null default current_timestamp on b0, timestamp not null default current_timestamp on update current_timestamp on b1"},
		{"MODIFY j TEXT COLLATE utf8mb4_bin", "MODIFY j TEXT", "column j is text collate utf8mb4_bin default NULL on b0, text collate utf8mb4_unicode_ci default NULL on b1"},
		{"DROP KEY k1, ADD KEY k1 (i(5), d)", "DROP KEY k1, ADD KEY k1 (i(4), d)", "key k1 is btree key (i(5), d) on b0, btree key (i(4), d) on b1"},
		{"DROP FOREIGN KEY fk", "ADD CONSTRAINT fk FOREIGN KEY (co) REFERENCES country (id) ON DELETE CASCADE", "key fk is missing on b0 (foreign key (co references country.id on update RESTRICT on delete CASCADE) on b1)"},
		{"MODIFY r TIME(2) FIRST", "MODIFY r TIME(2) AFTER q", "the columns have another order on b0 than on b1"},
		{"DROP x", "ADD x INT DEFAULT (1 + 2) AFTER w", "column x is missing on b0 (int default 1+2 on b1)"},
		{"COLLATE utf8mb4_bin", "COLLATE utf8mb4_unicode_ci", "default collation is utf8mb4_bin on b0, utf8mb4_unicode_ci on b1"},
	} {
		admin(t, s.servers[0], "ALTER TABLE "+s.schema+".orders "+one[0])
		if got := differences(); got != one[2] {
			t.Errorf("%s:\n%s\nwant\n%s", one[0], got, one[2])
		}
		admin(t, s.servers[0], "ALTER TABLE "+s.schema+".orders "+one[1])
		if got := differences(); got != "" {
			t.Fatalf("%s:\n%s", one[1], got)
		}
	}
}
