package integration

import (
	"fmt"
	"strings"
	"testing"

	"github.com/xaproxy/xaproxy/tests/servers/servertest"
)

// upserts tell the client the id of the row that was there, or name the key of a row without changing it.
var upserts = map[string][]string{
	// It has a sequence and a lookup table.
	"people": {
		"INSERT INTO people (mail, v) VALUES ('a@x', 1) ON DUPLICATE KEY UPDATE id = LAST_INSERT_ID(id), v = v + 1",
		"INSERT INTO people (mail, v) VALUES ('b@x', 1) ON DUPLICATE KEY UPDATE id = LAST_INSERT_ID(id)",
		"INSERT INTO people (mail, v) VALUES ('c@x', 1) ON DUPLICATE KEY UPDATE people.id = LAST_INSERT_ID(people.id)",
		"INSERT INTO people (mail, v) VALUES ('a@x', 1) ON DUPLICATE KEY UPDATE id = LAST_INSERT_ID(id), v = v + 1",
		"INSERT INTO people (mail, v) VALUES ('a@x', 1) ON DUPLICATE KEY UPDATE id = LAST_INSERT_ID(id)",
		"INSERT INTO people (mail, v) VALUES ('b@x', 7) ON DUPLICATE KEY UPDATE v = VALUES(v), id = LAST_INSERT_ID(id)",
		"INSERT INTO people (mail, v) VALUES ('b@x', 7), ('c@x', 8), ('a@x', 9) ON DUPLICATE KEY UPDATE v = VALUES(v), id = LAST_INSERT_ID(id)",
		"INSERT INTO people (mail, v) VALUES ('b@x', 17), ('d@x', 18), ('a@x', 19), ('e@x', 18) ON DUPLICATE KEY UPDATE v = VALUES(v), id = LAST_INSERT_ID(id)",
		"INSERT INTO people (mail, v) VALUES ('c@x', 21), ('a@x', 22), ('b@x', 23) ON DUPLICATE KEY UPDATE v = VALUES(v), id = id",
		"INSERT INTO people (mail, v) VALUES ('c@x', 5) ON DUPLICATE KEY UPDATE mail = 'f@x', id = LAST_INSERT_ID(id)",
		"INSERT INTO people (id, mail, v) VALUES (901, 'a@x', 5) ON DUPLICATE KEY UPDATE id = LAST_INSERT_ID(id), v = v + 3",
		"INSERT INTO people (id, mail, v) VALUES (902, 'g@x', 5) ON DUPLICATE KEY UPDATE id = LAST_INSERT_ID(id), v = v + 3",
		"INSERT INTO people (id, mail, v) VALUES (902, 'h@x', 6), (903, 'i@x', 5) ON DUPLICATE KEY UPDATE id = VALUES(id), mail = VALUES(mail), v = VALUES(v)",
		"INSERT IGNORE INTO people (mail, v) VALUES ('a@x', 61) ON DUPLICATE KEY UPDATE v = VALUES(v), id = LAST_INSERT_ID(id)",
		"INSERT IGNORE INTO people (id, mail, v) VALUES (904, 'a@x', 61)",
	},
	// It has lookup tables only.
	"users": {
		"INSERT INTO users (id, email, v) VALUES (11, 'a@x', 1) ON DUPLICATE KEY UPDATE id = LAST_INSERT_ID(id), v = v + 1",
		"INSERT INTO users (id, email, v) VALUES (12, 'a@x', 1) ON DUPLICATE KEY UPDATE id = LAST_INSERT_ID(id), v = v + 1",
		"INSERT INTO users (id, email, v) VALUES (12, 'b@x', 1), (13, 'a@x', 1) ON DUPLICATE KEY UPDATE id = LAST_INSERT_ID(id), v = v + 1",
		"INSERT INTO users (id, email, v) VALUES (13, 'b@x', 1), (14, 'a@x', 1) ON DUPLICATE KEY UPDATE id = LAST_INSERT_ID(id), v = v + 1",
		"INSERT INTO users (id, email, v) VALUES (12, 'b@x', 5), (14, 'c@x', 6) ON DUPLICATE KEY UPDATE id = VALUES(id), email = VALUES(email), v = VALUES(v)",
		"INSERT INTO users (id, v) VALUES (16, 5)",
		"INSERT INTO users (id, email, v) VALUES (15, 'c@x', 7) ON DUPLICATE KEY UPDATE v = 8, id = id",
	},
	// It has none of them.
	"accounts": {
		"INSERT INTO accounts (id, v) VALUES (1, 1) ON DUPLICATE KEY UPDATE id = LAST_INSERT_ID(id), v = v + 1",
		"INSERT INTO accounts (id, v) VALUES (1, 1) ON DUPLICATE KEY UPDATE id = LAST_INSERT_ID(id), v = v + 1",
		"INSERT INTO accounts (id, v) VALUES (1, 1), (2, 2), (3, 3) ON DUPLICATE KEY UPDATE v = v + 10, id = id",
		"INSERT INTO accounts (id, v) VALUES (1, 1), (3, 2) ON DUPLICATE KEY UPDATE v = v + 10, id = LAST_INSERT_ID(id)",
		"INSERT INTO accounts (id, v) VALUES (1, 5), (2, 6), (7, 7) ON DUPLICATE KEY UPDATE v = VALUES(v), id = VALUES(id)",
		"INSERT INTO accounts (id, v) SELECT id + 1, v FROM accounts ON DUPLICATE KEY UPDATE v = VALUES(v) + 100, id = VALUES(id)",
	},
}

