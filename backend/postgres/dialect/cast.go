package dialect

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/dolthub/vitess/go/vt/sqlparser"
)

// cast translates CAST and CONVERT.
func (t *translator) cast(e *sqlparser.ConvertExpr) (value, error) {
	v, err := t.expr(e.Expr)
	if err != nil {
		return v, err
	}
	length, err := t.size(e.Type.Length)
	if err != nil {
		return v, err
	}
	scale, err := t.size(e.Type.Scale)
	if err != nil {
		return v, err
	}
	r := with(value{}, v)
	switch kind := strings.ToLower(e.Type.Type); kind {
	case "signed", "signed integer", "unsigned", "unsigned integer":
		unsigned := strings.HasPrefix(kind, "unsigned")
		r.t = Type{Kind: BigInt, Unsigned: unsigned, Length: 20}
		if v.t.Kind == Enum || v.t.Kind == Set { // its number
			r.s = t.elementNumber(v)
			return r, nil
		}
		if v.t.Kind.text() && !v.isConst() {
			r.s = "xaproxy.integer(" + v.s + ")"
			if unsigned {
				r.s = "xaproxy.unsigned(" + r.s + ")"
			}
			if t.writes {
				return v, refuse(t.at(v), "a string CAST to a number fails in a statement that writes, if it is none", "CAST it in the application")
			}
			return r, nil
		}
		n, err := t.number(v)
		if err != nil {
			return n, err
		}
		if n.t.Kind == Null {
			r.s = "NULL::" + r.t.cast()
			return r, nil
		}
		if n.t.Kind.approx() && n.isConst() {
			n.s += "::numeric"
		}
		if n.t.Kind.approx() && !n.isConst() {
			return v, refuse(t.at(v), "a DOUBLE CAST to an integer is not translated", "ROUND it")
		}
		switch {
		case n.t.Kind == BigInt && n.t.Unsigned && unsigned:
			r.s = n.s
		case unsigned && n.t.Kind.integer():
			r.s = "xaproxy.unsigned(" + n.s + "::bigint)"
		case unsigned:
			r.s = "xaproxy.in_range(round(" + n.s + "))"
		case n.t.Kind.integer() && n.t.Unsigned:
			r.s = "xaproxy.bits(" + n.s + ")"
		case n.t.Kind.integer() || n.t.Kind == Null:
			r.s = n.s + "::bigint"
		default:
			r.s = "round(" + n.s + ")::bigint"
		}
		return r, nil
	case "decimal":
		if length == 0 {
			length = 10
		}
		n, err := t.number(v)
		if err != nil {
			return n, err
		}
		r.t = Type{Kind: Decimal, Length: length, Scale: scale}
		if n.t.Kind.approx() {
			n.s += "::text" // by its shortest digits, as MySQL does
		}
		r.s = fmt.Sprintf("round(%s::numeric, %d)", n.s, scale)
		r.s = fmt.Sprintf("xaproxy.clamp(%s, %d, %d)", r.s, length, scale)
		if n.t.Kind == Decimal && n.t.Scale <= scale && n.t.Length-n.t.Scale <= length-scale || n.t.Kind.integer() && n.t.digits() <= length-scale {
			r.s = fmt.Sprintf("%s::numeric(%d,%d)", n.s, length, scale)
		}
		return r, nil
	case "double", "float", "real":
		n, err := t.number(v)
		r.s, r.t = n.s+"::double precision", double
		if kind == "float" {
			return v, t.refuse("FLOAT", "CAST to DOUBLE", "CAST AS FLOAT is not translated")
		}
		return r, err
	case "char", "nchar":
		if v.t.Kind.bytes() {
			return t.binary(v)
		}
		c, err := t.text(v)
		if err != nil {
			return c, err
		}
		r.s, r.t, r.rank, r.plain = c.s, Type{Kind: Varchar, Collation: defaultCollation}, implicit, c.plain
		if !strings.EqualFold(c.t.Collation, defaultCollation) {
			c.t.Collation, c.plain = defaultCollation, false
			if c.s, err = t.collated(c); err != nil {
				return c, err
			}
			r.s, r.plain = c.s, true
		}
		if length > 0 {
			r.s = fmt.Sprintf("left(%s, %d)", c.s, length)
			r.t.Length = length
		}
		return r, nil
	case "binary":
		if length > 0 {
			return v, t.refuse("BINARY", "leave the length out", "CAST AS BINARY(n) is not translated")
		}
		return t.binary(v)
	case "date":
		r, err = t.temporal(v, Date)
		r.lit, r.col, r.spelled = nil, nil, false
		return r, err
	case "datetime":
		if r, err = t.temporal(v, Datetime); err != nil {
			return r, err
		}
		r.s = rounded(r, length)
		r.t.Scale, r.lit, r.col, r.spelled = length, nil, nil, false
		return r, nil
	case "time":
		r, err = t.temporal(v, Time)
		if err == nil && r.t.Scale > length {
			return v, t.refuse("TIME", "write TIME(6)", "rounding a TIME is not translated")
		}
		r.t.Scale, r.lit, r.col, r.spelled = length, nil, nil, false
		return r, err
	case "json":
		return t.document(v)
	}
	return v, t.refuse(e.Type.Type, raw, "CAST AS %s is not translated", strings.ToUpper(e.Type.Type))
}

// size reads a length.
func (t *translator) size(v *sqlparser.SQLVal) (int, error) {
	if v == nil {
		return 0, nil
	}
	l, _, err := t.src.marked(v)
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(l.text)
}

// timestampDiff translates TIMESTAMPDIFF.
func (t *translator) timestampDiff(e *sqlparser.TimestampFuncExpr) (value, error) {
	a, b, err := t.both(e.Expr1, e.Expr2)
	if err != nil {
		return a, err
	}
	if a, err = t.temporal(a, Datetime); err != nil {
		return a, err
	}
	if b, err = t.temporal(b, Datetime); err != nil {
		return b, err
	}
	unit := strings.ToUpper(e.Unit)
	if units[unit].argument == "" {
		return a, t.refuse(e.Unit, "use a unit of one number", "TIMESTAMPDIFF(%s) is not translated", e.Unit)
	}
	return with(value{s: fmt.Sprintf("xaproxy.timestampdiff('%s', %s, %s)", unit, a.s, b.s), t: bigint}, a, b), nil
}
