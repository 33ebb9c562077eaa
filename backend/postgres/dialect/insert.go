package dialect

import (
	"fmt"
	"strings"

	"github.com/dolthub/vitess/go/vt/sqlparser"
)

// newRows are the rows of an INSERT being written.
type newRows struct {
	r       *relation
	columns []*Column
	rows    int // of VALUES, 0 if they come from a query
	text    string
	maybe   string // the condition that the one row's number is given
	given   bool   // the client gives the numbers of the AUTO_INCREMENT column itself
	makes   bool   // PostgreSQL makes them
}

// insert translates INSERT and REPLACE.
func (t *translator) insert(n *sqlparser.Insert) error {
	if err := t.strict(""); err != nil {
		return err
	}
	if len(n.Returning) > 0 || len(n.Partitions) > 0 {
		return refuse(0, "RETURNING and PARTITION of INSERT are not translated", "read the rows")
	}
	r, err := t.table(n.Table, "")
	if err != nil {
		return err
	}
	if r.table.View {
		return refuse(t.src.find(r.table.Name), "an INSERT into a view is not translated", "insert into its table")
	}
	t.scope = &scope{queries: map[string][]field{}}
	w, err := t.with(n.With)
	if err != nil {
		return err
	}
	in := &newRows{r: r}
	if err := t.insertColumns(n, in); err != nil {
		return err
	}
	if err := t.insertRows(n, in); err != nil {
		return err
	}
	s := Step{Kind: Count, InsertID: -1, Affected: -1, InsertIDGiven: -1}
	text := w + "INSERT INTO " + tableName(r.table) + in.text
	conflict := ""
	weight := ""
	switch {
	case strings.EqualFold(n.Action, sqlparser.ReplaceStr):
		if conflict, weight, err = t.replaces(in, &s); err != nil {
			return err
		}
	case len(n.OnDup) > 0:
		if conflict, weight, err = t.onDuplicate(n, in, &s); err != nil {
			return err
		}
	case n.Ignore != "":
		conflict = " ON CONFLICT DO NOTHING"
	}
	text += conflict
	var returning []string
	if id := r.table.identity(); id != nil {
		ref := quoteName(r.alias) + "." + quoteName(id.Name)
		if in.given {
			ref = fmt.Sprintf("xaproxy.advance(%s, %s)", sequence(r.table, id), ref)
		}
		if len(n.OnDup) > 0 && in.rows != 1 && !in.given && conflict != "" { // of new rows alone
			ref = fmt.Sprintf("CASE WHEN %s.xmax = 0 THEN %s END", quoteName(r.alias), ref)
		}
		if in.given || in.makes {
			s.InsertID = 0
			returning = append(returning, ref)
		}
		if in.given {
			s.InsertIDGiven = len(returning)
			if in.rows != 1 || in.maybe == "" {
				in.maybe = "TRUE"
			}
			returning = append(returning, in.maybe)
		}
	}
	if weight != "" {
		s.Affected = len(returning)
		returning = append(returning, weight)
	}
	if len(returning) > 0 {
		text += " RETURNING " + strings.Join(returning, ", ")
	}
	s.Text = text
	t.step(s)
	return nil
}

func (t *Table) identity() *Column {
	for _, c := range t.Columns {
		if c.Identity {
			return c
		}
	}
	return nil
}

// sequence is the counter of an AUTO_INCREMENT column.
func sequence(t *Table, c *Column) string {
	return fmt.Sprintf("pg_get_serial_sequence(%s, %s)", quoteText(tableName(t)), quoteText(c.Name))
}