// TestUpsertKeepsKey: rows, counts, insert ids and LAST_INSERT_ID() are those of one server.
func TestUpsertKeepsKey(t *testing.T) {
	t.Parallel()
	for _, way := range []string{"text", "transaction", "prepared", "by name"} {
		forLookups(t, func(t *testing.T, s *stack) {
			for _, server := range s.servers {
				admin(t, server, "ALTER TABLE "+s.schema+".users ADD UNIQUE KEY (country, phone)")
			}
			single := servertest.Database(t, s.servers[0])
			for _, table := range []string{"people", "users", "accounts"} {
				admin(t, s.servers[0], "CREATE TABLE "+single+"."+table+" LIKE "+s.schema+"."+table)
				one, many := connTo(t, s.servers[0], single, ""), s.conn()
				row := func(c *conn) func(string) string {
					return func(id string) string {
						if table == "people" { // numbers are lost on different occasions
							return c.rows("SELECT mail FROM people WHERE id = " + id)
						}
						return id
					}
				}
				for _, q := range upserts[table] {
					want, got := tellOf(one, q, way, row(one)), tellOf(many, q, way, row(many))
					if want != got {
						t.Errorf("%s, %s:\none server %s\nproxy      %s", way, q, want, got)
					}
					q := map[string]string{"people": "SELECT mail, v FROM people ORDER BY mail"}[table]
					if q == "" {
						q = "SELECT * FROM " + table + " ORDER BY id"
					}
					if want, got := one.rows(q), many.rows(q); want != got {
						t.Errorf("%s, %s:\none server %s\nproxy      %s", way, q, want, got)
					}
				}
			}
			many := s.conn()
			for _, q := range []string{
				"INSERT INTO people (id, mail) VALUES (999, 'a@x') ON DUPLICATE KEY UPDATE id = VALUES(id)",
				"INSERT INTO people (mail) VALUES ('a@x') ON DUPLICATE KEY UPDATE id = VALUES(id)",
				"INSERT INTO people (id, mail) VALUES (999, 'a@x') ON DUPLICATE KEY UPDATE id = 7",
				"INSERT INTO accounts (id) VALUES (1) ON DUPLICATE KEY UPDATE id = v",
				"INSERT INTO accounts (id) VALUES (1) ON DUPLICATE KEY UPDATE id = LAST_INSERT_ID(id + 1)",
			} {
				many.fails(1235, q)
			}
		})
	}
}

// TestInsertIDOfBatches: INSERT ... SELECT of more rows than one statement takes has the id of the first one.
func TestInsertIDOfBatches(t *testing.T) {
	t.Parallel()
	forLookups(t, func(t *testing.T, s *stack) {
		c := s.conn()
		for i := range 3 {
			rows := make([]string, 600)
			for n := range rows {
				rows[n] = fmt.Sprintf("(%d, %d)", 600*i+n, n)
			}
			c.exec("INSERT INTO accounts (id, v) VALUES " + strings.Join(rows, ", "))
		}
		for _, q := range []string{"INSERT INTO events (v) SELECT id FROM accounts ORDER BY id", "INSERT INTO people (v) SELECT id FROM accounts ORDER BY id"} {
			table := strings.Fields(q)[2]
			for _, in := range [][2]string{{"DO 0", "DO 0"}, {"BEGIN", "COMMIT"}} {
				c.exec(in[0])
				id, err := c.exec(q).LastInsertId()
				if err != nil {
					t.Fatal(err)
				}
				if got, want := c.rows("SELECT LAST_INSERT_ID()"), fmt.Sprint(id); got != want {
					t.Errorf("%s: LAST_INSERT_ID() is %s, the answer has %s", q, got, want)
				}
				if got := c.rows(fmt.Sprintf("SELECT v FROM %s WHERE id = %d", table, id)); got != "0" {
					t.Errorf("%s: the row of the insert id has %s", q, got)
				}
				c.exec(in[1], "DELETE FROM "+table)
			}
		}
	})
}
