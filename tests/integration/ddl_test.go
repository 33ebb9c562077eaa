package integration

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/rs/zerolog"

	"github.com/xaproxy/xaproxy/config"
	"github.com/xaproxy/xaproxy/ddl"
	"github.com/xaproxy/xaproxy/tests/servers"
	"github.com/xaproxy/xaproxy/tests/servers/servertest"
)

var ddlKinds = [][]servers.Kind{{servers.MySQL, servers.MariaDBBinlog}, {servers.MariaDB, servers.MySQL, servers.MariaDBBinlog}}

// newDDLStack has the sharded tables orders, items, done and pays, the broadcast table country, and a schema of which no backend knows.
func newDDLStack(t *testing.T, kinds []servers.Kind) *stack {
	t.Helper()
	var on []*servers.Server
	for _, k := range kinds {
		on = append(on, servertest.Get(t, k))
	}
	s := newStackOn(t, on, func(c *config.Config) {
		c.Users = append(c.Users, config.User{Name: "reader", Password: "pw", ReadOnly: true})
		in, names := c.Tables[0].Schema, c.Tables[0].Backends
		for _, name := range []string{"orders", "items", "done"} {
			c.Tables = append(c.Tables, config.Table{Schema: in, Name: name, Column: "customer", Function: "hash", Backends: names})
		}
		c.Schemas = append(c.Schemas, config.Schema{Name: in + "_new_one", Backend: names[0]})
		c.Tables = append(c.Tables, config.Table{Schema: in, Name: "pays", Column: "customer", Function: "hash", Backends: names, AutoIncrement: "id"},
			config.Table{Schema: in, Name: "country", Broadcast: true},
			config.Table{Schema: in, Name: "last", Backend: names[len(names)-1]},
			config.Table{Schema: in + "_new", Name: "orders", Column: "customer", Function: "hash", Backends: names})
	})
	for _, server := range on {
		t.Cleanup(func() { admin(t, server, "DROP DATABASE IF EXISTS "+s.schema+"_new") })
	}
	return s
}

// journal is that of the stack.
func (s *stack) journal() *ddl.Journal { return ddl.New(s.backends, zerolog.Nop()) }

// record is the newest record of the stack's schema.
func (s *stack) record() *ddl.Record {
	s.t.Helper()
	all, err := s.journal().Records(context.Background(), 50)
	if err != nil {
		s.t.Fatal(err)
	}
	for _, r := range all {
		if strings.HasPrefix(r.Of.Objects[0].Schema, s.schema) {
			return r
		}
	}
	s.t.Fatal("there is no record")
	return nil
}

// states are how far the newest record has come.
func (s *stack) states() string {
	s.t.Helper()
	r := s.record()
	states := []string{string(r.Outcome)}
	for _, p := range r.Parts {
		states = append(states, string(p.State))
	}
	return strings.Join(states, " ")
}

// everywhere checks that a query answers the same on all backends.
func (s *stack) everywhere(want, query string) {
	s.t.Helper()
	for i := range s.servers {
		if got := s.on(i, query); got != want {
			s.t.Errorf("server %d: %s: %s, want %s", i, query, got, want)
		}
	}
}

const nameOfColumns = "SELECT column_name FROM information_schema.columns WHERE table_schema = 'SCHEMA' AND table_name = '%s' ORDER BY ordinal_position"

