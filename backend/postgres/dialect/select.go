package dialect

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/dolthub/vitess/go/vt/sqlparser"
)

// selectQuery translates one SELECT.
func (t *translator) selectQuery(n *sqlparser.Select) (query, error) {
	if n.QueryOpts.SQLCalcFoundRows && (t.scope.outer != nil || t.inSet > 0 || t.src.variables != nil) {
		return query{}, t.refuse("SQL_CALC_FOUND_ROWS", "ask for COUNT(*)", "SQL_CALC_FOUND_ROWS is only translated of a SELECT that is the whole statement")
	}
	if n.Lock != nil && n.Lock.Type != "" {
		return query{}, t.refuse("FOR", "lock in the outermost query", "a locking clause in a subquery is not translated")
	}
	distinct := n.QueryOpts.Distinct
	inSet := t.inSet > 0
	defer func(n int) { t.inSet = n }(t.inSet)
	t.inSet = 0
	w, err := t.with(n.With)
	if err != nil {
		return query{}, err
	}
	var b strings.Builder
	b.WriteString(w + "SELECT ")
	if distinct {
		b.WriteString("DISTINCT ")
	}
	from := ""
	if len(n.From) > 0 && !dual(n.From) {
		t.clause = "from clause"
		if from, err = t.from(n.From); err != nil {
			return query{}, err
		}
	}
	t.clause = "field list"
	fields, err := t.items(n.SelectExprs)
	if err != nil {
		return query{}, err
	}
	where := ""
	if n.Where != nil {
		t.clause = "where clause"
		if where, err = t.condition(n.Where.Expr); err != nil {
			return query{}, err
		}
	}
	groups, err := t.groupBy(n.GroupBy, fields)
	if err != nil {
		return query{}, err
	}
	rollup := t.src.rollup && t.scope.outer == nil
	if rollup {
		for i := range fields {
			fields[i].v.notNull = false
		}
	}
	t.aliases = map[string]value{}
	grouped := len(n.GroupBy) > 0
	for _, f := range fields {
		grouped = grouped || f.v.agg
		if _, ok := t.aliases[strings.ToLower(f.name)]; !ok {
			t.aliases[strings.ToLower(f.name)] = f.v
		}
	}
	if grouped && t.o.LenientGroupBy && !rollup {
		for i, f := range fields {
			fields[i].v = t.anyValue(f.v, groups)
			t.aliases[strings.ToLower(f.name)] = fields[i].v
		}
	}
	having := ""
	if n.Having != nil {
		t.clause = "having clause"
		v, err := t.expr(n.Having.Expr)
		if err != nil {
			return query{}, err
		}
		if having, err = t.boolean(v); err != nil {
			return query{}, err
		}
		if !grouped && !v.agg { // MySQL filters the rows
			if where != "" {
				having = where + " AND " + having
			}
			where, having = having, ""
		}
	}
	texts := make([]string, len(fields))
	out := make([]field, len(fields))
	for i, f := range fields {
		v := t.output(f.v)
		if t.scope.outer != nil && (grouped || distinct || n.Limit != nil) || distinct || inSet { // MySQL keeps its rows in a temporary table
			v = even(v)
		}
		if v.t.Kind.text() && (distinct || inSet || groups[f.v.s] != "" && !v.plain) {
			v.plain = v.plain && !v.loose
			if v.s, err = t.collated(v); err != nil {
				return query{}, err
			}
			v.plain, v.loose = true, false
		}
		texts[i] = v.s
		if t.scope.outer != nil || inSet {
			texts[i] += " AS " + quoteName(f.name)
		}
		out[i] = field{f.name, v}
	}
	b.WriteString(strings.Join(texts, ", "))
	if from != "" {
		b.WriteString(" FROM " + from)
	}
	if where != "" {
		b.WriteString(" WHERE " + where)
	}
	if rollup {
		b.WriteString(" GROUP BY ROLLUP (" + groups["\x00"] + ")")
	} else if len(n.GroupBy) > 0 {
		b.WriteString(" GROUP BY " + groups["\x00"])
	}
	if having != "" {
		b.WriteString(" HAVING " + having)
	}
	for i, d := range n.Window {
		s, err := t.windowDef(d)
		if err != nil {
			return query{}, err
		}
		b.WriteString(map[bool]string{true: " WINDOW ", false: ", "}[i == 0] + quoteName(strings.ToLower(d.Name.String())) + " AS (" + s + ")")
	}
	if !grouped || !t.o.LenientGroupBy || rollup {
		groups = nil
	}
	all := b.String()
	order, err := t.orderBy(n.OrderBy, fields, distinct, groups)
	if err != nil {
		return query{}, err
	}
	limit, err := t.limit(n.Limit)
	if err == nil && n.QueryOpts.SQLCalcFoundRows {
		for i := range t.src.toks {
			if volatile[t.src.word(i)] && t.src.op(i+1, "(") {
				return query{}, t.refuse("SQL_CALC_FOUND_ROWS", "ask for COUNT(*)", "SQL_CALC_FOUND_ROWS with a value that is another one each time is not translated")
			}
		}
		limit = foundRows(all, limit)
	}
	return query{all + order + limit, out}, err
}

