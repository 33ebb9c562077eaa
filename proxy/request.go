package proxy

import (
	"encoding/binary"
	"errors"
	"slices"

	"github.com/xaproxy/xaproxy/backend"
	"github.com/xaproxy/xaproxy/router"
	"github.com/xaproxy/xaproxy/wire"
)

// request is what a statement sends to a backend: a text, or the execution of a prepared statement.
type request struct {
	sql    []byte   // of COM_QUERY; part of the client's packet
	attrs  []byte   // its query attributes, as they came
	text   string   // of a prepared statement
	schema string   // in which its tables are looked up
	bound  *binding // its parameters; nil for COM_QUERY
	named  *naming  // its execution by name; nil for others

	numbers numbers // that were written into it
}

// binding is the parameters of one execution.
type binding struct {
	execute wire.Execute
	long    map[int][]byte // those that were sent as long data
	subset  []int          // which of them are sent, in this order; nil: all
	id      uint32         // the server's statement, once it was sent to one backend with the wish for a cursor
}

// refusedError is a server's refusal to prepare a statement: the statement has failed, and nothing else.
type refusedError struct{ said *wire.Error }

func (e refusedError) Error() string { return e.said.Error() }
func (e refusedError) Unwrap() error { return e.said }

// refusal makes a refusedError of what a server said when it was to prepare a statement.
func refusal(err error) error {
	var said *wire.Error
	if errors.As(err, &said) {
		return refusedError{said}
	}
	return err
}

// part returns what one backend gets of a statement.
func (r *request) part(p router.Part) *request {
	if p.SQL == nil {
		return r
	}
	one := &request{sql: p.SQL, attrs: r.attrs, numbers: r.numbers}
	if r.named != nil {
		using := r.named.using
		if p.Params != nil {
			using = make([]router.Argument, len(p.Params))
			for at, i := range p.Params {
				using[at] = r.named.using[i]
			}
		}
		one.schema, one.named = r.schema, &naming{string(p.SQL), using, r.named.escapes, r.named.set}
	}
	if r.bound != nil {
		one.text, one.schema, one.bound = string(p.SQL), r.schema, &binding{execute: r.bound.execute, long: r.bound.long, subset: p.Params}
	}
	return one
}

// share is part for one of several backends that run at once: it shares nothing with the others that sending it changes.
func (r *request) share(p router.Part) *request {
	one := r.part(p)
	if one == r && r.bound != nil {
		alone, bound := *r, *r.bound
		alone.bound, one = &bound, &alone
	}
	return one
}

// send brings a connection to the session's state, runs lead and sends the request. Errors are those of
// backend.Conn.Begin, and refusedError.
func (r *request) send(c *backend.Conn, s *backend.Session, lead ...string) error {
	if r.bound == nil && r.named == nil {
		return c.Begin(s, r.attrs, r.sql, lead...)
	}
	if err := c.Ready(r.state(s), lead...); err != nil {
		return err
	}
	return r.execute(c)
}

// sendOn is send for a branch.
func (r *request) sendOn(br *backend.Branch, s *backend.Session, opening string, lead ...string) error {
	if r.bound == nil && r.named == nil {
		return br.Begin(s, r.attrs, r.sql, opening, lead...)
	}
	if err := br.Ready(r.state(s), opening, lead...); err != nil {
		return err
	}
	return r.execute(br.Conn())
}

// state is the session's, with the schema that was current when the statement was prepared.
func (r *request) state(s *backend.Session) *backend.Session {
	if s.Schema == r.schema {
		return s
	}
	then := *s
	then.Schema = r.schema
	return &then
}

// longDataPiece is how much of a parameter goes to a backend in one packet: less than any max_allowed_packet that is in use,
// because what the client has sent in pieces may just fit into it, but not together with a header.
const longDataPiece = 1 << 20

// execute sends long data and COM_STMT_EXECUTE on a connection that is ready, for the statement as it is prepared there.
func (r *request) execute(c *backend.Conn) error {
	if r.named != nil {
		return r.named.execute(c, r.attrs)
	}
	id, err := c.Prepared(r.text)
	if err != nil {
		return refusal(err)
	}
	b := r.bound
	if b.execute.Flags != 0 {
		b.id = id
	}
	for i, data := range b.long {
		at := i
		if b.subset != nil {
			if at = slices.Index(b.subset, i); at < 0 {
				continue
			}
		}
		var head [6]byte
		binary.LittleEndian.PutUint32(head[:], id)
		binary.LittleEndian.PutUint16(head[4:], uint16(at))
		for first := true; first || len(data) > 0; first = false { // an empty parameter is one empty piece
			piece := data[:min(len(data), longDataPiece)]
			data = data[len(piece):]
			if err := c.SendCommand(wire.ComStmtSendLongData, head[:], piece); err != nil {
				return c.Lost(err)
			}
		}
	}
	e := &b.execute
	if b.subset == nil {
		err = c.SendExecuteWith(e.Attributes, id, e.Flags, e.Nulls, e.Types, e.Values)
	} else {
		nulls, types := make([]byte, (len(b.subset)+7)/8), make([]byte, 0, 2*len(b.subset))
		var values []byte
		for at, i := range b.subset {
			if e.Null(i) {
				nulls[at/8] |= 1 << (at % 8)
			}
			types = append(types, e.Types[2*i], e.Types[2*i+1])
			values = append(values, e.Raw(i)...)
		}
		err = c.SendExecuteWith(e.Attributes, id, e.Flags, nulls, types, values)
	}
	if err != nil {
		return c.Lost(err)
	}
	return nil
}
