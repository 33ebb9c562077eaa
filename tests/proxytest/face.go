package proxytest

import (
	"context"
	"database/sql"
	"net"
	"time"

	"github.com/go-sql-driver/mysql"

	"github.com/xaproxy/xaproxy/backend/postgres"
	"github.com/xaproxy/xaproxy/tests/servers"
)

// Direct opens a pool of the administrator's connections to a server, around the proxy. PostgreSQL appears as a MySQL server, too, with what
// translated statements use.
func Direct(ctx context.Context, s *servers.Server) (*sql.DB, error) {
	if s.Kind != servers.Postgres {
		return s.DB()
	}
	d := &postgres.Dialer{Network: "tcp", Addr: s.Addr(), User: s.User, Password: s.Password, Database: "postgres", Timeout: 10 * time.Second}
	if err := d.SetUp(ctx); err != nil {
		return nil, err
	}
	c := mysql.NewConfig()
	c.User, c.Net, c.Addr = s.User, "tcp", "postgres"
	c.Logger = &mysql.NopLogger{} // a server that is being killed is no news
	c.DialFunc = func(ctx context.Context, _, _ string) (net.Conn, error) { return d.Dial(ctx) }
	connector, err := mysql.NewConnector(c)
	if err != nil {
		return nil, err
	}
	return sql.OpenDB(connector), nil
}