// FoundRows is the setting of PostgreSQL's that keeps what SQL_CALC_FOUND_ROWS has counted for FOUND_ROWS().
const FoundRows = "xaproxy.found_rows"

// foundRows is a LIMIT that counts the rows that there are without it, as the statement's snapshot has them: PostgreSQL computes it once.
func foundRows(all, limit string) string {
	limit, offset, _ := strings.Cut(limit, " OFFSET ")
	if limit = cmp.Or(strings.TrimPrefix(limit, " LIMIT "), "NULL::bigint"); offset != "" {
		offset = " OFFSET " + offset
	}
	return fmt.Sprintf(" LIMIT (SELECT CASE WHEN set_config('%s', count(*)::text, false) IS NOT NULL THEN %s END FROM (%s) AS found)%s", FoundRows, limit, all, offset)
}

func dual(from sqlparser.TableExprs) bool {
	a, ok := from[0].(*sqlparser.AliasedTableExpr)
	if !ok || len(from) > 1 {
		return false
	}
	n, ok := a.Expr.(sqlparser.TableName)
	return ok && n.DbQualifier.IsEmpty() && strings.EqualFold(n.Name.String(), "dual")
}

// items translates the select list.
func (t *translator) items(list sqlparser.SelectExprs) ([]field, error) {
	var fields []field
	for _, e := range list {
		switch e := e.(type) {
		case *sqlparser.StarExpr:
			all, err := t.star(e)
			if err != nil {
				return nil, err
			}
			fields = append(fields, all...)
		case *sqlparser.AliasedExpr:
			v, err := t.expr(e.Expr)
			if err != nil {
				return nil, err
			}
			fields = append(fields, field{shortened(t.itemName(e, v)), v})
		default:
			return nil, refuse(-1, "this part of the select list is not translated", raw)
		}
	}
	return fields, nil
}

// maxAlias is how many characters of an expression MySQL gives a column as its name.
const maxAlias = 255

func shortened(name string) string {
	if r := []rune(name); len(r) > maxAlias {
		return string(r[:maxAlias])
	}
	return name
}

// star is what * stands for.
func (t *translator) star(e *sqlparser.StarExpr) ([]field, error) {
	var fields []field
	name := e.TableName.Name.String()
	for _, r := range t.scope.relations {
		if name != "" && r.alias != name {
			continue
		}
		for _, f := range r.fields {
			if name == "" && r.merged[strings.ToLower(f.name)] {
				continue
			}
			fields = append(fields, f)
		}
	}
	if len(fields) == 0 {
		if name != "" {
			return nil, &Error{Errno: 1051, State: "42S02", At: t.src.find(name), What: "Unknown table '" + name + "'"}
		}
		return nil, &Error{Errno: 1096, State: "HY000", At: -1, What: "No tables used"}
	}
	if name == "" {
		for _, r := range t.scope.relations {
			if len(r.merged) > 0 && r != t.scope.relations[len(t.scope.relations)-1] && len(t.scope.relations) > 2 {
				return nil, t.refuse("USING", "name the columns", "* of several joins with USING is not translated")
			}
			if len(r.merged) > 0 { // columns of USING come first
				return usingFirst(fields, r.merged), nil
			}
		}
	}
	return fields, nil
}

func usingFirst(fields []field, merged map[string]bool) []field {
	var first, rest []field
	for _, f := range fields {
		if merged[strings.ToLower(f.name)] {
			first = append(first, f)
		} else {
			rest = append(rest, f)
		}
	}
	return append(first, rest...)
}

// itemName is the name that MySQL gives a column of a result: the alias, the column, a string's text, or the client's own words.
func (t *translator) itemName(e *sqlparser.AliasedExpr, v value) string {
	if !e.As.IsEmpty() {
		return e.As.String()
	}
	switch n := e.Expr.(type) {
	case *sqlparser.ColName:
		if slices.Contains(t.scope.relations, v.of) && v.of.table != nil && v.of.table.Schema == "xaproxy" {
			return v.col.Name // as MySQL's views have it
		}
		if !strings.HasPrefix(n.Name.String(), "@") {
			return n.Name.String()
		}
	case *sqlparser.SQLVal:
		if v.isConst() && v.lit.kind == Varchar && v.lit.prefix == "" {
			return strings.TrimLeft(t.src.first(v.lit.tok), " \t\n")
		}
	case *sqlparser.UnaryExpr:
		if n.Operator == sqlparser.Utf8mb4Str && v.isConst() {
			return t.src.first(v.lit.tok)
		}
	}
	first, last := -1, -1
	for i, start := range t.src.starts {
		if start >= e.StartParsePos && start < e.EndParsePos {
			if first < 0 && t.src.op(i, ",") {
				continue
			}
			if first < 0 {
				first = i
			}
			last = i
		}
	}
	if first < 0 {
		return "?column?"
	}
	for plus := first; t.src.op(plus, "+"); { // a literal or a column is itself behind it
		if plus++; plus == last {
			first = last
		} else if u, ok := e.Expr.(*sqlparser.UnaryExpr); ok && plus < last {
			if c, ok := u.Expr.(*sqlparser.ColName); ok {
				return c.Name.String()
			}
		}
	}
	if first == last && v.isConst() && v.lit.kind == Varchar {
		return t.src.first(v.lit.tok)
	}
	return t.src.sql[t.src.toks[first].Start:t.src.toks[last].End]
}

