package router

import (
	"slices"
	"strings"
)

// sequenceTable is xaproxy's own table of blocks, in schemas with a table that has a sequence.
const sequenceTable = "xaproxy_sequence"

// Holders are the backends on which a table is by the configuration, or a schema if table is "", the first one first; sharded tells that each
// has a part of its rows. There are none of what is not to be shown: the configuration does not know it, or it is xaproxy's own.
func (r *Router) Holders(schema, table string) (on []int, sharded bool) {
	c, in, name := r.catalog, strings.ToLower(schema), strings.ToLower(table)
	s := c.schemas[in]
	switch {
	case s == nil || name == sequenceTable:
		return nil, false
	case name == "":
		return c.on(in), false
	case s.tables[name] != nil:
		return s.tables[name].holders(), s.tables[name].sharded()
	case s.backend < 0:
		return nil, false
	}
	return []int{s.backend}, false
}

// holders are the backends that have the table or a part of it, the first one first.
func (t *table) holders() (all []int) {
	switch {
	case t.copies != nil:
		return t.copies
	case !t.sharded():
		return []int{t.backend}
	}
	for _, b := range t.sharding.backends {
		if !slices.Contains(all, b) {
			all = append(all, b)
		}
	}
	return all
}

// on are the backends that hold anything of the schema, the first one first.
func (c *catalog) on(in string) []int {
	all := []int{c.first(in)}
	for b := range c.backends {
		if b != all[0] && c.holds(in, b) {
			all = append(all, b)
		}
	}
	return all
}

// needs are the lists of backends of each of which one must answer, that nothing is missing of the tables of a schema.
func (s *schema) needs() (all [][]int) {
	if s.backend >= 0 {
		all = append(all, []int{s.backend})
	}
	for _, name := range s.names {
		on := s.tables[name].holders()
		if !slices.ContainsFunc(all, func(have []int) bool { return slices.Equal(have, on) }) {
			all = append(all, on)
		}
	}
	return all
}

// verbatim is the backend that has nothing in the schema but what the schema shows, and all of that; -1 if there is none.
func (c *catalog) verbatim(in string) int {
	b := c.whole(in)
	if b < 0 {
		return -1
	}
	for _, t := range c.schemas[in].tables {
		if t.auto != "" {
			return -1
		}
	}
	return b
}
