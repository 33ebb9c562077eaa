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
