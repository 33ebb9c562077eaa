package dialect

import (
	"fmt"
	"slices"
	"strings"

	"github.com/dolthub/vitess/go/vt/sqlparser"
)

// update translates UPDATE. MySQL counts the rows that it changed, so those that already are as they shall be are left out, unless the client
// counts the rows found, or asks for both numbers.
func (t *translator) update(n *sqlparser.Update) error {
	if err := t.strict(); err != nil {
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
	if n.Ignore != "" {
		return t.updateIgnoring(n, m)
	}
	changes, err := t.changes(n.Exprs)
	if err != nil {
		return err
	}
	if len(m.relations) > 1 {
		if n.Limit != nil || len(n.OrderBy) > 0 {
			return &Error{Errno: 1221, State: "HY000", At: t.src.find("LIMIT"), What: "Incorrect usage of UPDATE and LIMIT"}
		}
		if err := t.determined(changes); err != nil {
			return err
		}
	}
	t.clause = "where clause"
	where := m.on
	if n.Where != nil {
		s, err := t.condition(n.Where.Expr)
		if err != nil {
			return err
		}
		where = append(where, s)
	}
	if len(changes) > 1 || m.outer || n.Limit != nil || t.o.Matched {
		return t.updateChosen(n, w, m.from(), where, changes)
	}
	target := changes[0].r
	all, err := t.assignments(target, changes[0].list)
	if err != nil {
		return err
	}
	set, differs := t.sets(target, all, t.o.FoundRows)
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

// change is what an UPDATE assigns to one of its tables.
type change struct {
	r    *relation
	list sqlparser.AssignmentExprs
}

// changes sorts assignments by their tables.
func (t *translator) changes(list sqlparser.AssignmentExprs) ([]change, error) {
	var all []change
	t.clause = "field list"
	for _, e := range list {
		if _, err := t.column(e.Name); err != nil {
			return nil, err
		}
		r := t.scope.relation(e.Name)
		if r == nil || r.table == nil || r.table.View {
			return nil, &Error{Errno: 1288, State: "HY000", At: t.src.find(e.Name.Name.String()), What: "The target table of the UPDATE is not updatable"}
		}
		i := slices.IndexFunc(all, func(c change) bool { return c.r == r })
		if i < 0 {
			i = len(all)
			all = append(all, change{r: r})
			t.targets = append(t.targets, r.table)
		}
		all[i].list = append(all[i].list, e)
	}
	return all, nil
}

// relation is the relation of a column, nil if there is none.
func (s *scope) relation(n *sqlparser.ColName) *relation {
	for _, r := range s.relations {
		table := n.Qualifier.Name.String()
		if (table == "" || r.alias == table) && r.index(n.Name.String()) >= 0 && !(table == "" && r.merged[strings.ToLower(n.Name.String())]) {
			return r
		}
	}
	return nil
}

// determined refuses what has one result or another, as the order is in which MySQL reads and changes the tables: a value of what the statement
// assigns in another table, or has assigned before, and two changes of one table.
func (t *translator) determined(all []change) error {
	assigned := map[*relation]map[string]bool{}
	for i, c := range all {
		assigned[c.r] = map[string]bool{}
		for _, e := range c.list {
			assigned[c.r][strings.ToLower(e.Name.Name.String())] = true
		}
		for _, other := range all[:i] {
			if other.r.table == c.r.table {
				return refuse(t.src.find(c.r.alias), "a change of a table under two names is not translated", "change it under one name after the other")
			}
		}
	}
	for _, c := range all {
		before := map[string]bool{}
		for _, e := range c.list {
			var at error
			_ = sqlparser.Walk(func(n sqlparser.SQLNode) (bool, error) {
				col, ok := n.(*sqlparser.ColName)
				if !ok {
					return true, nil
				}
				name := strings.ToLower(col.Name.String())
				if r := t.scope.relation(col); r != nil && (r == c.r && before[name] || r != c.r && assigned[r][name]) {
					at = refuse(t.src.find(col.Name.String()), "MySQL's order of the assignments to several tables is not determined, and a value is of "+col.Name.String()+", which is assigned", "change the tables one after the other")
				}
				return true, nil
			}, e.Expr)
			if at != nil {
				return at
			}
			before[strings.ToLower(e.Name.Name.String())] = true
		}
	}
	return nil
}

// updateChosen translates an UPDATE of several tables, through an outer join or with a LIMIT: one query chooses and locks the rows and computes the
// new values.
func (t *translator) updateChosen(n *sqlparser.Update, with, from string, where []string, changes []change) error {
	rows := &chosenRows{}
	var updates []string
	for i, c := range changes {
		same, err := t.choose(rows, c.r, "an UPDATE")
		if err != nil {
			return err
		}
		all, err := t.assignments(c.r, c.list)
		if err != nil {
			return err
		}
		r := &relation{alias: "t", table: c.r.table}
		for j, a := range all {
			if a.text == "DEFAULT" {
				all[j].changed = changed(columnValue(r, a.c).s, a.c, a.c.defaultValue())
				continue
			}
			name := fmt.Sprintf("v%d_%d", i, j)
			rows.columns = append(rows.columns, a.text+" AS "+name)
			all[j].text = "chosen." + name
			if a.changed != "TRUE" {
				all[j].changed = changed(columnValue(r, a.c).s, a.c, all[j].text)
			}
		}
		set, differs := t.sets(r, all, t.o.FoundRows)
		if !t.o.FoundRows {
			same += " AND (" + differs + ")"
		}
		updates = append(updates, fmt.Sprintf("UPDATE %s AS t SET %s FROM chosen WHERE %s", tableName(c.r.table), set, same))
	}
	limit, err := t.first(n.OrderBy, n.Limit)
	if err != nil {
		return err
	}
	s := rows.step(with, from, where, limit, updates)
	if t.o.Matched && len(changes) == 1 {
		keys := make([]string, len(changes[0].r.table.Keys[0].Columns))
		for i := range keys {
			keys[i] = fmt.Sprintf("k0_%d", i)
		}
		s.Text += fmt.Sprintf(", (SELECT count(*) FROM (SELECT DISTINCT %s FROM chosen WHERE %s IS NOT NULL) AS m)", strings.Join(keys, ", "), keys[0])
		s.Matched = 2
	}
	t.step(s)
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
