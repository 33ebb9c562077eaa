package dialect

import (
	"fmt"
	"slices"
	"strings"

	"github.com/dolthub/vitess/go/vt/sqlparser"
)

// Passed are the rows of an UPDATE IGNORE or DELETE IGNORE, which are chosen and locked before they are changed one by one: whoever runs it warns of those
// that a key, a foreign key or a CHECK does not let change.
type Passed struct {
	// Choose has the place of each row in the table, and whether it changes. It fails if it depends on MySQL's order which of them do.
	Choose Step
	// Change changes the rows in these places.
	Change func(places []string) Step
	Update bool
	// Warnings are those of each row, of values that were made to fit.
	Warnings []Warning
}

// updateIgnoring is UPDATE IGNORE of one table.
func (t *translator) updateIgnoring(n *sqlparser.Update, m *manyTables) error {
	if len(m.relations) != 1 || n.With != nil || t.o.Matched {
		return t.refuse("IGNORE", "read the rows, and change them by their primary key", "UPDATE IGNORE is only translated of one table alone")
	}
	r := m.relations[0]
	t.ignored = &Ignored{}
	changes, err := t.changes(n.Exprs)
	if err != nil {
		return err
	}
	all, err := t.assignments(r, changes[0].list)
	if err != nil {
		return unfitIf(true, err)
	}
	warnings := t.ignored.Warnings
	t.ignored = nil
	set, differs := t.sets(r, all, false)
	touched := func(c string) int {
		return slices.IndexFunc(all, func(a assignment) bool { return a.c.Name == c })
	}
	choose, columns := &choice{r: r, differs: differs}, 0
	for _, k := range r.table.Keys {
		if !k.Unique || !slices.ContainsFunc(k.Columns, func(c string) bool { return touched(c) >= 0 }) {
			continue
		}
		var old, next []string
		for _, name := range k.Columns {
			c := r.table.Columns[r.index(name)]
			was := quoteName(r.alias) + "." + quoteName(name)
			will := was
			for _, a := range all { // the last one has seen those before it
				if a.c != c {
					continue
				}
				if will = c.as(a.text); a.text == "DEFAULT" {
					will = c.as(c.defaultValue())
				} else if a.changed == "TRUE" {
					return t.refuse("IGNORE", "compute the value before", "UPDATE IGNORE of a key with a value that is another one each time is not translated")
				}
			}
			choose.columns = append(choose.columns, fmt.Sprintf("%s AS o%d", was, columns), fmt.Sprintf("%s AS n%d", will, columns))
			old, next = append(old, fmt.Sprint("o", columns)), append(next, fmt.Sprint("n", columns))
			columns++
		}
		choose.keys = append(choose.keys, [2]string{strings.Join(old, ", "), strings.Join(next, ", ")})
	}
	if slices.ContainsFunc(r.table.Bound, func(c string) bool { return touched(c) >= 0 }) {
		choose.action = "confupdtype"
	}
	return t.passes(choose, n.Where, n.OrderBy, n.Limit, warnings, "UPDATE "+named(r)+" SET "+set)
}

// deleteIgnoring is DELETE IGNORE of one table.
func (t *translator) deleteIgnoring(n *sqlparser.Delete) error {
	if len(n.Targets) > 0 || len(n.TableExprs) != 1 || n.With != nil {
		return t.refuse("IGNORE", "read the rows, and delete them by their primary key", "DELETE IGNORE is only translated of one table alone")
	}
	m, err := t.many(n.TableExprs)
	if err != nil {
		return err
	}
	if len(m.relations) != 1 || m.relations[0].table == nil || m.relations[0].table.View {
		return t.refuse("IGNORE", "delete from its table", "DELETE IGNORE is only translated of one table alone")
	}
	r := m.relations[0]
	t.targets = []*Table{r.table}
	return t.passes(&choice{r: r, differs: "TRUE", action: "confdeltype"}, n.Where, n.OrderBy, n.Limit, nil, "DELETE FROM "+named(r))
}

// choice is how the rows of a Passed are chosen.
type choice struct {
	r       *relation
	differs string      // the condition that a row changes
	columns []string    // o0, n0, o1 …: columns of keys as they are, and as they will be
	keys    [][2]string // lists of these, of each unique key that changes
	action  string      // the column of pg_constraint with what becomes of rows that refer to those changed, "" if that is no matter
}

// passes adds the step of a change that passes over rows.
func (t *translator) passes(c *choice, where *sqlparser.Where, order sqlparser.OrderBy, limit *sqlparser.Limit, warnings []Warning, change string) error {
	t.clause = "where clause"
	var conditions string
	if where != nil {
		s, err := t.condition(where.Expr)
		if err != nil {
			return err
		}
		conditions = " WHERE " + s
	}
	rest, err := t.first(order, limit)
	if err != nil {
		return err
	}
	alias := quoteName(c.r.alias)
	columns := append([]string{alias + ".ctid AS place", "(" + c.differs + ") AS changes"}, c.columns...)
	var ordered []string // conditions that MySQL's order matters
	for _, k := range c.keys {
		same := fmt.Sprintf("(ROW(%s) = ROW(%s)) IS NOT TRUE", k[0], k[1])
		ordered = append(ordered, fmt.Sprintf("EXISTS (SELECT FROM (SELECT %s FROM chosen WHERE %s UNION ALL SELECT %s FROM chosen WHERE %[2]s) AS k(%[4]s) WHERE ROW(%[4]s) = ROW(%[4]s) GROUP BY %[4]s HAVING count(*) > 1)",
			k[1], same, k[0], k[1]))
	}
	if c.action != "" { // a row of the table itself refers to one, or one that goes with it refers to another, or has others referring to it
		table := quoteText(tableName(c.r.table)) + "::regclass"
		ordered = append(ordered, fmt.Sprintf("(SELECT count(*) FROM chosen WHERE changes) > 1 AND EXISTS (SELECT FROM pg_constraint AS f WHERE f.contype = 'f' AND f.confrelid = %[1]s AND (f.conrelid = %[1]s OR f.%[2]s IN ('c', 'n', 'd')"+
			" AND EXISTS (SELECT FROM pg_constraint AS g WHERE g.contype = 'f' AND g.oid <> f.oid AND (g.conrelid = f.conrelid AND g.confrelid = %[1]s OR g.confrelid = f.conrelid))))", table, c.action))
	}
	text := "WITH chosen AS MATERIALIZED (SELECT " + strings.Join(columns, ", ") + " FROM " + named(c.r) + conditions + rest + " FOR UPDATE OF " + alias + ") SELECT place::text, changes FROM chosen"
	if len(ordered) > 0 {
		text += " WHERE CASE WHEN " + strings.Join(ordered, " OR ") + " THEN xaproxy.fail('0A000', 'with IGNORE it depends on the order in which MySQL reads the rows which of them change: change them one by one') ELSE TRUE END"
	}
	plain := Step{Kind: Count, InsertID: -1, Affected: -1, InsertIDGiven: -1}
	choose := plain
	choose.Text = text
	t.chosen = &Passed{Update: strings.HasPrefix(change, "UPDATE"), Warnings: warnings, Choose: t.numbered(choose), Change: func(places []string) Step {
		some := plain
		some.Text = change + " WHERE " + alias + ".ctid = ANY ('{" + `"` + strings.Join(places, `","`) + `"` + "}'::tid[])"
		return t.numbered(some)
	}}
	plain.Text = change + conditions // never run: whoever cannot run Passed refuses it
	t.step(plain)
	return nil
}
