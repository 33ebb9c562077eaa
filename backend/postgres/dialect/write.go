package dialect

import (
	"cmp"
	"fmt"
	"strings"

	"github.com/dolthub/vitess/go/vt/sqlparser"
)

// strict refuses a write whose mistakes MySQL would only warn of.
func (t *translator) strict() error {
	if t.o.Lenient {
		return refuse(0, "without STRICT_TRANS_TABLES MySQL changes values that do not fit, which PostgreSQL never does", "SET sql_mode with STRICT_TRANS_TABLES")
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
			if err := t.ownDefault(c); err != nil {
				return nil, err
			}
			value := c.defaultValue()
			a.text, a.changed = "DEFAULT", changed(original[i].v.s, c, value)
			all = append(all, a)
			r.fields[i].v.s = value
			continue
		}
		v, err := t.expr(e.Expr)
		if err != nil {
			return nil, about(c, err)
		}
		if t.ignored != nil {
			if v, err = t.fit(c, v); err != nil {
				return nil, about(c, err)
			}
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

// defaultValue is the value that DEFAULT is.
func (c *Column) defaultValue() string {
	return "(" + cmp.Or(c.Default, "NULL") + ")::" + storedAs(c)
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
		return "(" + old + `)::text COLLATE "C" IS DISTINCT FROM (` + text + `)::text COLLATE "C"`
	case c.Type.Kind == Double: // -0 is another value
		return "float8send(" + old + ") IS DISTINCT FROM float8send((" + text + ")::double precision)"
	case c.Type.Kind == Float:
		return "float4send(" + old + ") IS DISTINCT FROM float4send((" + text + ")::real)"
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
