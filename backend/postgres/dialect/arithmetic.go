package dialect

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/dolthub/vitess/go/vt/sqlparser"
)

func (t *translator) unary(e *sqlparser.UnaryExpr) (value, error) {
	if c, ok := e.Expr.(*sqlparser.CollateExpr); ok && e.Operator == sqlparser.Utf8mb4Str { // it is of the string, not of what COLLATE makes of it
		return t.collate(&sqlparser.CollateExpr{Expr: &sqlparser.UnaryExpr{Operator: e.Operator, Expr: c.Expr}, Collation: c.Collation})
	}
	v, err := t.expr(e.Expr)
	if err != nil {
		return v, err
	}
	switch e.Operator {
	case sqlparser.UPlusStr:
		return v, nil
	case sqlparser.UMinusStr:
		if t.ignored != nil && v.isConst() && (v.lit.kind == Decimal || v.lit.kind == Double) && v.lit.prefix == "" { // a number that is written down, which IGNORE makes fit
			l := *v.lit
			l.minus = !l.minus
			return t.literalValue(l)
		}
		return t.negative(v)
	case sqlparser.BangStr:
		s, err := t.boolean(v)
		return with(condition("(NOT "+s+")"), v), err
	case sqlparser.TildaStr:
		n, err := t.bits(v)
		return with(value{s: "xaproxy.unsigned(~" + n + ")", t: Type{Kind: BigInt, Unsigned: true, Length: 20}}, v), err
	case sqlparser.BinaryStr, sqlparser.UBinaryStr:
		if v.isConst() && v.t.Kind == Varbinary {
			return v, nil
		}
		return t.binary(v)
	case sqlparser.Utf8mb4Str:
		if v.isConst() && v.t.Kind == Varchar {
			return v, nil
		}
		if v.isConst() && v.lit.hex && utf8.ValidString(v.lit.text) && !strings.Contains(v.lit.text, "\x00") {
			l := *v.lit
			l.kind, l.hex = Varchar, false
			return t.literalValue(l)
		}
	}
	return v, t.refuse(strings.TrimSpace(e.Operator), "write the string as UTF-8", "%s is not translated", e.Operator)
}

func (t *translator) negative(v value) (value, error) {
	v, err := t.number(t.bind(v, bigint))
	if err != nil {
		return v, err
	}
	r := with(value{s: "(- " + v.s + ")", t: v.t}, v)
	if v.t.Kind.integer() {
		r = with(value{s: "(- " + wide(v) + ")", t: bigint}, v)
		if v.t.Unsigned {
			r.s = "(- (" + v.s + ")::numeric)::bigint"
		}
	}
	return r, nil
}

// wide is an integer of at least 64 bits, in which MySQL computes.
func wide(v value) string {
	switch {
	case v.t.Unsigned && v.t.Kind == BigInt || v.t.Kind == Bit && v.t.Length > 63:
		return v.s
	case v.t.Kind == BigInt && v.col != nil && !v.cond:
		return v.s
	}
	return v.s + "::bigint"
}

// bits is an integer as 64 bits.
func (t *translator) bits(v value) (string, error) {
	v, err := t.number(v)
	if err != nil {
		return "", err
	}
	if v.t.Kind.bytes() || !v.t.Kind.integer() && v.t.Kind != Null {
		return "", refuse(t.at(v), "bits of "+describe(v.t)+" are not translated", "CAST it to SIGNED or UNSIGNED")
	}
	if v.t.Unsigned {
		return "xaproxy.bits(" + v.s + ")", nil
	}
	return v.s + "::bigint", nil
}

