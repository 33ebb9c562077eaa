package dialect

import (
	"fmt"
	"strings"

	"github.com/dolthub/vitess/go/vt/sqlparser"
)

// inQuery translates x IN (SELECT …).
func (t *translator) inQuery(left sqlparser.Expr, sub *sqlparser.Subquery, no string) (value, error) {
	return t.compareQuery(left, no+"IN", sub, "")
}

// quantified are the functions that stand for ALL and ANY.
var quantified = map[string]string{"__xaproxy_all": "ALL ", "__xaproxy_any": "ANY "}

// quantifiedQuery translates x > ALL (SELECT …), and ANY.
func (t *translator) quantifiedQuery(e *sqlparser.ComparisonExpr, f *sqlparser.FuncExpr, quantifier string) (value, error) {
	if len(f.Exprs) == 1 {
		if a, ok := f.Exprs[0].(*sqlparser.AliasedExpr); ok {
			if sub, ok := a.Expr.(*sqlparser.Subquery); ok && e.Operator != sqlparser.NullSafeEqualStr {
				return t.compareQuery(e.Left, e.Operator, sub, quantifier)
			}
		}
	}
	return value{}, refuse(-1, strings.TrimSpace(quantifier)+" is only translated in front of a query", raw)
}

// compareQuery compares a value, or a row of values, with the rows of a query. The operator is MySQL's, IN or NOT IN.
func (t *translator) compareQuery(left sqlparser.Expr, op string, sub *sqlparser.Subquery, quantifier string) (value, error) {
	lefts := sqlparser.Exprs{left}
	if row, ok := left.(sqlparser.ValTuple); ok {
		lefts = sqlparser.Exprs(row)
	}
	pg, ok := operators[op]
	if !ok {
		pg = op
	}
	ordered := pg == "<" || pg == ">" || pg == "<=" || pg == ">="
	var ls []value
	for _, e := range lefts {
		l, err := t.expr(e)
		if err != nil {
			return l, err
		}
		l.plain = l.plain && !(l.loose && ordered)
		ls = append(ls, l)
	}
	q, err := t.subquery(sub.Select)
	if err != nil {
		return value{}, err
	}
	if len(q.fields) != len(ls) {
		return value{}, &Error{Errno: 1241, State: "21000", At: -1, What: fmt.Sprintf("Operand should contain %d column(s)", len(ls))}
	}
	texts, names, rights := make([]string, len(ls)), make([]string, len(ls)), make([]string, len(ls))
	for i, l := range ls {
		r := q.fields[i].v
		names[i] = quoteName(fmt.Sprint("c", i))
		r.s, r.lit, r.cond, r.col = "q."+names[i], nil, false, nil
		r.plain = r.plain && !(r.loose && ordered)
		if ordered && (l.t.Kind == JSON || r.t.Kind == JSON) {
			return value{}, refuse(t.at(l), "the order of JSON values is not translated", "compare with ->> and CAST")
		}
		if quantifier != "" && ordered && l.t.Kind.text() && r.t.Kind.text() && !strings.EqualFold(l.t.Collation, r.t.Collation) {
			return value{}, refuse(t.at(l), strings.TrimSpace(quantifier)+" of strings of another collation is not translated", "COLLATE one of them")
		}
		switch {
		case r.t.Kind == Null && l.cond:
			texts[i], rights[i] = l.s, "NULL::boolean"
		case r.t.Kind == Null && !l.isNull():
			texts[i], rights[i] = l.s, "NULL::"+l.t.cast()
		default:
			if texts[i], rights[i], err = t.pair(l, r); err != nil {
				return value{}, err
			}
		}
	}
	row := "(" + strings.Join(texts, ", ") + ")"
	if len(texts) > 1 {
		row = "ROW" + row
	}
	s := fmt.Sprintf("(%s %s %s(SELECT %s FROM (%s) AS q(%s)))", row, pg, quantifier, strings.Join(rights, ", "), q.s, strings.Join(names, ", "))
	v := with(condition(s), ls...)
	v.notNull = false
	return v, nil
}

// rows compares rows of values.
func (t *translator) rows(e *sqlparser.ComparisonExpr, left sqlparser.ValTuple) (value, error) {
	if sub, ok := e.Right.(*sqlparser.Subquery); ok {
		return t.compareQuery(left, e.Operator, sub, "")
	}
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
	if !ok {
		return value{}, t.refuse(e.Operator, raw, "rows compared with %s are not translated", e.Operator)
	}
	return with(condition("(ROW("+strings.Join(ls, ", ")+") "+op+" ROW("+strings.Join(rs, ", ")+"))"), all...), nil
}
