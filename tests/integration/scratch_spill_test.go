package integration

import (
	"fmt"
	"strconv"
	"testing"

	"github.com/xaproxy/xaproxy/config"
	"github.com/xaproxy/xaproxy/tests/servers"
	"github.com/xaproxy/xaproxy/wire"
)

// TestScratchSpill: rows that do not fit into memory, and rows that are not as unique together as on each backend, are neither lost nor doubled
// where they leave it, on servers with little memory for such tables and on servers that have none. Rows of s and t share a backend by chance only.
func TestScratchSpill(t *testing.T) {
	t.Parallel()
	refusal := map[servers.Kind]string{servers.MariaDB: "--enforce-storage-engine=InnoDB", servers.MySQL: "--disabled-storage-engines=MEMORY"}
	for _, kind := range []servers.Kind{servers.MariaDB, servers.MySQL} {
		for name, arg := range map[string]string{"little": "--max-heap-table-size=262144", "none": refusal[kind]} {
			t.Run(string(kind)+" "+name, func(t *testing.T) { leaveMemory(t, kind, arg, name == "little") })
		}
	}
}

// leaveMemory joins 20,000 rows of two servers started with an argument; some rows of each have the keys of rows of the other one.
func leaveMemory(t *testing.T, kind servers.Kind, arg string, spills bool) {
	s := newStackOn(t, []*servers.Server{ownServer(t, kind, arg), ownServer(t, kind, arg)}, func(c *config.Config) {
		for _, name := range []string{"s", "t"} {
			c.Tables = append(c.Tables, config.Table{Schema: c.Tables[0].Schema, Name: name, Column: "shard", Function: "modulo", Backends: c.Tables[0].Backends})
		}
	})
	const rows = 10_000
	for i, server := range s.servers {
		in := s.schema + "."
		admin(t, server,
			"CREATE TABLE "+in+"s (shard INT NOT NULL, id INT NOT NULL, v DECIMAL(12,2), PRIMARY KEY (id), KEY (v))",
			"CREATE TABLE "+in+"t (shard INT NOT NULL, id INT NOT NULL, name VARCHAR(20) NOT NULL, PRIMARY KEY (id))",
			"CREATE TABLE "+in+"n (i INT PRIMARY KEY)", "INSERT INTO "+in+"n WITH RECURSIVE d AS (SELECT 0 AS i UNION ALL SELECT i + 1 FROM d WHERE i < 99) SELECT a.i * 100 + b.i FROM d a, d b")
		// Half of the rows are here, and those of t before 100 are on both.
		admin(t, server,
			fmt.Sprintf("INSERT INTO %ss SELECT %d, i, i / 4 FROM %[1]sn WHERE i %% 2 = %[2]d", in, i),
			fmt.Sprintf("INSERT INTO %st SELECT %d, i, CONCAT('name ', i) FROM %[1]sn WHERE i %% 2 = %[2]d OR i < 100", in, i))
	}
	c := dial(t, wire.Dialer{Addr: s.addr, User: "u", Password: "pw", Schema: s.schema})
	altered := func() (n int) {
		for _, server := range s.servers {
			var name, value string
			check(t, pool(t, server).QueryRow("SHOW GLOBAL STATUS LIKE 'Com_alter_table'").Scan(&name, &value))
			count, err := strconv.Atoi(value)
			check(t, err)
			n += count
		}
		return n
	}
	for q, want := range map[string]string{
		"SELECT COUNT(*), COUNT(DISTINCT s.id), SUM(s.v) FROM s JOIN s x ON x.id = s.id":                                fmt.Sprintf(`[["%d" "%[1]d" "12498750.00"]]`, rows),
		"SELECT COUNT(*), COUNT(DISTINCT t.name), SUM(s.v) FROM s JOIN t ON t.id = s.id":                                fmt.Sprintf(`[["%d" "%d" "12499987.50"]]`, rows+100, rows),
		"SELECT t.id, COUNT(*), COUNT(DISTINCT t.name) FROM t JOIN s ON s.id = t.id AND t.id % 9998 = 98 GROUP BY t.id": `[["98" "2" "1"]]`,
	} {
		before := altered()
		if got := scratchSays(t, c, q); got != want {
			t.Errorf("%s: %s, want %s", q, got, want)
		}
		if spills && altered() == before {
			t.Errorf("%s: no table has left memory", q)
		}
	}
}
