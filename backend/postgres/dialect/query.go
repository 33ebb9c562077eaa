package dialect

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/dolthub/vitess/go/vt/sqlparser"
)

// query is a translated query with its columns.
type query struct {
	s      string
	fields []field
}

// selects translates a query that is a statement.
func (t *translator) selects(n sqlparser.SelectStatement) error {
	q, err := t.subquery(n)
	if err != nil {
		return err
	}
	if t.src.variables != nil {
		return t.intoVariables(q)
	}
	t.step(Step{Kind: Rows, Text: q.s + t.src.lock, Columns: resultColumns(q.fields)})
	return nil
}

func resultColumns(fields []field) []ResultColumn {
	columns := make([]ResultColumn, len(fields))
	for i, f := range fields {
		columns[i] = ResultColumn{Name: f.name, Type: f.v.t, NotNull: f.v.notNull}
		if r := f.v.of; f.v.col != nil && r != nil {
			columns[i].Schema, columns[i].Table, columns[i].OrgName = r.schema, r.alias, f.v.col.Name
			if r.table != nil {
				columns[i].OrgTable = r.table.Name
			}
		}
	}
	return columns
}

// subquery translates a query inside of the current scope.
func (t *translator) subquery(n sqlparser.SelectStatement) (query, error) {
	if n.GetInto() != nil {
		return query{}, t.refuse("INTO", "read the rows in the application", "SELECT INTO is not translated")
	}
	outer, clause, aliases := t.scope, t.clause, t.aliases
	defer func() { t.scope, t.clause, t.aliases = outer, clause, aliases }()
	t.scope, t.aliases = &scope{outer: outer, queries: map[string][]field{}}, nil
	switch n := n.(type) {
	case *sqlparser.Select:
		return t.selectQuery(n)
	case *sqlparser.SetOp:
		return t.setOp(n)
	case *sqlparser.ParenSelect:
		q, err := t.subquery(n.Select)
		q.s = "(" + q.s + ")"
		return q, err
	}
	return query{}, refuse(0, "this query is not translated", raw)
}

// with translates WITH.
func (t *translator) with(w *sqlparser.With) (string, error) {
	if w == nil {
		return "", nil
	}
	s := "WITH "
	if w.Recursive {
		s = "WITH RECURSIVE "
	}
	for i, c := range w.Ctes {
		sub, ok := c.AliasedTableExpr.Expr.(*sqlparser.Subquery)
		if !ok {
			return "", t.refuse("WITH", raw, "this part of WITH is not translated")
		}
		name := c.As.String()
		var names []string
		for _, col := range c.Columns {
			names = append(names, col.String())
		}
		q, err := t.common(name, names, sub.Select, w.Recursive)
		if err != nil {
			return "", err
		}
		t.scope.queries[name] = renamed(q.fields, names)
		if i > 0 {
			s += ", "
		}
		s += quoteName(name)
		if len(names) > 0 {
			quoted := make([]string, len(names))
			for i, n := range names {
				quoted[i] = quoteName(n)
			}
			s += "(" + strings.Join(quoted, ", ") + ")"
		}
		s += " AS (" + q.s + ")"
	}
	return s + " ", nil
}

func renamed(fields []field, names []string) []field {
	if len(names) != len(fields) {
		return fields
	}
	all := append([]field{}, fields...)
	for i, n := range names {
		all[i].name = n
	}
	return all
}

// common translates a common table expression. One that is about itself has the types of its first part.
func (t *translator) common(name string, names []string, n sqlparser.SelectStatement, recursive bool) (query, error) {
	u, ok := n.(*sqlparser.SetOp)
	if !recursive || !ok || !strings.HasPrefix(u.Type, sqlparser.UnionStr) || !mentions(u.Right, name) {
		return t.subquery(n)
	}
	first, err := t.subquery(u.Left)
	if err != nil {
		return first, err
	}
	t.scope.queries[name] = renamed(first.fields, names)
	second, err := t.subquery(u.Right)
	if err != nil {
		return second, err
	}
	if len(second.fields) != len(first.fields) {
		return second, t.differ()
	}
	if u.OrderBy != nil || u.Limit != nil {
		return first, t.refuse("LIMIT", "put it outside", "ORDER BY and LIMIT of a recursive query are not translated")
	}
	op := " UNION ALL "
	if u.Type != sqlparser.UnionAllStr {
		op = " UNION "
	}
	for i := range first.fields {
		if first.fields[i].v.t.Kind.integer() {
			first.fields[i].v.t = bigint
		}
		first.fields[i].v.notNull = false
	}
	return query{retyped(first) + op + retyped(second), first.fields}, nil
}

