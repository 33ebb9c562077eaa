package dialect

import (
	"fmt"
	"strings"

	"github.com/dolthub/vitess/go/vt/sqlparser"
)

// manyTables are the tables of an UPDATE or DELETE, joined.
type manyTables struct {
	relations []*relation
	texts     []string // of inner joins
	on        []string // their conditions
	outer     bool     // there is an outer join, and texts is the whole
}

// from is the whole FROM clause.
func (m *manyTables) from() string { return strings.Join(m.texts, ", ") }

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

// many flattens inner joins: PostgreSQL's UPDATE has its own table in no join. Outer joins stay as they are.
func (t *translator) many(list sqlparser.TableExprs) (*manyTables, error) {
	m := &manyTables{outer: hasOuter(list)}
	if m.outer {
		t.clause = "from clause"
		from, err := t.from(list)
		m.relations, m.texts = t.scope.relations, []string{from}
		return m, err
	}
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

// hasOuter tells whether there is an outer join.
func hasOuter(list sqlparser.TableExprs) bool {
	found := false
	_ = sqlparser.Walk(func(n sqlparser.SQLNode) (bool, error) {
		switch n := n.(type) {
		case *sqlparser.Subquery:
			return false, nil
		case *sqlparser.JoinTableExpr:
			found = found || n.Join != sqlparser.JoinStr && n.Join != sqlparser.StraightJoinStr
		}
		return true, nil
	}, list)
	return found
}

// chosenRows chooses and locks rows of several tables in one query, by their primary keys, for the changes behind it.
type chosenRows struct {
	columns []string
	locks   []string
}

// choose has the rows of a table chosen. It returns the condition that a row t is one of them. Rows that an outer join may leave out cannot be
// locked by the query: one that another transaction has changed meanwhile is a conflict, as a deadlock is.
func (t *translator) choose(c *chosenRows, r *relation, what string) (same string, err error) {
	if len(r.table.Keys) == 0 || !r.table.Keys[0].Primary {
		return "", refuse(t.src.find(r.alias), what+" of this kind needs a primary key", "give the table one")
	}
	table := quoteName(r.alias) + "."
	n := len(c.columns)
	var all []string
	for j, column := range r.table.Keys[0].Columns {
		key := fmt.Sprintf("k%d_%d", n, j)
		c.columns = append(c.columns, table+quoteName(column)+" AS "+key)
		all = append(all, "t."+quoteName(column)+" = chosen."+key)
	}
	same = strings.Join(all, " AND ")
	if !r.outer {
		c.locks = append(c.locks, quoteName(r.alias))
		return same, nil
	}
	version := fmt.Sprintf("x%d", n)
	c.columns = append(c.columns, table+"xmin AS "+version)
	return fmt.Sprintf("%s AND CASE WHEN %[1]s THEN t.xmin = chosen.%s OR xaproxy.fail('40001', 'a row was changed by another transaction') END", same, version), nil
}

// first is the order and the number of the rows that a change with a LIMIT is about.
func (t *translator) first(order sqlparser.OrderBy, limit *sqlparser.Limit) (string, error) {
	o, err := t.orderBy(order, nil, false, nil)
	if err != nil {
		return "", err
	}
	l, err := t.limit(limit)
	return o + l, err
}

// step is the choice and the changes. No row is changed before all are chosen: the query would leave out what it meets changed.
func (c *chosenRows) step(with, from string, where []string, limit string, changes []string) Step {
	if with == "" {
		with = "WITH "
	} else {
		with = strings.TrimSuffix(with, " ") + ", "
	}
	s := with + "chosen AS (SELECT " + strings.Join(c.columns, ", ") + " FROM " + from
	if len(where) > 0 {
		s += " WHERE " + strings.Join(where, " AND ")
	}
	s += limit
	if len(c.locks) > 0 {
		s += " FOR UPDATE OF " + strings.Join(c.locks, ", ")
	}
	s += ")"
	counts := make([]string, len(changes))
	for i, change := range changes {
		s += fmt.Sprintf(", d%d AS (%s AND (SELECT count(*) FROM chosen) > 0 RETURNING 1)", i, change)
		counts[i] = fmt.Sprintf("(SELECT count(*) FROM d%d)", i)
	}
	return Step{Kind: Count, InsertID: -1, InsertIDGiven: -1, Affected: 0, Text: s + " SELECT " + strings.Join(counts, " + ")}
}
