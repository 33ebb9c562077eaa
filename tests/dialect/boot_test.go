package dialect

import (
	"testing"

	"github.com/xaproxy/xaproxy/tests/servers"
	"github.com/xaproxy/xaproxy/tests/servers/servertest"
)

func TestMain(m *testing.M) { servertest.Main(m) }

// boot has the servers, and a database on PostgreSQL.
func boot(t *testing.T) (m, p *servers.Server, database string) {
	t.Helper()
	m, p = servertest.Get(t, servers.MySQL), servertest.Get(t, servers.Postgres)
	return m, p, servertest.Database(t, p)
}
