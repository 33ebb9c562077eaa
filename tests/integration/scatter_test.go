package integration

import (
	"fmt"
	"slices"
	"testing"

	"github.com/xaproxy/xaproxy/config"
	"github.com/xaproxy/xaproxy/router"
	"github.com/xaproxy/xaproxy/tests/servers"
	"github.com/xaproxy/xaproxy/tests/servers/servertest"
)

// mapped are tables of every kind of shard map over the backends b0 and b1.
func mapped(c *config.Config) {
	shard := func(name, backend string, holds ...string) config.Shard {
		return config.Shard{Name: name, Backend: backend, Holds: holds}
	}
	rest := shard("rest", "b1")
	rest.Others = true
	c.ShardMaps = []config.ShardMap{
		{Name: "hashed", Function: config.Hash, Slots: 16, Shards: []config.Shard{shard("x", "b0", "0-4", "9"), shard("y", "b1", "5-8"), shard("z", "b1", "10-15")}},
		{Name: "crc", Function: config.CRC32, Slots: 4, Shards: []config.Shard{shard("x", "b0"), shard("y", "b1")}},
		{Name: "ring", Function: config.Consistent, Shards: []config.Shard{shard("x", "b0"), shard("y", "b1")}},
		{Name: "ranged", Function: config.Range, Shards: []config.Shard{shard("x", "b0", "..10", "20..30"), shard("y", "b1", "10..20", "30..")}},
		{Name: "listed", Function: config.List, Shards: []config.Shard{shard("x", "b0", "1", "2", "30"), rest}},
		{Name: "months", Function: config.Month, Slots: 12, Shards: []config.Shard{shard("x", "b0"), shard("y", "b1")}},
		{Name: "dated", Function: config.Dates, Shards: []config.Shard{shard("x", "b0", "..2026-02-01"), shard("y", "b1", "2026-02-01..")}},
	}
	schema := c.Tables[0].Schema
	for _, m := range c.ShardMaps {
		column := "id"
		if m.Function == config.Month || m.Function == config.Dates {
			column = "day"
		}
		c.Tables = append(c.Tables, config.Table{Schema: schema, Name: m.Name, Column: column, ShardMap: m.Name})
	}
	c.Tables = append(c.Tables, config.Table{Schema: schema, Name: "paired", Columns: []string{"id", "t"}, ShardMap: "hashed"})
	c.Tables = append(c.Tables, config.Table{Schema: schema, Name: "lines_", Column: "id", ShardMap: "hashed"})
}

// newMappedStack has the tables of mapped, each with the same 40 rows.
func newMappedStack(t *testing.T, kinds []servers.Kind) (*stack, []string) {
	t.Helper()
	var on []*servers.Server
	for _, k := range kinds {
		on = append(on, servertest.Get(t, k))
	}
	return newMappedStackOn(t, on)
}

// newMappedStackOn is newMappedStack over servers that the test has started itself.
func newMappedStackOn(t *testing.T, on []*servers.Server) (*stack, []string) {
	t.Helper()
	var cfg *config.Config
	s := newStackOn(t, on, func(c *config.Config) {
		c.Users[0].ScatterWrites = "where"
		c.Users = append(c.Users, config.User{Name: "all", Password: "pw", ScatterWrites: "allow"}, config.User{Name: "none", Password: "pw", ScatterWrites: "deny"})
		mapped(c)
		cfg = c
	})
	var names []string
	for i := range cfg.Tables[1:] {
		names = append(names, cfg.Tables[i+1].Name)
	}
	for _, server := range s.servers {
		for _, name := range names {
			admin(t, server, fmt.Sprintf("CREATE TABLE %s.%s (id INT NOT NULL, t VARCHAR(20) NOT NULL, day DATE NOT NULL, v INT)", s.schema, name))
		}
	}
	c := s.conn()
	for _, name := range names {
		rows := ""
		for i := range 40 {
			if i > 0 {
				rows += ", "
			}
			rows += fmt.Sprintf("(%d, 't%d', '2026-%02d-%02d', 0)", i, i%7, 1+i%12, 1+i%28)
		}
		c.exec("INSERT INTO " + name + " (id, t, day, v) VALUES " + rows)
	}
	r, err := router.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names { // every row is on the backend that the router names for it, and nowhere else
		for b, server := range s.servers {
			rows, err := pool(t, server).Query("SELECT id, t, day FROM " + s.schema + "." + name)
			if err != nil {
				t.Fatal(err)
			}
			n := 0
			for rows.Next() {
				var id int
				var text, day string
				if err := rows.Scan(&id, &text, &day); err != nil {
					t.Fatal(err)
				}
				p, err := r.Plan(fmt.Appendf(nil, "SELECT * FROM %s WHERE id = %d AND t = '%s' AND day = '%s'", name, id, text, day), s.schema, 0)
				if err != nil || len(p.Parts) != 1 || p.Parts[0].Backend != b {
					t.Errorf("%s: row %d is on backend %d, and is looked for by %+v, %v", name, id, b, p, err)
				}
				n++
			}
			if err := rows.Err(); err != nil {
				t.Fatal(err)
			}
			if n == 0 || n == 40 {
				t.Errorf("%s: %d of 40 rows are on backend %d", name, n, b)
			}
		}
	}
	return s, names
}

