package dialect

import (
	"fmt"
	"strings"

	"github.com/dolthub/vitess/go/vt/sqlparser"
)

// condition translates an expression that is a condition.
func (t *translator) condition(e sqlparser.Expr) (string, error) {
	v, err := t.expr(e)
	if err != nil {
		return "", err
	}
	return t.boolean(v)
}

// both translates two expressions.
func (t *translator) both(a, b sqlparser.Expr) (l, r value, err error) {
	if l, err = t.expr(a); err == nil {
		r, err = t.expr(b)
	}
	return l, r, err
}

// conditions joins two conditions.
func (t *translator) conditions(a, b sqlparser.Expr, op string) (value, error) {
	l, err := t.expr(a)
	if err != nil {
		return l, err
	}
	r, err := t.expr(b)
	if err != nil {
		return r, err
	}
	ls, err := t.boolean(l)
	if err != nil {
		return l, err
	}
	rs, err := t.boolean(r)
	if err != nil {
		return r, err
	}
	return with(condition("("+ls+" "+op+" "+rs+")"), l, r), nil
}

// with carries over to an expression what holds of its parts.
func with(v value, parts ...value) value {
	v.notNull = true
	for _, p := range parts {
		v.agg = v.agg || p.agg
		v.free = v.free || p.free
		v.notNull = v.notNull && p.notNull
	}
	return v
}

// expr translates an expression.
func (t *translator) expr(e sqlparser.Expr) (value, error) {
	switch e := e.(type) {
	case *sqlparser.SQLVal:
		l, ok, err := t.src.marked(e)
		if err != nil {
			return value{}, err
		}
		if !ok { // the parser's own: the space of TRIM
			return value{s: quoteText(string(e.Val)), t: varchar, lit: &literal{kind: Varchar, text: string(e.Val)}, rank: coercible, notNull: true}, nil
		}
		return t.literalValue(l)
	case *sqlparser.NullVal:
		return value{s: "NULL", t: nullType, rank: ignorable}, nil
	case sqlparser.BoolVal:
		if bool(e) {
			return with(condition("TRUE")), nil
		}
		return with(condition("FALSE")), nil
	case *sqlparser.ColName:
		return t.column(e)
	case *sqlparser.ParenExpr:
		return t.expr(e.Expr)
	case *sqlparser.AndExpr:
		return t.conditions(e.Left, e.Right, "AND")
	case *sqlparser.OrExpr:
		return t.conditions(e.Left, e.Right, "OR")
	case *sqlparser.XorExpr:
		return t.conditions(e.Left, e.Right, "<>")
	case *sqlparser.NotExpr:
		v, err := t.expr(e.Expr)
		if err != nil {
			return v, err
		}
		s, err := t.boolean(v)
		return with(condition("(NOT "+s+")"), v), err
	case *sqlparser.ComparisonExpr:
		return t.comparison(e)
	case *sqlparser.RangeCond:
		return t.between(e)
	case *sqlparser.IsExpr:
		return t.is(e)
	case *sqlparser.ExistsExpr:
		q, err := t.subquery(e.Subquery.Select)
		return with(condition("EXISTS (" + q.s + ")")), err
	case *sqlparser.Subquery:
		return t.scalar(e)
	case *sqlparser.BinaryExpr:
		return t.binaryExpr(e)
	case *sqlparser.UnaryExpr:
		return t.unary(e)
	case *sqlparser.CollateExpr:
		return t.collate(e)
	case *sqlparser.CaseExpr:
		return t.caseExpr(e)
	case sqlparser.ValTuple:
		if len(e) == 1 {
			return t.expr(e[0])
		}
		return value{}, refuse(-1, "a row of values is only translated in =, <>, <, >, <=, >= and IN", raw)
	}
	return t.call(e)
}

// comparison translates comparisons, IN, LIKE and REGEXP.
func (t *translator) comparison(e *sqlparser.ComparisonExpr) (value, error) {
	op := e.Operator
	if op == sqlparser.InStr || op == sqlparser.NotInStr {
		return t.in(e)
	}
	if row, ok := e.Left.(sqlparser.ValTuple); ok && len(row) > 1 {
		return t.rows(e, row)
	}
	if op == sqlparser.JSONExtractOp || op == sqlparser.JSONUnquoteExtractOp {
		return t.jsonOperator(e.Left, e.Right, op)
	}
	l, r, err := t.both(e.Left, e.Right)
	if err != nil {
		return l, err
	}
	var s string
	switch op {
	case sqlparser.LikeStr, sqlparser.NotLikeStr:
		var escape value
		if e.Escape != nil {
			if escape, err = t.expr(e.Escape); err != nil {
				return l, err
			}
		}
		s, err = t.like(l, r, escape, e.Escape != nil, op == sqlparser.NotLikeStr)
	case sqlparser.RegexpStr, sqlparser.NotRegexpStr:
		s, err = t.regexp(l, r, op == sqlparser.NotRegexpStr)
	default:
		if e.Escape != nil {
			return l, t.refuse("ESCAPE", raw, "ESCAPE is only of LIKE")
		}
		s, err = t.compare(op, l, r)
	}
	v := with(condition(s), l, r)
	v.notNull = v.notNull || op == sqlparser.NullSafeEqualStr
	return v, err
}

