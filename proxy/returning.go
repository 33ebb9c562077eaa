package proxy

import (
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/xaproxy/xaproxy/router"
	"github.com/xaproxy/xaproxy/wire"
)

// returning carries out a change of several backends that answers with the rows that it has changed: INSERT, REPLACE or DELETE ...
// RETURNING. The client gets none before all backends have done their part, so the rows are in memory, within the user's budget.
func (s *session) returning(p *router.Plan, r *request) error {
	st := &stepping{session: s, plan: p}
	var recs []*wire.Recording
	e := s.whole(p, func() *wire.Error {
		size := int64(0)
		for _, part := range p.Parts {
			one := *p
			one.Parts, one.Merge = []router.Part{part}, router.MergeNone
			rec, e := s.record(&one, r.share(part), s.user.bytes)
			if e != nil {
				return e
			}
			if size += rec.Size(); rec.Overrun() || s.user.bytes > 0 && size > s.user.bytes {
				return wire.NewError(wire.CodeTooBigSelect, "the statement returns rows of more than max_scratch_bytes = %d of user '%s': %d bytes; change fewer rows at a time, or change the setting",
					s.user.bytes, s.login.User, size)
			}
			if s.past.errno != 0 {
				return clientError(failure(rec), false)
			}
			if e := st.heard(); e != nil {
				return e
			}
			recs = append(recs, rec)
		}
		return nil
	})
	var readers []*wire.Reader
	for _, rec := range recs {
		if e != nil {
			break
		}
		rows, err := rec.ReadColumns()
		if err != nil {
			e = clientError(err, false)
		} else if readers = append(readers, rows); !slices.EqualFunc(rows.Columns, readers[0].Columns, alike) && r.bound != nil {
			e = wire.NewError(wire.CodeUnknown, "the answers of the backends differ in the types of their columns")
		}
	}
	if e != nil {
		return s.fail(e)
	}
	rows, err := s.returned(p, readers)
	s.past.next()
	s.past.rowCount, s.past.foundRows, s.past.warnings, s.past.lines = -1, rows, st.warnings, st.lines
	if err != nil {
		return err
	}
	end := wire.OK{Status: s.status(), Warnings: uint16(min(st.warnings+int(s.relay.AddWarnings), math.MaxUint16))}
	if s.conn.Caps().Has(wire.DeprecateEOF) {
		s.track.tell(&end, true)
	}
	return s.conn.WriteEOF(end)
}

// returned writes the rows for the client: those of an INSERT in its order, unless some of its rows have none.
func (s *session) returned(p *router.Plan, from []*wire.Reader) (n uint64, err error) {
	if err := s.conn.WriteColumns(from[0].Definitions, s.status()); err != nil {
		return 0, err
	}
	to := s.conn.WriteRows()
	defer func() { err = errors.Join(err, to.End()) }()
	ended := make([]bool, len(from))
	next := func(i int) (bool, error) {
		if ended[i] {
			return false, nil
		}
		row, err := from[i].Next()
		if err != nil || row == nil {
			ended[i] = true
			return false, err
		}
		n++
		return true, to.Write(row)
	}
	for _, b := range p.Order {
		if _, err := next(slices.IndexFunc(p.Parts, func(part router.Part) bool { return part.Backend == b })); err != nil {
			return n, fmt.Errorf("rows that were returned: %w", err)
		}
	}
	for i := range from {
		for {
			more, err := next(i)
			if err != nil {
				return n, fmt.Errorf("rows that were returned: %w", err)
			}
			if !more {
				break
			}
		}
	}
	return n, nil
}

// failure is the error that an answer ends with, be it behind its rows.
func failure(rec *wire.Recording) error {
	rows, err := rec.ReadColumns()
	for err == nil {
		var row []byte
		if row, err = rows.Next(); row == nil {
			break
		}
	}
	return err
}
