package backend

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/xaproxy/xaproxy/wire"
)

// Alone opens a connection that is not of the pool, in the state s. Its user ends it. It does not wait for
// start checks.
func (b *Backend) Alone(ctx context.Context, s *Session) (*Conn, error) {
	fresh := *s
	fresh.Set = [2]Set{}
	c, err := b.dial(ctx, &fresh)
	if err != nil {
		return nil, err
	}
	if err := c.within(func() error { return c.Ready(s) }); err != nil {
		c.End()
		return nil, err
	}
	return c, nil
}

// End closes a connection of Alone.
func (c *Conn) End() { c.close() }

// Apart runs f on a connection that is not of the pool, with texts in utf8mb4 and an empty sql_mode, or where statements
// are translated a strict one, within connect_timeout.
// Errors are *wire.Error or say which backend it was.
func (b *Backend) Apart(ctx context.Context, f func(*Conn) error) error {
	c, err := b.Alone(ctx, &Session{})
	if err != nil {
		return err
	}
	defer c.End()
	return c.within(func() error {
		mode := ""
		if b.Translates() {
			mode = "STRICT_TRANS_TABLES"
		}
		if err := c.Exec("SET NAMES utf8mb4, sql_mode = '" + mode + "'"); err != nil {
			return err
		}
		return f(c)
	})
}

// HasDatabase reports whether the server has the schema.
func (b *Backend) HasDatabase(ctx context.Context, schema string) (there bool, err error) {
	err = b.Apart(ctx, func(c *Conn) error {
		err := c.Exec("SHOW CREATE DATABASE " + Quote(schema))
		var said *wire.Error
		if there = err == nil; errors.As(err, &said) && said.Errno == wire.CodeUnknownDatabase.Errno() {
			return nil
		}
		return err
	})
	return there, err
}

// Sample reads columns, quoted, of so many rows of a table, the first ones in the order of further columns if there are any, and calls row for each of them.
func (b *Backend) Sample(ctx context.Context, schema, table string, columns, order []string, rows int, row func([][]byte) error) error {
	first := ""
	if len(order) > 0 {
		first = " ORDER BY " + strings.Join(order, ", ")
	}
	return b.Apart(ctx, func(c *Conn) error {
		answer, err := c.query(fmt.Sprintf("SELECT %s FROM %s.%s%s LIMIT %d", strings.Join(columns, ", "), Quote(schema), Quote(table), first, rows), maxSample)
		if err != nil {
			return err
		}
		for _, r := range answer.Values {
			if err := row(r); err != nil {
				return err
			}
		}
		return nil
	})
}

// maxSample bounds the answer of Sample, in bytes.
const maxSample = 64 << 20
