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

// onlyInsert refuses what an INSERT into a table with lookup tables cannot do.
func (v *resolver) onlyInsert(t *table) {
	if i := v.st.has("RETURNING"); i >= 0 && len(t.lookups) > 0 {
		v.refuse(unsupported(v.st.at(i), "read the rows with SELECT in the same transaction", "INSERT with RETURNING into %s, which has lookup table %s, is not supported", t.name, t.lookups[0].name))
	}
}

// entries finds what lookup tables get of each row. Values that are no literals are computed first.
func (v *resolver) entries(in *insert, columns sqlparser.Columns, values sqlparser.Values, at int) (all []entering) {
	for _, l := range in.table.lookups {
		e := entering{table: l}
		for like, r := range values {
			for _, name := range l.columns {
				i := slices.IndexFunc(columns, func(c sqlparser.ColIdent) bool { return c.Lowered() == name })
				switch {
				case i < 0: // its default
				case i >= len(r):
					v.refuse(fewer(at))
					return nil
				case v.plain(r[i]):
					k, ok := v.st.literal(r[i])
					if !ok {
						k.slot = -1
					}
					e.keys = append(e.keys, k)
				case v.computable(in, r[i]):
					in.computed = append(in.computed, computedKey{like: like, place: i, column: name, nullable: true})
				case v.subquery || v.derived || v.real > 1:
					in.only = unsupported(at, "read it first", "the value of %s, which lookup table %s of %s has, is the result of a query", name, l.name, in.table.name)
					return nil
				default:
					v.refuse(unsupported(at, "compute it in the client", "the value of %s, which lookup table %s of %s has, is not a literal", name, l.name, in.table.name))
					return nil
				}
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
