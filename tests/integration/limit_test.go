package integration

import (
	"strconv"
	"strings"
	"testing"

	"github.com/xaproxy/xaproxy/tests/servers"
	"github.com/xaproxy/xaproxy/wire"
)

// reads is how many rows a server has read since its start.
func reads(t *testing.T, s *servers.Server) (n int) {
	t.Helper()
	status := "information_schema.GLOBAL_STATUS"
	if s.Kind == servers.MySQL {
		status = "performance_schema.global_status"
	}
	if err := pool(t, s).QueryRow("SELECT SUM(VARIABLE_VALUE) FROM " + status + ` WHERE VARIABLE_NAME LIKE 'Handler\_read\_%'`).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

// TestLimitReads: with LIMIT each shard reads what the client may get of it, not its table. The counters are the servers' own.
func TestLimitReads(t *testing.T) {
	const rows = 20_000
	s := newStack(t, []servers.Kind{servers.MariaDB, servers.MySQL}, nil)
	for i, server := range s.servers {
		var values strings.Builder
		for n := range rows {
			values.WriteString(map[bool]string{true: "(", false: ", ("}[n == 0])
			values.WriteString(strconv.Itoa(n*2+i) + ", 1, NULL)")
		}
		admin(t, server, "INSERT INTO "+s.schema+".accounts VALUES "+values.String())
	}
	c := dial(t, wire.Dialer{Addr: s.addr, User: "u", Password: "pw", Schema: s.schema})
	for _, q := range []struct {
		sql  string
		want int
	}{
		{"SELECT id, v FROM accounts LIMIT 10", 10},
		{"SELECT id, v FROM accounts ORDER BY id LIMIT 10", 10},
		{"SELECT id, v FROM accounts ORDER BY id DESC LIMIT 10", 10},
		{"SELECT id, v FROM accounts WHERE id > 500 ORDER BY id LIMIT 100, 10", 110},
	} {
		var before, noise [2]int
		for i, server := range s.servers {
			first := reads(t, server)
			before[i] = reads(t, server)
			noise[i] = before[i] - first // of asking
		}
		scratchSays(t, c, q.sql)
		for i, server := range s.servers {
			if n := reads(t, server) - before[i] - noise[i]; n > q.want+50 {
				t.Errorf("%s: %s has read %d rows of %d", q.sql, server.Kind, n, rows)
			}
		}
	}
}