// in translates IN.
func (t *translator) in(e *sqlparser.ComparisonExpr) (value, error) {
	no := ""
	if e.Operator == sqlparser.NotInStr {
		no = "NOT "
	}
	if sub, ok := e.Right.(*sqlparser.Subquery); ok {
		return t.inQuery(e.Left, sub, no)
	}
	list, ok := e.Right.(sqlparser.ValTuple)
	if !ok {
		return value{}, refuse(t.src.find("IN"), "this list of IN is not translated", raw)
	}
	var parts []string
	var all []value
	if row, ok := e.Left.(sqlparser.ValTuple); ok && len(row) > 1 {
		for _, item := range list {
			v, err := t.rows(&sqlparser.ComparisonExpr{Left: row, Right: item, Operator: "="}, row)
			if err != nil {
				return v, err
			}
			all = append(all, v)
			parts = append(parts, v.s)
		}
		return with(condition("("+no+"("+strings.Join(parts, " OR ")+"))"), all...), nil
	}
	l, err := t.expr(e.Left)
	if err != nil {
		return l, err
	}
	all = append(all, l)
	left, short := "", true
	var ors []string
	for _, item := range list {
		r, err := t.expr(item)
		if err != nil {
			return r, err
		}
		all = append(all, r)
		a, b, err := t.pair(l, r)
		if err != nil {
			return r, err
		}
		if left != "" && a != left {
			short = false
		}
		left = a
		parts = append(parts, b)
		ors = append(ors, a+" = "+b)
	}
	if short {
		return with(condition("("+left+" "+no+"IN ("+strings.Join(parts, ", ")+"))"), all...), nil
	}
	return with(condition("("+no+"("+strings.Join(ors, " OR ")+"))"), all...), nil
}

// inQuery translates x IN (SELECT …).
func (t *translator) inQuery(left sqlparser.Expr, sub *sqlparser.Subquery, no string) (value, error) {
	lefts := sqlparser.Exprs{left}
	if row, ok := left.(sqlparser.ValTuple); ok {
		lefts = sqlparser.Exprs(row)
	}
	var ls []value
	for _, e := range lefts {
		l, err := t.expr(e)
		if err != nil {
			return l, err
		}
		ls = append(ls, l)
	}
	q, err := t.subquery(sub.Select)
	if err != nil {
		return value{}, err
	}
	if len(q.fields) != len(ls) {
		return value{}, &Error{Errno: 1241, State: "21000", At: t.src.find("IN"), What: fmt.Sprintf("Operand should contain %d column(s)", len(ls))}
	}
	names := make([]string, len(ls))
	rights := make([]string, len(ls))
	for i, l := range ls {
		r := q.fields[i].v
		r.s, r.lit, r.cond, r.col = quoteName(fmt.Sprint("c", i)), nil, false, nil
		names[i] = r.s
		var a string
		if a, r.s, err = t.pair(l, r); err != nil {
			return value{}, err
		}
		ls[i].s, rights[i] = a, "q."+r.s
		if !strings.HasPrefix(r.s, `"`) {
			rights[i] = strings.Replace(r.s, names[i], "q."+names[i], 1)
		}
	}
	texts := make([]string, len(ls))
	for i, l := range ls {
		texts[i] = l.s
	}
	s := fmt.Sprintf("((%s) %sIN (SELECT %s FROM (%s) AS q(%s)))", strings.Join(texts, ", "), no, strings.Join(rights, ", "), q.s, strings.Join(names, ", "))
	v := with(condition(s), ls...)
	v.notNull = false
	return v, nil
}

// rows compares rows of values.
func (t *translator) rows(e *sqlparser.ComparisonExpr, left sqlparser.ValTuple) (value, error) {
	right, ok := e.Right.(sqlparser.ValTuple)
	if !ok || len(right) != len(left) {
		return value{}, &Error{Errno: 1241, State: "21000", At: -1, What: fmt.Sprintf("Operand should contain %d column(s)", len(left))}
	}
	var ls, rs []string
	var all []value
	for i := range left {
		l, r, err := t.both(left[i], right[i])
		if err != nil {
			return l, err
		}
		a, b, err := t.pair(l, r)
		if err != nil {
			return l, err
		}
		all, ls, rs = append(all, l, r), append(ls, a), append(rs, b)
	}
	op, ok := operators[e.Operator]
	if !ok || e.Operator == sqlparser.NullSafeEqualStr {
		return value{}, t.refuse(e.Operator, raw, "rows compared with %s are not translated", e.Operator)
	}
	return with(condition("(ROW("+strings.Join(ls, ", ")+") "+op+" ROW("+strings.Join(rs, ", ")+"))"), all...), nil
}

