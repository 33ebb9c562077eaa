package postgres

import (
	"database/sql/driver"
	"io"

	"github.com/xaproxy/xaproxy/wire"
)

// answer is the answer to one statement.
type answer struct {
	s      *session
	more   bool // another statement of the same command follows
	binary bool // rows as those of COM_STMT_EXECUTE
	broken error
}

// ok answers with an OK packet.
func (a *answer) ok(o wire.OK) {
	status := a.s.status()
	if a.more {
		status |= wire.StatusMoreResults
	}
	o.Status |= status
	o.Warnings = uint16(len(a.s.warnings) + len(a.s.said))
	a.broken = a.s.client.WriteOK(o)
}

// fail answers with an error. Its result says that the client is gone.
func (a *answer) fail(err error) error {
	if a.broken != nil {
		return a.broken
	}
	return a.s.fail(err)
}

// small answers with a few rows of text.
func (a *answer) small(columns []wire.Column, rows ...[][]byte) {
	o := a.s.ok()
	if a.more {
		o.Status |= wire.StatusMoreResults
	}
	a.broken = a.s.client.WriteTextResult(columns, rows, o)
}

// stream answers with the rows of a result as they come: one of them is held at a time. The error is for the client, who may have got rows
// before.
func (a *answer) stream(rows pqRows) error {
	columns := columnsOf(rows, a.s.vars.collation)
	c, status := a.s.client, a.s.status()
	if a.more {
		status |= wire.StatusMoreResults
	}
	if a.broken = c.WriteColumns(definitions(columns), status); a.broken != nil {
		return nil
	}
	out := c.WriteRows()
	err := a.rows(rows, columns, &out)
	if ended := out.End(); a.broken == nil {
		a.broken = ended
	}
	if err != nil || a.broken != nil {
		return err
	}
	a.broken = c.WriteEOF(wire.OK{Status: status, Warnings: uint16(len(a.s.warnings) + len(a.s.said))})
	return nil
}

func (a *answer) rows(rows pqRows, columns []column, out *wire.RowWriter) error {
	r := rowMaker{binary: a.binary, columns: columns, ends: make([]int, len(columns)), values: make([][]byte, len(columns))}
	for _, c := range columns {
		r.described = append(r.described, c.Column)
	}
	values := make([]driver.Value, len(columns))
	for {
		if err := rows.Next(values); err == io.EOF {
			return nil
		} else if err != nil {
			return a.s.noted(err)
		}
		row, err := r.row(values)
		if err != nil {
			return err
		}
		if a.broken = out.Write(row); a.broken != nil {
			return nil
		}
	}
}

// rowMaker makes rows, one after the other in the same memory.
type rowMaker struct {
	binary    bool
	columns   []column
	described []wire.Column
	ends      []int // of the values in buf
	values    [][]byte
	buf, out  []byte
}

// row returns a row, valid until the next one.
func (r *rowMaker) row(values []driver.Value) ([]byte, error) {
	r.buf = r.buf[:0]
	for i, v := range values {
		if v != nil {
			var err error
			if r.buf, err = r.columns[i].appendValue(r.buf, v, r.binary); err != nil {
				return nil, err
			}
		}
		r.ends[i] = len(r.buf)
	}
	from := 0
	for i, v := range values {
		if r.values[i] = nil; v != nil {
			r.values[i] = r.buf[from:r.ends[i]:r.ends[i]]
		}
		from = r.ends[i]
	}
	r.out = wire.AppendRow(r.out[:0], r.binary, r.described, r.values)
	return r.out, nil
}

// textColumn describes a column of text of our own answers.
func (s *session) textColumn(name string, width uint32) wire.Column {
	return wire.Column{Name: name, Charset: s.vars.collation, Length: width * maxWidth, Type: wire.TypeVarString, Decimals: notFixed}
}

// numberColumn describes a column of integers of our own answers.
func numberColumn(name string) wire.Column {
	return wire.Column{Name: name, Charset: binaryCharset, Length: 21, Type: wire.TypeLongLong, Flags: wire.FlagBinary | wire.FlagNotNull}
}