// TestScatter: statements that say nothing of the shard key, or more than one shard, see every row once.
func TestScatter(t *testing.T) {
	t.Parallel()
	for _, kinds := range [][]servers.Kind{{servers.MariaDB, servers.MariaDBBinlog}, {servers.MySQL, servers.MariaDB}} {
		t.Run(fmt.Sprint(kinds), func(t *testing.T) {
			s, names := newMappedStack(t, kinds)
			c := s.conn()
			for _, name := range names {
				for where, want := range map[string]int{
					"": 40, "WHERE v = 0": 40, "WHERE id BETWEEN 5 AND 24": 20, "WHERE id > 30": 9, "WHERE id IN (1, 2, 3, 33, 77)": 4,
					"WHERE day = '2026-03-03'": 1, "WHERE day BETWEEN '2026-01-15' AND '2026-02-15'": 4, "WHERE id = 1 OR id = 39": 2,
					"WHERE (id, t) IN ((1, 't1'), (9, 't2'), (10, 't1'))": 2, "WHERE id = '07x'": 1, "WHERE id = 7.0": 1, "WHERE id IS NULL": 0,
				} {
					if got := len(c.column("SELECT id FROM " + name + " " + where)); got != want {
						t.Errorf("%s %s: %d rows, want %d", name, where, got, want)
					}
				}
				for _, q := range []string{"UPDATE %s SET v = v + 1 WHERE id >= 0", "UPDATE %s SET v = v + 1 WHERE t LIKE 't%%'"} {
					if n, err := c.exec(fmt.Sprintf(q, name)).RowsAffected(); err != nil || n != 40 {
						t.Errorf("%s: %d rows changed, %v", name, n, err)
					}
				}
				c.fails(1175, "UPDATE "+name+" SET v = 9")
				c.fails(1175, "DELETE FROM "+name)
				c.exec("BEGIN", "DELETE FROM "+name+" WHERE v = 2 AND id < 20")
				if got := len(c.column("SELECT id FROM " + name)); got != 20 {
					t.Errorf("%s: %d rows are left in the transaction", name, got)
				}
				c.exec("ROLLBACK")
				if got := c.column("SELECT DISTINCT v FROM " + name + " WHERE id = 3 AND t = 't3' AND day = '2026-04-04'"); !slices.Equal(got, []string{"2"}) {
					t.Errorf("%s: v is %v, want 2", name, got)
				}
			}
			if got := len(c.column("SELECT h.id FROM hashed h JOIN lines_ l ON l.id = h.id AND l.v = h.v")); got != 40 {
				t.Errorf("the join has %d rows", got)
			}
			if got := len(c.column("SELECT h.id FROM hashed h LEFT JOIN lines_ l ON l.id = h.id AND l.id < 10 WHERE l.id IS NULL")); got != 30 {
				t.Errorf("the outer join has %d rows", got)
			}
		})
	}
}

// TestScatterWrites: what scatter_writes lets an account do.
func TestScatterWrites(t *testing.T) {
	t.Parallel()
	s, _ := newMappedStack(t, []servers.Kind{servers.MariaDB, servers.MariaDBBinlog})
	all, none := s.connAs("all"), s.connAs("none")
	none.fails(1175, "UPDATE hashed SET v = 9 WHERE t = 't1'")
	none.exec("UPDATE hashed SET v = 9 WHERE id IN (1, 2, 3, 4, 5, 6)")
	all.exec("UPDATE hashed SET v = 9")
	if got := len(all.column("SELECT id FROM hashed WHERE v = 9")); got != 40 {
		t.Errorf("%d rows were changed, want all 40", got)
	}
	all.exec("DELETE FROM hashed")
	if got := len(all.column("SELECT id FROM hashed")); got != 0 {
		t.Errorf("%d rows are left", got)
	}
}