// between translates BETWEEN as two comparisons, each with the types of its own.
func (t *translator) between(e *sqlparser.RangeCond) (value, error) {
	l, err := t.expr(e.Left)
	if err != nil {
		return l, err
	}
	from, to, err := t.both(e.From, e.To)
	if err != nil {
		return l, err
	}
	if l.isParam() {
		l = t.bind(l, from.compared())
	}
	a, err := t.compare(">=", l, from)
	if err != nil {
		return l, err
	}
	b, err := t.compare("<=", l, to)
	if err != nil {
		return l, err
	}
	s := "(" + a + " AND " + b + ")"
	if e.Operator == sqlparser.NotBetweenStr {
		s = "(NOT " + s + ")"
	}
	return with(condition(s), l, from, to), nil
}

func (t *translator) is(e *sqlparser.IsExpr) (value, error) {
	v, err := t.expr(e.Expr)
	if err != nil {
		return v, err
	}
	var s string
	switch e.Operator {
	case sqlparser.IsNullStr, sqlparser.IsNotNullStr:
		s = t.output(v).s
		if v.cond {
			s = v.s
		}
	default:
		if s, err = t.boolean(v); err != nil {
			return v, err
		}
	}
	r := with(condition("("+s+" "+strings.ToUpper(e.Operator)+")"), v)
	r.notNull = true
	return r, nil
}

// scalar translates a query that is a value.
func (t *translator) scalar(e *sqlparser.Subquery) (value, error) {
	q, err := t.subquery(e.Select)
	if err != nil {
		return value{}, err
	}
	if len(q.fields) != 1 {
		return value{}, &Error{Errno: 1241, State: "21000", At: -1, What: "Operand should contain 1 column(s)"}
	}
	f := q.fields[0].v
	return value{s: "(" + q.s + ")", t: f.t, rank: implicit, plain: f.plain, free: true}, nil
}

func (t *translator) collate(e *sqlparser.CollateExpr) (value, error) {
	v, err := t.expr(e.Expr)
	if err != nil {
		return v, err
	}
	if v, err = t.text(v); err != nil {
		return v, err
	}
	c, err := t.collation(e.Collation)
	if err != nil {
		return v, err
	}
	v.s = "(" + v.s + " COLLATE " + c + ")"
	v.t.Collation, v.rank, v.plain, v.lit, v.col = strings.ToLower(e.Collation), explicit, true, nil, nil
	return v, nil
}

