package integration

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/xaproxy/xaproxy/tests/servers/servertest"
	"github.com/xaproxy/xaproxy/wire"
)

// people is a table with a sequence and a lookup table.
const people = " (id BIGINT PRIMARY KEY AUTO_INCREMENT, mail VARCHAR(40) UNIQUE, v INT NOT NULL DEFAULT 0)"

// TestLookupConflicts: a row that has the number or the address of others, on whatever shard, is left out, replaces them, or changes one, as
// on one server: rows, counts, info, warnings and LAST_INSERT_ID(), whatever affected rows mean to the client.
func TestLookupConflicts(t *testing.T) {
	for _, caps := range []wire.Capability{0, wire.FoundRows} {
		forLookups(t, func(t *testing.T, s *stack) {
			single := servertest.Database(t, s.servers[0])
			admin(t, s.servers[0], "CREATE TABLE "+single+".people"+people)
			dial := func(addr, user, password, schema string) *wire.Conn {
				c, _, err := (&wire.Dialer{Network: "tcp", Addr: addr, User: user, Password: password, Schema: schema, Caps: caps | wire.DeprecateEOF, MaxPacket: 1 << 20, Timeout: 20 * time.Second}).Dial(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { _ = c.Close() })
				return c
			}
			one := dial(s.servers[0].Addr(), s.servers[0].User, s.servers[0].Password, single)
			many := dial(s.addr, "u", "pw", s.schema)
			ask := func(c *wire.Conn, q string) string {
				if err := c.SendQuery(nil, []byte(q)); err != nil {
					t.Fatal(err)
				}
				rows, err := c.ReadResult(1 << 20)
				if err != nil {
					return err.Error()
				}
				return fmt.Sprintf("%d rows, id %d, %d warnings, info %q, %q", rows.OK.Affected, rows.OK.InsertID, rows.OK.Warnings, rows.OK.Info, rows.Values)
			}
			for _, q := range []string{
				"INSERT INTO people (mail, v) VALUES ('a@x', 1), ('b@x', 2), ('c@x', 3)",
				"INSERT IGNORE INTO people (mail, v) VALUES ('a@x', 9)",
				"INSERT IGNORE INTO people (mail, v) VALUES ('b@x', 9), ('d@x', 4), (NULL, 5)",
				"INSERT IGNORE INTO people (id, mail, v) VALUES (100, 'B@x', 9), (101, 'e@x', 4), (1, 'f@x', 4), (2, 'a@x', 4)",
				"INSERT INTO people (mail, v) VALUES ('a@x', 9) ON DUPLICATE KEY UPDATE v = v + 10",
				"INSERT INTO people (mail, v) VALUES ('a@x', 9) ON DUPLICATE KEY UPDATE v = v",
				"INSERT INTO people (id, mail, v) VALUES (2, 'a@x', 9) ON DUPLICATE KEY UPDATE v = v + 10",
				"INSERT INTO people (mail, v) VALUES ('g@x', 9), ('b@x', 1), ('g@x', 1) ON DUPLICATE KEY UPDATE v = v + 10",
				"INSERT INTO people (mail, v) VALUES ('b@x', 1) ON DUPLICATE KEY UPDATE mail = 'h@x'",
				"INSERT INTO people (mail, v) VALUES ('h@x', 1) ON DUPLICATE KEY UPDATE mail = 'a@x'",
				"REPLACE INTO people (id, mail, v) VALUES (1, 'a@x', 20)",
				"REPLACE INTO people (id, mail, v) VALUES (1, 'a@x', 20)",
				"REPLACE INTO people (id, mail, v) VALUES (2, 'a@x', 20), (3, 'g@x', 21)",
				"REPLACE INTO people (mail, v) VALUES ('c@x', 20), ('i@x', 21)",
				"INSERT INTO people (v) VALUES (1), (2)",
				"INSERT INTO people (mail) VALUES (CONCAT('j', '@x')), (LOWER('K@X'))",
				"INSERT INTO people (mail) SELECT CONCAT('z', mail) FROM people WHERE mail LIKE '_@x' ORDER BY id",
			} {
				for _, in := range [][2]string{{"DO 0", "DO 0"}, {"BEGIN", "ROLLBACK"}, {"BEGIN", "COMMIT"}}[map[bool]int{true: 1}[strings.HasPrefix(q, "R")]:][:2] {
					for _, q := range []string{in[0], q, "SELECT ROW_COUNT()", "SELECT mail, v FROM people WHERE id = LAST_INSERT_ID()", "SELECT mail, v FROM people ORDER BY mail, v", in[1]} {
						want, got := ask(one, q), ask(many, q)
						if want != got && !strings.Contains(q, "INSERT") {
							t.Errorf("%v %s:\none server %s\nproxy      %s", caps, q, want, got)
							continue
						}
						if w, g := without(want), without(got); w != g {
							t.Errorf("%v %s:\none server %s\nproxy      %s", caps, q, want, got)
						}
					}
				}
			}
		})
	}
}

// without is an answer less the insert id, as numbers are lost on different occasions.
func without(answer string) string {
	rows, rest, _ := strings.Cut(answer, ", id ")
	_, rest, _ = strings.Cut(rest, ", ")
	return rows + rest
}

// TestLookupUpserts: prepared statements with conflicts, and clients that write the same addresses at the same time.
func TestLookupUpserts(t *testing.T) {
	forLookups(t, func(t *testing.T, s *stack) {
		c := s.binary()
		for i, want := range []string{"a@x,1", "a@x,2", "a@x,3"} {
			if _, err := c.ExecContext(t.Context(), "INSERT INTO people (mail, v) VALUES (?, ?) ON DUPLICATE KEY UPDATE v = VALUES(v)", "a@x", i+1); err != nil {
				t.Fatal(err)
			}
			if got := c.rows("SELECT mail, v FROM people"); got != want {
				t.Errorf("%s, want %s", got, want)
			}
		}
		var all sync.WaitGroup
		for n := range 4 {
			all.Go(func() {
				c := s.conn()
				for i := range 20 {
					q := fmt.Sprintf("INSERT INTO people (mail, v) VALUES ('m%d@x', 1) ON DUPLICATE KEY UPDATE v = v + 1", (i+n)%10)
					for {
						_, err := c.ExecContext(t.Context(), q)
						if err == nil {
							break
						}
						if !strings.Contains(err.Error(), "1213") && !strings.Contains(err.Error(), "1205") {
							t.Errorf("%s: %v", q, err)
							return
						}
					}
				}
			})
		}
		all.Wait()
		if got := c.rows("SELECT COUNT(*), SUM(v) FROM people WHERE mail LIKE 'm%'"); got != "10,80" {
			t.Errorf("of 80 upserts of 10 addresses there are %s", got)
		}
	})
}
