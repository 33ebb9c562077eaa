package integration

import (
	"testing"

	"github.com/xaproxy/xaproxy/config"
	"github.com/xaproxy/xaproxy/tests/servers"
)

// TestOddNames: tables and columns whose names are not ASCII or look like SQL, on servers with other character sets.
func TestOddNames(t *testing.T) {
	names := []struct{ table, key string }{{"größe", "id名"}, {"br(a)", "p)("}, {"q'q", "a?b"}, {"semi;x", "co,l"}, {"select", "key"}}
	s := newStack(t, []servers.Kind{servers.MariaDB, servers.MySQL}, func(c *config.Config) {
		c.Users[0].ScatterWrites = "where"
		for _, n := range names {
			of := c.Tables[0]
			of.Name, of.Column, of.AutoIncrement, of.KeyChanges = n.table, n.key, "n", config.KeyChangesMove
			c.Tables = append(c.Tables, of)
		}
	})
	c := s.conn("charset=utf8mb4")
	for _, n := range names {
		table, key := "`"+n.table+"`", "`"+n.key+"`"
		c.exec("CREATE TABLE "+table+" ("+key+" INT NOT NULL, n BIGINT NOT NULL AUTO_INCREMENT, v INT, PRIMARY KEY ("+key+"), KEY (n))",
			"INSERT INTO "+table+" VALUES (1, NULL, 5), (2, NULL, 6)",
			"INSERT INTO "+table+" VALUES (3, NULL, 7)")
		if got := c.rows("SELECT " + key + ", n, v FROM " + table + " ORDER BY " + key); got != "1,1,5 2,2,6 3,3,7" {
			t.Errorf("%s: %s", n.table, got)
		}
		c.exec("UPDATE " + table + " SET " + key + " = " + key + " + 3 WHERE v < 7")
		if got := c.rows("SELECT COUNT(DISTINCT x.v, y.n) FROM " + table + " x JOIN " + table + " y ON x." + key + " <> y." + key); got != "6" {
			t.Errorf("%s: %s", n.table, got)
		}
		c.exec("EXPLAIN SELECT * FROM "+table, "EXPLAIN UPDATE "+table+" SET v = 1 WHERE v = 2", "DROP TABLE "+table)
	}
	for i := range s.servers {
		if got := s.on(i, "SELECT COUNT(*) FROM information_schema.tables WHERE table_schema = 'SCHEMA' AND table_name IN ('größe', 'br(a)')"); got != "0" {
			t.Errorf("server %d still has %s of the tables", i, got)
		}
	}
}
