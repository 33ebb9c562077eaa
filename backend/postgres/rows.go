package postgres

import (
	"bytes"
	"database/sql/driver"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/lib/pq"
	"github.com/lib/pq/oid"

	"github.com/xaproxy/xaproxy/wire"
)

// field is a column of a result, as PostgreSQL describes it.
type field struct {
	name     string
	typ      oid.Oid
	modifier int32
}

// rows is the answer to statements that were sent in one message: the rows of the first one that has some, and the end of the last one.
//
// A session has one at a time: what comes of a statement is read before the next one is sent.
type rows struct {
	s       *session
	fields  []field
	columns int      // how many a row has
	first   []byte   // a DataRow that was read already
	values  [][]byte // of a row
	tag     []byte   // of the last statement that has ended
	ended   bool     // the rows have: what follows is of other statements
	done    bool     // everything has
	err     error
}

// simpleQuery sends statements in one message, and reads up to the first row. The error is PostgreSQL's, or says that the connection is lost.
func (s *session) simpleQuery(sql string) (*rows, error) {
	if strings.IndexByte(sql, 0) >= 0 {
		return nil, errZero
	}
	if err := s.write(appendMessage(s.out[:0], 'Q', sql, "\x00")); err != nil {
		return nil, err
	}
	r := s.answer()
	for described := false; !described; {
		kind, body, err := r.message()
		if err != nil {
			return nil, err
		}
		switch kind {
		case 'T':
			described = true
			r.describe(s.fieldsOf(body))
		case 'Z':
			return r, r.err
		}
	}
	// The first row, or an error in its place, shows whether there will be any.
	kind, body, err := r.message()
	switch {
	case err != nil:
		return nil, err
	case kind == 'D':
		r.first = body
	default:
		r.ended = true
		if err := r.finish(kind); err != nil {
			return nil, err
		}
	}
	return r, nil
}

var errZero = wire.NewError(wire.CodeParse, "the statement has a NUL byte")

// write sends what is one message, and keeps its memory.
func (s *session) write(out []byte) error {
	if s.out = out; cap(out) > readBuffer {
		s.out = nil
	}
	s.sent++
	_, err := s.socket.Write(out)
	return err
}

// answer is what comes of a message.
func (s *session) answer() *rows {
	r := &s.answered
	*r = rows{s: s, values: r.values[:0], tag: r.tag[:0]}
	return r
}

// describe takes the columns of the rows.
func (r *rows) describe(fields []field) {
	r.fields, r.columns = fields, len(fields)
	r.values = slices.Grow(r.values, r.columns)[:r.columns]
}

// message reads a message, and keeps what an error and the end of a statement say.
func (r *rows) message() (kind byte, body []byte, err error) {
	for {
		kind, body, err = r.s.in.next()
		switch {
		case err != nil && r.err != nil: // which has ended the session
			return 0, nil, r.err
		case err == io.EOF:
			return 0, nil, io.ErrUnexpectedEOF
		case err != nil:
			return 0, nil, err
		}
		switch kind {
		case 'N':
			r.s.notice(readError(body))
			continue
		case 'S':
			r.s.named.status(body)
			continue
		case 'A', '3', 't': // a notification, the end of a name, the types of parameters
			continue
		case 'E':
			if e := readError(body); r.err == nil {
				r.err = e
			}
		case 'C':
			r.tag = append(r.tag[:0], bytes.TrimSuffix(body, []byte{0})...)
		case 'Z':
			r.done = true
		case 'T', 'D', 'I', '1', '2', 'n':
		default:
			return 0, nil, fmt.Errorf("a message of kind %q, which is no answer to a query", kind)
		}
		return kind, body, nil
	}
}

// finish reads what there is behind the rows. kind is what was read last.
func (r *rows) finish(kind byte) (err error) {
	for ; kind != 'Z'; kind, _, err = r.message() {
		if err != nil {
			return err
		}
	}
	return r.err
}

// next returns the values of a row as PostgreSQL writes them, nil for NULL, valid until the next one; io.EOF at the end.
func (r *rows) next() ([][]byte, error) {
	body := r.first
	if r.first = nil; body == nil {
		if r.done || r.ended {
			return nil, io.EOF
		}
		kind, message, err := r.message()
		switch {
		case err != nil:
			r.done = true
			return nil, err
		case kind != 'D':
			r.ended = true
			if err := r.finish(kind); err != nil {
				return nil, err
			}
			return nil, io.EOF
		}
		body = message
	}
	if len(body) < 2 || int(binary.BigEndian.Uint16(body)) != len(r.values) {
		return nil, errors.New("a row with another number of columns than was announced")
	}
	body = body[2:]
	for i := range r.values {
		if len(body) < 4 {
			return nil, io.ErrUnexpectedEOF
		}
		n := int32(binary.BigEndian.Uint32(body))
		if body = body[4:]; n < 0 {
			r.values[i] = nil
			continue
		}
		if int(n) > len(body) {
			return nil, io.ErrUnexpectedEOF
		}
		r.values[i], body = body[:n:n], body[n:]
	}
	return r.values, nil
}

