package integration

import (
	"context"
	"strings"
	"testing"

	"github.com/xaproxy/xaproxy/config"
	"github.com/xaproxy/xaproxy/tests/servers"
)

// TestViewsOfSeveralBackends: a view that was made on the backends themselves is not answered with what one of them has.
func TestViewsOfSeveralBackends(t *testing.T) {
	t.Parallel()
	s := newStack(t, []servers.Kind{servers.MySQL, servers.MariaDB}, func(c *config.Config) {
		on := c.Tables[0].Backends
		for _, name := range []string{"numbers", "apiece"} {
			c.Tables = append(c.Tables, config.Table{Schema: c.Tables[0].Schema, Name: name, Column: "k", Function: "hash", Backends: on})
		}
	})
	for _, server := range s.servers {
		admin(t, server, "CREATE TABLE "+s.schema+".numbers (k INT NOT NULL, v INT)", "CREATE TABLE "+s.schema+".home (k INT NOT NULL, numbers INT)")
		for _, view := range []string{"some AS SELECT k, v FROM numbers", "more AS SELECT k FROM some", "few AS SELECT k, numbers FROM home", "apiece AS SELECT k, v FROM numbers"} {
			admin(t, server, "CREATE VIEW "+s.schema+"."+strings.ReplaceAll(view, "FROM ", "FROM "+s.schema+"."))
		}
	}
	c := s.conn()
	c.exec("INSERT INTO numbers (k, v) VALUES (1, 1), (2, 2), (3, 3), (4, 4), (5, 5)", "INSERT INTO home VALUES (1, 2)",
		"CREATE TABLE other (k INT)") // DDL makes the proxy look again
	for _, q := range []string{"SELECT v FROM some WHERE k = 3", "SELECT COUNT(*) FROM more", "SELECT k FROM some GROUP BY k WITH ROLLUP", "INSERT INTO home SELECT k, v FROM some"} {
		waitFor(t, q+" is refused", func() bool {
			_, err := c.ExecContext(context.Background(), q)
			return err != nil && strings.Contains(err.Error(), "1235")
		})
	}
	if got := c.rows("SELECT k, numbers FROM few"); got != "1,2" {
		t.Errorf("the view of what is on one backend has the rows %s", got)
	}
	if got := c.rows("SELECT COUNT(*) FROM apiece"); got != "5" {
		t.Errorf("the view with an entry of its own has %s rows", got)
	}
}