// insertColumns finds the columns of an INSERT, and those that must be among them.
func (t *translator) insertColumns(n *sqlparser.Insert, in *newRows) error {
	t.clause = "field list"
	table := in.r.table
	named := map[*Column]bool{}
	for _, c := range n.Columns {
		i := in.r.index(c.String())
		if i < 0 {
			return t.unknown(&sqlparser.ColName{Name: c})
		}
		column := table.Columns[i]
		if named[column] {
			return &Error{Errno: 1110, State: "42000", At: t.src.find(c.String()), What: "Column '" + c.String() + "' specified twice"}
		}
		if column.Generated {
			return &Error{Errno: 3105, State: "HY000", At: t.src.find(c.String()), What: fmt.Sprintf("The value specified for generated column '%s' in table '%s' is not allowed.", c.String(), table.Name)}
		}
		named[column] = true
		in.columns = append(in.columns, column)
	}
	if len(n.Columns) == 0 {
		if rows, ok := n.Rows.(*sqlparser.AliasedValues); ok && len(rows.Values) == 1 && len(rows.Values[0]) == 0 {
			in.columns = nil
		} else {
			in.columns = append(in.columns, table.Columns...)
			for _, c := range in.columns {
				named[c] = true
			}
		}
	}
	for _, c := range table.Columns {
		if !named[c] && c.NotNull && c.Default == "" && !c.Identity && !c.Generated {
			if c.Type.Kind == Enum {
				return refuse(t.src.find(table.Name), "the first value of the ENUM "+c.Name+" as its default is not translated", "name the column")
			}
			return &Error{Errno: 1364, State: "HY000", At: t.src.find(table.Name), What: "Field '" + c.Name + "' doesn't have a default value"}
		}
	}
	if id := table.identity(); id != nil && !named[id] {
		in.makes = true
	}
	return nil
}

// insertRows translates the rows.
func (t *translator) insertRows(n *sqlparser.Insert, in *newRows) error {
	quoted := make([]string, len(in.columns))
	for i, c := range in.columns {
		quoted[i] = quoteName(c.Name)
	}
	in.text = " (" + strings.Join(quoted, ", ") + ") "
	var rows sqlparser.Values
	switch v := n.Rows.(type) {
	case *sqlparser.AliasedValues:
		rows = v.Values
	case sqlparser.Values:
		rows = v
	case *sqlparser.ParenSelect:
		return t.insertQuery(v.Select, in)
	case sqlparser.SelectStatement:
		return t.insertQuery(v, in)
	default:
		return refuse(0, "this INSERT is not translated", raw)
	}
	in.rows = len(rows)
	if len(in.columns) == 0 {
		if len(rows) != 1 {
			return refuse(0, "several rows of defaults are not translated", "name a column, with DEFAULT as its value")
		}
		in.text = " DEFAULT VALUES"
		return nil
	}
	var texts []string
	t.target = in.r.table
	for i, row := range rows {
		if len(row) != len(in.columns) {
			return &Error{Errno: 1136, State: "21S01", At: t.src.find("VALUES"), What: fmt.Sprintf("Column count doesn't match value count at row %d", i+1)}
		}
		values := make([]string, len(row))
		for j, e := range row {
			s, err := t.insertValue(in, in.columns[j], e)
			if err != nil {
				if e, ok := err.(*Error); ok {
					e.What = strings.Replace(e.What, "at row 1", fmt.Sprintf("at row %d", i+1), 1)
				}
				return err
			}
			values[j] = s
		}
		texts = append(texts, "("+strings.Join(values, ", ")+")")
	}
	if in.given && in.makes {
		return refuse(t.src.find("VALUES"), "rows with numbers for the AUTO_INCREMENT column and rows without are not translated in one INSERT", "insert them one after the other")
	}
	in.text += "VALUES " + strings.Join(texts, ", ")
	return nil
}

func (t *translator) insertValue(in *newRows, c *Column, e sqlparser.Expr) (string, error) {
	if d, ok := e.(*sqlparser.Default); ok && d.ColName == "" {
		in.makes = in.makes || c.Identity
		return "DEFAULT", nil
	}
	v, err := t.expr(e)
	if err != nil {
		return "", err
	}
	if !c.Identity {
		return t.assign(c, v)
	}
	if v.isNull() || v.isParam() && v.t.Kind == Null || v.isConst() && strings.Trim(v.lit.text, "0") == "" && v.lit.kind == BigInt && !t.o.NoAutoValueOnZero {
		in.makes = true
		return "DEFAULT", nil
	}
	s, err := t.assign(&Column{Name: c.Name, Type: c.Type, PG: c.PG}, v)
	in.given = true
	if err == nil && !v.isConst() && !t.o.NoAutoValueOnZero {
		in.maybe = "NULLIF(" + s + ", 0) IS NOT NULL"
		s = fmt.Sprintf("COALESCE(NULLIF(%s, 0), nextval(%s))", s, sequence(in.r.table, c))
	}
	return s, err
}

