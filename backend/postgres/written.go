package postgres

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"strings"

	"github.com/xaproxy/xaproxy/backend/postgres/dialect"
)

// What IGNORE makes of a value that does not fit is known of values that are written down. Those that are bound, or that come from a query, are
// written down for it.

// maxWritten is the number of rows of an INSERT IGNORE … SELECT that are written down, and how long their text may be.
const (
	maxWritten     = 10_000
	maxWrittenText = 2 << 20
)

// written is a value as a literal of MySQL's.
func (s *session) written(u dialect.UserValue) string {
	switch {
	case u.Null:
		return "NULL"
	case u.Type.Kind == dialect.BigInt, u.Type.Kind == dialect.Decimal:
		return u.Text
	case u.Type.Kind == dialect.Double || u.Type.Kind == dialect.Float:
		if strings.Contains(u.Text, "e") {
			return u.Text
		}
		return u.Text + "e0"
	case u.Type.Kind == dialect.Varbinary:
		return "x'" + hex.EncodeToString([]byte(u.Text)) + "'"
	}
	text := quote(u.Text)
	if !s.vars.noEscapes {
		text = strings.ReplaceAll(text, `\`, `\\`)
	}
	return text
}

// value is what is bound to parameter i.
func (p *preparedStatement) value(i int) (u dialect.UserValue, err error) {
	text, null, err := p.appendValue(nil, i)
	if u.Null = null; null || err != nil {
		return u, err
	}
	u.Text = string(text)
	u.Type.Kind = dialect.Varchar
	switch p.class(i) {
	case dialect.IntClass, dialect.DecimalClass:
		if u.Type.Kind = dialect.Decimal; strings.Trim(u.Text, "-.0123456789") != "" {
			err = refuseParameter(i, 1366, "HY000", "Incorrect decimal value", u.Text)
		}
	case dialect.DoubleClass:
		u.Type.Kind = dialect.Double
	case dialect.BytesClass:
		var b []byte
		b, err = hex.DecodeString(strings.TrimPrefix(u.Text, `\x`))
		u.Text, u.Type.Kind = string(b), dialect.Varbinary
	}
	return u, err
}

// writtenDown is the statement with what is bound to its parameters in their place.
func (s *session) writtenDown(p *preparedStatement) (*statement, error) {
	var b bytes.Buffer
	l, from, n := lexer{text: p.statement.text, escapes: !s.vars.noEscapes}, 0, 0
	for t := l.next(); t.kind != endOfText; t = l.next() {
		if t.kind != mark || p.statement.text[t.from] != '?' {
			continue
		}
		u, err := p.value(n)
		if err != nil {
			return nil, err
		}
		b.Write(p.statement.text[from:t.from])
		b.WriteString(" " + s.written(u) + " ")
		from, n = t.to, n+1
	}
	b.Write(p.statement.text[from:])
	one := p.statement
	one.text = b.Bytes()
	return &one, nil
}

// unfit tells whether an error is one of a value that IGNORE may make fit.
func unfit(err error) bool {
	e := said(err)
	if e == nil {
		return false
	}
	_, _, ofType := checkOf(e)
	return ofType || e.Code.Class() == "22" || e.Code == "23502"
}

// selected runs an INSERT IGNORE … SELECT: its rows are read and written down. Of more than maxWritten those that are there already are passed over without
// a warning, and what does not fit is an error.
func (r *run) selected(of *dialect.Ignored, steps []dialect.Step, lead front) error {
	s := r.s
	query, err := r.text(of.Query)
	if err != nil {
		return err
	}
	found, err := s.ask(fmt.Sprintf("%sSELECT * FROM (%s) AS q LIMIT %d", lead.text(), query, maxWritten+1))
	if err != nil {
		return err
	}
	var b bytes.Buffer
	b.WriteString(of.Into)
	for i, row := range found {
		if i > 0 {
			b.WriteByte(',')
		}
		for j, c := range of.Query.Columns {
			b.WriteString(map[bool]string{true: "(", false: ","}[j == 0] + s.written(dialect.UserValueOf(c.Type, row[j])))
		}
		b.WriteByte(')')
	}
	if len(found) > maxWritten || b.Len() > maxWrittenText {
		return r.steps(steps, nil)
	}
	if len(found) > 0 {
		t, err := s.translate(&statement{text: b.Bytes()}, nil)
		if err != nil {
			return err
		}
		r.values = nil
		if err := r.ignoring(t.Ignored, nil); err != nil {
			return err
		}
	}
	if len(found) < 2 {
		r.info = fmt.Sprintf("Records: %d  Duplicates: %d  Warnings: %d", len(found), len(found)-int(r.affected), len(s.said)+s.unlisted)
	}
	return nil
}
