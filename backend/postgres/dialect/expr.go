package dialect

import (
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
	if f, ok := e.Right.(*sqlparser.FuncExpr); ok {
		if f.Name.Lowered() == memberOf && len(f.Exprs) == 1 {
			return t.memberOf(e.Left, f)
		}
		if quantifier := quantified[f.Name.Lowered()]; quantifier != "" {
			return t.quantifiedQuery(e, f, quantifier)
		}
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
	if l.isNull() {
		return condition("NULL::boolean"), nil
	}
	var items []value
	for _, item := range list {
		r, err := t.expr(item)
		if err != nil {
			return r, err
		}
		if err := t.signs(l, r); err != nil {
			return r, err
		}
		items = append(items, r)
	}
	for _, r := range items {
		if l.isConst() && l.t.Kind == Varchar && r.t.Kind.temporal() && len(items) > 1 {
			return l, refuse(t.at(l), "a string IN a list with times is not translated", "write DATE or TIMESTAMP in front of it")
		}
	}
	if l, err = t.together(l, items...); err != nil {
		return l, err
	}
	all = append(append(all, l), items...)
	left, short := "", true
	var ors []string
	for _, r := range items {
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
	for _, v := range []value{from, to} { // MySQL compares all three as one type
		if l.t.Kind.text() != v.t.Kind.text() && !(v.isConst() || v.isParam() || l.isConst() || v.t.Kind == Null) || from.t.Kind.text() != to.t.Kind.text() && !(from.isConst() || to.isConst()) {
			return l, refuse(t.at(v), "BETWEEN of strings and other values is not translated", "write two comparisons")
		}
	}
	if l.t.Kind.text() && (from.t.Kind.numeric() || to.t.Kind.numeric()) {
		return l, refuse(t.at(l), "a string BETWEEN numbers is not translated", "write two comparisons")
	}
	if l, err = t.together(l, from, to); err != nil {
		return l, err
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

// together gives a string the collation in which IN and BETWEEN compare it with all of the others, if that is not the same for each alone.
func (t *translator) together(l value, others ...value) (value, error) {
	if !l.t.Kind.text() {
		return l, nil
	}
	strs := []value{l}
	for _, o := range others {
		if o.t.Kind.text() {
			strs = append(strs, o)
		}
	}
	j, err := t.joined(strs...)
	if err != nil {
		return l, err
	}
	for _, o := range strs {
		if k, err := t.joined(l, o); err == nil && strings.EqualFold(k.t.Collation, j.t.Collation) {
			continue
		}
		c, err := t.collation(j.t.Collation)
		if err != nil {
			return l, err
		}
		if l, err = t.text(l); err != nil {
			return l, err
		}
		l.s, l.t.Collation, l.rank, l.plain, l.lit, l.col = "("+l.s+" COLLATE "+c+")", j.t.Collation, explicit, true, nil, nil
		return l, nil
	}
	return l, nil
}

// signs refuses an IN of a BIGINT UNSIGNED and a number that may be negative, which MySQL takes for a large one.
func (t *translator) signs(l, r value) error {
	large := func(v value) bool { return v.t.Kind == BigInt && v.t.Unsigned }
	signed := func(v value) bool {
		return !v.isParam() && v.t.Kind.numeric() && !v.t.Unsigned && !(v.isConst() && !strings.HasPrefix(v.s, "("))
	}
	if large(l) && signed(r) || signed(l) && large(r) {
		return refuse(t.at(r), "IN of numbers with and without a sign is not translated", "compare them with = and OR")
	}
	return nil
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
