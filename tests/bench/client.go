//go:build linux

package main

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"

	"github.com/xaproxy/xaproxy/wire"
)

// client is one connection. It reads answers packet by packet and decodes nothing.
type client struct {
	conn     *wire.Conn
	text     []byte // of the statement, used again
	prepared uint32 // the statement of pointPrepared; 0 before it was prepared
	received int64  // bytes of the rows
}

// load is a statement that clients send again and again.
type load struct {
	name string
	run  func(*client) error
}

var loads = []load{
	{"point select", (*client).point},
	{"point select, prepared", (*client).pointPrepared},
	{fmt.Sprintf("%d-row range", span), (*client).between},
}

func (c *client) point() error {
	c.text = append(c.text[:0], "SELECT c FROM items WHERE id = "...)
	c.text = strconv.AppendInt(c.text, int64(1+rand.IntN(rows)), 10)
	return c.query(c.text)
}

func (c *client) between() error {
	first := int64(1 + rand.IntN(rows-span))
	c.text = append(c.text[:0], "SELECT id, k, c FROM items WHERE id BETWEEN "...)
	c.text = strconv.AppendInt(c.text, first, 10)
	c.text = append(c.text, " AND "...)
	c.text = strconv.AppendInt(c.text, first+span-1, 10)
	return c.query(c.text)
}

// oneInt are the types of one parameter, and oneValue that it is not NULL.
var (
	oneInt   = []byte{byte(wire.TypeLong), 0}
	oneValue = []byte{0}
)

// pointPrepared executes the point select with its key bound as an integer.
func (c *client) pointPrepared() error {
	if c.prepared == 0 {
		if err := c.conn.SendCommand(wire.ComStmtPrepare, []byte("SELECT c FROM items WHERE id = ?")); err != nil {
			return err
		}
		p, err := c.conn.ReadPrepared()
		if err != nil {
			return err
		}
		c.prepared = p.ID
	}
	c.text = binary.LittleEndian.AppendUint32(c.text[:0], uint32(1+rand.IntN(rows)))
	if err := c.conn.SendExecute(c.prepared, 0, oneValue, oneInt, c.text); err != nil {
		return err
	}
	return c.result()
}

// dial opens a connection of a path.
func (p *path) dial(ctx context.Context, d wire.Dialer) (*client, error) {
	d.Addr, d.User, d.Password, d.Schema = p.addr, p.user, p.password, schema
	conn, _, err := d.Dial(ctx)
	if err != nil {
		return nil, fmt.Errorf("connect to %s: %w", p.name, err)
	}
	return &client{conn: conn}, nil
}

// query runs a statement that answers with one result set.
func (c *client) query(text []byte) error {
	if err := c.conn.SendCommand(wire.ComQuery, text); err != nil {
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
	for n := 0; ; n++ {
		p, err := c.conn.ReadPacket()
		switch {
		case err != nil:
			return err
		case len(p) > 0 && p[0] == 0xFE && len(p) < 64: // a row that begins with 0xFE is longer than 16 MB
			if n == 0 {
				return errors.New("the answer has no rows")
			}
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
