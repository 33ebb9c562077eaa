//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"

	"github.com/xaproxy/xaproxy/wire"
)

// client is one connection. It reads answers packet by packet and decodes nothing.
type client struct {
	conn *wire.Conn
	text []byte // of the statement, used again
	// received counts the bytes of the rows.
	received int64
}

// statement appends a statement with a random key.
type statement func(text []byte) []byte

func point(text []byte) []byte {
	text = append(text, "SELECT c FROM items WHERE id = "...)
	return strconv.AppendInt(text, int64(1+rand.IntN(rows)), 10)
}

func between(text []byte) []byte {
	first := int64(1 + rand.IntN(rows-span))
	text = append(text, "SELECT id, k, c FROM items WHERE id BETWEEN "...)
	text = strconv.AppendInt(text, first, 10)
	text = append(text, " AND "...)
	return strconv.AppendInt(text, first+span-1, 10)
}

// connect opens the connections of a path.
func (p *path) connect(ctx context.Context, n int) error {
	for range n {
		d := wire.Dialer{Addr: p.addr, User: p.user, Password: p.password, Schema: schema}
		conn, _, err := d.Dial(ctx)
		if err != nil {
			return fmt.Errorf("connect to %s: %w", p.name, err)
		}
		p.clients = append(p.clients, &client{conn: conn})
	}
	return nil
}

func (p *path) close() {
	for _, c := range p.clients {
		_ = c.conn.Close() // the other side is about to end anyway
	}
}

// query runs a statement that answers with one result set.
func (c *client) query(s statement) error {
	c.text = s(c.text[:0])
	if err := c.conn.SendCommand(wire.ComQuery, c.text); err != nil {
		return err
	}
	return c.result()
}

func (c *client) result() error {
	p, err := c.conn.ReadPacket()
	if err != nil {
		return err
	}
	if len(p) != 1 || p[0] == 0 || p[0] >= 0xFB {
		return c.unexpected(p)
	}
	heads := int(p[0])
	if !c.conn.Caps().Has(wire.DeprecateEOF) {
		heads++
	}
	for range heads {
		if _, err := c.conn.ReadPacket(); err != nil {
			return err
		}
	}
	for {
		p, err := c.conn.ReadPacket()
		switch {
		case err != nil:
			return err
		case len(p) > 0 && p[0] == 0xFE && len(p) < 64: // a row that begins with 0xFE is longer than 16 MB
			return nil
		case len(p) > 0 && p[0] == 0xFF:
			return c.unexpected(p)
		}
		c.received += int64(len(p))
	}
}

func (c *client) unexpected(p []byte) error {
	if len(p) > 0 && p[0] == 0xFF {
		said, err := wire.ParseErr(p, c.conn.Caps())
		if err != nil {
			return err
		}
		return said
	}
	return errors.New("the answer is no result set")
}