func (t *translator) unary(e *sqlparser.UnaryExpr) (value, error) {
	v, err := t.expr(e.Expr)
	if err != nil {
		return v, err
	}
	switch e.Operator {
	case sqlparser.UPlusStr:
		return v, nil
	case sqlparser.UMinusStr:
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
			r.t = Type{Kind: Decimal, Length: 21}
			r.s = "(- " + v.s + ")"
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
		return with(value{s: "NULL::double precision", t: double}, l, r, value{}), nil
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
		v.s = "trunc(" + numericText(l) + " / " + t.divisor(r) + ")::bigint"
		if l.t.Kind.integer() && r.t.Kind.integer() && !l.t.Unsigned && !r.t.Unsigned {
			v.s = "(" + wide(l) + " / " + t.divisor(r) + ")"
		} else if l.t.Unsigned || r.t.Unsigned {
			v.t.Unsigned = true
			v.s = "xaproxy.in_range(trunc(" + numericText(l) + " / " + t.divisor(r) + "))"
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
	return t.number(v)
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
		return max(1, min(20, t.Length))
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

// caseExpr translates CASE.
func (t *translator) caseExpr(e *sqlparser.CaseExpr) (value, error) {
	var subject value
	var err error
	if e.Expr != nil {
		if subject, err = t.expr(e.Expr); err != nil {
			return subject, err
		}
	}
	var whens []string
	var results []value
	all := []value{subject}
	for _, w := range e.Whens {
		c, err := t.expr(w.Cond)
		if err != nil {
			return c, err
		}
		var s string
		if e.Expr != nil {
			s, err = t.compare("=", subject, c)
		} else {
			s, err = t.boolean(c)
		}
		if err != nil {
			return c, err
		}
		r, err := t.expr(w.Val)
		if err != nil {
			return r, err
		}
		all = append(all, c, r)
		whens, results = append(whens, s), append(results, r)
	}
	last := value{s: "NULL", t: nullType, rank: ignorable}
	if e.Else != nil {
		if last, err = t.expr(e.Else); err != nil {
			return last, err
		}
	}
	texts, v, err := t.unified(append(results, last)...)
	if err != nil {
		return v, err
	}
	var b strings.Builder
	b.WriteString("(CASE")
	for i, w := range whens {
		b.WriteString(" WHEN " + w + " THEN " + texts[i])
	}
	if e.Else != nil {
		b.WriteString(" ELSE " + texts[len(texts)-1])
	}
	v.s = b.String() + " END)"
	notNull := v.notNull && e.Else != nil
	v = with(v, append(all, last)...)
	v.notNull = notNull
	return v, nil
}

// unified gives values one type, as CASE, IF and COALESCE do.
func (t *translator) unified(vs ...value) ([]string, value, error) {
	var like Type
	for _, v := range vs {
		if !v.isParam() && v.t.Kind != Null {
			like = v.t
			break
		}
	}
	if like.Kind == Unknown {
		like = varchar
	}
	r := value{t: nullType, notNull: true, rank: ignorable}
	for i, v := range vs {
		vs[i] = t.bind(v, like)
		r.notNull = r.notNull && vs[i].notNull
	}
	var strings []value
	bytes := false
	for _, v := range vs {
		var ok bool
		if r.t, ok = wider(r.t, v.t); !ok {
			return nil, r, refuse(t.at(v), describe(v.t)+" and "+describe(r.t)+" as one value are not translated", "CAST them to one type")
		}
		bytes = bytes || v.t.Kind.bytes()
	}
	for _, v := range vs {
		r.ragged = r.ragged || r.t.Kind == Decimal && v.t.Kind != Null && (v.t.Scale != r.t.Scale || v.ragged)
	}
	texts := make([]string, len(vs))
	for i, v := range vs {
		var err error
		switch {
		case v.isNull() || v.t.Kind == Null:
			texts[i] = v.s
			continue
		case bytes:
			v, err = t.binary(v)
		case r.t.Kind.text():
			v, err = t.text(v)
			strings = append(strings, v)
		case r.t.Kind.numeric():
			v, err = t.number(v)
			if r.t.Kind == Decimal {
				v.s = numericText(v)
			}
		case r.t.Kind.temporal() && v.t.Kind != r.t.Kind:
			v, err = t.temporal(v, r.t.Kind)
		}
		if err != nil {
			return nil, r, err
		}
		texts[i] = v.s
	}
	if r.t.Kind.text() && !bytes {
		j, err := t.joined(strings...)
		if err != nil {
			return nil, r, err
		}
		kind, length := r.t.Kind, r.t.Length
		r.t, r.rank, r.plain = j.t, j.rank, j.plain
		r.t.Kind, r.t.Length = kind, length
	}
	return texts, r, nil
}

// wider is the type of what may be of either type.
func wider(a, b Type) (Type, bool) {
	ak, bk := a.Kind, b.Kind
	switch {
	case ak == Null:
		return b, true
	case bk == Null:
		return a, true
	case ak == JSON || bk == JSON, ak == Unknown || bk == Unknown:
		return a, ak == bk
	case ak == bk && (ak.temporal() || ak.text()):
		if ak == Enum || ak == Set {
			return varchar, true
		}
		a.Length, a.Scale = max(a.Length, b.Length), max(a.Scale, b.Scale)
		return a, true
	case ak.temporal() && bk.temporal():
		if ak == Time || bk == Time {
			return a, false
		}
		return Type{Kind: Datetime, Scale: max(a.Scale, b.Scale)}, true
	case ak.bytes() || bk.bytes():
		return Type{Kind: Varbinary, Length: max(a.Length, b.Length)}, true
	case ak.text() || bk.text() || ak.temporal() || bk.temporal():
		return Type{Kind: Varchar, Collation: defaultCollation, Length: max(a.Length, b.Length)}, true
	case ak.approx() || bk.approx():
		return double, true
	case ak == Decimal || bk == Decimal, a.Unsigned != b.Unsigned:
		scale := max(a.Scale, b.Scale)
		return Type{Kind: Decimal, Scale: scale, Length: min(65, max(a.digits()-a.Scale, b.digits()-b.Scale)+scale)}, true
	}
	if ak == Bit || bk == Bit || ak == Year || bk == Year {
		return bigint, true
	}
	return Type{Kind: max(ak, bk), Unsigned: a.Unsigned, Length: max(a.Length, b.Length)}, true
}
