package integration

import (
	"context"
	"testing"

	"github.com/xaproxy/xaproxy/tests/servers"
)

// TestFirstBackendFirst: an UPDATE of several shards that waits for a row on the first of them has locked none on the others, so that two of
// them cannot wait for each other.
func TestFirstBackendFirst(t *testing.T) {
	t.Parallel()
	s := newStack(t, []servers.Kind{servers.MariaDB, servers.MySQL}, nil)
	c := s.connAs("u")
	c.exec("INSERT INTO accounts (id, v) VALUES (1, 1), (2, 2)")
	hold, err := pool(t, s.servers[0]).Begin()
	check(t, err)
	defer func() { _ = hold.Rollback() }() // for a test that has failed
	_, err = hold.Exec("UPDATE " + s.schema + ".accounts SET v = 3 WHERE id = 2")
	check(t, err)
	done := make(chan error, 1)
	go func() {
		_, err := c.ExecContext(context.Background(), "UPDATE accounts SET v = v + 1 WHERE id IN (1, 2)")
		done <- err
	}()
	waitFor(t, "the UPDATE waits", func() bool {
		return s.on(0, "SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE DB = 'SCHEMA' AND INFO LIKE '%UPDATE accounts%' AND COMMAND = 'Query'") == "1"
	})
	other := connTo(t, s.servers[1], "", "")
	other.exec("SET innodb_lock_wait_timeout = 1")
	if _, err := other.ExecContext(t.Context(), "UPDATE "+s.schema+".accounts SET v = 5 WHERE id = 1"); err != nil {
		t.Errorf("the row of the second backend: %v", err)
	}
	check(t, hold.Commit())
	check(t, <-done)
	if got := c.rows("SELECT id, v FROM accounts ORDER BY id"); got != "1,6 2,4" {
		t.Error(got)
	}
}