// groupBy translates GROUP BY: under "\x00" the whole list, and the keys by the text of their expressions.
func (t *translator) groupBy(list sqlparser.GroupBy, fields []field) (map[string]string, error) {
	groups := map[string]string{}
	var keys []string
	t.clause = "group statement"
	for _, e := range list {
		v, err := t.groupKey(e, fields)
		if err != nil {
			return nil, err
		}
		if v.agg {
			return nil, &Error{Errno: 1111, State: "HY000", At: t.src.find("GROUP"), What: "Invalid use of group function"}
		}
		if v.isConst() || constant(e) {
			continue // all rows are in one group
		}
		if v.isParam() {
			return nil, t.refuse("GROUP", "write the value down", "GROUP BY a parameter is not translated")
		}
		s := v.s
		if v.t.Kind.text() {
			if s, err = t.collated(v); err != nil {
				return nil, err
			}
		}
		groups[v.s] = s
		keys = append(keys, s)
	}
	groups["\x00"] = strings.Join(keys, ", ")
	if len(keys) == 0 {
		groups["\x00"] = "()"
		if len(list) > 0 {
			return nil, t.refuse("GROUP", "leave it out", "GROUP BY a constant is not translated")
		}
	}
	return groups, nil
}

// constant tells whether an expression is of literals alone. As a key its text could be the number of a column.
func constant(e sqlparser.Expr) bool {
	found := true
	_ = sqlparser.Walk(func(n sqlparser.SQLNode) (bool, error) {
		switch n.(type) {
		case *sqlparser.ColName, *sqlparser.Subquery:
			found = false
		}
		return found, nil
	}, e)
	_, literal := e.(*sqlparser.SQLVal)
	return found && !literal
}

// groupKey is a key of GROUP BY. A column is looked for in the tables before it is in the select list.
func (t *translator) groupKey(e sqlparser.Expr, fields []field) (value, error) {
	if c, ok := e.(*sqlparser.ColName); ok {
		if v, err := t.column(c); err == nil {
			return v, nil
		}
	}
	i, err := t.position(e, fields)
	if err != nil {
		return value{}, err
	}
	if i >= 0 {
		return fields[i].v, nil
	}
	return t.expr(e)
}

// orderBy translates ORDER BY. groups are the keys of GROUP BY where others may be named, too; nil: they may not.
func (t *translator) orderBy(list sqlparser.OrderBy, fields []field, distinct bool, groups map[string]string) (string, error) {
	var keys []string
	t.clause = "order clause"
	for _, o := range list {
		i, err := t.position(o.Expr, fields)
		if err != nil {
			return "", err
		}
		v := value{}
		if i >= 0 {
			v = fields[i].v
		} else if v, err = t.expr(o.Expr); err != nil {
			return "", err
		}
		if v.isConst() || v.isParam() || v.isNull() || i < 0 && constant(o.Expr) {
			continue // it orders nothing
		}
		if groups != nil && i < 0 {
			v = t.anyValue(v, groups)
		}
		for j, f := range fields {
			if i < 0 && f.v.s == v.s {
				i = j
			}
		}
		key, err := t.sortKey(v, o.Direction)
		if err != nil {
			return "", err
		}
		if i >= 0 && v.t.Kind != Enum && (!v.t.Kind.text() || v.plain && !v.loose || distinct) {
			key = ordered(strconv.Itoa(i+1), o.Direction, v.notNull)
		} else if distinct {
			return "", t.refuse("ORDER", "select what you order by", "SELECT DISTINCT ordered by what is not selected is not translated")
		}
		keys = append(keys, key)
	}
	if len(keys) == 0 {
		return "", nil
	}
	return " ORDER BY " + strings.Join(keys, ", "), nil
}

// anyValue is what a column of a query with groups has without ONLY_FULL_GROUP_BY, if it is none of their keys: the value of one of the rows.
func (t *translator) anyValue(v value, groups map[string]string) value {
	if _, key := groups[v.s]; key || v.agg || v.lit != nil || v.isNull() {
		return v
	}
	v = t.output(v)
	v.s, v.col, v.notNull = "(array_agg("+v.s+"))[1]", nil, false
	return v
}
