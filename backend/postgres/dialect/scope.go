package dialect

import (
	"fmt"
	"slices"
	"strings"

	"github.com/dolthub/vitess/go/vt/sqlparser"
)

// relation is a table, or a query in FROM.
type relation struct {
	alias  string // as PostgreSQL has it
	schema string
	table  *Table // nil for a query
	fields []field
	outer  bool            // an outer join may leave it out
	merged map[string]bool // columns of USING that another relation shows
}

// field is a column of a relation.
type field struct {
	name string
	v    value
}

// scope is what names mean in a query.
type scope struct {
	outer     *scope
	relations []*relation
	queries   map[string][]field // common table expressions
}

// find looks a column up. n is the number of relations that have it.
func (s *scope) find(schema, table, name string) (v value, n int) {
	for _, r := range s.relations {
		if table != "" && (r.alias != table || schema != "" && r.schema != schema) {
			continue
		}
		for _, f := range r.fields {
			if strings.EqualFold(f.name, name) && !(table == "" && r.merged[strings.ToLower(name)]) {
				v = f.v
				n++
			}
		}
	}
	return v, n
}

// column looks a column up in the query and those around it.
func (t *translator) column(n *sqlparser.ColName) (value, error) {
	name, table, schema := n.Name.String(), n.Qualifier.Name.String(), n.Qualifier.DbQualifier.String()
	if strings.HasPrefix(name, "@") {
		return t.variable(name)
	}
	alias, ok := t.aliases[strings.ToLower(name)]
	ok = ok && table == "" && t.clause != "field list"
	if ok && t.clause != "order clause" { // where an expression is of columns before it is of aliases
		return alias, nil
	}
	for s := t.scope; s != nil; s = s.outer {
		v, found := s.find(schema, table, name)
		if found > 1 {
			return v, &Error{Errno: 1052, State: "23000", At: t.src.find(name), What: fmt.Sprintf("Column '%s' in %s is ambiguous", name, t.clause)}
		}
		if found == 1 {
			return v, nil
		}
	}
	if ok {
		return alias, nil
	}
	return value{}, t.unknown(n)
}

// unknown is MySQL's error for a column that is not there.
func (t *translator) unknown(n *sqlparser.ColName) error {
	name := n.Name.String()
	if table := n.Qualifier.Name.String(); table != "" {
		return &Error{Errno: 1054, State: "42S22", At: t.src.find(name), What: fmt.Sprintf("Unknown column '%s.%s' in '%s'", table, name, t.clause)}
	}
	return &Error{Errno: 1054, State: "42S22", At: t.src.find(name), What: fmt.Sprintf("Unknown column '%s' in '%s'", name, t.clause)}
}

// variable is a system variable.
func (t *translator) variable(name string) (value, error) {
	short := strings.ToLower(strings.TrimLeft(name, "@"))
	for _, scope := range []string{"session.", "global.", "local."} {
		short = strings.TrimPrefix(short, scope)
	}
	if t.o.Variable != nil {
		if text, ok := t.o.Variable(short); ok {
			if digits(text) {
				return value{s: text, t: bigint, notNull: true}, nil
			}
			return value{s: quoteText(text) + "::text", t: varchar, notNull: true, rank: coercible}, nil
		}
	}
	return value{}, &Error{Errno: 1193, State: "HY000", At: -1, What: fmt.Sprintf("Unknown system variable '%s'", short)}
}

func digits(s string) bool {
	return s != "" && strings.Trim(s, "0123456789") == "" && len(s) < 19
}

// table looks a table up and makes a relation of it.
func (t *translator) table(name sqlparser.TableName, alias string) (*relation, error) {
	schema := name.DbQualifier.String()
	if schema == "" {
		schema = t.o.Schema
	}
	if schema == "" {
		return nil, &Error{Errno: 1046, State: "3D000", At: t.src.find(name.Name.String()), What: "No database selected"}
	}
	table, ok := t.lookUp(schema, name.Name.String())
	if !ok {
		return nil, &Error{Errno: 1146, State: "42S02", At: t.src.find(name.Name.String()), What: fmt.Sprintf("Table '%s.%s' doesn't exist", schema, name.Name.String())}
	}
	r := &relation{alias: alias, schema: schema, table: table}
	if alias == "" {
		r.alias = table.Name
	}
	for _, c := range table.Columns {
		r.fields = append(r.fields, field{c.Name, columnValue(r, c)})
	}
	return r, nil
}

func (t *translator) lookUp(schema, name string) (*Table, bool) {
	if strings.EqualFold(schema, "information_schema") {
		table, ok := information[strings.ToUpper(name)]
		return table, ok
	}
	if t.o.Catalog == nil {
		return nil, false
	}
	return t.o.Catalog.Table(schema, name)
}

