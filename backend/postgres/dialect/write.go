package dialect

import (
	"fmt"
	"strings"

	"github.com/dolthub/vitess/go/vt/sqlparser"
)

// strict refuses a write whose mistakes MySQL would only warn of.
func (t *translator) strict(ignore string) error {
	if t.o.Lenient {
		return refuse(0, "without STRICT_TRANS_TABLES MySQL changes values that do not fit, which PostgreSQL never does", "SET sql_mode with STRICT_TRANS_TABLES")
	}
	if ignore != "" {
		return t.refuse("IGNORE", "leave it out", "IGNORE is only translated in INSERT, for duplicate keys")
	}
	return nil
}

// assignment is column = text.
type assignment struct {
	c       *Column
	text    string
	changed string // the condition that the row is changed by it
}

// assignments translates SET. As in MySQL an assignment sees what those before it have assigned.
func (t *translator) assignments(r *relation, list sqlparser.AssignmentExprs) ([]assignment, error) {
	original := append([]field{}, r.fields...)
	defer func() { r.fields = original }()
	r.fields = append([]field{}, original...)
	t.clause = "field list"
	var all []assignment
	for _, e := range list {
		i := r.index(e.Name.Name.String())
		if i < 0 {
			return nil, t.unknown(e.Name)
		}
		c := r.table.Columns[i]
		if c.Generated {
			return nil, &Error{Errno: 3105, State: "HY000", At: t.src.find(c.Name), What: fmt.Sprintf("The value specified for generated column '%s' in table '%s' is not allowed.", c.Name, r.table.Name)}
		}
		a := assignment{c: c}
		if d, ok := e.Expr.(*sqlparser.Default); ok && d.ColName == "" {
			a.text, a.changed = "DEFAULT", "TRUE"
			all = append(all, a)
			r.fields[i].v.s = "(" + c.Default + ")"
			continue
		}
		v, err := t.expr(e.Expr)
		if err != nil {
			return nil, err
		}
		if a.text, err = t.assign(c, v); err != nil {
			return nil, err
		}
		a.changed = changed(original[i].v.s, c, a.text)
		if v.free {
			a.changed = "TRUE"
		}
		all = append(all, a)
		next := original[i].v
		next.s, next.notNull = "("+a.text+")::"+storedAs(c), false
		r.fields[i].v = next
	}
	return all, nil
}

func storedAs(c *Column) string {
	if c.PG != "" {
		return c.PG
	}
	return c.Type.stored()
}

// changed is the condition that a column, which is old, is something else than the new value when that is stored. MySQL compares bytes.
func changed(old string, c *Column, text string) string {
	switch {
	case c.PG == "boolean":
		return strings.TrimSuffix(old, "::int") + " IS DISTINCT FROM " + text
	case c.Type.Kind.text():
		return "(" + old + `)::text COLLATE "C" IS DISTINCT FROM (` + text + ")::text"
	case c.Type.Kind.bytes(), c.Type.Kind == JSON:
		return old + " IS DISTINCT FROM " + text
	}
	return old + " IS DISTINCT FROM (" + text + ")::" + storedAs(c)
}

func (r *relation) index(name string) int {
	for i, f := range r.fields {
		if strings.EqualFold(f.name, name) {
			return i
		}
	}
	return -1
}

// sets writes assignments, and the times that MySQL keeps by itself, which only change with the row: sometimes says that the statement writes
// rows that do not change.
func (t *translator) sets(r *relation, all []assignment, sometimes bool) (set string, differs string) {
	var parts, conditions []string
	named := map[string]bool{}
	last := map[string]int{}
	for i, a := range all {
		named[a.c.Name] = true
		last[a.c.Name] = i
	}
	for i, a := range all {
		if last[a.c.Name] != i {
			continue // assigned again: the later one has seen it
		}
		parts = append(parts, quoteName(a.c.Name)+" = "+a.text)
		conditions = append(conditions, a.changed)
	}
	for _, c := range r.table.Columns {
		if c.OnUpdate && !named[c.Name] {
			now, err := now(t, &call{name: "NOW", args: []value{{lit: &literal{kind: BigInt, text: fmt.Sprint(c.Type.Scale)}}}})
			if err == nil {
				s := now.s
				if sometimes { // the row may be written without being changed
					s = fmt.Sprintf("CASE WHEN %s THEN %s ELSE %s END", strings.Join(append(conditions, "FALSE"), " OR "), s, quoteName(r.alias)+"."+quoteName(c.Name))
				}
				parts = append(parts, quoteName(c.Name)+" = "+s)
			}
		}
	}
	return strings.Join(parts, ", "), strings.Join(conditions, " OR ")
}

