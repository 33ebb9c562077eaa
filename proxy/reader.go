package proxy

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"github.com/xaproxy/xaproxy/gather"
	"github.com/xaproxy/xaproxy/router"
	"github.com/xaproxy/xaproxy/wire"
)

// record runs a part of the client's statement, inside of the transaction, as a statement of its own, and returns what a client would
// have been answered. An error is the statement's; the transaction is over then if s.tx is nil.
func (s *session) record(p *router.Plan, r *request, limit int64) (*wire.Recording, *wire.Error) {
	client, failed := s.conn, s.failed
	rec := wire.NewRecording(client.Caps(), limit)
	s.conn, s.track.muted = rec.Conn, true
	err := s.route(p, r)
	s.conn, s.track.muted, s.failed = client, false, failed
	if err == nil {
		err = rec.Rewind()
	}
	if err != nil { // the answer has broken off
		s.abandon()
		return nil, wire.NewError(wire.CodeRolledBack, "transaction rolled back on all backends, it can be tried again: %v", err)
	}
	return rec, nil
}

// found is the rows that a query has found, in the binary protocol. They are in memory, and can be read once.
type found struct {
	*wire.Reader
	size int64
}

// find runs a query of the proxy's own inside of the transaction and brings its rows into memory, within the user's budgets. If the rows are on
// several backends these are asked one after the other, so that row locks bring everybody who wants the same rows into one order.
// Warnings add to those of the statement.
func (s *session) find(query []byte, st *stepping) (*found, *wire.Error) {
	for range maxReplans {
		plan, err := s.router.Plan(query, s.state.Schema, s.mode)
		if err != nil {
			return nil, clientError(err, false)
		}
		r := &request{text: string(query), schema: s.state.Schema, bound: &binding{}}
		if len(plan.Parts) > 1 && plan.Merge != router.MergeScratch {
			rows, e, again := s.findEach(plan, r, st)
			if again {
				continue
			}
			return rows, e
		}
		rec, e := s.record(plan, r, s.user.bytes)
		if e == nil {
			e = st.heard()
		}
		if e != nil {
			return nil, e
		}
		return s.reread(rec)
	}
	return nil, wire.NewError(wire.CodeUnknown, "the columns of the statement change all the time")
}

// reread begins to read what was recorded.
func (s *session) reread(rec *wire.Recording) (*found, *wire.Error) {
	if rec.Overrun() {
		return nil, s.tooMuch(rec.Size())
	}
	rows, err := rec.ReadColumns()
	if err != nil {
		return nil, clientError(err, false)
	}
	return &found{Reader: rows, size: rec.Size()}, nil
}

// tooMuch is the error of a statement that would have more in memory than the user may.
func (s *session) tooMuch(bytes int64) *wire.Error {
	return wire.NewError(wire.CodeTooBigSelect, "the statement reads rows of more than max_scratch_bytes = %d of user '%s' before it writes: %d bytes; change fewer rows at a time, or change the setting",
		s.user.bytes, s.login.User, bytes)
}

// findEach asks one backend after the other and puts the answers together. again tells that the plan has learnt that another one is needed.
func (s *session) findEach(plan *router.Plan, r *request, st *stepping) (_ *found, _ *wire.Error, again bool) {
	var conns []*wire.Conn
	size := int64(0)
	for _, part := range plan.Parts {
		one := *plan
		one.Parts, one.Merge, one.Stream = []router.Part{part}, router.MergeNone, nil
		rec, e := s.record(&one, r.share(part), s.user.bytes)
		if e == nil {
			e = st.heard()
		}
		if e != nil {
			return nil, e, false
		}
		if size += rec.Size(); rec.Overrun() || s.user.bytes > 0 && size > s.user.bytes {
			return nil, s.tooMuch(size), false
		}
		if s.gen.mixed {
			var err error
			if rec, err = widened(rec); err != nil {
				return nil, clientError(err, false), false
			}
		}
		conns = append(conns, rec.Conn)
	}
	whole := wire.NewRecording(s.conn.Caps(), 0)
	err := concatenate(whole, conns, plan.Stream)
	var unfit *gather.Unfit
	if errors.As(err, &unfit) {
		plan.Stream.Learn(unfit.I, unfit.Form)
		return nil, nil, true
	}
	if err != nil {
		return nil, clientError(err, false), false
	}
	rows, e := s.reread(whole)
	return rows, e, false
}

// concatenate writes what was recorded of several backends into one recording: merged as spec says, or as it is without one.
func concatenate(to *wire.Recording, from []*wire.Conn, spec *router.Stream) error {
	if spec != nil {
		var a gather.Answer
		if err := a.Merge(to.Conn, from, spec, true, 0); err != nil {
			return err
		}
	} else if err := each(to, from); err != nil {
		return err
	}
	if err := to.WriteEOF(wire.OK{}); err != nil {
		return err
	}
	return to.Rewind()
}

// each writes the rows of one answer behind those of another.
func each(to *wire.Recording, from []*wire.Conn) error {
	var columns []wire.Column
	for _, c := range from {
		rows, err := c.ReadColumns()
		if err != nil {
			return err
		}
		if columns == nil {
			columns = rows.Columns
			if err := to.WriteColumns(rows.Definitions, 0); err != nil {
				return err
			}
		}
		if !slices.EqualFunc(columns, rows.Columns, alike) {
			return fmt.Errorf("%w: their columns are of other types", wire.ErrShape)
		}
		for row, err := rows.Next(); row != nil || err != nil; row, err = rows.Next() {
			if err != nil {
				return err
			}
			if err := to.WritePacket(row); err != nil {
				return err
			}
		}
	}
	return nil
}

// alike tells whether values of two columns mean the same in rows of the binary protocol.
func alike(a, b wire.Column) bool {
	return (a.Type == b.Type || isText(&a) && isText(&b)) && (a.Flags^b.Flags)&wire.FlagUnsigned == 0
}

// widened is an answer whose integers are all of the widest type: servers of two kinds have types of their own for the same expression.
func widened(rec *wire.Recording) (*wire.Recording, error) {
	rows, err := rec.ReadColumns()
	if err != nil {
		return nil, err
	}
	columns := slices.Clone(rows.Columns)
	definitions := make([][]byte, len(columns))
	for i := range columns {
		switch columns[i].Type {
		case wire.TypeTiny, wire.TypeShort, wire.TypeInt24, wire.TypeLong:
			columns[i].Type = wire.TypeLongLong
		}
		definitions[i] = columns[i].Append(nil)
	}
	to := wire.NewRecording(rec.Caps(), 0)
	if err := to.WriteColumns(definitions, 0); err != nil {
		return nil, err
	}
	var x wire.Execute
	values := make([][]byte, len(columns))
	for row, err := rows.Next(); row != nil || err != nil; row, err = rows.Next() {
		if err == nil {
			err = x.Row(row, rows.Columns)
		}
		if err != nil {
			return nil, err
		}
		for i := range columns {
			switch bits, integer := uint64(0), columns[i].Type == wire.TypeLongLong; {
			case x.Null(i):
				values[i] = nil
			case integer:
				bits, _ = x.Integer(i)
				values[i] = binary.LittleEndian.AppendUint64(nil, bits)
			default:
				values[i] = x.Value(i)
			}
		}
		if err := to.WritePacket(wire.AppendRow(nil, true, columns, values)); err != nil {
			return nil, err
		}
	}
	if err := to.WriteEOF(wire.OK{}); err != nil {
		return nil, err
	}
	return to, to.Rewind()
}
