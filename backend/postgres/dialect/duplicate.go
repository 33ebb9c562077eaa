package dialect

import (
	"fmt"
	"strings"

	"github.com/dolthub/vitess/go/vt/sqlparser"
)

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
