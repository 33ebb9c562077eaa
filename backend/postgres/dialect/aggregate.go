package dialect

import (
	"fmt"
	"strings"

	"github.com/dolthub/vitess/go/vt/sqlparser"
)

// overMark stands for OVER in an expression of several aggregates. No text has it.
const overMark = "\x00o"

// aggregate translates the functions of groups, and of windows.
func aggregate(t *translator, c *call) (value, error) {
	v, err := t.grouped(c)
	if err != nil {
		return v, err
	}
	if c.over == nil {
		v.agg, v.s = true, strings.ReplaceAll(v.s, overMark, "")
		return v, nil
	}
	over, err := t.over(c.over)
	if strings.Contains(v.s, overMark) {
		v.s = strings.ReplaceAll(v.s, overMark, over)
	} else {
		v.s = "(" + v.s + over + ")"
	}
	return v, err
}

func (t *translator) grouped(c *call) (value, error) {
	if c.star {
		return value{s: "count(*)", t: bigint, notNull: true}, nil
	}
	if c.name == "JSON_OBJECTAGG" {
		return t.objectAgg(c)
	}
	if len(c.args) != 1 && c.name != "COUNT" || len(c.args) == 0 {
		return value{}, t.wrongCount(c)
	}
	distinct := ""
	if c.distinct {
		distinct = "DISTINCT "
	}
	v := t.bind(c.args[0], varchar)
	switch c.name {
	case "COUNT":
		return t.count(c, distinct)
	case "SUM", "AVG":
		return t.average(c, v, distinct)
	case "STD", "STDDEV", "STDDEV_POP", "STDDEV_SAMP", "VARIANCE", "VAR_POP", "VAR_SAMP":
		n, err := t.number(v)
		return value{s: variances[c.name] + "(" + n.s + "::double precision)", t: double}, err
	case "MIN", "MAX":
		return t.extremum(c, v)
	case "ANY_VALUE":
		if c.over != nil {
			return v, t.refuse(c.name, "leave it out", "ANY_VALUE has no OVER")
		}
		r := t.output(v)
		r.s, r.lit, r.col = "(array_agg("+r.s+"))[1]", nil, nil
		return r, nil
	case "BIT_AND", "BIT_OR", "BIT_XOR":
		n, err := t.bits(v)
		neutral := map[string]string{"BIT_AND": "-1", "BIT_OR": "0", "BIT_XOR": "0"}[c.name]
		return value{s: fmt.Sprintf("xaproxy.unsigned(COALESCE(%s(%s), %s))", strings.ToLower(c.name), n, neutral), t: Type{Kind: BigInt, Unsigned: true, Length: 20}}, err
	case "JSON_ARRAYAGG":
		e, err := t.element(v)
		return value{s: "jsonb_agg(" + e.s + ")", t: Type{Kind: JSON}}, err
	}
	return value{}, t.wrongCount(c)
}

// variances are aggregates of the schema xaproxy, which compute as MySQL does, to the last digit.
var variances = map[string]string{
	"STD": "xaproxy.stddev_pop", "STDDEV": "xaproxy.stddev_pop", "STDDEV_POP": "xaproxy.stddev_pop", "STDDEV_SAMP": "xaproxy.stddev_samp",
	"VARIANCE": "xaproxy.var_pop", "VAR_POP": "xaproxy.var_pop", "VAR_SAMP": "xaproxy.var_samp",
}

func (t *translator) count(c *call, distinct string) (value, error) {
	texts := make([]string, len(c.args))
	var nulls []string
	for i, a := range c.args {
		o := t.output(a)
		if o.t.Kind.text() {
			s, err := t.collated(o)
			if err != nil {
				return o, err
			}
			o.s = s
		}
		texts[i] = o.s
		nulls = append(nulls, o.s+" IS NOT NULL")
	}
	v := value{s: "count(" + distinct + texts[0] + ")", t: bigint, notNull: true}
	if len(texts) > 1 { // rows with a NULL do not count
		v.s = fmt.Sprintf("count(DISTINCT (%s)) FILTER (WHERE %s)", strings.Join(texts, ", "), strings.Join(nulls, " AND "))
	}
	return v, nil
}

// average is SUM, and AVG.
func (t *translator) average(c *call, v value, distinct string) (value, error) {
	n, err := t.number(v)
	if err != nil {
		return n, err
	}
	n = even(n)
	r := value{t: double}
	switch {
	case n.t.Kind == Null:
		return n, refuse(t.at(v), c.name+" of NULL is not translated", "leave it out")
	case n.t.Kind.approx() && c.name == "SUM":
		r.s = "sum(" + distinct + n.s + "::double precision)"
	case n.t.Kind.approx():
		r.s = "avg(" + distinct + n.s + "::double precision)"
	case c.name == "SUM":
		r.t = Type{Kind: Decimal, Length: min(65, n.t.digits()+22), Scale: n.t.Scale}
		r.s = "sum(" + distinct + n.s + "::numeric)"
		if n.t.Kind == Decimal {
			r.s = "sum(" + distinct + n.s + ")"
		}
	default:
		r.t = Type{Kind: Decimal, Length: min(65, n.t.digits()+4), Scale: min(30, n.t.Scale+4)}
		r.s = fmt.Sprintf("round((sum(%s%s)%s)::numeric(65,30) / (count(%[1]s%[2]s)%[3]s), %d)", distinct, n.s, overMark, r.t.Scale)
	}
	return r, nil
}