// Next reads a row as values of Go: see decode.
func (r *rows) Next(dest []driver.Value) error {
	values, err := r.next()
	if err != nil {
		return err
	}
	for i, v := range values {
		if i >= len(dest) {
			break
		}
		if dest[i] = nil; v != nil {
			if dest[i], err = decode(v, r.fields[i].typ); err != nil {
				return err
			}
		}
	}
	return nil
}

// Close reads everything that was not read.
func (r *rows) Close() error {
	for r.first = nil; !r.done; {
		kind, _, err := r.message()
		if err != nil {
			r.done = true
			return err
		}
		if kind == 'Z' {
			return r.err
		}
	}
	return nil
}

// Tag is the command tag of the last statement, without numbers.
func (r *rows) Tag() string { return string(bytes.TrimRight(r.tag, "0123456789 ")) }

// Result has the number of rows of the last statement.
func (r *rows) Result() driver.Result {
	n, _ := strconv.ParseInt(string(r.tag[bytes.LastIndexByte(r.tag, ' ')+1:]), 10, 64) // other tags have none
	return driver.RowsAffected(n)
}

// fieldsOf reads a RowDescription, unless it is the one before once more.
func (s *session) fieldsOf(body []byte) []field {
	if !bytes.Equal(body, s.description) {
		s.description, s.fields = append(s.description[:0], body...), readFields(body)
	}
	return s.fields
}

func readFields(body []byte) []field {
	if len(body) < 2 {
		return nil
	}
	all := make([]field, 0, binary.BigEndian.Uint16(body))
	for body = body[2:]; len(body) > 0; {
		end := bytes.IndexByte(body, 0)
		if end < 0 || len(body) < end+19 {
			break
		}
		rest := body[end+1:]
		all = append(all, field{string(body[:end]), oid.Oid(binary.BigEndian.Uint32(rest[6:])), int32(binary.BigEndian.Uint32(rest[12:]))})
		body = rest[18:]
	}
	return all
}

// typeName is PostgreSQL's name of the column's type, in lower case; "" for types that are not PostgreSQL's own.
func (f field) typeName() string { return strings.ToLower(oid.TypeName[f.typ]) }

// modifierHead is what the type modifier of strings and numbers is too large by.
const modifierHead = 4

// length is that of a string in characters; 0 or less if it has none.
func (f field) length() int64 { return int64(f.modifier) - modifierHead }

// precision is that of numeric, with its scale.
func (f field) precision() (precision, scale int64, ok bool) {
	m := f.modifier - modifierHead
	return int64(m>>16) & 0xffff, int64(m) & 0xffff, f.modifier >= modifierHead
}

// decode makes a value of Go of one that PostgreSQL has written.
func decode(raw []byte, typ oid.Oid) (any, error) {
	switch typ {
	case oid.T_char, oid.T_bpchar, oid.T_varchar, oid.T_text:
		return string(raw), nil
	case oid.T_bytea:
		return appendHex(nil, raw)
	case oid.T_timestamptz, oid.T_timestamp, oid.T_date:
		text := string(raw)
		if strings.HasSuffix(text, "infinity") {
			return text, nil
		}
		return pq.ParseTimestamp(nil, text)
	case oid.T_time, oid.T_timetz:
		return parseTimeOfDay(string(raw))
	case oid.T_bool:
		return len(raw) == 1 && raw[0] == 't', nil
	case oid.T_int8, oid.T_int4, oid.T_int2:
		return strconv.ParseInt(string(raw), 10, 64)
	case oid.T_float4, oid.T_float8:
		return strconv.ParseFloat(string(raw), 64)
	}
	return bytes.Clone(raw), nil
}

// appendHex appends the bytes of a bytea, which bytea_output = hex writes as \x00ff.
func appendHex(dst, raw []byte) ([]byte, error) {
	if !bytes.HasPrefix(raw, []byte(`\x`)) {
		return dst, fmt.Errorf("a bytea that is not written in hex: %.20q", raw)
	}
	return hex.AppendDecode(dst, raw[2:])
}
