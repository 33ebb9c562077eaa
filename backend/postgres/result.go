package postgres

import (
	"database/sql/driver"
	"io"

	"github.com/xaproxy/xaproxy/wire"
)

// answer is the answer to one statement. Its last packet waits for finish, because what ends the statement may fail yet.
type answer struct {
	s      *session
	more   bool // another statement of the same command follows
	binary bool // rows as those of COM_STMT_EXECUTE
	last   wire.OK
	rows   bool // last ends rows
	broken error
}

// ok answers with an OK packet.
func (a *answer) ok(o wire.OK) { a.last = o }

// finish writes the last packet.
func (a *answer) finish() error {
	if a.broken != nil {
		return a.broken
	}
	a.last.Status, a.last.Warnings = a.s.status(), uint16(len(a.s.warnings))
	if a.more {
		a.last.Status |= wire.StatusMoreResults
	}
	if a.rows {
		return a.s.client.WriteEOF(a.last)
	}
	return a.s.client.WriteOK(a.last)
}

// fail answers with an error. Its result says that the client is gone.
func (a *answer) fail(err error) error {
	if a.broken != nil {
		return a.broken
	}
	return a.s.fail(err)
}

// small answers with a few rows of text, of columns that textColumn and numberColumn describe.
func (a *answer) small(described []wire.Column, rows ...[][]byte) {
	columns := make([]column, len(described))
	for i, c := range described {
		if columns[i] = (column{Column: c, form: asText}); c.Type == wire.TypeLongLong {
			if columns[i].form = asInteger; c.Flags&wire.FlagUnsigned != 0 {
				columns[i].form = asUnsigned
			}
		}
	}
	next := 0
	err := a.write(columns, func(values []driver.Value) error {
		if next == len(rows) {
			return io.EOF
		}
		for i, v := range rows[next] {
			if values[i] = nil; v != nil {
				values[i] = v
			}
		}
		next++
		return nil
	})
	if err != nil { // our own values are in order
		a.broken = err
	}
}

// stream answers with the rows of a result as they come: one of them is held at a time. The error is for the client, who may have got rows
// before.
func (a *answer) stream(rows pqRows, columns []column) error {
	return a.write(columns, func(values []driver.Value) error {
		err := rows.Next(values)
		if err != nil && err != io.EOF {
			err = a.s.noted(err)
		}
		return err
	})
}

// write writes the rows that next gives until io.EOF.
func (a *answer) write(columns []column, next func([]driver.Value) error) error {
	c, status := a.s.client, a.s.status()
	if a.broken = c.WriteColumns(definitions(columns), status); a.broken != nil {
		return nil
	}
	out := c.WriteRows()
	err := a.each(columns, next, &out)
	if ended := out.End(); a.broken == nil {
		a.broken = ended
	}
	a.rows = true
	return err
}

func (a *answer) each(columns []column, next func([]driver.Value) error, out *wire.RowWriter) error {
	r := rowMaker{binary: a.binary, columns: columns, ends: make([]int, len(columns)), values: make([][]byte, len(columns))}
	for _, c := range columns {
		r.described = append(r.described, c.Column)
	}
	values := make([]driver.Value, len(columns))
	for {
		if err := next(values); err == io.EOF {
			return nil
		} else if err != nil {
			return err
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