// retyped casts the columns of a part of a recursive query to types that they can share.
func retyped(q query) string {
	names, casts := make([]string, len(q.fields)), make([]string, len(q.fields))
	for i, f := range q.fields {
		names[i] = fmt.Sprintf("c%d", i)
		casts[i] = names[i]
		as := " AS " + quoteName(f.name)
		switch k := f.v.t.Kind; {
		case k.integer():
			casts[i] += "::bigint"
		case k != Unknown && k != Null:
			casts[i] += "::" + f.v.t.cast()
		}
		if c := collations[f.v.t.Collation]; f.v.t.Kind.text() && c != "" {
			casts[i] += " COLLATE " + c
		}
		casts[i] += as
	}
	return "SELECT " + strings.Join(casts, ", ") + " FROM (" + q.s + ") AS q(" + strings.Join(names, ", ") + ")"
}

// mentions tells whether a table of the name is in the query.
func mentions(n sqlparser.SQLNode, name string) bool {
	found := false
	_ = sqlparser.Walk(func(n sqlparser.SQLNode) (bool, error) {
		if tn, ok := n.(sqlparser.TableName); ok && tn.DbQualifier.IsEmpty() && tn.Name.String() == name {
			found = true
		}
		return true, nil
	}, n)
	return found
}

func (t *translator) differ() error {
	return &Error{Errno: 1222, State: "21000", At: -1, What: "The used SELECT statements have a different number of columns"}
}

// setOp translates UNION, EXCEPT and INTERSECT.
func (t *translator) setOp(n *sqlparser.SetOp) (query, error) {
	w, err := t.with(n.With)
	if err != nil {
		return query{}, err
	}
	l, err := t.part(n.Left)
	if err != nil {
		return l, err
	}
	r, err := t.part(n.Right)
	if err != nil {
		return r, err
	}
	if len(l.fields) != len(r.fields) {
		return l, t.differ()
	}
	fields := make([]field, len(l.fields))
	mixed := false
	for i := range fields {
		a, b := l.fields[i].v, r.fields[i].v
		wide, ok := wider(a.t, b.t)
		if !ok || a.t.Kind != Null && b.t.Kind != Null && (family(a.t) != family(b.t)) {
			return l, refuse(-1, fmt.Sprintf("column %d is %s in one part and %s in another", i+1, describe(a.t), describe(b.t)), "CAST both to one type")
		}
		if wide.Kind == Null && t.inSet > 0 { // PostgreSQL takes it for a string
			return l, refuse(-1, fmt.Sprintf("column %d of a part of the query is NULL in all of its parts", i+1), "CAST one of them")
		}
		if wide.Kind == Decimal && a.t.Scale != b.t.Scale && a.t.Kind != Null && b.t.Kind != Null {
			return l, refuse(-1, fmt.Sprintf("column %d has %d digits behind the point in one part and %d in another", i+1, a.t.Scale, b.t.Scale), "CAST both to one DECIMAL")
		}
		fields[i] = field{l.fields[i].name, value{s: strconv.Itoa(i + 1), t: wide, rank: a.rank, plain: true, notNull: a.notNull && b.notNull}}
		if wide.Kind.text() {
			j, err := t.joined(a, b)
			if err != nil {
				return l, err
			}
			fields[i].v.t.Collation, fields[i].v.rank = j.t.Collation, j.rank
			mixed = mixed || !strings.EqualFold(a.t.Collation, b.t.Collation)
		}
	}
	op, ok := map[string]string{
		"union": "UNION", "union all": "UNION ALL", "union distinct": "UNION", "intersect": "INTERSECT", "intersect all": "INTERSECT ALL",
		"intersect distinct": "INTERSECT", "except": "EXCEPT", "except all": "EXCEPT ALL", "except distinct": "EXCEPT",
	}[strings.ToLower(n.Type)]
	if !ok {
		return l, refuse(-1, n.Type+" is not translated", raw)
	}
	if mixed {
		if l.s, err = t.recollated(l.s, fields); err != nil {
			return l, err
		}
		if r.s, err = t.recollated(r.s, fields); err != nil {
			return r, err
		}
	}
	q := query{s: w + l.s + " " + op + " " + r.s, fields: fields}
	t.clause = "order clause"
	var keys []string
	for _, o := range n.OrderBy {
		i, err := t.position(o.Expr, fields)
		if err != nil {
			return q, err
		}
		if i < 0 {
			return q, t.refuse("ORDER", "name one of its columns", "the order of a %s by an expression is not translated", op)
		}
		if fields[i].v.t.Kind == JSON {
			return q, t.refuse("ORDER", "CAST it", "the order of JSON is not translated")
		}
		keys = append(keys, ordered(strconv.Itoa(i+1), o.Direction, fields[i].v.notNull))
	}
	if len(keys) > 0 {
		q.s += " ORDER BY " + strings.Join(keys, ", ")
	}
	limit, err := t.limit(n.Limit)
	q.s += limit
	for i := range q.fields { // what is outside knows them by name
		q.fields[i].v.s = quoteName(q.fields[i].name)
	}
	return q, err
}

