package integration

import (
	"fmt"
	"strings"
	"testing"

	"github.com/xaproxy/xaproxy/config"
	"github.com/xaproxy/xaproxy/tests/servers"
	"github.com/xaproxy/xaproxy/wire"
)

// TestHints: comments choose a shard or a backend, let statements scatter or not, and end them in time.
func TestHints(t *testing.T) {
	t.Parallel()
	for _, kinds := range [][]servers.Kind{{servers.MariaDB, servers.MySQL}, {servers.MySQL, servers.MariaDB}} {
		t.Run(fmt.Sprint(kinds), func(t *testing.T) {
			s := newStack(t, kinds, func(c *config.Config) {
				for _, scatter := range []string{"deny", "where", "allow"} {
					c.Users = append(c.Users, config.User{Name: scatter, Password: "pw", ScatterWrites: scatter})
				}
				c.Users = append(c.Users, config.User{Name: "reader", Password: "pw", ReadOnly: true, ScatterWrites: "allow"})
			})
			c := s.connAs("where")
			c.exec("INSERT INTO accounts (id, v) VALUES (0, 0), (1, 1), (2, 2), (3, 3), (4, 4)")
			for q, want := range map[string]string{
				"/* xaproxy: shard=b0 */ SELECT COUNT(*) FROM accounts":                   "3",
				"SELECT COUNT(*) FROM accounts /* xaproxy: shard=b1 */":                   "2",
				"/* xaproxy: backend=b1, timeout=1m */ SELECT SUM(v) FROM accounts":       "4",
				"/* xaproxy: backend=b1 */ SELECT COUNT(*) FROM accounts WHERE id = 2":    "0",
				"/* xaproxy: backend=b0 */ SELECT @@port":                                 fmt.Sprint(s.servers[0].Port),
				"/* xaproxy: backend=b1 */ SELECT @@port":                                 fmt.Sprint(s.servers[1].Port),
				"SELECT /* none */ COUNT(*) FROM accounts WHERE id = 2 /* xaproxy nor */": "1",
			} {
				if got := c.rows(q); got != want {
					t.Errorf("%s: %s, want %s", q, got, want)
				}
			}
			c.exec("/* xaproxy: shard=b1 */ UPDATE accounts SET v = 10")
			if got := c.rows("/* xaproxy: shard=b0 */ SELECT SUM(v) FROM accounts") + " " + c.rows("/* xaproxy: shard=b1 */ SELECT SUM(v) FROM accounts"); got != "6 20" {
				t.Errorf("after an UPDATE of one shard: %s", got)
			}
			c.fails(1235, "/* xaproxy: shard=b1 */ INSERT INTO accounts (id, v) VALUES (6, 1)")
			c.fails(1235, "/* xaproxy: backend=b1 */ DELETE FROM accounts WHERE id = 2")
			c.fails(1235, "/* xaproxy: scatter=deny */ SELECT id FROM accounts")

			c.fails(1175, "DELETE FROM accounts")
			s.connAs("deny").fails(1175, "/* xaproxy: scatter=allow */ DELETE FROM accounts")
			s.connAs("reader").fails(1290, "/* xaproxy: scatter=allow, shard=b0 */ DELETE FROM accounts")
			s.connAs("reader").fails(1290, "/* xaproxy: shard=b0 */ SELECT * FROM accounts FOR UPDATE")
			c.exec("/* xaproxy: scatter=allow */ DELETE FROM accounts")
			if got := len(c.column("SELECT id FROM accounts")); got != 0 {
				t.Errorf("%d rows are left", got)
			}
		})
	}
}

// TestHintTimeout: a statement that has given itself a limit is ended when it is over; the next one has none.
func TestHintTimeout(t *testing.T) {
	t.Parallel()
	s := newStack(t, []servers.Kind{servers.MariaDB, servers.MySQL}, nil)
	c := s.conn()
	c.exec("INSERT INTO single (v) VALUES (1), (1)")
	c.fails(1317, "/* xaproxy: timeout=10ms */ SELECT SLEEP(1000) FROM single")
	c.exec("DO SLEEP(0.6)")
	prepared := s.binary()
	if _, err := prepared.ExecContext(t.Context(), "/* xaproxy: timeout=10ms */ SELECT SLEEP(1000) FROM single WHERE v = ?", 1); err == nil || !strings.Contains(err.Error(), "1317") {
		t.Errorf("an execution ended with %v", err)
	}
}

// TestHintWarnings: what is not understood in a hint is counted in the answer, behind the server's own warnings, and SHOW WARNINGS has it.
func TestHintWarnings(t *testing.T) {
	t.Parallel()
	s := newStack(t, []servers.Kind{servers.MariaDB, servers.MySQL}, nil)
	c := s.raw()
	count := func(q string) uint16 {
		t.Helper()
		if err := c.SendQuery(nil, []byte(q)); err != nil {
			t.Fatal(err)
		}
		rows, err := c.ReadResult(1 << 20)
		if err != nil {
			t.Fatalf("%s: %v", q, err)
		}
		return rows.OK.Warnings
	}
	c.exec("USE "+s.schema, "INSERT INTO accounts (id, v) VALUES (1, 1), (2, 2)")
	for q, want := range map[string]uint16{
		"/* xaproxy: speed=9 */ SELECT 1":                                         1,
		"/* xaproxy: speed=9, shard=x */ SELECT 'a' + 0":                          3,
		"/* xaproxy: speed=9 */ SELECT id, 'a' + 0 FROM accounts":                 3,
		"/* xaproxy: speed=9 */ UPDATE accounts SET v = v + 1 WHERE id IN (1, 2)": 1,
		"/* xaproxy: speed=9 */ UPDATE accounts SET v = v + 1 WHERE id = 1":       1,
		"/* xaproxy: speed=9 */ BEGIN":                                            1,
		"/* xaproxy: speed=9 */ SET @a = 1":                                       1,
		"/* xaproxy: timeout=5s */ SELECT 1":                                      0,
	} {
		if got := count(q); got != want {
			t.Errorf("%s: %d warnings, want %d", q, got, want)
		}
		var lines wire.Rows
		if err := c.SendQuery(nil, []byte("SHOW WARNINGS")); err != nil {
			t.Fatal(err)
		}
		lines, err := c.ReadResult(1 << 20)
		if err != nil || len(lines.Values) != int(want) {
			t.Errorf("%s: %d lines, %v", q, len(lines.Values), err)
			continue
		}
		if want > 0 && (string(lines.Values[want-1][1]) != "1105" || !strings.HasPrefix(string(lines.Values[want-1][2]), "hint: ")) {
			t.Errorf("%s: the last line is %q", q, lines.Values[want-1])
		}
		if got, err := c.ask("SELECT @@warning_count"); err != nil || got != fmt.Sprint(want) {
			t.Errorf("behind SHOW WARNINGS there are %s, %v", got, err)
		}
	}
}
