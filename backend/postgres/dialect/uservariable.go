package dialect

import (
	"fmt"
	"strings"
)

// UserValue is the value of a user variable. Its type is BigInt, Decimal, Double, Varbinary or Varchar, whose collation is "" if it is that of
// literals.
type UserValue struct {
	Text string
	Null bool
	Type Type
}

// UserValueOf is what a user variable gets from a column of a result, of which v is what lib/pq read.
func UserValueOf(t Type, v any) UserValue {
	if f, ok := v.(float64); ok && t.Kind.approx() {
		if t.Kind == Float {
			f = float64(float32(f))
		}
		return UserValue{Text: formatFloat(f), Type: double}
	}
	kind := t.Kind
	if kind == Bit || kind == Year {
		t.Kind = BigInt
	}
	text, null := t.Text(v)
	u := UserValue{Text: string(text), Null: null, Type: Type{Kind: Varchar, Collation: t.Collation}}
	switch {
	case kind.integer():
		u.Type = Type{Kind: BigInt, Unsigned: t.Unsigned || kind == Bit || kind == Year}
	case kind == Decimal, kind.approx():
		u.Type = Type{Kind: kind}
	case kind.bytes():
		u.Type = Type{Kind: Varbinary}
	}
	return u
}

// userValue is the value of a user variable, written down.
func (t *translator) userValue(name string) (value, error) {
	if t.o.UserVariable == nil {
		return value{}, t.refuse(name, "keep the value in the application", "PostgreSQL has no user variables")
	}
	u := t.o.UserVariable(strings.ToLower(name))
	if u.Null {
		return value{s: "NULL", t: nullType, rank: ignorable}, nil
	}
	v := value{s: u.Text, t: u.Type}
	switch u.Type.Kind {
	case BigInt:
		v.t.Length = 20
	case Decimal: // MySQL does not know its digits before
		v.t.Length, v.t.Scale, v.ragged = 65, 30, true
	case Double:
		v.s = quoteText(u.Text) + "::double precision"
	case Varbinary:
		v.s = fmt.Sprintf(`'\x%x'::bytea`, u.Text)
	default:
		v.s = quoteText(u.Text) + "::text"
		v.rank = implicit
		if v.t.Collation == "" {
			v.t.Collation, v.rank = defaultCollation, coercible
		}
	}
	if strings.HasPrefix(v.s, "-") {
		v.s = "(" + v.s + ")"
	}
	return v, nil
}

// into takes INTO @a, @b out of the text from token i on. It returns the number of its tokens.
func (s *source) into(i int) int {
	if s.word(i) != "INTO" || s.variable(i+1) == "" || s.variables != nil {
		return 0
	}
	j := i + 1
	for {
		s.variables = append(s.variables, s.variable(j))
		if j++; !s.op(j, ",") || s.variable(j+1) == "" {
			return j - i
		}
		j++
	}
}

// intoVariables is SELECT … INTO @a, @b.
func (t *translator) intoVariables(q query) error {
	if len(q.fields) != len(t.src.variables) {
		return t.differ()
	}
	t.step(Step{Kind: Into, Text: q.s + t.src.lock, Columns: resultColumns(q.fields), Into: t.src.variables})
	return nil
}