// recollated gives the strings of a part of a UNION the collations of the whole.
func (t *translator) recollated(s string, fields []field) (string, error) {
	names, columns := make([]string, len(fields)), make([]string, len(fields))
	for i, f := range fields {
		names[i] = fmt.Sprintf("c%d", i)
		columns[i] = names[i]
		if f.v.t.Kind.text() {
			c, err := t.collation(f.v.t.Collation)
			if err != nil {
				return "", err
			}
			columns[i] += " COLLATE " + c
		}
		columns[i] += " AS " + quoteName(f.name)
	}
	return "SELECT " + strings.Join(columns, ", ") + " FROM (" + s + ") AS q(" + strings.Join(names, ", ") + ")", nil
}

// part translates a part of a UNION, whose strings carry their collations.
func (t *translator) part(n sqlparser.SelectStatement) (query, error) {
	t.inSet++
	defer func() { t.inSet-- }()
	q, err := t.subquery(n)
	if s, ok := n.(*sqlparser.Select); ok && (s.OrderBy != nil || s.Limit != nil || s.With != nil) {
		q.s = "(" + q.s + ")"
	}
	if u, ok := n.(*sqlparser.SetOp); ok && (u.OrderBy != nil || u.Limit != nil) {
		q.s = "(" + q.s + ")"
	}
	return q, err
}

// family are types that PostgreSQL joins in a UNION as MySQL does.
func family(t Type) string {
	switch k := t.Kind; {
	case k.approx():
		return "number"
	case k.numeric():
		return "number"
	case k.text():
		return "text"
	case k.bytes():
		return "bytes"
	default:
		return typeNames[k]
	}
}

// limit translates LIMIT.
func (t *translator) limit(l *sqlparser.Limit) (string, error) {
	if l == nil {
		return "", nil
	}
	number := func(e sqlparser.Expr) (string, error) {
		v, err := t.expr(e)
		if err != nil {
			return "", err
		}
		v = t.bind(v, bigint)
		if v.isConst() && (v.t.Unsigned || v.t.Kind == Decimal) {
			return "", nil // as many as there are
		}
		if v.lit == nil || v.t.Kind != BigInt {
			return "", &Error{Errno: 1064, State: "42000", At: t.src.find("LIMIT"), What: "LIMIT takes whole numbers", Do: "write one"}
		}
		return v.s, nil
	}
	n, err := number(l.Rowcount)
	if err != nil {
		return "", err
	}
	s := ""
	if n != "" {
		s = " LIMIT " + n
	}
	if l.Offset != nil {
		o, err := number(l.Offset)
		if err != nil {
			return "", err
		}
		if o == "" {
			return "", &Error{Errno: 1064, State: "42000", At: t.src.find("LIMIT"), What: "the offset is too large", Do: "write a smaller one"}
		}
		s += " OFFSET " + o
	}
	return s, nil
}

// position is the column that an expression of ORDER BY or GROUP BY names by number or alias, -1 if it does not.
func (t *translator) position(e sqlparser.Expr, fields []field) (int, error) {
	switch e := e.(type) {
	case *sqlparser.SQLVal:
		l, ok, err := t.src.marked(e)
		if err != nil || !ok || l.param || l.minus || l.kind != BigInt {
			return -1, err
		}
		n, err := strconv.Atoi(l.text)
		if err != nil || n < 1 || n > len(fields) {
			return -1, &Error{Errno: 1054, State: "42S22", At: t.src.toks[l.tok].Start, What: fmt.Sprintf("Unknown column '%s' in '%s'", l.text, t.clause)}
		}
		return n - 1, nil
	case *sqlparser.ColName:
		if !e.Qualifier.Name.IsEmpty() {
			return -1, nil
		}
		for i, f := range fields {
			if strings.EqualFold(f.name, e.Name.String()) {
				return i, nil
			}
		}
	}
	return -1, nil
}

// sortKey is a key of ORDER BY. NULL is the smallest value in MySQL, the largest in PostgreSQL.
func (t *translator) sortKey(v value, direction string) (string, error) {
	v = t.output(v)
	s := v.s
	switch {
	case v.t.Kind == JSON:
		return "", refuse(t.at(v), "the order of JSON is not translated", "CAST it")
	case v.t.Kind == Enum:
		s = t.enumIndex(v)
	case v.t.Kind == Set:
		return "", refuse(t.at(v), "the order of a SET is not translated", "CAST it to CHAR")
	case v.t.Kind.text():
		v.plain = v.plain && !v.loose
		var err error
		if s, err = t.collated(v); err != nil {
			return "", err
		}
	}
	return ordered(s, direction, v.notNull && v.t.Kind != Enum), nil
}

func ordered(s, direction string, notNull bool) string {
	switch {
	case strings.EqualFold(direction, sqlparser.DescScr) && notNull:
		return s + " DESC"
	case strings.EqualFold(direction, sqlparser.DescScr):
		return s + " DESC NULLS LAST"
	case notNull:
		return s
	}
	return s + " NULLS FIRST"
}
