package postgres

import (
	"encoding/binary"
	"strings"

	"github.com/lib/pq"

	"github.com/xaproxy/xaproxy/backend/postgres/dialect"
)

// stale is an error that says that PostgreSQL could not prepare a statement, or that what it had prepared is not what it would be now: nothing of the
// statement has run, and it is to run once more, prepared anew or as text. What ran in front of it is undone, as behind any error.
type stale struct{ error }

func (e stale) Unwrap() error { return e.error }

// sendNamed runs a step under its name, which PostgreSQL prepares the first time, and reads up to the first row. What goes in front of it is in the same
// message, with one Sync behind all, so that an error in it keeps the step from running. The error is PostgreSQL's, or stale, or says that the
// connection is lost.
//
// Source: PostgreSQL manual, "Extended Query" and "Pipelining".
func (s *session) sendNamed(n *namedStatement, step dialect.Step, in front, values parameters) (*rows, error) {
	if strings.IndexByte(step.Text, 0) >= 0 {
		return nil, errZero
	}
	all := s.named.sent[:0]
	for _, f := range in {
		if strings.IndexByte(f, '\'') < 0 {
			all = append(all, s.named.of(f))
		} else { // with a value, which comes once
			all = append(all, &namedStatement{namedKey: namedKey{text: f}})
		}
	}
	all = append(all, n)
	s.named.sent = all
	out := s.out[:0]
	for _, name := range s.named.gone { // before all that can fail
		out = appendMessage(out, 'C', "S", name, "\x00")
	}
	for _, one := range all {
		if !one.prepared {
			out = appendMessage(out, 'P', one.name, "\x00", one.text, "\x00\x00\x00")
		}
		var err error
		switch {
		case one != n:
			out = appendMessage(out, 'B', "\x00", one.name, "\x00\x00\x00\x00\x00\x00\x00")
		case !one.prepared:
			out = appendMessage(out, 'D', "S", one.name, "\x00")
			fallthrough
		default:
			out, err = appendBind(out, one.name, step, values)
		}
		if err != nil {
			return nil, err
		}
		out = append(out, executeBound...)
	}
	s.named.gone = s.named.gone[:0]
	if err := s.write(append(out, syncAll...)); err != nil {
		return nil, s.noted(err)
	}
	r := s.answer()
	failed, err := r.executed(all)
	if e := said(err); e != nil && failed != nil {
		err = s.named.unbound(failed, failed == n, e)
	}
	if err != nil {
		return nil, s.noted(err)
	}
	return r, nil
}

// executed reads the answer up to the first row of the last one. An error is about failed where PostgreSQL could not prepare it, or could not make use of
// what it had prepared before; other errors are about what the statements do.
func (r *rows) executed(all []*namedStatement) (failed *namedStatement, err error) {
	failed = all[0]
	for {
		kind, body, err := r.message()
		if err != nil {
			return nil, err
		}
		switch one, last := all[0], len(all) == 1; kind {
		case 'Z':
			return failed, r.err
		case '1':
			one.prepared, failed = true, nil
		case '2':
			failed = nil
			r.describe(one.fields)
		case 'T':
			one.fields = readFields(body)
		case 'D':
			if last {
				r.first = body
				return nil, nil
			}
		case 'C', 'I':
			if last {
				r.ended = true
				return nil, r.finish(kind)
			}
			all = all[1:]
			failed = all[0]
		}
	}
}

// unbound is the error of a statement that PostgreSQL could not prepare, or could not make use of. As text it may be another one, or none.
func (n *named) unbound(one *namedStatement, step bool, e *pq.Error) error {
	class := e.Code.Class()
	words := class == "42" || class == "0A" // a table, a column, a type: they are not there, or not what they were
	switch {
	case one.prepared && (words || class == "26" || class == "XX"): // somebody can have made PostgreSQL forget, too
		n.drop(one)
	case !one.prepared && words && step:
		one.refused = true
	default:
		return e
	}
	return stale{e}
}

// appendMessage appends a message of PostgreSQL's, whose body is given in parts.
func appendMessage(out []byte, kind byte, body ...string) []byte {
	from := len(out)
	out = append(out, kind, 0, 0, 0, 0)
	for _, part := range body {
		out = append(out, part...)
	}
	return measured(out, from)
}

// measured writes the length of the last message, which begins at from.
func measured(out []byte, from int) []byte {
	binary.BigEndian.PutUint32(out[from+1:], uint32(len(out)-from-1))
	return out
}

var (
	executeBound = appendMessage(nil, 'E', "\x00\x00\x00\x00\x00") // what was bound last, to its end
	syncAll      = appendMessage(nil, 'S')
)

// appendBind appends the values of a step's parameters. They and the rows are written as text.
func appendBind(out []byte, name string, step dialect.Step, values parameters) ([]byte, error) {
	from := len(out)
	out = appendMessage(out, 'B', "\x00", name, "\x00\x00\x00")
	out = binary.BigEndian.AppendUint16(out, uint16(len(step.Params)))
	for _, p := range step.Params {
		at := len(out)
		value, null, err := values(append(out, 0xff, 0xff, 0xff, 0xff), p.From)
		if err != nil {
			return out, err
		}
		if out = value; !null {
			binary.BigEndian.PutUint32(out[at:], uint32(len(out)-at-4))
		}
	}
	return measured(append(out, 0, 0), from), nil
}
