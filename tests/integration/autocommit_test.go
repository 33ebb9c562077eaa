package integration

import (
	"fmt"
	"testing"

	"github.com/xaproxy/xaproxy/tests/servers"
)

// TestServersWithoutAutocommit: what a client is told to be written is written, also where servers begin sessions without autocommit.
func TestServersWithoutAutocommit(t *testing.T) {
	t.Parallel()
	s := newStackOn(t, []*servers.Server{ownServer(t, servers.MariaDB, "--autocommit=0"), ownServer(t, servers.MySQL, "--autocommit=0")}, nil)
	for i, in := range [][2]string{{"DO 0", "DO 0"}, {"BEGIN", "COMMIT"}, {"SET autocommit = 0", "SET autocommit = 1"}} {
		c := s.conn()
		c.exec(in[0],
			fmt.Sprintf("INSERT INTO single (id) VALUES (%d)", i+1),
			fmt.Sprintf("INSERT INTO accounts (id, v) VALUES (%d, 1)", 2*i+1), // on the second backend
			fmt.Sprintf("INSERT INTO accounts (id, v) VALUES (%d, 1), (%d, 1)", 10+2*i, 11+2*i),
			in[1])
		// The next client gets these connections after a reset.
		c.exec("SET SESSION sql_mode = ''", fmt.Sprintf("UPDATE single SET v = 1 WHERE id = %d", i+1), fmt.Sprintf("UPDATE accounts SET v = 2 WHERE id = %d", 2*i+1))
	}
	c := s.conn()
	if got := c.rows("SELECT id, v FROM single ORDER BY id"); got != "1,1 2,1 3,1" {
		t.Errorf("single has %s", got)
	}
	if got := c.rows("SELECT id, v FROM accounts ORDER BY id"); got != "1,2 3,2 5,2 10,1 11,1 12,1 13,1 14,1 15,1" {
		t.Errorf("accounts have %s", got)
	}
}
