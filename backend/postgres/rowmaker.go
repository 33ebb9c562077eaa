package postgres

import (
	"slices"

	"github.com/lib/pq/oid"

	"github.com/xaproxy/xaproxy/wire"
)

// rowMaker makes rows of a client's, one after the other in the same memory.
type rowMaker struct {
	columns   []column
	types     []oid.Oid // of the values; 0 is text
	out       []byte
	binary    bool
	described []wire.Column // of binary rows, with their values in buf
	ends      []int
	values    [][]byte
	buf       []byte
}

// newRowMaker makes rows of values that PostgreSQL describes as fields; nil: as text.
func newRowMaker(columns []column, fields []field, binary bool) *rowMaker {
	r := &rowMaker{columns: columns, types: make([]oid.Oid, len(columns)), binary: binary}
	for i, f := range fields {
		r.types[i] = f.typ
	}
	if binary {
		r.ends, r.values, r.buf = make([]int, len(columns)), make([][]byte, len(columns)), make([]byte, 0, 64) // an empty value is not nil
		for _, c := range columns {
			r.described = append(r.described, c.Column)
		}
	}
	return r
}

const (
	nullValue  = 0xFB // in place of the length of a value of a row of text
	shortValue = 251  // lengths below it are one byte
)

// row returns a row, valid until the next one, of values that PostgreSQL has written; nil is NULL.
//
// Source: MySQL page_protocol_com_query_response_text_resultset_row.
func (r *rowMaker) row(values [][]byte) ([]byte, error) {
	if r.binary {
		return r.binaryRow(values)
	}
	out := r.out[:0]
	for i, v := range values {
		if v == nil {
			out = append(out, nullValue)
			continue
		}
		at := len(out)
		all, err := r.columns[i].appendRaw(append(out, 0), v, r.types[i], false)
		if err != nil {
			return nil, err
		}
		out = all
		if n := len(out) - at - 1; n < shortValue {
			out[at] = byte(n)
		} else {
			var length [9]byte
			out = slices.Replace(out, at, at+1, wire.AppendInt(length[:0], uint64(n))...)
		}
	}
	r.out = out
	return out, nil
}

func (r *rowMaker) binaryRow(values [][]byte) (row []byte, err error) {
	r.buf = r.buf[:0]
	for i, v := range values {
		if v != nil {
			if r.buf, err = r.columns[i].appendRaw(r.buf, v, r.types[i], true); err != nil {
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
	r.out = wire.AppendRow(r.out[:0], true, r.described, r.values)
	return r.out, nil
}
