package proxy

import (
	"fmt"
	"slices"
	"sort"
	"strings"

	"github.com/xaproxy/xaproxy/backend"
	"github.com/xaproxy/xaproxy/router"
	"github.com/xaproxy/xaproxy/wire"
)

// MySQL opens a temporary table once in a statement (1137), and a common table expression once for each time that it is read. So there each
// place that names a table has a temporary table of its own. Common table expressions, if one that reads such tables is read more than
// once, are written where they are read, as MySQL itself does with those that it merges; what else they find is kept in a temporary
// table, so that all who read it see the same rows, and each has a copy of that.

// maxCopies bounds the temporary tables of one statement.
const maxCopies = 128

// piece is a part of the client's text as the server gets it, and the parameters that it takes; nil: all.
type piece struct {
	text   string
	params []int
}

// splice is the client's text as the server wants it, and the statements that make the tables which keep what common table expressions
// find. Without any (whole), for a description, these are written where they are read.
func (c *scratch) splice(whole bool) (text piece, keep []piece, err error) {
	w := &splicer{c: c, whole: whole, used: map[*scratchTable]int{}, kept: map[int]int{}}
	for _, t := range c.tables {
		for _, p := range t.Places {
			w.places = append(w.places, place{p, t, -1})
		}
	}
	for _, p := range c.cuts {
		w.places = append(w.places, place{p, nil, -1})
	}
	if w.with = c.plan.Scratch.With; w.with == nil || c.conn.Backend().Flavour() == 1 {
		text.text = w.write(0, len(c.text), nil)
		return text, nil, w.err
	}
	for i, e := range w.with.Exprs {
		for _, u := range e.Uses {
			w.places = append(w.places, place{u, nil, i})
		}
	}
	text.params = []int{}
	text.text = w.write(0, w.with.Start, &text.params) + w.write(w.with.End, len(c.text), &text.params)
	return text, w.keep, w.err
}

// splicer writes parts of the client's text.
type splicer struct {
	c      *scratch
	with   *router.ScratchWith
	whole  bool
	places []place
	used   map[*scratchTable]int // how many of its temporary tables are in the text already
	kept   map[int]int           // and of those that keep a common table expression
	keep   []piece
	err    error
}

// place is where the text names a table, or the i-th common table expression, or else has what is to be left out.
type place struct {
	router.ScratchPlace
	table *scratchTable
	expr  int
}

// write is text[from:to]; params gets the parameters in it.
func (w *splicer) write(from, to int, params *[]int) string {
	var b strings.Builder
	add := func(from, to int) {
		b.WriteString(w.c.text[from:to])
		if params == nil {
			return
		}
		for n := sort.SearchInts(w.with.Params, from); n < len(w.with.Params) && w.with.Params[n] < to; n++ {
			*params = append(*params, n)
		}
	}
	var in []place
	for _, p := range w.places {
		if p.Start >= from && p.End <= to {
			in = append(in, p)
		}
	}
	slices.SortFunc(in, func(a, b place) int { return a.Start - b.Start })
	for _, p := range in {
		if p.table == nil && p.expr < 0 {
			add(from, p.Start)
			from = p.End
			continue
		}
		if p.table == nil {
			add(from, p.Start)
			from = p.End
			b.WriteString("(" + w.read(p.expr, params) + ") AS " + p.Alias + w.with.Exprs[p.expr].Columns)
			continue
		}
		n := w.used[p.table]
		if w.used[p.table]++; w.c.conn.Backend().Flavour() == 1 {
			n = 0
		}
		if w.err = w.enough(n); w.err != nil {
			return ""
		}
		p.table.name(n)
		if n == 0 && !p.table.moved {
			continue
		}
		add(from, p.Start)
		from = p.End
		b.WriteString(p.table.quoted(n))
		if p.Alias != "" {
			b.WriteString(" AS " + p.Alias)
		}
	}
	add(from, to)
	return b.String()
}

// read is a query with the rows of a common table expression, without its names of columns.
func (w *splicer) read(i int, params *[]int) string {
	e := &w.with.Exprs[i]
	query := func(params *[]int) string {
		text := w.write(e.Query[0], e.Query[1], params)
		if e.Recursive {
			name := backend.Quote(e.Name)
			text = "WITH RECURSIVE " + name + e.Columns + " AS (" + text + ") SELECT * FROM " + name
		}
		return text
	}
	if e.Merged || w.whole {
		return query(params)
	}
	n := w.kept[i]
	w.kept[i]++
	if n == 0 {
		one := piece{params: []int{}}
		one.text = "CREATE TEMPORARY TABLE " + w.keeps(i, 0) + " AS SELECT * FROM (" + query(&one.params) + ") AS x" + e.Columns
		w.keep = append(w.keep, one)
	} else {
		w.keep = append(w.keep, piece{"CREATE TEMPORARY TABLE " + w.keeps(i, n) + " AS SELECT * FROM " + w.keeps(i, 0), []int{}})
	}
	w.err = w.enough(n)
	return "SELECT * FROM " + w.keeps(i, n) + " LIMIT 18446744073709551615" // which is not merged, as the expression is not
}

// keeps is the n-th table with the rows of a common table expression.
func (w *splicer) keeps(i, n int) string {
	return backend.Quote(w.c.tables[0].in) + "." + backend.Quote(fmt.Sprintf("xaproxy#%d#%d", i+1, n+1))
}

func (w *splicer) enough(n int) error {
	if w.err == nil && n >= maxCopies {
		return wire.NewError(wire.CodeNotSupported, "the statement needs more than %d copies of a temporary table; read its common table expressions less often", maxCopies)
	}
	return w.err
}

// name makes sure that there is an n-th name.
func (t *scratchTable) name(n int) {
	for len(t.names) <= n {
		t.names = append(t.names, fmt.Sprintf("%.60s#%d", t.Name, len(t.names)+1))
	}
}

// made makes the tables which keep what common table expressions find, and returns the text that reads them.
func (c *scratch) made(r *request) (piece, error) {
	text, keep, err := c.splice(false)
	if err != nil || len(keep) == 0 {
		return text, err
	}
	access := accessVariable(c.conn.Backend().Flavour())
	// A truncated value is a warning in a SELECT.
	if err := c.conn.Exec("SET SESSION sql_mode = REPLACE(REPLACE(@@sql_mode, 'STRICT_TRANS_TABLES', 'NO_ENGINE_SUBSTITUTION'), 'STRICT_ALL_TABLES', 'NO_ENGINE_SUBSTITUTION'), " + access + " = 0"); err != nil {
		return text, err
	}
	for _, one := range keep {
		if err := r.part(router.Part{SQL: []byte(one.text), Params: one.params}).send(c.conn, c.state); err != nil {
			return text, err
		}
		if err := c.conn.Expect(); err != nil {
			return text, c.explain(err)
		}
	}
	return text, c.conn.Exec("SET SESSION sql_mode = @`xaproxy mode`, " + access + " = @`xaproxy access`")
}
