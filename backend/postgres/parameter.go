package postgres

import (
	"bytes"
	"encoding/hex"
	"math"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/xaproxy/xaproxy/backend/postgres/dialect"
	"github.com/xaproxy/xaproxy/wire"
)

// class is the class of the value of parameter i.
func (p *preparedStatement) class(i int) dialect.Class {
	if p.long[i] == nil && p.execute.Null(i) {
		return dialect.NullClass
	}
	switch wire.Type(p.execute.Types[2*i]) {
	case wire.TypeTiny, wire.TypeShort, wire.TypeYear, wire.TypeLong, wire.TypeInt24, wire.TypeLongLong:
		if bits, _ := p.execute.Integer(i); p.execute.Unsigned(i) && bits > math.MaxInt64 {
			return dialect.DecimalClass // a BIGINT UNSIGNED is more than PostgreSQL's integers hold
		}
		return dialect.IntClass
	case wire.TypeFloat, wire.TypeDouble:
		return dialect.DoubleClass
	case wire.TypeDecimal, wire.TypeNewDecimal:
		return dialect.DecimalClass
	case wire.TypeDate:
		return dialect.DateClass
	case wire.TypeDatetime, wire.TypeTimestamp:
		return dialect.DatetimeClass
	case wire.TypeTime:
		return dialect.TimeClass
	}
	if p.classes[i] == dialect.BytesClass { // most drivers send bytes as strings
		return dialect.BytesClass
	}
	return dialect.StringClass
}

// bound are the classes of all values; nil if they are those of their places.
func (p *preparedStatement) bound() []dialect.Class {
	bound := make([]dialect.Class, p.params)
	same := true
	for i := range bound {
		bound[i] = p.class(i)
		same = same && (bound[i] == p.classes[i] || bound[i] == dialect.NullClass)
	}
	if same {
		return nil
	}
	return bound
}

// refuse says what is wrong with a parameter.
func refuseParameter(i int, errno uint16, state, what, value string) error {
	if len(value) > maxShown {
		value = value[:maxShown] + "…"
	}
	return parameterError{i, &wire.Error{Errno: errno, State: state, Message: what + ": " + strconv.QuoteToASCII(value) + " for parameter " + strconv.Itoa(i+1)}}
}

// parameterError is what is wrong with a parameter.
type parameterError struct {
	param int
	says  *wire.Error
}

func (e parameterError) Error() string { return e.says.Error() }
func (e parameterError) Unwrap() error { return e.says }

// maxShown is how much of a value an error shows, in bytes.
const maxShown = 64

// parameters gives the values of parameters: it appends that of parameter i as PostgreSQL reads it, unless that is NULL.
type parameters func(dst []byte, i int) (_ []byte, null bool, err error)

// literal is a value as a literal of PostgreSQL's.
func (values parameters) literal(i int) (string, error) {
	value, null, err := values(nil, i)
	switch {
	case err != nil:
		return "", err
	case null:
		return "NULL", nil
	}
	return quote(string(value)), nil
}

// appendValue is parameters. The translation says the type of the value.
func (p *preparedStatement) appendValue(dst []byte, i int) (_ []byte, null bool, err error) {
	class := p.class(i)
	if class == dialect.NullClass {
		return dst, true, nil
	}
	if bits, ok := p.execute.Integer(i); ok {
		if p.execute.Unsigned(i) {
			return strconv.AppendUint(dst, bits, 10), false, nil
		}
		return strconv.AppendInt(dst, int64(bits), 10), false, nil
	}
	switch class {
	case dialect.DoubleClass:
		f, width := 0.0, 64
		if v, ok := p.execute.Double(i); ok {
			f = v
		} else if v, ok := p.execute.Float(i); ok {
			f, width = float64(v), 32
		}
		if math.IsNaN(f) || math.IsInf(f, 0) {
			return dst, false, refuseParameter(i, 1367, "22007", "Illegal double value", strconv.FormatFloat(f, 'g', -1, width))
		}
		return strconv.AppendFloat(dst, f, 'g', -1, width), false, nil
	case dialect.DecimalClass:
		value, _ := p.execute.Written(i) // PostgreSQL says if it is no number
		dst, err = appendText(dst, i, value)
		return dst, false, err
	case dialect.DateClass, dialect.DatetimeClass:
		before := len(dst)
		dst, _ = p.execute.AppendMoment(dst, i) // that is its class
		if m := string(dst[before:]); strings.HasPrefix(m, "0000") || strings.Contains(m[:min(len(m), 10)], "-00") {
			return dst, false, refuseParameter(i, 1292, "22007", "Incorrect datetime value, which PostgreSQL does not have", m)
		}
		return dst, false, nil
	case dialect.TimeClass:
		value, _ := p.execute.Written(i) // that is its class
		return append(dst, value...), false, nil
	}
	value := p.long[i]
	if value == nil {
		value = p.execute.Value(i)
	}
	if class == dialect.BytesClass {
		return hex.AppendEncode(append(dst, `\x`...), value), false, nil
	}
	dst, err = appendText(dst, i, value)
	return dst, false, err
}

// appendText appends a string. PostgreSQL's have no NUL, and no bytes that are not UTF-8.
func appendText(dst []byte, i int, value []byte) ([]byte, error) {
	if bytes.IndexByte(value, 0) >= 0 {
		return dst, refuseParameter(i, 1366, "HY000", "Incorrect string value, with a NUL byte, which PostgreSQL's texts do not have", string(value))
	}
	if !utf8.Valid(value) {
		return dst, refuseParameter(i, 1366, "HY000", "Incorrect string value, which is not UTF-8", string(value))
	}
	return append(dst, value...), nil
}

// place is where a parameter is in the text of a step.
type place struct{ from, to, parameter int }

// placesOf finds $1 … in the text of a step.
func placesOf(step dialect.Step) (all []place, err error) {
	if len(step.Params) == 0 {
		return nil, nil
	}
	l := lexer{text: []byte(step.Text), native: true}
	for t := l.next(); t.kind != endOfText; t = l.next() {
		if t.kind != word || step.Text[t.from] != '$' {
			continue
		}
		n, err := strconv.Atoi(step.Text[t.from+1 : t.to])
		if err != nil || n < 1 || n > len(step.Params) {
			return nil, wire.NewError(wire.CodeUnknown, "the translation has no parameter %s", step.Text[t.from:t.to])
		}
		all = append(all, place{t.from, t.to, step.Params[n-1].From})
	}
	return all, nil
}

// bind writes the values into the text of a step.
func bind(step dialect.Step, places []place, values parameters) (string, error) {
	if len(places) == 0 {
		return step.Text, nil
	}
	var b strings.Builder
	from := 0
	for _, p := range places {
		value, err := values.literal(p.parameter)
		if err != nil {
			return "", err
		}
		b.WriteString(step.Text[from:p.from])
		b.WriteString(value)
		from = p.to
	}
	b.WriteString(step.Text[from:])
	return b.String(), nil
}