// binaryExpr translates arithmetic.
func (t *translator) binaryExpr(e *sqlparser.BinaryExpr) (value, error) {
	switch e.Operator {
	case sqlparser.JSONExtractOp, sqlparser.JSONUnquoteExtractOp:
		return t.jsonOperator(e.Left, e.Right, e.Operator)
	case sqlparser.PlusStr, sqlparser.MinusStr:
		minus := e.Operator == sqlparser.MinusStr
		left, right := e.Left, e.Right
		if _, ok := left.(*sqlparser.IntervalExpr); ok && !minus {
			left, right = right, left
		}
		if i, ok := right.(*sqlparser.IntervalExpr); ok {
			v, n, err := t.both(left, i.Expr)
			if err != nil {
				return v, err
			}
			return t.shifted(v, n, i.Unit, minus)
		}
	}
	l, r, err := t.both(e.Left, e.Right)
	if err != nil {
		return l, err
	}
	if e.Operator == sqlparser.BitXorStr && t.src.pipesAsConcat {
		return t.run(&call{name: "CONCAT", args: []value{l, r}, exprs: []sqlparser.Expr{e.Left, e.Right}})
	}
	switch e.Operator {
	case sqlparser.BitAndStr, sqlparser.BitOrStr, sqlparser.BitXorStr, sqlparser.ShiftLeftStr, sqlparser.ShiftRightStr:
		return t.bitwise(e.Operator, l, r)
	}
	return t.arithmetic(e.Operator, l, r)
}

func (t *translator) bitwise(op string, l, r value) (value, error) {
	if op == sqlparser.BitXorStr {
		op = "#"
	}
	a, err := t.bits(l)
	if err != nil {
		return l, err
	}
	b, err := t.bits(r)
	if err != nil {
		return r, err
	}
	v := value{s: "xaproxy.unsigned(" + a + " " + op + " " + b + ")", t: Type{Kind: BigInt, Unsigned: true, Length: 20}}
	if op == "<<" || op == ">>" {
		v.s = fmt.Sprintf("xaproxy.shift('%s', %s, %s)", op, a, b)
	}
	return with(v, l, r), nil
}

// arithmetic is l op r. https://dev.mysql.com/doc/refman/9.7/en/arithmetic-functions.html
func (t *translator) arithmetic(op string, l, r value) (value, error) {
	l, err := t.operand(l, r)
	if err != nil {
		return l, err
	}
	if r, err = t.operand(r, l); err != nil {
		return r, err
	}
	if l.t.Kind == Null || r.t.Kind == Null {
		return l, refuse(-1, "arithmetic with NULL is not translated", "write NULL alone")
	}
	if l.t.Kind == Unknown || r.t.Kind == Unknown {
		return l, refuse(t.at(l), "arithmetic with a value whose type is not known is not translated", "CAST it")
	}
	approx := l.t.Kind.approx() || r.t.Kind.approx()
	var v value
	switch op {
	case sqlparser.DivStr:
		v = t.quotient(l, r, approx)
	case sqlparser.IntDivStr:
		if approx {
			return l, refuse(t.at(l), "DIV of a DOUBLE is not translated", "CAST to DECIMAL")
		}
		v.t = bigint
		quotient := "div(" + numericText(l) + ", " + t.divisor(r) + ")" // of / the last digits are rounded
		v.s = quotient + "::bigint"
		if l.t.Kind.integer() && r.t.Kind.integer() && !l.t.Unsigned && !r.t.Unsigned {
			v.s = "(" + wide(l) + " / " + t.divisor(r) + ")"
		} else if l.t.Unsigned || r.t.Unsigned {
			v.t.Unsigned = true
			v.s = "xaproxy.in_range(" + quotient + ")"
		}
	case sqlparser.ModStr:
		if approx {
			return l, refuse(t.at(l), "the remainder of a DOUBLE is not translated", "CAST to DECIMAL")
		}
		v.t = Type{Kind: Decimal, Length: max(l.t.digits(), r.t.digits()), Scale: max(l.t.Scale, r.t.Scale)}
		v.s = "(" + numericText(l) + " % " + t.divisor(r) + ")"
		if l.t.Kind.integer() && r.t.Kind.integer() {
			v.t = Type{Kind: BigInt, Unsigned: l.t.Unsigned, Length: 20}
			v.s = "(" + wide(l) + " % " + t.divisor(r) + ")"
		}
	default:
		v = t.sum(op, l, r, approx)
	}
	v = with(v, l, r)
	if op == sqlparser.DivStr || op == sqlparser.IntDivStr || op == sqlparser.ModStr {
		v.notNull = false
	}
	return v, nil
}

