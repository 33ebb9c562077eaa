package integration

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/xaproxy/xaproxy/tests/servers"
	"github.com/xaproxy/xaproxy/tests/servers/servertest"
)

// TestMultiTable: UPDATE and DELETE of several co-located tables change the rows that one server with all of them would change, and
// count them as it does.
func TestMultiTable(t *testing.T) {
	t.Parallel()
	for _, kinds := range [][]servers.Kind{{servers.MariaDB, servers.MariaDBBinlog}, {servers.MySQL, servers.MySQL}} {
		t.Run(fmt.Sprint(kinds), func(t *testing.T) {
			on := []*servers.Server{servertest.Get(t, kinds[0])}
			if kinds[1] != kinds[0] {
				on = append(on, servertest.Get(t, kinds[1]))
			} else {
				on = append(on, ownServer(t, kinds[1]))
			}
			s, _ := newMappedStackOn(t, on)
			one := servertest.Database(t, on[0])
			for _, name := range []string{"hashed", "lines_"} {
				admin(t, on[0], fmt.Sprintf("CREATE TABLE %s.%s LIKE %s.%[2]s", one, name, s.schema))
				for _, row := range s.conn().column("SELECT CONCAT_WS(',', id, QUOTE(t), QUOTE(day), v) FROM " + name) {
					admin(t, on[0], fmt.Sprintf("INSERT INTO %s.%s VALUES (%s)", one, name, row))
				}
			}
			for _, params := range []string{"clientFoundRows=false", "clientFoundRows=true"} {
				c, alone := s.connAs("all", params), connTo(t, on[0], one, params)
				for _, q := range []string{
					"UPDATE hashed h JOIN lines_ l ON l.id = h.id SET h.v = h.id, l.v = 2 * l.id WHERE h.id > 3",
					"UPDATE hashed JOIN lines_ USING (id) SET hashed.v = lines_.v WHERE id IN (1, 5, 7, 9) OR id BETWEEN 20 AND 22",
					"UPDATE hashed h LEFT JOIN lines_ l ON l.id = h.id AND l.v > 50 SET h.v = IFNULL(l.v, -1)",
					"UPDATE hashed h, lines_ l SET l.v = h.v WHERE l.id = h.id AND h.t IN ('t1', 't2')",
					"UPDATE hashed h JOIN lines_ l ON l.id = h.id AND (l.id = 1 OR l.id = 17 OR l.id = 30) SET h.t = 'x', l.t = CONCAT('y', l.t)",
					"UPDATE hashed a JOIN hashed b ON b.id = a.id SET a.v = b.v + 1 WHERE a.id < 10",
					"UPDATE hashed SET v = v + 1 WHERE id IN (1, 2, 3, 99)",
					"DELETE h, l FROM hashed h JOIN lines_ l ON l.id = h.id WHERE h.v > 70",
					"DELETE FROM l USING lines_ l JOIN hashed h ON h.id = l.id WHERE h.t = 't3'",
					"DELETE h FROM hashed h LEFT JOIN lines_ l ON l.id = h.id WHERE l.id IS NULL",
					"DELETE FROM lines_ WHERE id BETWEEN 1 AND 10",
					"DELETE h, l FROM hashed h LEFT JOIN lines_ l ON l.id = h.id WHERE h.id IN (2, 4, 11, 12)",
				} {
					got, err := c.exec(q).RowsAffected()
					want, err2 := alone.exec(q).RowsAffected()
					if err != nil || err2 != nil || got != want {
						t.Errorf("%s: %d rows, %v; one server says %d, %v", q, got, err, want, err2)
					}
					for _, name := range []string{"hashed", "lines_"} {
						rows := "SELECT CONCAT_WS(',', LPAD(id, 3, '0'), t, day, v) AS row_ FROM " + name
						got, want := sorted(c.column(rows)), sorted(alone.column(rows))
						if got != want {
							t.Fatalf("%s: %s is\n%s\non one server\n%s", q, name, got, want)
						}
					}
				}
			}
		})
	}
}

// sorted are the lines of a result that comes in no order.
func sorted(lines []string) string {
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

// connTo is a connection to a server itself.
func connTo(t *testing.T, server *servers.Server, schema, params string) *conn {
	t.Helper()
	db, err := sql.Open("mysql", fmt.Sprintf("%s:%s@tcp(127.0.0.1:%d)/%s?%s", server.User, server.Password, server.Port, schema, params))
	check(t, err)
	t.Cleanup(func() { check(t, db.Close()) })
	c, err := db.Conn(context.Background())
	check(t, err)
	return &conn{t, c}
}