// columnValue is a reference to a column. Types that are PostgreSQL's own are read as the one that stands for them.
func columnValue(r *relation, c *Column) value {
	v := value{s: quoteName(r.alias) + "." + quoteName(c.Name), t: c.Type, col: c, of: r, notNull: c.NotNull, rank: implicit}
	base, _, _ := strings.Cut(c.PG, "(")
	want := collations[strings.ToLower(c.Type.Collation)]
	v.plain = c.PGCollation == want
	switch {
	case base == "citext":
		v.plain = true
	case c.PGCollation == "" && want == `"C"`:
		v.plain, v.loose = true, true
	}
	switch {
	case base == "boolean":
		v.cond = true
	case base == "" || native[strings.TrimSpace(base)]:
	default:
		v.s = "(" + v.s + ")::" + c.Type.cast()
		v.plain = false
	}
	return v
}

// native are the types whose values are used as they are. Others, such as uuid, are cast.
var native = map[string]bool{
	"smallint": true, "integer": true, "bigint": true, "numeric": true, "real": true, "double precision": true, "text": true, "character varying": true,
	"bytea": true, "date": true, "time": true, "time without time zone": true, "timestamp": true, "timestamp without time zone": true,
	"timestamp with time zone": true, "timestamptz": true, "jsonb": true, "citext": true,
}

// tableName is a table's name in PostgreSQL.
func tableName(r *Table) string { return quoteName(r.Schema) + "." + quoteName(r.Name) }

// from translates a FROM clause and adds what is in it to the scope.
func (t *translator) from(list sqlparser.TableExprs) (string, error) {
	parts := make([]string, len(list))
	for i, e := range list {
		s, err := t.tableExpr(e)
		if err != nil {
			return "", err
		}
		parts[i] = s
	}
	if len(parts) > 1 { // in MySQL too a comma binds less than JOIN, but a CROSS JOIN lets a lateral query look to the left
		return strings.Join(parts, ", "), nil
	}
	return parts[0], nil
}

func (t *translator) tableExpr(e sqlparser.TableExpr) (string, error) {
	switch e := e.(type) {
	case *sqlparser.AliasedTableExpr:
		return t.aliased(e)
	case *sqlparser.ParenTableExpr:
		s, err := t.from(e.Exprs)
		if len(e.Exprs) > 1 {
			s = strings.ReplaceAll(s, ", ", " CROSS JOIN ")
		}
		return "(" + s + ")", err
	case *sqlparser.JoinTableExpr:
		return t.join(e)
	}
	return "", refuse(-1, fmt.Sprintf("this part of FROM is not translated: %s", sqlparser.String(e)), raw)
}

func (t *translator) aliased(e *sqlparser.AliasedTableExpr) (string, error) {
	if e.AsOf != nil || len(e.Partitions) > 0 {
		return "", refuse(t.src.find("PARTITION"), "partitions are not named in PostgreSQL as in MySQL", "name a condition")
	}
	alias := e.As.String()
	switch n := e.Expr.(type) {
	case sqlparser.TableName:
		if n.DbQualifier.IsEmpty() {
			for s := t.scope; s != nil; s = s.outer {
				fields, ok := s.queries[n.Name.String()]
				if !ok {
					continue
				}
				if alias == "" {
					alias = n.Name.String()
				}
				return quoteName(n.Name.String()) + " AS " + quoteName(alias), t.derived(alias, fields)
			}
			if strings.EqualFold(n.Name.String(), "dual") {
				return "(SELECT) AS dual", nil
			}
		}
		r, err := t.table(n, alias)
		if err != nil {
			return "", err
		}
		if slices.ContainsFunc(t.targets, func(target *Table) bool { return target.Schema == r.table.Schema && target.Name == r.table.Name }) {
			return "", &Error{Errno: 1093, State: "HY000", At: t.src.find(r.table.Name), What: "You can't specify target table '" + r.alias + "' for update in FROM clause"}
		}
		if err := t.add(r); err != nil {
			return "", err
		}
		s := tableName(r.table)
		if r.alias != r.table.Name {
			s += " AS " + quoteName(r.alias)
		}
		return s, nil
	case *sqlparser.Subquery:
		outer := t.scope
		if !e.Lateral {
			t.scope = &scope{queries: outer.all()}
		}
		targets := t.targets
		t.targets = nil // a derived table is read before
		q, err := t.subquery(n.Select)
		t.scope, t.targets = outer, targets
		if err != nil {
			return "", err
		}
		s := "(" + q.s + ") AS " + quoteName(alias)
		if e.Lateral {
			s = "LATERAL " + s
		}
		fields := q.fields
		if len(n.Columns) > 0 {
			if len(n.Columns) != len(fields) {
				return "", &Error{Errno: 1353, State: "HY000", At: -1, What: "the derived table's list of columns has another length than its query"}
			}
			fields = append([]field{}, fields...)
			names := make([]string, len(fields))
			for i, c := range n.Columns {
				fields[i].name = c.String()
				names[i] = quoteName(c.String())
			}
			s += "(" + strings.Join(names, ", ") + ")"
		}
		return s, t.derived(alias, fields)
	}
	return "", refuse(-1, fmt.Sprintf("this part of FROM is not translated: %s", sqlparser.String(e)), raw)
}

