package integration

import (
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/xaproxy/xaproxy/config"
	"github.com/xaproxy/xaproxy/tests/proxytest"
)

// TestLogMovedAway: while the decision log is not in its place, transactions on several backends roll back and say why, others go on, and
// nothing is in doubt. It needs no restart when the log is back.
func TestLogMovedAway(t *testing.T) {
	t.Parallel()
	r := newReloaded(t, config.FileStore, three(t), nil)
	c := r.conn(proxytest.User, proxytest.Password)
	c.exec("INSERT INTO accounts VALUES (0, 1), (1, 1)")
	dir := r.LogDir()
	check(t, os.Rename(dir, dir+".away"))
	for range 2 {
		c.exec("BEGIN", "UPDATE accounts SET v = v + 1 WHERE id = 0", "UPDATE accounts SET v = v + 1 WHERE id = 1")
		if e := c.fails(1180, "COMMIT"); !strings.Contains(e, "the decision log was moved or removed, put it back") {
			t.Errorf("error %s", e)
		}
		c.exec("UPDATE accounts SET v = v + 10 WHERE id = 0")
	}
	check(t, os.Rename(dir+".away", dir))
	c.exec("BEGIN", "UPDATE accounts SET v = v + 100 WHERE id = 0", "UPDATE accounts SET v = v + 100 WHERE id = 1", "COMMIT")
	if got := c.rows("SELECT GROUP_CONCAT(v ORDER BY id) FROM accounts"); got != "121,101" {
		t.Errorf("values %s, want 121,101", got)
	}
	for _, s := range r.servers {
		left, err := s.Prepared(t.Context())
		check(t, err)
		if left = slices.DeleteFunc(left, func(branch string) bool { return !r.Owns(branch) }); len(left) > 0 {
			t.Errorf("%s: %q are prepared", s, left)
		}
	}
}
