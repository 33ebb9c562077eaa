// Package postgres_test shows PostgreSQL databases as backends, on real servers: the MySQL face of one of them, and transactions over
// MariaDB and PostgreSQL through a proxy.
package postgres_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"

	"github.com/xaproxy/xaproxy/backend/postgres"
	"github.com/xaproxy/xaproxy/tests/servers"
	"github.com/xaproxy/xaproxy/tests/servers/servertest"
)

func TestMain(m *testing.M) { servertest.Main(m) }

// face is one PostgreSQL database seen as a MySQL server.
type face struct {
	t        testing.TB
	server   *servers.Server
	database string
	dialer   *postgres.Dialer
}

// newFace makes a database with the schema "shop".
func newFace(t testing.TB, script ...string) *face {
	return newFaceOn(t, servertest.Get(t, servers.Postgres), script...)
}

// newFaceOn is newFace on a server of the test's own.
func newFaceOn(t testing.TB, s *servers.Server, script ...string) *face {
	f := &face{t: t, server: s, database: servertest.Database(t, s)}
	f.psql(append([]string{"CREATE SCHEMA shop", "SET search_path TO shop"}, script...)...)
	f.dialer = &postgres.Dialer{Network: "tcp", Addr: s.Addr(), User: s.User, Password: s.Password, Database: f.database, Timeout: 10 * time.Second}
	return f
}

// psql runs statements on the database itself and returns their rows.
func (f *face) psql(statements ...string) string {
	f.t.Helper()
	out, err := f.server.PSQL(context.Background(), "\\connect "+f.database+"\nSET search_path TO shop;\n"+strings.Join(statements, ";\n")+";\n")
	if err != nil {
		f.t.Fatal(err)
	}
	return strings.TrimSpace(out)
}

// db opens a pool of connections to the face.
func (f *face) db(change ...func(*mysql.Config)) *sql.DB {
	f.t.Helper()
	c := mysql.NewConfig()
	c.User, c.Net, c.Addr, c.DBName = "u", "tcp", "postgres", "shop"
	c.InterpolateParams, c.MultiStatements = true, true
	c.DialFunc = func(ctx context.Context, _, _ string) (net.Conn, error) { return f.dialer.Dial(ctx) }
	for _, ch := range change {
		ch(c)
	}
	connector, err := mysql.NewConnector(c)
	if err != nil {
		f.t.Fatal(err)
	}
	db := sql.OpenDB(connector)
	f.t.Cleanup(func() {
		if err := db.Close(); err != nil {
			f.t.Error(err)
		}
	})
	return db
}

// conn is one connection to the face.
func (f *face) conn(change ...func(*mysql.Config)) *conn {
	f.t.Helper()
	c, err := f.db(change...).Conn(context.Background())
	if err != nil {
		f.t.Fatal(err)
	}
	f.t.Cleanup(func() { _ = c.Close() }) // a test may have broken it
	return &conn{f.t, c}
}

type conn struct {
	t testing.TB
	*sql.Conn
}

// pg is in front of statements in PostgreSQL's words.
const pg = "/* xaproxy: dialect=postgres */ "

func (c *conn) exec(statement string, args ...any) sql.Result {
	c.t.Helper()
	r, err := c.ExecContext(context.Background(), statement, args...)
	if err != nil {
		c.t.Fatalf("%s: %v", statement, err)
	}
	return r
}

// fails runs a statement that must fail with that error number, and returns the message.
func (c *conn) fails(errno uint16, statement string, args ...any) string {
	c.t.Helper()
	_, err := c.ExecContext(context.Background(), statement, args...)
	return wants(c.t, err, errno, statement)
}

func wants(t testing.TB, err error, errno uint16, statement string) string {
	t.Helper()
	var e *mysql.MySQLError
	if !errors.As(err, &e) || e.Number != errno {
		t.Fatalf("%s: got %v, want error %d", statement, err, errno)
	}
	return fmt.Sprintf("%d (%s): %s", e.Number, e.SQLState[:], e.Message)
}

// rows runs a query and returns its rows, a line each, values separated by "|".
func (c *conn) rows(query string, args ...any) string {
	c.t.Helper()
	rows, err := c.QueryContext(context.Background(), query, args...)
	if err != nil {
		c.t.Fatalf("%s: %v", query, err)
	}
	defer rows.Close()
	names, err := rows.Columns()
	if err != nil {
		c.t.Fatal(err)
	}
	var lines []string
	for rows.Next() {
		values := make([]sql.NullString, len(names))
		into := make([]any, len(names))
		for i := range values {
			into[i] = &values[i]
		}
		if err := rows.Scan(into...); err != nil {
			c.t.Fatal(err)
		}
		line := make([]string, len(names))
		for i, v := range values {
			if line[i] = v.String; !v.Valid {
				line[i] = "NULL"
			}
		}
		lines = append(lines, strings.Join(line, "|"))
	}
	if err := rows.Err(); err != nil {
		c.t.Fatalf("%s: %v", query, err)
	}
	return strings.Join(lines, "\n")
}

func (c *conn) wantRows(want, query string, args ...any) {
	c.t.Helper()
	if got := c.rows(query, args...); got != want {
		c.t.Errorf("%s\ngot\n%s\nwant\n%s", query, got, want)
	}
}
