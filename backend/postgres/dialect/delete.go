package dialect

import (
	"fmt"
	"slices"
	"strings"

	"github.com/dolthub/vitess/go/vt/sqlparser"
)

// delete translates DELETE.
func (t *translator) delete(n *sqlparser.Delete) error {
	if err := t.strict(""); err != nil {
		return err
	}
	if len(n.Returning) > 0 || len(n.Partitions) > 0 {
		return refuse(0, "RETURNING and PARTITION of DELETE are not translated", "read the rows, and name a condition")
	}
	t.scope = &scope{queries: map[string][]field{}}
	w, err := t.with(n.With)
	if err != nil {
		return err
	}
	if len(n.Targets) > 1 || hasOuter(n.TableExprs) {
		return t.deleteMany(n, w)
	}
	m, err := t.many(n.TableExprs)
	if err != nil {
		return err
	}
	target := m.relations[0]
	switch {
	case len(n.Targets) == 1:
		target = nil
		for _, r := range m.relations {
			if r.table != nil && (r.alias == n.Targets[0].Name.String()) {
				target = r
			}
		}
		if target == nil {
			return &Error{Errno: 1109, State: "42S02", At: t.src.find(n.Targets[0].Name.String()), What: "Unknown table '" + n.Targets[0].Name.String() + "' in MULTI DELETE"}
		}
	}
	if target.table == nil {
		return &Error{Errno: 1288, State: "HY000", At: -1, What: "The target table of the DELETE is not updatable"}
	}
	t.target = target.table
	where := m.on
	if n.Where != nil {
		t.clause = "where clause"
		s, err := t.condition(n.Where.Expr)
		if err != nil {
			return err
		}
		where = append(where, s)
	}
	if n.Limit != nil {
		if len(m.relations) > 1 {
			return &Error{Errno: 1221, State: "HY000", At: t.src.find("LIMIT"), What: "Incorrect usage of DELETE and LIMIT"}
		}
		chosen, err := t.chosen(target, where, n.OrderBy, n.Limit)
		if err != nil {
			return err
		}
		where = []string{chosen}
	}
	s := w + "DELETE FROM " + named(target)
	if using := m.others(target); using != "" {
		s += " USING " + using
	}
	if len(where) > 0 {
		s += " WHERE " + strings.Join(where, " AND ")
	}
	t.step(Step{Kind: Count, Text: s, InsertID: -1, Affected: -1, InsertIDGiven: -1})
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

// deleteMany translates a DELETE from several tables, or through an outer join: one query chooses and locks the rows, by their primary keys.
func (t *translator) deleteMany(n *sqlparser.Delete, with string) error {
	t.clause = "from clause"
	from, err := t.from(n.TableExprs)
	if err != nil {
		return err
	}
	where := ""
	if n.Where != nil {
		t.clause = "where clause"
		s, err := t.condition(n.Where.Expr)
		if err != nil {
			return err
		}
		where = " WHERE " + s
	}
	var keys, locks, deletes, counts []string
	for i, name := range n.Targets {
		at := slices.IndexFunc(t.scope.relations, func(r *relation) bool { return r.table != nil && r.alias == name.Name.String() })
		if at < 0 {
			return &Error{Errno: 1109, State: "42S02", At: t.src.find(name.Name.String()), What: "Unknown table '" + name.Name.String() + "' in MULTI DELETE"}
		}
		r := t.scope.relations[at]
		switch {
		case r.outer:
			return refuse(t.src.find(r.alias), "rows that an outer join may leave out cannot be locked before they are deleted", "delete from the tables one by one")
		case len(r.table.Keys) == 0 || !r.table.Keys[0].Primary:
			return refuse(t.src.find(r.alias), "a DELETE of this kind needs a primary key", "give the table one")
		}
		var same []string
		for j, c := range r.table.Keys[0].Columns {
			key := fmt.Sprintf("k%d_%d", i, j)
			keys = append(keys, quoteName(r.alias)+"."+quoteName(c)+" AS "+key)
			same = append(same, "t."+quoteName(c)+" = chosen."+key)
		}
		locks = append(locks, quoteName(r.alias))
		deletes = append(deletes, fmt.Sprintf("d%d AS (DELETE FROM %s AS t USING chosen WHERE %s RETURNING 1)", i, tableName(r.table), strings.Join(same, " AND ")))
		counts = append(counts, fmt.Sprintf("(SELECT count(*) FROM d%d)", i))
	}
	if with == "" {
		with = "WITH "
	} else {
		with = strings.TrimSuffix(with, " ") + ", "
	}
	t.step(Step{
		Kind: Count, InsertID: -1, InsertIDGiven: -1, Affected: 0,
		Text: with + "chosen AS (SELECT " + strings.Join(keys, ", ") + " FROM " + from + where + " FOR UPDATE OF " + strings.Join(locks, ", ") + "), " +
			strings.Join(deletes, ", ") + " SELECT " + strings.Join(counts, " + "),
	})
	return nil
}