// insertQuery translates INSERT … SELECT.
func (t *translator) insertQuery(n sqlparser.SelectStatement, in *newRows) error {
	q, err := t.subquery(n)
	if err != nil {
		return err
	}
	if len(q.fields) != len(in.columns) {
		return &Error{Errno: 1136, State: "21S01", At: t.src.find("SELECT"), What: "Column count doesn't match value count at row 1"}
	}
	names, texts := make([]string, len(q.fields)), make([]string, len(q.fields))
	for i, f := range q.fields {
		names[i] = fmt.Sprintf("c%d", i)
		v := f.v
		v.s, v.lit, v.cond, v.col = "q."+names[i], nil, false, nil
		if v.t.Kind == Null {
			v = value{s: "NULL", t: nullType}
		}
		if in.columns[i].Identity {
			in.given = true
		}
		if texts[i], err = t.assign(in.columns[i], v); err != nil {
			return err
		}
	}
	in.text += "SELECT " + strings.Join(texts, ", ") + " FROM (" + q.s + ") AS q(" + strings.Join(names, ", ") + ")"
	return nil
}

// conflicting is the unique key in which the new rows may meet old ones, nil if there is none.
func (t *translator) conflicting(in *newRows) (*Key, error) {
	var keys []*Key
	id := in.r.table.identity()
	for i := range in.r.table.Keys {
		k := &in.r.table.Keys[i]
		made := in.makes && id != nil && len(k.Columns) == 1 && k.Columns[0] == id.Name
		if k.Unique && !made {
			keys = append(keys, k)
		}
	}
	if len(keys) > 1 {
		names := make([]string, len(keys))
		for i, k := range keys {
			names[i] = k.Name
		}
		return nil, refuse(t.src.find(in.r.table.Name), "a row may be in the table already by the unique keys "+strings.Join(names, " and ")+", and PostgreSQL updates on a conflict in one", "leave the AUTO_INCREMENT column out, or UPDATE first and INSERT if there was no row")
	}
	if len(keys) == 0 {
		return nil, nil
	}
	return keys[0], nil
}

func (k *Key) quoted() string {
	quoted := make([]string, len(k.Columns))
	for i, c := range k.Columns {
		quoted[i] = quoteName(c)
	}
	return strings.Join(quoted, ", ")
}

// replaces is REPLACE: a row with the same key becomes the new one, in all of its columns. It counts as one row more if it was another.
func (t *translator) replaces(in *newRows, s *Step) (conflict, weight string, err error) {
	if in.r.table.Referenced {
		return "", "", t.refuse("REPLACE", "use INSERT … ON DUPLICATE KEY UPDATE", "REPLACE of rows that foreign keys refer to is not translated")
	}
	k, err := t.conflicting(in)
	if err != nil || k == nil {
		return "", "", err
	}
	if in.rows == 0 {
		return "", "", t.refuse("REPLACE", "use INSERT … ON DUPLICATE KEY UPDATE", "REPLACE … SELECT is not translated")
	}
	given := map[*Column]bool{}
	for _, c := range in.columns {
		given[c] = true
	}
	var sets, differs []string
	for i, c := range in.r.table.Columns {
		switch {
		case c.Generated:
		case given[c]:
			sets = append(sets, quoteName(c.Name)+" = excluded."+quoteName(c.Name))
			differs = append(differs, changed(in.r.fields[i].v.s, c, "excluded."+quoteName(c.Name)))
		default:
			sets = append(sets, quoteName(c.Name)+" = DEFAULT")
			if c.Default != "" || c.Identity {
				differs = append(differs, "TRUE")
			} else {
				differs = append(differs, in.r.fields[i].v.s+" IS NOT NULL")
			}
		}
	}
	s.AffectedPlus = in.rows
	return fmt.Sprintf(" ON CONFLICT (%s) DO UPDATE SET %s WHERE %s", k.quoted(), strings.Join(sets, ", "), strings.Join(differs, " OR ")),
		"CASE WHEN " + quoteName(in.r.alias) + ".xmax = 0 THEN 0 ELSE 1 END", nil
}

