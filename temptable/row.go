package temptable

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/xaproxy/xaproxy/wire"
)

// Loading is the sql_mode in which a Batch is understood, and any value that a table holds is taken.
const Loading = "NO_AUTO_VALUE_ON_ZERO,NO_BACKSLASH_ESCAPES,ALLOW_INVALID_DATES"

// limits of one Batch
const (
	batchRows  = 1000
	batchBytes = 1 << 20
)

// Batch is an INSERT that grows row by row. Times are those of time zone +00:00.
type Batch struct {
	Rows int

	columns []Column
	head    []byte
	sql     []byte
	starts  []int         // of the rows in sql
	texts   []wire.Column // what Fetch's columns are in a binary row: all have a length in front
	cut     []wire.Value  // the row that Add adds
}

// NewBatch returns a batch for the table with the quoted name.
func NewBatch(name string, columns []Column) *Batch {
	b := &Batch{columns: columns, texts: make([]wire.Column, len(columns)), cut: make([]wire.Value, len(columns))}
	b.head = fmt.Appendf(nil, "INSERT INTO %s (", name)
	for i, c := range columns {
		b.texts[i].Type = wire.TypeVarString
		if i > 0 {
			b.head = append(b.head, ',')
		}
		b.head = append(b.head, Quote(c.Name)...)
	}
	b.head = append(b.head, ") VALUES "...)
	b.Reset()
	return b
}

// Reset empties the batch.
func (b *Batch) Reset() {
	if cap(b.sql) > 2*batchBytes { // a large value
		b.sql = nil
	}
	b.sql, b.starts, b.Rows = append(b.sql[:0], b.head...), b.starts[:0], 0
}

// Skip takes the first rows out, of which there must be more.
func (b *Batch) Skip(rows int) {
	from := b.starts[rows]
	b.sql = append(b.sql[:len(b.head)], b.sql[from:]...)
	b.Rows -= rows
	b.starts = b.starts[rows:]
	for i := range b.starts {
		b.starts[i] -= from - len(b.head)
	}
}

// Full tells whether the batch is to be sent.
func (b *Batch) Full() bool { return b.Rows >= batchRows || len(b.sql) >= batchBytes }

// SQL is the statement, valid until the next change.
func (b *Batch) SQL() []byte { return b.sql }

// Add adds a row that came in answer to Fetch, in the text protocol or in the binary one, in which all values are texts, too.
func (b *Batch) Add(row []byte, inBinary bool) error {
	end, err := wire.CutRow(row, inBinary, b.texts, len(b.texts), b.cut)
	if err != nil {
		return err
	}
	if end != len(row) {
		return errRow
	}
	if b.Rows > 0 {
		b.sql = append(b.sql, ',')
	}
	b.Rows++
	b.starts = append(b.starts, len(b.sql))
	for i, v := range b.cut {
		if i == 0 {
			b.sql = append(b.sql, '(')
		} else {
			b.sql = append(b.sql, ',')
		}
		if v.Null {
			b.sql = append(b.sql, "NULL"...)
			continue
		}
		if b.sql, err = b.columns[i].form.append(b.sql, row[v.From:v.To]); err != nil {
			return fmt.Errorf("column %s: %w", b.columns[i].Name, err)
		}
	}
	b.sql = append(b.sql, ')')
	return nil
}

var errRow = errors.New("a row has more values than columns")

// append writes a value as a literal.
func (f form) append(sql, value []byte) ([]byte, error) {
	switch f {
	case formNumber, formIndex:
		if len(value) == 0 || bytes.ContainsFunc(value, func(r rune) bool { return (r < '0' || r > '9') && r != '-' && r != '.' }) {
			return nil, fmt.Errorf("%q is not a number", value)
		}
		return append(sql, value...), nil
	case formTimestamp:
		return appendMoment(sql, value)
	case formBytes, formRaw, formAbsent:
		if sql = append(sql, "_binary"...); bytes.IndexByte(value, 0) >= 0 { // which no statement for PostgreSQL can have
			return fmt.Appendf(sql, " x'%x'", value), nil
		}
	case formJSON:
		sql = append(sql, "_utf8mb4"...)
	}
	sql = append(sql, '\'')
	for {
		i := bytes.IndexByte(value, '\'')
		if i < 0 {
			break
		}
		sql = append(append(sql, value[:i+1]...), '\'')
		value = value[i+1:]
	}
	return append(append(sql, value...), '\''), nil
}

// appendMoment writes the moment that is so many seconds after 1970, as servers write it; 0 is their zero.
func appendMoment(sql, seconds []byte) ([]byte, error) {
	whole, fraction, _ := bytes.Cut(seconds, []byte("."))
	n, err := strconv.ParseInt(string(whole), 10, 64)
	if err != nil {
		return nil, fmt.Errorf("%q is not a moment", seconds)
	}
	if n == 0 && len(bytes.Trim(fraction, "0")) == 0 {
		return append(sql, "'0000-00-00 00:00:00'"...), nil
	}
	sql = time.Unix(n, 0).UTC().AppendFormat(append(sql, '\''), time.DateTime)
	if len(fraction) > 0 {
		sql = append(append(sql, '.'), fraction...)
	}
	return append(sql, '\''), nil
}
