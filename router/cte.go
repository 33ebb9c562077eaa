package router

import (
	"slices"
	"strings"
)

// source is a table that a query reads.
type source struct {
	*ref
	schema string // lower case
	place  place
	cte    string // its name, if it is a common table expression and no table
}

// cte is a common table expression, with what its query reads.
type cte struct {
	name    string
	sources []source
}

// reused are the tables that a server opens more than once although they are named once, because they are read by a common table expression
// that is.
func (v *resolver) reused() map[*ref]string {
	uses := map[string]int{}
	for _, s := range v.sources {
		uses[s.cte]++
	}
	all := map[*ref]string{}
	for range v.ctes { // as far as they are nested
		for _, c := range v.ctes {
			n := uses[c.name]
			for _, s := range c.sources {
				if s.cte == c.name {
					n-- // recursion
				}
			}
			for _, s := range c.sources {
				if n > 1 && s.cte == "" {
					all[s.ref] = c.name
				} else if n > 1 && s.cte != c.name {
					uses[s.cte] += 2
				}
			}
		}
	}
	return all
}

// ScratchWith is the WITH at the begin of the statement, for servers that would open a temporary table more than once because a common
// table expression is read more than once: sql[Start:End], all that goes before the query itself.
type ScratchWith struct {
	Start, End int
	Exprs      []ScratchExpr
	Params     []int // where the statement's parameters are
}

// ScratchExpr is a common table expression. Of its places some are in the queries of others.
type ScratchExpr struct {
	Name    string
	Columns string         // its list of columns, with brackets; "" if it has none
	Query   [2]int         // sql[Query[0]:Query[1]]
	Uses    []ScratchPlace // its names with their aliases, but for those in its own query
	// Recursive: its query reads it. Merged: servers read it with each of its uses; the rows of others are found once and are the same in all.
	Recursive, Merged bool
}

// with is a ScratchWith of a shape.
type with struct {
	start, end span // end begins behind it
	exprs      []withExpr
}

type withExpr struct {
	ScratchExpr
	query span
	uses  []span
}

// unmerged are words that keep a server from merging the query of a common table expression with the one that reads it.
var unmerged = []string{"DISTINCT", "DISTINCTROW", "GROUP", "HAVING", "LIMIT", "FETCH", "UNION", "EXCEPT", "INTERSECT", "WINDOW", "OVER"}

// withClause reads the WITH at the begin of the statement; nil if its expressions cannot be told from other tables, or are not all there.
func (v *resolver) withClause() *with {
	st := v.st
	if st.word(0) != "WITH" {
		return nil
	}
	i := 1
	recursive := st.word(1) == "RECURSIVE"
	if recursive {
		i++
	}
	w := &with{start: st.span(0, 0)}
	at := map[string]int{}
	for {
		if i >= len(st.toks) || st.toks[i].name == "" {
			return nil
		}
		e := withExpr{ScratchExpr: ScratchExpr{Name: st.toks[i].name}}
		if _, twice := at[strings.ToLower(e.Name)]; twice {
			return nil
		}
		at[strings.ToLower(e.Name)] = len(w.exprs)
		if i++; st.op(i, "(") {
			end := st.closing(i)
			e.Columns = st.text[st.toks[i].start:st.toks[min(end, len(st.toks)-1)].end]
			i = end + 1
		}
		if st.word(i) != "AS" || !st.op(i+1, "(") {
			return nil
		}
		end := st.closing(i + 1)
		if end+1 >= len(st.toks) {
			return nil
		}
		in := st.from(i + 2)
		in.toks = st.toks[i+2 : end]
		e.query = st.span(i+2, end-1)
		e.Merged = in.merges()
		w.exprs = append(w.exprs, e)
		if i = end + 1; !st.op(i, ",") {
			break
		}
		i++
	}
	w.end = st.span(i, i)
	if len(w.exprs) != len(v.ctes) { // there is another WITH
		return nil
	}
	for _, f := range st.factors() {
		i, ok := at[strings.ToLower(f.name)]
		if !ok || f.schema != "" {
			continue
		}
		e := &w.exprs[i]
		last, alias := f.last, st.text[st.toks[f.first].start:st.toks[f.last].end]
		if f.alias != "" {
			if last++; st.word(last) == "AS" {
				last++
			}
			alias = st.text[st.toks[last].start:st.toks[last].end]
		}
		use := st.span(f.first, last)
		switch first := use.start; {
		case first > e.query.last: // behind it
			e.uses, e.Uses = append(e.uses, use), append(e.Uses, ScratchPlace{Alias: alias})
		case recursive && first >= e.query.start:
			e.Recursive, e.Merged = true, false
		default: // a table of the same name
			return nil
		}
	}
	return w
}

// merges tells whether a server merges the query with the one that reads it.
func (st *stmt) merges() bool {
	from := false
	for i := 0; i < len(st.toks); i++ {
		t := st.toks[i]
		from = from || t.word == "FROM"
		switch {
		case t.kind == kUserVar, slices.Contains(unmerged, t.word), aggregates[strings.ToLower(t.name)] && st.op(i+1, "("):
			return false
		case i > 0 && slices.Contains(queries, t.word): // of the select list, or in brackets that are not around it
			return false
		case from && st.op(i, "(") && st.derives(i):
			end := min(st.closing(i), len(st.toks)-1)
			if slices.ContainsFunc(st.toks[i:end], func(t tok) bool { return t.kind == kUserVar }) {
				return false
			}
			i = end
		}
	}
	return true
}

// of is the clause in the client's text; s has traced it.
func (w *with) of(s *scan) *ScratchWith {
	if w == nil {
		return nil
	}
	from, _ := w.start.of(s)
	to, _ := w.end.of(s)
	all := &ScratchWith{Start: from, End: to}
	for _, e := range w.exprs {
		one := e.ScratchExpr
		one.Query[0], one.Query[1] = e.query.of(s)
		one.Uses = slices.Clone(one.Uses)
		for i := range one.Uses {
			one.Uses[i].Start, one.Uses[i].End = e.uses[i].of(s)
		}
		all.Exprs = append(all.Exprs, one)
	}
	for _, l := range s.lits {
		if l.kind == kParam {
			all.Params = append(all.Params, l.start)
		}
	}
	return all
}