// all are the common table expressions that a query sees.
func (s *scope) all() map[string][]field {
	all := map[string][]field{}
	for ; s != nil; s = s.outer {
		for name, f := range s.queries {
			if _, ok := all[name]; !ok {
				all[name] = f
			}
		}
	}
	return all
}

// derived adds a query in FROM to the scope.
func (t *translator) derived(alias string, fields []field) error {
	r := &relation{alias: alias}
	for _, f := range fields {
		v := value{s: quoteName(alias) + "." + quoteName(f.name), t: f.v.t, notNull: f.v.notNull, rank: implicit, plain: f.v.plain, col: f.v.col, of: f.v.of, ragged: f.v.ragged, mixed: f.v.mixed}
		if f.v.rank > implicit {
			v.rank = f.v.rank
		}
		r.fields = append(r.fields, field{f.name, v})
	}
	return t.add(r)
}

// add puts a relation into the scope.
func (t *translator) add(r *relation) error {
	for _, other := range t.scope.relations {
		if other.alias == r.alias {
			return &Error{Errno: 1066, State: "42000", At: t.src.find(r.alias), What: fmt.Sprintf("Not unique table/alias: '%s'", r.alias)}
		}
	}
	t.scope.relations = append(t.scope.relations, r)
	return nil
}

// join translates a join. STRAIGHT_JOIN only advises the optimizer.
func (t *translator) join(e *sqlparser.JoinTableExpr) (string, error) {
	first := len(t.scope.relations)
	left, err := t.tableExpr(e.LeftExpr)
	if err != nil {
		return "", err
	}
	second := len(t.scope.relations)
	right, err := t.tableExpr(e.RightExpr)
	if err != nil {
		return "", err
	}
	if _, ok := e.RightExpr.(*sqlparser.JoinTableExpr); ok {
		right = "(" + right + ")"
	}
	lefts, rights := t.scope.relations[first:second], t.scope.relations[second:]
	kind := map[string]string{
		sqlparser.JoinStr: "JOIN", sqlparser.StraightJoinStr: "JOIN", sqlparser.LeftJoinStr: "LEFT JOIN", sqlparser.RightJoinStr: "RIGHT JOIN",
		sqlparser.NaturalJoinStr: "JOIN", sqlparser.NaturalLeftJoinStr: "LEFT JOIN", sqlparser.NaturalRightJoinStr: "RIGHT JOIN",
	}[e.Join]
	switch kind {
	case "LEFT JOIN":
		nullable(rights)
	case "RIGHT JOIN":
		nullable(lefts)
	case "":
		return "", t.refuse("JOIN", "name the columns with USING or ON", "%s is not translated", strings.ToUpper(e.Join))
	}
	using := e.Condition.Using
	if strings.HasPrefix(e.Join, "natural") {
		if using = common(lefts, rights); len(using) == 0 && kind != "JOIN" {
			return "", t.refuse("NATURAL", "name the columns with ON", "%s of tables without a common column is not translated", strings.ToUpper(e.Join))
		}
	}
	if len(using) > 0 {
		var on []string
		for _, c := range using {
			s, err := t.using(c.String(), lefts, rights, kind == "RIGHT JOIN")
			if err != nil {
				return "", err
			}
			on = append(on, s)
		}
		return left + " " + kind + " " + right + " ON " + strings.Join(on, " AND "), nil
	}
	if e.Condition.On == nil {
		if kind != "JOIN" {
			return "", t.refuse(e.Join, "name the condition", "an outer join without a condition")
		}
		return left + " CROSS JOIN " + right, nil
	}
	t.clause = "on clause"
	on, err := t.condition(e.Condition.On)
	if err != nil {
		return "", err
	}
	return left + " " + kind + " " + right + " ON " + on, nil
}

// common are the columns that both sides of a NATURAL JOIN show.
func common(lefts, rights []*relation) (names sqlparser.Columns) {
	for _, l := range lefts {
		for _, f := range l.fields {
			name := strings.ToLower(f.name)
			if _, n := (&scope{relations: rights}).find("", "", name); n > 0 && !l.merged[name] {
				names = append(names, sqlparser.NewColIdent(f.name))
			}
		}
	}
	return names
}

// nullable says that an outer join may leave the relations out.
func nullable(rs []*relation) {
	for _, r := range rs {
		r.outer = true
		for i := range r.fields {
			r.fields[i].v.notNull = false
		}
	}
}

// using is the condition for a column of USING. The column is shown once: that of the left side, of a RIGHT JOIN that of the right side.
func (t *translator) using(name string, lefts, rights []*relation, right bool) (string, error) {
	t.clause = "from clause"
	col := &sqlparser.ColName{Name: sqlparser.NewColIdent(name)}
	l, n := (&scope{relations: lefts}).find("", "", name)
	r, m := (&scope{relations: rights}).find("", "", name)
	if n != 1 || m != 1 {
		return "", t.unknown(col)
	}
	hidden := rights
	if right {
		hidden = lefts
	}
	for _, rel := range hidden {
		if rel.merged == nil {
			rel.merged = map[string]bool{}
		}
		rel.merged[strings.ToLower(name)] = true
	}
	return t.compare("=", l, r)
}
