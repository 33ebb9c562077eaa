package dialect

import (
	"fmt"
	"slices"
	"strings"

	"github.com/dolthub/vitess/go/vt/sqlparser"
)

// conflicting are the unique keys in which the new rows may meet old ones.
func (in *newRows) conflicting() []*Key {
	var keys []*Key
	id := in.r.table.identity()
	for i := range in.r.table.Keys {
		k := &in.r.table.Keys[i]
		made := in.makes && id != nil && len(k.Columns) == 1 && k.Columns[0] == id.Name
		if k.Unique && !made {
			keys = append(keys, k)
		}
	}
	return keys
}

func (k *Key) quoted() string {
	quoted := make([]string, len(k.Columns))
	for i, c := range k.Columns {
		quoted[i] = quoteName(c)
	}
	return strings.Join(quoted, ", ")
}

// replaces is REPLACE by one key: a row with the same key becomes the new one, in all of its columns. It counts as one row more if it was another.
func (t *translator) replaces(in *newRows, k *Key, s *Step) (conflict, weight string) {
	var sets []string
	for _, c := range in.r.table.Columns {
		switch {
		case c.Generated:
		case slices.Contains(in.columns, c), c.Identity: // whose number the new row has
			sets = append(sets, quoteName(c.Name)+" = excluded."+quoteName(c.Name))
		default:
			sets = append(sets, quoteName(c.Name)+" = DEFAULT")
		}
	}
	s.AffectedPlus = in.rows
	differs := in.differs(func(c *Column) string { return "excluded." + quoteName(c.Name) })
	return fmt.Sprintf(" ON CONFLICT (%s) DO UPDATE SET %s WHERE %s", k.quoted(), strings.Join(sets, ", "), differs),
		"CASE WHEN " + quoteName(in.r.alias) + ".xmax = 0 THEN 0 ELSE 1 END"
}

// differs is the condition that an old row is another one than the new row.
func (in *newRows) differs(given func(*Column) string) string {
	var all []string
	for i, c := range in.r.table.Columns {
		old := in.r.fields[i].v.s
		switch {
		case c.Generated:
		case slices.Contains(in.columns, c):
			all = append(all, changed(old, c, given(c)))
		case c.Identity:
			all = append(all, "TRUE")
		case c.Default == "":
			all = append(all, old+" IS NOT NULL")
		default:
			all = append(all, changed(old, c, "("+c.Default+")"))
		}
	}
	return strings.Join(all, " OR ")
}

// newRow names the new row for the values of ON DUPLICATE KEY UPDATE.
func (t *translator) newRow(n *sqlparser.Insert, in *newRows, alias string) {
	excluded := &relation{alias: alias}
	for i, c := range in.r.table.Columns {
		v := in.r.fields[i].v
		v.s = strings.Replace(v.s, quoteName(in.r.alias)+"."+quoteName(c.Name), alias+"."+quoteName(c.Name), 1)
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
}

// onDuplicate translates ON DUPLICATE KEY UPDATE by one key. A new row counts as one, a changed one as two, and one that is as it was as none, or
// as one for a client that counts the rows found.
func (t *translator) onDuplicate(n *sqlparser.Insert, in *newRows, k *Key, s *Step) (conflict, weight string, err error) {
	t.newRow(n, in, "excluded")
	list, seeks := t.withoutSeek(sqlparser.AssignmentExprs(n.OnDup), in)
	all, err := t.assignments(in.r, list)
	if err != nil {
		return "", "", err
	}
	in.seeks = seeks
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
