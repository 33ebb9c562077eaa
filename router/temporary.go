package router

import (
	"maps"
	"slices"
	"strings"

	"github.com/xaproxy/xaproxy/config"
)

// After returns the router of a session that was planned for by r and has carried out p without an error: temporary tables
// that p created or renamed hide other tables of their names, those that it dropped no longer do. Most plans change nothing, and After
// returns r itself. Routers share their cache; with no temporary table left it is the one of New again.
//
// A session must plan its prepared statements anew with the router that After returns, unless it is the same.
func (r *Router) After(p *Plan) *Router {
	if len(p.Temporary) == 0 {
		return r
	}
	c := *r.catalog
	c.temporary = maps.Clone(c.temporary)
	for i, name := range p.Temporary {
		if p.Drops || p.Renames && i == 0 {
			delete(c.temporary, name)
			continue
		}
		if c.temporary == nil {
			c.temporary = map[string]int{}
		}
		c.temporary[name] = p.Parts[0].Backend
	}
	if len(c.temporary) == 0 {
		return r.base
	}
	var hidden strings.Builder
	for _, name := range slices.Sorted(maps.Keys(c.temporary)) {
		hidden.WriteString(name)
		hidden.WriteByte('\x01')
		hidden.WriteString(c.backends[c.temporary[name]])
		hidden.WriteByte('\x02')
	}
	return &Router{catalog: &c, cache: r.cache, plans: r.plans, base: r.base, hidden: hidden.String()}
}

// HasTemporary tells whether the session has temporary tables on the backend, so that it must keep its connection there.
func (r *Router) HasTemporary(backend int) bool {
	for _, b := range r.catalog.temporary {
		if b == backend {
			return true
		}
	}
	return false
}

// temporaryTables plans CREATE and DROP TEMPORARY TABLE, i being the token TABLE. Such a table is on the backend of its schema,
// whatever the configuration says about a table of that name. Unlike other DDL it does not end the transaction.
func (st *stmt) temporaryTables(f finding, i int) (*shape, *reason) {
	c := st.r.catalog
	names, why := st.tables(st.word(0), i+1)
	if why != nil {
		return nil, why
	}
	f.commit, f.drops = false, st.word(0) == "DROP"
	for _, o := range names {
		in := strings.ToLower(o.schema)
		if in == "" {
			in = strings.ToLower(st.schema)
		}
		switch {
		case in == "":
			return nil, noSchema(o.at)
		case config.SystemSchema(in):
			return nil, unsupported(o.at, "qualify it with another schema", "temporary tables in system schemas are not supported")
		case c.schemas[in] == nil:
			return nil, c.unknown(in, o.at)
		case strings.ContainsFunc(o.name, func(r rune) bool { return r < ' ' }):
			return nil, unsupported(o.at, "use another name", "a temporary table with control characters in its name is not supported")
		}
		name := in + "." + strings.ToLower(o.name)
		home, mine := c.temporary[name]
		if !mine {
			home = c.first(in)
		}
		if why := f.settle(c, home, "table "+name, o.at); why != nil {
			return nil, why
		}
		f.schemas[in] = true
		f.temporary = append(f.temporary, name)
	}
	if !f.drops {
		f.keep(PinTemporaryTable)
		// The name itself means no other table; what follows it may.
		if rest := st.behind(names[0]); rest.has(mentions...) >= 0 {
			return rest.mentioning(f)
		}
	}
	return f.shape(st.r, f.home), nil
}

// renamed plans the statement that gives a temporary table a new name, the i-th token being TABLE. Where the table is not one of
// the session's own, or keeps its name, ok is false.
func (st *stmt) renamed(f finding, i int) (sh *shape, why *reason, ok bool) {
	c := st.r.catalog
	old, next, isName := st.object(i + 1)
	if st.words(i+1, "IF", "EXISTS") {
		old, next, isName = st.object(i + 3)
	}
	if !isName {
		return nil, nil, false
	}
	p, in, why := c.resolve(old.schema, old.name, st.schema, old.at)
	if why != nil || !p.temporary {
		return nil, nil, false
	}
	var name object
	for j := next; j < len(st.toks); j++ {
		if st.word(j) == "RENAME" && st.word(j+1) != "COLUMN" && st.word(j+1) != "INDEX" && st.word(j+1) != "KEY" || st.word(0) == "RENAME" && st.word(j) == "TO" {
			if j++; st.word(j) == "TO" || st.word(j) == "AS" || st.op(j, "=") {
				j++
			}
			if name, next, ok = st.object(j); !ok {
				return nil, st.wrong(j), true
			}
			break
		}
	}
	if !ok {
		return nil, nil, false
	}
	to, toIn, why := c.resolve(name.schema, name.name, st.schema, name.at)
	switch {
	case toIn == "", !to.system && c.schemas[toIn] == nil:
		return nil, why, true
	case to.system, st.word(0) == "RENAME" && next < len(st.toks):
		return nil, unsupported(old.at, "rename it alone, within its schema", "renaming a temporary table in this way is not supported"), true
	}
	f.schemas[in], f.schemas[toIn] = true, true
	f.temporary, f.renames = []string{in + "." + strings.ToLower(old.name), toIn + "." + strings.ToLower(name.name)}, true
	return f.shape(st.r, p.backend), nil, true
}