// onDuplicate translates ON DUPLICATE KEY UPDATE. A new row counts as one, a changed one as two, and one that is as it was as none, or as
// one for a client that counts the rows found.
func (t *translator) onDuplicate(n *sqlparser.Insert, in *newRows, s *Step) (conflict, weight string, err error) {
	k, err := t.conflicting(in)
	if err != nil || k == nil {
		return "", "", err
	}
	excluded := &relation{alias: "excluded"}
	for i, c := range in.r.table.Columns {
		v := in.r.fields[i].v
		v.s = strings.Replace(v.s, quoteName(in.r.alias)+"."+quoteName(c.Name), "excluded."+quoteName(c.Name), 1)
		v.notNull = false
		excluded.fields = append(excluded.fields, field{c.Name, v})
	}
	t.excluded = excluded
	t.scope = &scope{relations: []*relation{in.r}}
	if rows, ok := n.Rows.(*sqlparser.AliasedValues); ok && !rows.As.IsEmpty() {
		excluded.alias = rows.As.String()
		for i, c := range rows.Columns {
			if i < len(in.columns) {
				excluded.fields[in.r.index(in.columns[i].Name)].name = c.String()
			}
		}
		t.scope.relations = append(t.scope.relations, excluded)
	}
	list, seeks := t.withoutSeek(sqlparser.AssignmentExprs(n.OnDup), in)
	all, err := t.assignments(in.r, list)
	if err != nil {
		return "", "", err
	}
	set, differs := t.sets(in.r, all, seeks)
	xmax := quoteName(in.r.alias) + ".xmax = 0"
	if seeks {
		return t.seeking(in, k, set, all)
	}
	conflict = fmt.Sprintf(" ON CONFLICT (%s) DO UPDATE SET %s WHERE %s", k.quoted(), set, differs)
	if !t.o.FoundRows {
		return conflict, "CASE WHEN " + xmax + " THEN 1 ELSE 2 END", nil
	}
	if in.rows == 0 {
		return "", "", t.refuse("DUPLICATE", "connect without CLIENT_FOUND_ROWS", "the rows found of INSERT … SELECT … ON DUPLICATE KEY UPDATE cannot be counted")
	}
	s.AffectedPlus = in.rows
	return conflict, "CASE WHEN " + xmax + " THEN 0 ELSE 1 END", nil
}

// withoutSeek takes id = LAST_INSERT_ID(id) out, which assigns nothing: it asks for the number of the row that was there.
func (t *translator) withoutSeek(list sqlparser.AssignmentExprs, in *newRows) (rest sqlparser.AssignmentExprs, seeks bool) {
	id := in.r.table.identity()
	for _, e := range list {
		f, ok := e.Expr.(*sqlparser.FuncExpr)
		if ok && id != nil && strings.EqualFold(f.Name.String(), "LAST_INSERT_ID") && len(f.Exprs) == 1 && strings.EqualFold(e.Name.Name.String(), id.Name) {
			if a, ok := f.Exprs[0].(*sqlparser.AliasedExpr); ok {
				if c, ok := a.Expr.(*sqlparser.ColName); ok && strings.EqualFold(c.Name.String(), id.Name) {
					seeks = true
					continue
				}
			}
		}
		rest = append(rest, e)
	}
	return rest, seeks
}

// seeking is ON DUPLICATE KEY UPDATE with id = LAST_INSERT_ID(id): a row that is as it was is written again, so that RETURNING has its number, and
// looked up as it was before the statement, to see whether it counts.
func (t *translator) seeking(in *newRows, k *Key, set string, all []assignment) (conflict, weight string, err error) {
	alias := quoteName(in.r.alias)
	same := []string{"TRUE"}
	for _, a := range all {
		c := quoteName(a.c.Name)
		if a.c.Type.Kind.text() {
			same = append(same, fmt.Sprintf(`(o.%s)::text COLLATE "C" IS NOT DISTINCT FROM (%s.%[1]s)::text`, c, alias))
		} else {
			same = append(same, fmt.Sprintf("o.%s IS NOT DISTINCT FROM %s.%[1]s", c, alias))
		}
	}
	var key []string
	for _, c := range k.Columns {
		key = append(key, fmt.Sprintf("o.%s = %s.%[1]s", quoteName(c), alias))
	}
	if set == "" {
		set = quoteName(k.Columns[0]) + " = " + alias + "." + quoteName(k.Columns[0])
	}
	found := 0
	if t.o.FoundRows {
		found = 1
	}
	return fmt.Sprintf(" ON CONFLICT (%s) DO UPDATE SET %s", k.quoted(), set),
		fmt.Sprintf("CASE WHEN %s.xmax = 0 THEN 1 WHEN EXISTS (SELECT FROM %s AS o WHERE %s AND %s) THEN %d ELSE 2 END",
			alias, tableName(in.r.table), strings.Join(key, " AND "), strings.Join(same, " AND "), found), nil
}
