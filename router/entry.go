package router

import (
	"slices"

	"github.com/dolthub/vitess/go/vt/sqlparser"
)

// entering is what an INSERT writes into a lookup table: for each row shape the literals of its shard key, with slot -1 for NULL.
type entering struct {
	table *table
	keys  []keyRef
}

// onlyInsert refuses the forms of INSERT into a table with lookup tables that leave out rows or change others.
func (v *resolver) onlyInsert(t *table, at int) {
	if len(t.lookups) == 0 {
		return
	}
	for _, word := range []string{"REPLACE", "IGNORE", "DUPLICATE", "RETURNING", "SELECT", "TABLE"} {
		if i := v.st.has(word); i >= 0 && (word != "REPLACE" || i == 0) {
			v.refuse(unsupported(v.st.at(i), "write INSERT ... VALUES, or UPDATE", "INSERT with %s into %s, which has lookup table %s, is not supported", word, t.name, t.lookups[0].name))
			return
		}
	}
}

// entries finds what lookup tables get of each row.
func (v *resolver) entries(t *table, columns sqlparser.Columns, values sqlparser.Values, at int) (all []entering) {
	for _, l := range t.lookups {
		e := entering{table: l}
		for _, r := range values {
			for _, name := range l.columns {
				i := slices.IndexFunc(columns, func(c sqlparser.ColIdent) bool { return c.Lowered() == name })
				if i < 0 || i >= len(r) {
					v.refuse(unsupported(at, "give it a value, be it NULL", "the INSERT into %s has no value for %s, which lookup table %s has", t.name, name, l.name))
					return nil
				}
				k, ok := v.st.literal(r[i])
				if _, null := r[i].(*sqlparser.NullVal); null {
					k, ok = keyRef{slot: -1}, true
				}
				if !ok {
					v.refuse(unsupported(at, "compute it in the client", "the value of %s, which lookup table %s of %s has, is not a literal", name, l.name, t.name))
					return nil
				}
				e.keys = append(e.keys, k)
			}
		}
		all = append(all, e)
	}
	return all
}

// of is the literals of one row.
func (e *entering) of(s *scan, r row) []keyRef {
	n := len(e.table.columns)
	if len(s.rows) == 0 {
		return e.keys[:n]
	}
	keys := slices.Clone(e.keys[int(r.like)*n:][:n])
	for i := range keys {
		if keys[i].slot >= 0 {
			keys[i].slot += r.lit - s.likes[r.like].slot
		}
	}
	return keys
}

// enter adds to the plan of an INSERT what it writes into the lookup tables.
func (in *insert) enter(p *Plan, pl *placing) (*Plan, *reason, int) {
	s, t := pl.s, in.table
	if s.exec {
		return nil, unsupported(-1, "write it without the comment", "%s has a lookup table, and there is an executable comment", t.name), -1
	}
	var lookups []*table
	for _, e := range in.entries {
		lookups = append(lookups, e.table)
	}
	c := t.changed(t.newChange(lookups).columns, lookups)
	for n := range in.entries {
		e, to := &in.entries[n], &c.Lookups[n]
		head := "INSERT INTO " + quoteName(e.table.schema) + "." + quoteName(e.table.base) + " ("
		for i, name := range slices.Concat(e.table.columns, t.columns) {
			if i > 0 {
				head += ", "
			}
			head += quoteName(name)
		}
		head += ") VALUES "
		for _, r := range in.rowsOf(s) {
			keys := e.of(s, r)
			if slices.ContainsFunc(keys, func(k keyRef) bool { return k.slot < 0 || pl.isNull(k) }) {
				continue
			}
			shard, fault := pl.shard(e.table, keys)
			if fault != keyGood {
				return nil, pl.why, pl.at
			}
			part := partOn(&to.Insert, e.table.sharding.backends[shard], head, ", ")
			own := in.keys
			if in.rows {
				own = in.keysOf(s, r, make([]keyRef, len(t.columns)))
			}
			for i, k := range slices.Concat(keys, own) {
				part.SQL = append(part.SQL, map[bool]string{true: "(", false: ", "}[i == 0]...)
				part.literal(s, k)
			}
			part.SQL = append(part.SQL, ')')
			i := slices.IndexFunc(to.Insert, func(q Part) bool { return q.Backend == part.Backend })
			if i == len(to.Rows) {
				to.Rows = append(to.Rows, 0)
			}
			to.Rows[i]++
		}
	}
	q := *p
	q.Merge, q.Change = MergeChange, c
	return &q, nil, -1
}

// isNull tells whether the value is a parameter to which NULL is bound.
func (pl *placing) isNull(k keyRef) bool {
	lit := pl.s.lits[k.slot]
	return lit.kind == kParam && pl.value(int(lit.param)).Kind == ValueNull
}