// TestDDL runs each kind of statement on all shards.
func TestDDL(t *testing.T) {
	for _, kinds := range ddlKinds {
		t.Run(fmt.Sprint(kinds), func(t *testing.T) {
			s := newDDLStack(t, kinds)
			n := len(s.servers)
			c := s.conn()
			c.exec("CREATE TABLE orders (customer INT NOT NULL, id INT NOT NULL, t VARCHAR(20) COLLATE utf8mb4_bin DEFAULT 'x', at TIMESTAMP NULL DEFAULT CURRENT_TIMESTAMP, d DECIMAL(10,2) NOT NULL DEFAULT 0, " +
				"PRIMARY KEY (customer, id), KEY t (t(5), id)) DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci")
			if got := c.rows("SHOW WARNINGS"); got != "" {
				t.Errorf("warnings of CREATE TABLE: %s", got)
			}
			for i := range 20 {
				c.exec(fmt.Sprintf("INSERT INTO orders (customer, id) VALUES (%d, %d)", i, i))
			}
			c.exec("CREATE TABLE IF NOT EXISTS orders (customer INT NOT NULL)")
			if got := c.rows("SHOW WARNINGS"); !strings.Contains(got, "1050") || strings.Count(got, "1050") != 1 {
				t.Errorf("warnings of CREATE TABLE IF NOT EXISTS: %s", got)
			}
			if text := c.fails(1050, "CREATE TABLE orders (customer INT NOT NULL)"); strings.Contains(text, "resume") || s.states() != "failed"+strings.Repeat(" failed", n) {
				t.Errorf("%s; %s", text, s.states())
			}
			c.exec("BEGIN", "INSERT INTO accounts (id, v) VALUES (1, 1), (2, 2)", "ALTER TABLE orders ADD COLUMN n INT NOT NULL DEFAULT 7, DROP KEY t", "ROLLBACK")
			s.everywhere("customer id t at d n", fmt.Sprintf(nameOfColumns, "orders"))
			if got := c.rows("SELECT COUNT(*), SUM(n), (SELECT COUNT(*) FROM accounts) FROM orders"); got != "20,140,2" {
				t.Errorf("behind ALTER: %s", got)
			}
			c.exec("CREATE UNIQUE INDEX u ON orders (id)")
			if got := c.rows("SHOW WARNINGS"); !strings.Contains(got, "lacks the shard key") {
				t.Errorf("warnings of CREATE UNIQUE INDEX: %s", got)
			}
			c.exec("DROP INDEX u ON orders", "CREATE TABLE items LIKE orders", "RENAME TABLE items TO done")
			s.everywhere("customer id t at d n", fmt.Sprintf(nameOfColumns, "done"))
			c.exec("ALTER TABLE done RENAME TO items")

			got := c.rows("ANALYZE TABLE orders, items")
			for _, b := range s.backends {
				if !strings.Contains(got, "on backend "+b.Name()) {
					t.Errorf("ANALYZE says %s", got)
				}
			}
			if strings.Count(got, ",status,OK") != 2*n {
				t.Errorf("ANALYZE says %s", got)
			}
			c.rows("OPTIMIZE TABLE orders")
			c.rows("CHECK TABLE orders")
			c.exec("TRUNCATE orders")
			if got := c.rows("SELECT COUNT(*) FROM orders"); got != "0" {
				t.Errorf("behind TRUNCATE there are %s rows", got)
			}
			c.exec("CREATE TABLE pays (customer INT NOT NULL, id BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY)", "INSERT INTO pays (customer) VALUES (1), (2), (3), (4)")
			if got := c.rows("SELECT id FROM pays ORDER BY id"); got != "1 2 3 4" {
				t.Errorf("numbers are %s", got)
			}

			c.exec("CREATE TABLE country (id INT NOT NULL, code CHAR(2))", "INSERT INTO country VALUES (1, 'de'), (2, 'at')",
				"ALTER TABLE country ADD COLUMN seen DATETIME(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6)", "ALTER TABLE country ADD PRIMARY KEY (id)")
			s.everywhere(s.on(0, "SELECT * FROM SCHEMA.country ORDER BY id"), "SELECT * FROM SCHEMA.country ORDER BY id")
			if one, two := c.rows("SELECT NOW(6)"), c.rows("SELECT NOW(6)"); one == two {
				t.Errorf("the time stands still at %s", one)
			}
			c.exec("TRUNCATE TABLE country", "INSERT INTO country (id) VALUES (5)")
			s.everywhere("5", "SELECT id FROM SCHEMA.country")

			c.exec("CREATE TABLE last (x INT)", "DROP TABLE orders, last, single, country")
			s.everywhere("", fmt.Sprintf(nameOfColumns, "orders"))
			if last := s.record(); string(last.Parts[0].SQL) == "" || s.states() != "done"+strings.Repeat(" done", n) {
				t.Errorf("DROP of several placements: %s, %s", last.Parts[0].SQL, s.states())
			}

			stmt, err := c.PrepareContext(t.Context(), "CREATE TABLE orders (customer BIGINT PRIMARY KEY)")
			if err != nil {
				t.Fatal(err)
			}
			if _, err := stmt.Exec(); err != nil {
				t.Fatal(err)
			}
			s.everywhere("customer", fmt.Sprintf(nameOfColumns, "orders"))
			c.exec("PREPARE p FROM 'DROP TABLE orders'", "EXECUTE p")
			s.everywhere("", fmt.Sprintf(nameOfColumns, "orders"))
			c.fails(1295, "PREPARE p FROM 'ANALYZE TABLE items'")
			s.connAs("reader").fails(1290, "DROP TABLE items")
		})
	}
}

// TestDDLFromNothing makes a schema and a table in it, drops it, and makes it again, with connections that had it as their current one.
func TestDDLFromNothing(t *testing.T) {
	s := newDDLStack(t, []servers.Kind{servers.MySQL, servers.MariaDB})
	c := s.conn()
	in := s.schema + "_new"
	for i := range 2 {
		c.exec("CREATE DATABASE "+in+" DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci", "USE "+in, "CREATE TABLE orders (customer INT PRIMARY KEY)",
			"INSERT INTO orders VALUES (1), (2), (3), (4), (5)")
		if got := c.rows("SELECT COUNT(*) FROM orders"); got != "5" {
			t.Errorf("round %d: %s rows", i, got)
		}
		for at := range s.servers {
			if got := s.on(at, "SELECT COUNT(*) FROM SCHEMA_new.orders"); got == "0" || got == "5" {
				t.Errorf("round %d: %s rows on server %d", i, got, at)
			}
		}
		c.exec("DROP DATABASE " + in)
	}
	c.fails(1008, "DROP DATABASE "+in)
	for range 2 { // on one backend
		c.exec("CREATE DATABASE "+in+"_one", "USE "+in+"_one", "CREATE TABLE t (x INT)", "DROP DATABASE "+in+"_one")
		if got := c.rows("SELECT DATABASE()"); got != "NULL" {
			t.Errorf("the schema that was dropped is the current one: %s", got)
		}
	}
	c.exec("USE "+in, "CREATE DATABASE "+in, "CREATE TABLE orders (customer INT PRIMARY KEY)") // in which nobody could log in on a server
	c.exec("DROP DATABASE IF EXISTS " + in)
	c.fails(1049, "DROP DATABASE nowhere")
}