// update translates UPDATE. MySQL counts the rows that it changed, so those that already are as they shall be are left out, unless the client
// counts the rows found. What the statement says of its rows ("matched") is then the number of changed ones.
func (t *translator) update(n *sqlparser.Update) error {
	if err := t.strict(n.Ignore); err != nil {
		return err
	}
	if len(n.Returning) > 0 {
		return t.refuse("RETURNING", "read the rows", "RETURNING is MariaDB's")
	}
	t.scope = &scope{queries: map[string][]field{}}
	w, err := t.with(n.With)
	if err != nil {
		return err
	}
	m, err := t.many(n.TableExprs)
	if err != nil {
		return err
	}
	target, err := t.targetOf(n.Exprs)
	if err != nil {
		return err
	}
	t.target = target.table
	where := m.on
	t.clause = "where clause"
	if n.Where != nil {
		s, err := t.condition(n.Where.Expr)
		if err != nil {
			return err
		}
		where = append(where, s)
	}
	all, err := t.assignments(target, n.Exprs)
	if err != nil {
		return err
	}
	set, differs := t.sets(target, all, t.o.FoundRows)
	if len(n.OrderBy) > 0 && len(m.relations) > 1 || n.Limit != nil && len(m.relations) > 1 {
		return &Error{Errno: 1221, State: "HY000", At: t.src.find("LIMIT"), What: "Incorrect usage of UPDATE and LIMIT"}
	}
	if n.Limit != nil {
		chosen, err := t.chosen(target, where, n.OrderBy, n.Limit)
		if err != nil {
			return err
		}
		where = []string{chosen}
	}
	if !t.o.FoundRows {
		where = append(where, "("+differs+")")
	}
	s := w + "UPDATE " + named(target) + " SET " + set
	if from := m.others(target); from != "" {
		s += " FROM " + from
	}
	if len(where) > 0 {
		s += " WHERE " + strings.Join(where, " AND ")
	}
	t.step(Step{Kind: Count, Text: s, InsertID: -1, Affected: -1, InsertIDGiven: -1})
	return nil
}

// named is a table with its alias.
func named(r *relation) string {
	s := tableName(r.table)
	if r.alias != r.table.Name {
		s += " AS " + quoteName(r.alias)
	}
	return s
}

// targetOf is the one table that assignments are about.
func (t *translator) targetOf(list sqlparser.AssignmentExprs) (*relation, error) {
	var target *relation
	for _, e := range list {
		t.clause = "field list"
		if _, err := t.column(e.Name); err != nil {
			return nil, err
		}
		for _, r := range t.scope.relations {
			table := e.Name.Qualifier.Name.String()
			if table != "" && r.alias != table || r.index(e.Name.Name.String()) < 0 {
				continue
			}
			if target != nil && target != r {
				return nil, refuse(t.src.find(e.Name.Name.String()), "an UPDATE of several tables is not translated", "update them one by one")
			}
			target = r
		}
	}
	if target == nil || target.table == nil {
		return nil, &Error{Errno: 1288, State: "HY000", At: -1, What: "The target table of the UPDATE is not updatable"}
	}
	return target, nil
}

// manyTables are the tables of an UPDATE or DELETE, joined.
type manyTables struct {
	relations []*relation
	texts     []string
	on        []string
}

// others are the tables but for one.
func (m *manyTables) others(target *relation) string {
	var texts []string
	for i, r := range m.relations {
		if r != target {
			texts = append(texts, m.texts[i])
		}
	}
	return strings.Join(texts, ", ")
}

// many flattens inner joins: PostgreSQL's UPDATE has its own table in no join.
func (t *translator) many(list sqlparser.TableExprs) (*manyTables, error) {
	m := &manyTables{}
	for _, e := range list {
		if err := t.flatten(e, m); err != nil {
			return nil, err
		}
	}
	return m, nil
}

func (t *translator) flatten(e sqlparser.TableExpr, m *manyTables) error {
	switch e := e.(type) {
	case *sqlparser.ParenTableExpr:
		for _, e := range e.Exprs {
			if err := t.flatten(e, m); err != nil {
				return err
			}
		}
		return nil
	case *sqlparser.JoinTableExpr:
		if e.Join != sqlparser.JoinStr && e.Join != sqlparser.StraightJoinStr {
			return t.refuse(strings.Fields(e.Join)[0], "say it with EXISTS or a subquery", "a change through an outer join is not translated")
		}
		first := len(t.scope.relations)
		if err := t.flatten(e.LeftExpr, m); err != nil {
			return err
		}
		second := len(t.scope.relations)
		if err := t.flatten(e.RightExpr, m); err != nil {
			return err
		}
		for _, c := range e.Condition.Using {
			s, err := t.using(c.String(), t.scope.relations[first:second], t.scope.relations[second:], false)
			if err != nil {
				return err
			}
			m.on = append(m.on, s)
		}
		if e.Condition.On != nil {
			t.clause = "on clause"
			s, err := t.condition(e.Condition.On)
			if err != nil {
				return err
			}
			m.on = append(m.on, s)
		}
		return nil
	}
	s, err := t.tableExpr(e)
	if err != nil {
		return err
	}
	m.relations = append(m.relations, t.scope.relations[len(t.scope.relations)-1])
	m.texts = append(m.texts, s)
	return nil
}

// chosen is the condition of a LIMIT: the primary keys of the rows, which it locks.
func (t *translator) chosen(r *relation, where []string, order sqlparser.OrderBy, limit *sqlparser.Limit) (string, error) {
	if len(r.table.Keys) == 0 || !r.table.Keys[0].Primary {
		return "", t.refuse("LIMIT", "give the table a primary key", "LIMIT of a change needs a primary key")
	}
	columns := make([]string, len(r.table.Keys[0].Columns))
	for i, c := range r.table.Keys[0].Columns {
		columns[i] = quoteName(r.alias) + "." + quoteName(c)
	}
	s := "(" + strings.Join(columns, ", ") + ") IN (SELECT " + strings.Join(columns, ", ") + " FROM " + named(r)
	if len(where) > 0 {
		s += " WHERE " + strings.Join(where, " AND ")
	}
	t.clause = "order clause"
	for i, o := range order {
		v, err := t.expr(o.Expr)
		if err != nil {
			return "", err
		}
		key, err := t.sortKey(v, o.Direction)
		if err != nil {
			return "", err
		}
		s += map[bool]string{true: " ORDER BY ", false: ", "}[i == 0] + key
	}
	if limit != nil {
		l, err := t.limit(limit)
		if err != nil {
			return "", err
		}
		s += l
	}
	return s + " FOR UPDATE OF " + quoteName(r.alias) + ")", nil
}
