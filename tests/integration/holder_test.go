package integration

import (
	"testing"

	"github.com/xaproxy/xaproxy/tests/servers"
)

// TestNoLockIsLeft: the locks by which the sessions of prepared branches are found are gone when these have ended, and clients see none.
func TestNoLockIsLeft(t *testing.T) {
	t.Parallel()
	s := newStack(t, []servers.Kind{servers.MariaDB, servers.MariaDBBinlog}, nil)
	c := s.conn()
	c.exec("INSERT INTO accounts (id, v) VALUES (1, 0), (2, 0)")
	for _, end := range []string{"COMMIT", "ROLLBACK"} {
		c.exec("BEGIN", "UPDATE accounts SET v = v + 1 WHERE id = 1", "UPDATE accounts SET v = v + 1 WHERE id = 2", end)
	}
	c.exec("BEGIN", "UPDATE accounts SET v = v + 1 WHERE id = 1", "UPDATE accounts SET v = v + 1 WHERE id = 2")
	if got := c.rows("SELECT RELEASE_ALL_LOCKS()"); got != "0" {
		t.Errorf("a client has %s locks that it did not take", got)
	}
	c.exec("COMMIT")
	if got := s.on(0, "SELECT v FROM SCHEMA.accounts") + s.on(1, "SELECT v FROM SCHEMA.accounts"); got != "22" {
		t.Errorf("values %s", got)
	}
}
