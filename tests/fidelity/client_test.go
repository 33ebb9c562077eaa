package fidelity

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"syscall"
	"time"

	"github.com/xaproxy/xaproxy/wire"
)

// endpoint is where a client logs in: the server itself or the proxy.
type endpoint struct {
	addr, user, password, schema string
}

// client is one raw connection. What it knows of the protocol is where a reply ends.
type client struct {
	*framing
	at         endpoint
	caps       wire.Capability   // that were agreed on
	id         uint32            // of the connection
	plugin     string            // of the last authentication
	changing   string            // the password for COM_CHANGE_USER
	ids        map[string]uint32 // of prepared statements, by the script's names
	file       []string          // pieces of the file that it answers a LOCAL INFILE request with
	attributes []attribute       // of its statements
}

// stepTimeout bounds one exchange. It is long because it only ends a test that has failed.
const stepTimeout = 10 * time.Second

// replies say how the reply to a command ends.
type reply int

const (
	noReply    reply = iota
	onePacket        // OK, EOF, ERR, or a string
	results          // of COM_QUERY and COM_STMT_EXECUTE
	opened           // of COM_STMT_EXECUTE with the wish for a cursor
	rows             // of COM_STMT_FETCH and COM_FIELD_LIST
	prepare          // of COM_STMT_PREPARE
	changed          // of COM_CHANGE_USER
	everything       // whatever comes until the server closes the connection
)

// ask sends a command and reads all of the reply.
func (c *client) ask(how reply, command wire.Command, arg []byte) *exchange {
	c.restart()
	return c.exchange(how, append([]byte{byte(command)}, arg...))
}

// exchange sends a packet, unless it is nil, and reads all of the reply.
func (c *client) exchange(how reply, payload []byte) *exchange {
	x := &exchange{caps: c.caps}
	err := c.SetDeadline(time.Now().Add(stepTimeout))
	if err == nil && payload != nil {
		err = c.write(payload)
	}
	// A peer that closed while the command was on its way may still have said why.
	if err == nil || errors.Is(err, syscall.EPIPE) || errors.Is(err, syscall.ECONNRESET) {
		err = c.hear(how, x)
	}
	x.ended(err)
	if c.below != nil { // the ids inside of compressed packets depend on what was flushed when
		for i := range x.packets {
			x.packets[i].seq = 0
		}
	}
	return x
}

// next reads one packet into x.
func (c *client) next(x *exchange) ([]byte, error) {
	p, err := c.read()
	if err != nil {
		return nil, err
	}
	x.packets = append(x.packets, p)
	if len(p.payload) == 0 {
		return nil, errors.New("empty packet")
	}
	return p.payload, nil
}

// hear reads a reply.
func (c *client) hear(how reply, x *exchange) error {
	switch how {
	case onePacket:
		p, err := c.next(x)
		if err == nil && (p[0] == isOK || p[0] == isEOF) {
			x.last().ok = true
		}
		return err
	case results, opened:
		for {
			if more, err := c.result(x, how == opened); err != nil || !more {
				return err
			}
		}
	case rows:
		_, err := c.rows(x)
		return err
	case prepare:
		return c.prepared(x)
	case changed:
		return c.authenticate(c.changing, "", false, x)
	case everything:
		for {
			if _, err := c.next(x); err != nil {
				return err
			}
		}
	}
	return nil
}

// result reads one result and says whether another follows. The flag that says that rows are to be fetched only counts where
// there can be a cursor of the client's: results of procedures that have one of their own open have it as well.
//
// Source: MySQL page_protocol_com_query_response.
func (c *client) result(x *exchange, cursor bool) (more bool, err error) {
	p, err := c.next(x)
	if err != nil {
		return false, err
	}
	switch p[0] {
	case isErr:
		return false, nil
	case isOK:
		return c.more(x)
	case isInfile:
		for _, piece := range append(slices.Clone(c.file), "") {
			if err := c.write([]byte(piece)); err != nil {
				return false, err
			}
		}
		if p, err = c.next(x); err != nil || p[0] == isErr {
			return false, err
		}
		return c.more(x)
	}
	columns, _ := wire.ReadInt(p)
	for range columns {
		if p, err = c.next(x); err != nil || p[0] == isErr {
			return false, err
		}
	}
	outParams := false // of them MySQL says in the first EOF alone that another result follows
	if !c.caps.Has(wire.DeprecateEOF) {
		if p, err = c.next(x); err != nil || p[0] == isErr {
			return false, err
		}
		x.last().ok = true
		ok, err := wire.ParseOK(p, c.caps)
		if err != nil || cursor && ok.Status&wire.StatusCursorExists != 0 {
			return false, err
		}
		outParams = ok.Status&wire.StatusPSOutParams != 0
	}
	if p, err = c.rows(x); err != nil || p[0] == isErr {
		return false, err
	}
	more, err = c.more(x)
	return more || outParams, err
}

// more reads the OK or EOF that has just come.
func (c *client) more(x *exchange) (bool, error) {
	x.last().ok = true
	ok, err := wire.ParseOK(x.last().payload, c.caps)
	return ok.Status&wire.StatusMoreResults != 0, err
}

// rows reads up to the packet that ends rows, and returns that.
func (c *client) rows(x *exchange) ([]byte, error) {
	most := longest
	if !c.caps.Has(wire.DeprecateEOF) {
		most = 9
	}
	for {
		p, err := c.next(x)
		switch {
		case err != nil || p[0] == isErr:
			return p, err
		case p[0] == isEOF && len(p) < most:
			x.last().ok = true
			return p, nil
		}
		x.last().row = true
	}
}

// prepared reads the definitions behind a COM_STMT_PREPARE_OK.
//
// Source: MySQL page_protocol_com_stmt_prepare.
func (c *client) prepared(x *exchange) error {
	p, err := c.next(x)
	if err != nil || p[0] == isErr {
		return err
	}
	if len(p) < 12 {
		return fmt.Errorf("not an answer to a prepare: %q", p)
	}
	for _, at := range []int{7, 5} { // parameters, then columns
		n := int(binary.LittleEndian.Uint16(x.packets[0].payload[at:]))
		if n > 0 && !c.caps.Has(wire.DeprecateEOF) {
			n++
		}
		for range n {
			p, err := c.next(x)
			if err != nil {
				return err
			}
			x.last().ok = p[0] == isEOF
		}
	}
	return nil
}
