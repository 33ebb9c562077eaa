package integration

import (
	"strings"
	"testing"

	"github.com/xaproxy/xaproxy/config"
	"github.com/xaproxy/xaproxy/tests/servers"
	"github.com/xaproxy/xaproxy/wire"
)

// TestExplain: clients are told what becomes of a statement, in their session, and nothing about what they may not use.
func TestExplain(t *testing.T) {
	t.Parallel()
	s := newStack(t, []servers.Kind{servers.MariaDB, servers.MySQL}, func(c *config.Config) {
		c.Users = append(c.Users, config.User{Name: "reader", Password: "pw", ReadOnly: true})
	})
	c := s.conn()
	want := "2 backends\n  table " + s.schema + ".accounts by id: shards b0, b1 of 2 for 2 rows\n" +
		"  backend b0\n    INSERT INTO accounts (id, v) VALUES (2, 2)\n  backend b1\n    INSERT INTO accounts (id, v) VALUES (1, 1)\n" +
		"  answer: the counts of all backends are added up\n  commit: in two phases (XA), prepared on b0, b1 and decided on disk"
	explained := "EXPLAIN XAPROXY INSERT INTO accounts (id, v) VALUES (1, 1), (2, 2)"
	if got := strings.Join(c.column(explained), "\n"); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if got := c.rows("SELECT FOUND_ROWS(), ROW_COUNT()"); got != "8,-1" {
		t.Errorf("FOUND_ROWS() and ROW_COUNT() are %s", got)
	}
	c.exec("BEGIN", "INSERT INTO accounts (id, v) VALUES (2, 2)")
	if got := c.column("EXPLAIN XAPROXY SELECT 1"); got[len(got)-1] != "  the open transaction has branches on b0" {
		t.Error(got)
	}
	c.exec("ROLLBACK")
	if got := c.column("EXPLAIN XAPROXY UPDATE accounts SET id = 2 WHERE id = 1"); got[0] != "refused: 1235 (42000)" {
		t.Error(got)
	}
	if got := s.connAs("reader").column(explained); !strings.HasPrefix(got[len(got)-1], "  this user may not run it: 1290") {
		t.Error(got)
	}
	if n := len(c.column("SELECT id FROM accounts")); n != 0 {
		t.Errorf("an explained INSERT has inserted %d rows", n)
	}
	other := s.rawAs(wire.Dialer{User: "other", Password: "pw"})
	if _, err := other.ask("EXPLAIN XAPROXY SELECT * FROM " + s.schema + ".accounts"); errno(err) != 1044 {
		t.Errorf("a user of another schema was told %v", err)
	}
}
