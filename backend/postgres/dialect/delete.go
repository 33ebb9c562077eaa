package dialect

import (
	"fmt"
	"slices"
	"strings"

	"github.com/dolthub/vitess/go/vt/sqlparser"
)

// delete translates DELETE.
func (t *translator) delete(n *sqlparser.Delete) error {
	if err := t.strict(); err != nil {
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
	if t.src.ignore {
		return t.deleteIgnoring(n)
	}
	if len(n.Targets) > 1 || hasOuter(n.TableExprs) || n.Limit != nil && len(n.Targets) == 0 {
		return t.deleteChosen(n, w)
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
	t.targets = []*Table{target.table}
	where := m.on
	if n.Where != nil {
		t.clause = "where clause"
		s, err := t.condition(n.Where.Expr)
		if err != nil {
			return err
		}
		where = append(where, s)
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

// deleteChosen translates a DELETE from several tables, through an outer join or with a LIMIT.
func (t *translator) deleteChosen(n *sqlparser.Delete, with string) error {
	t.clause = "from clause"
	from, err := t.from(n.TableExprs)
	if err != nil {
		return err
	}
	targets := t.scope.relations
	if len(n.Targets) > 0 {
		targets = nil
	}
	for _, name := range n.Targets {
		at := slices.IndexFunc(t.scope.relations, func(r *relation) bool { return r.table != nil && r.alias == name.Name.String() })
		if at < 0 {
			return &Error{Errno: 1109, State: "42S02", At: t.src.find(name.Name.String()), What: "Unknown table '" + name.Name.String() + "' in MULTI DELETE"}
		}
		targets = append(targets, t.scope.relations[at])
	}
	rows := &chosenRows{}
	var deletes []string
	for _, r := range targets {
		same, err := t.choose(rows, r, "a DELETE")
		if err != nil {
			return err
		}
		t.targets = append(t.targets, r.table)
		deletes = append(deletes, fmt.Sprintf("DELETE FROM %s AS t USING chosen WHERE %s", tableName(r.table), same))
	}
	var where []string
	if n.Where != nil {
		t.clause = "where clause"
		s, err := t.condition(n.Where.Expr)
		if err != nil {
			return err
		}
		where = append(where, s)
	}
	limit, err := t.first(n.OrderBy, n.Limit)
	if err != nil {
		return err
	}
	t.step(rows.step(with, from, where, limit, deletes))
	return nil
}
