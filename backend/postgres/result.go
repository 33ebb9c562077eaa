package postgres

import (
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
	a.last.Status, a.last.Warnings = a.s.status(), a.s.warned()
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
		columns[i] = column{Column: c, form: asText}
		switch c.Type {
		case wire.TypeLongLong:
			if columns[i].form = asInteger; c.Flags&wire.FlagUnsigned != 0 {
				columns[i].form = asUnsigned
			}
		case wire.TypeNewDecimal:
			columns[i].form = asDecimal
		case wire.TypeDouble:
			columns[i].form = asDouble
		}
	}
	next := 0
	err := a.write(columns, func() ([][]byte, error) {
		if next == len(rows) {
			return nil, io.EOF
		}
		next++
		return rows[next-1], nil
	}, nil)
	if err != nil { // our own values are in order
		a.broken = err
	}
}

// stream answers with the rows of a result as they come: one of them is held at a time. The error is for the client, who may have got rows
// before.
func (a *answer) stream(rows *rows, columns []column) error {
	return a.write(columns, func() ([][]byte, error) {
		values, err := rows.next()
		if err != nil && err != io.EOF {
			err = a.s.noted(err)
		}
		return values, err
	}, rows.fields)
}

// write writes the rows that next gives until io.EOF. fields are what PostgreSQL says of them; nil: they are text.
func (a *answer) write(columns []column, next func() ([][]byte, error), fields []field) error {
	c, status := a.s.client, a.s.status()
	if a.broken = c.WriteColumns(definitions(columns), status); a.broken != nil {
		return nil
	}
	out := c.WriteRows()
	err := a.each(newRowMaker(columns, fields, a.binary), next, &out)
	if ended := out.End(); a.broken == nil {
		a.broken = ended
	}
	a.rows = true
	return err
}

func (a *answer) each(r *rowMaker, next func() ([][]byte, error), out *wire.RowWriter) error {
	for {
		values, err := next()
		if err == io.EOF {
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

// textColumn describes a column of text of our own answers.
func (s *session) textColumn(name string, width uint32) wire.Column {
	return wire.Column{Name: name, Charset: s.vars.collation, Length: width * maxWidth, Type: wire.TypeVarString, Decimals: notFixed}
}

// numberColumn describes a column of integers of our own answers.
func numberColumn(name string) wire.Column {
	return wire.Column{Name: name, Charset: binaryCharset, Length: 21, Type: wire.TypeLongLong, Flags: wire.FlagBinary | wire.FlagNotNull}
}