// extremum is MIN, and MAX.
func (t *translator) extremum(c *call, v value) (value, error) {
	o := even(t.output(v))
	r := value{t: o.t, rank: o.rank, plain: o.plain}
	name := strings.ToLower(c.name)
	switch {
	case o.t.Kind.bytes(), o.t.Kind == JSON:
		return o, refuse(t.at(v), c.name+" of "+describe(o.t)+" is not translated", "CAST it")
	case o.t.Kind.text():
		o.plain = o.plain && !o.loose
		s, err := t.collated(o)
		if err != nil {
			return o, err
		}
		r.s, r.plain = name+"("+s+")", true
		if o.t.Kind == Enum || o.t.Kind == Set { // compared as strings
			r.t = varchar
		}
		return r, nil
	}
	if o.t.Kind == Year && v.col == nil {
		r.t = Type{Kind: BigInt, Unsigned: true, Length: 20}
	}
	r.s = name + "(" + o.s + ")"
	return r, nil
}

func (t *translator) objectAgg(c *call) (value, error) {
	if len(c.args) != 2 {
		return value{}, t.wrongCount(c)
	}
	k, err := t.text(c.args[0])
	if err != nil {
		return k, err
	}
	e, err := t.element(c.args[1])
	return value{s: "jsonb_object_agg(" + k.s + ", " + e.s + ")", t: Type{Kind: JSON}}, err
}

// groupConcat translates GROUP_CONCAT. Its result is cut as group_concat_max_len says.
func (t *translator) groupConcat(e *sqlparser.GroupConcatExpr) (value, error) {
	var parts []string
	var strs, all []value
	for _, x := range e.Exprs {
		a, ok := x.(*sqlparser.AliasedExpr)
		if !ok {
			return value{}, t.refuse("GROUP_CONCAT", "name the columns", "GROUP_CONCAT(*)")
		}
		v, err := t.expr(a.Expr)
		if err != nil {
			return v, err
		}
		if v.isNull() {
			return v, t.refuse("GROUP_CONCAT", "leave it out", "GROUP_CONCAT of NULL is not translated")
		}
		if e.Distinct != "" || len(e.OrderBy) > 0 { // MySQL keeps its rows in a temporary table
			v = even(v)
		}
		s, err := t.text(v)
		if err != nil {
			return s, err
		}
		parts, strs, all = append(parts, s.s), append(strs, s), append(all, v)
	}
	j, err := t.joined(strs...)
	if err != nil {
		return j, err
	}
	separator := ","
	if !e.Separator.DefaultSeparator {
		if separator, err = t.src.markedText(e.Separator.SeparatorString); err != nil {
			return j, err
		}
	}
	text := strings.Join(parts, " || ")
	order := ""
	if e.Distinct != "" {
		text, err = t.collated(value{s: text, t: j.t, plain: j.plain})
		if err != nil {
			return j, err
		}
	}
	for i, o := range e.OrderBy {
		v, err := t.expr(o.Expr)
		if err != nil {
			return v, err
		}
		if v.isConst() {
			return v, refuse(t.at(v), "the order of GROUP_CONCAT by position is not translated", "name the expression")
		}
		key, err := t.sortKey(v, o.Direction)
		if err != nil {
			return v, err
		}
		if i > 0 {
			order += ", "
		}
		order += key
	}
	array := ""
	if order != "" {
		if e.Distinct != "" {
			if array, order = t.distinctInOrder(e, all[0], text); order == "" {
				return j, t.refuse("DISTINCT", "order by what is concatenated, if that is a string or an exact number", "DISTINCT and another ORDER BY together in GROUP_CONCAT are not translated")
			}
		}
		order = " ORDER BY " + order
	}
	distinct := ""
	if e.Distinct != "" {
		distinct = "DISTINCT "
	}
	limit := "1024"
	if t.o.Variable != nil {
		if n, ok := t.o.Variable("group_concat_max_len"); ok && digits(n) {
			limit = n
		}
	}
	v := with(value{t: Type{Kind: Text, Collation: j.t.Collation}, rank: j.rank, plain: j.plain}, all...)
	v.s = fmt.Sprintf("xaproxy.cut(string_agg(%s%s, %s%s), %s)", distinct, text, quoteText(separator), order, limit)
	if array != "" {
		v.s = fmt.Sprintf("xaproxy.cut(array_to_string(array_agg(DISTINCT %[1]s%[2]s) FILTER (WHERE %[1]s IS NOT NULL), %[3]s), %[4]s)", array, order, quoteText(separator), limit)
	}
	v.agg, v.notNull = true, false
	return v, nil
}

// distinctInOrder is GROUP_CONCAT(DISTINCT x ORDER BY x): PostgreSQL orders what is distinct by nothing but itself. Of numbers it is an array that
// is ordered, and not the text. order is "" where it is something else.
func (t *translator) distinctInOrder(e *sqlparser.GroupConcatExpr, v value, text string) (array, order string) {
	a, ok := e.Exprs[0].(*sqlparser.AliasedExpr)
	if !ok || len(e.Exprs) != 1 || len(e.OrderBy) != 1 || sqlparser.String(a.Expr) != sqlparser.String(e.OrderBy[0].Expr) {
		return "", ""
	}
	direction := ""
	if strings.EqualFold(e.OrderBy[0].Direction, sqlparser.DescScr) {
		direction = " DESC"
	}
	switch k := v.t.Kind; {
	case v.cond || v.isConst() || v.isParam():
		return "", ""
	case k.integer() && k != Bit && k != Year, k == Decimal:
		return v.s, v.s + direction
	case k.text() && k != Enum && k != Set:
		return "", text + direction
	}
	return "", ""
}