// operand is a number of arithmetic. A parameter beside a DECIMAL is one with all digits to MySQL, which shows them.
func (t *translator) operand(v, other value) (value, error) {
	if c := v.t.class(); v.isParam() && other.t.Kind == Decimal && (v.t.Kind == Unknown || c == IntClass || c == DecimalClass) {
		if v.t.Kind == Unknown {
			c = DecimalClass
		}
		return value{s: t.parameter(t.src.paramIndex(v.lit.tok), "numeric(65,30)", c), t: Type{Kind: Decimal, Length: 65, Scale: 30}}, nil
	}
	n, err := t.number(v)
	return even(n), err
}

// sum is l + r, l - r or l * r.
func (t *translator) sum(op string, l, r value, approx bool) value {
	v := value{}
	switch {
	case approx:
		v.t = double
		v.s = "(" + l.s + "::double precision " + op + " " + r.s + "::double precision)"
	case l.t.Kind.integer() && r.t.Kind.integer():
		v.t = Type{Kind: BigInt, Unsigned: l.t.Unsigned || r.t.Unsigned, Length: 20}
		v.s = "(" + wide(l) + " " + op + " " + r.s + ")"
		if v.t.Unsigned {
			v.s = "xaproxy.in_range(" + numericText(l) + " " + op + " " + numericText(r) + ")"
		}
	default:
		v.t = Type{Kind: Decimal, Scale: max(l.t.Scale, r.t.Scale)}
		v.t.Length = min(65, max(l.t.digits()-l.t.Scale, r.t.digits()-r.t.Scale)+v.t.Scale+1)
		if op == sqlparser.MultStr {
			v.t.Scale = min(30, l.t.Scale+r.t.Scale)
			v.t.Length = min(65, l.t.digits()+r.t.digits())
		}
		v.s = "(" + l.s + " " + op + " " + r.s + ")"
		if op == sqlparser.MultStr && l.t.Scale+r.t.Scale > 30 {
			v.s = "round" + v.s[:len(v.s)-1] + ", 30)"
		}
	}
	return v
}

// digits is the number of digits of a number.
func (t Type) digits() int {
	switch t.Kind {
	case TinyInt:
		return 4
	case SmallInt:
		return 6
	case MediumInt:
		return 8
	case Int:
		return 11
	case Year:
		return 4
	case BigInt:
		if t.Length == 0 {
			return 20
		}
		return min(20, t.Length)
	}
	return t.Length
}

// numericText is an exact number as numeric, which computes without limits.
func numericText(v value) string {
	if v.t.Kind == Decimal && v.lit == nil {
		return v.s
	}
	return v.s + "::numeric"
}

// divisor is what is divided by. Zero makes NULL, but an error in a statement that writes.
func (t *translator) divisor(v value) string {
	if v.isConst() && strings.Trim(v.s, "(-0.)") != "" || t.writes {
		return v.s
	}
	return "NULLIF(" + v.s + ", 0)"
}

// quotient is l / r. That of exact numbers has four digits more behind the point than l.
func (t *translator) quotient(l, r value, approx bool) value {
	if approx {
		return value{s: "(" + l.s + "::double precision / " + t.divisor(value{s: r.s + "::double precision", lit: r.lit}) + ")", t: double}
	}
	v := value{t: Type{Kind: Decimal, Scale: min(30, l.t.Scale+4), Length: min(65, l.t.digits()+r.t.Scale+4)}}
	v.s = fmt.Sprintf("round(%s::numeric(65,30) / %s, %d)", l.s, t.divisor(r), v.t.Scale)
	return v
}
