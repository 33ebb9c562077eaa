package router

import (
	"math"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/dolthub/vitess/go/vt/sqlparser"
)

// Stream says how the answers that several backends have for a SELECT become one while their rows pass by. Columns are those of the
// backends' answers, counted from 0, or those behind zero from the end: -1 is the last one.
type Stream struct {
	// Keys sort the rows: those of each backend come in this order, and so they go to the client.
	Keys []SortKey
	// Group: rows with equal keys are one row, whose columns are those of the first of them but for Folds. Without keys all rows are one.
	Group bool
	Folds []Fold
	// Sort puts the groups into another order than that of Keys: all of them are made before the first one goes out.
	Sort []GroupSort
	// Ambiguous: a column is grouped by its alias. If a table has a column of that name the servers group by that one, and say so
	// in warning 1052.
	Ambiguous bool
	// Hidden columns, at the end, are not for the client.
	Hidden int
	// Offset and Count limit the rows; math.MaxUint64: all.
	Offset, Count uint64

	learn *learned
}

// SortKey is a column that rows are sorted by, or compared by.
type SortKey struct {
	Column int
	Desc   bool
	Added  bool // the client did not ask for this order
	// Form is what the backends were asked for to compare the values of the column by: another column, At.
	Form Form
	At   int
}

// GroupSort is what groups are sorted by: one of Keys, or one of Folds if Key is -1.
type GroupSort struct {
	Key, Fold int
	Desc      bool
}

// Form is how the values of a column are compared.
type Form uint8

// The forms.
const (
	Plain      Form = iota // by themselves
	Double                 // as numbers with all their digits: + 0e0
	Number                 // as ENUM and SET are sorted: + 0
	Moment                 // UNIX_TIMESTAMP()
	Weight                 // WEIGHT_STRING(), and in the column behind it COLLATION()
	Impossible             // they cannot be compared
)

// Fold is how the values that a column has in several rows become one.
type Fold struct {
	Column int
	Func   FoldFunc
	Key    SortKey // of FoldMin and FoldMax
	Sum    int     // of FoldAvg: the column with the sum
	Count  int     // and that with the count
}

// FoldFunc is an aggregate function.
type FoldFunc uint8

// The functions.
const (
	FoldSum FoldFunc = iota // also of counts
	FoldMin
	FoldMax
	FoldAvg
	FoldAnd
	FoldOr
	FoldXor
)

// learned is what was found out from answers about the forms of a shape's keys: those of the keys, then those of the folds.
type learned struct {
	forms atomic.Pointer[[]Form]
}

// Learn notes that the i-th of Keys and then Folds has to be compared in another form, so that the next plan of the statement
// asks for it. What cannot be compared or folded (Impossible) makes the next plan another one than a Stream.
func (s *Stream) Learn(i int, f Form) {
	forms := make([]Form, len(s.Keys)+len(s.Folds))
	if old := s.learn.forms.Load(); old != nil {
		copy(forms, *old)
	}
	forms[i] = f
	s.learn.forms.Store(&forms)
}

// unlimited is the Count of a Stream without LIMIT.
const unlimited = math.MaxUint64

// stream is what a shape says of the Stream of its statements.
type stream struct {
	block     *block
	keys      []sortItem
	group     bool
	folds     []foldItem
	ambiguous bool
	own       []int      // keys that the client's ORDER BY has not: they go behind it
	keep      bool       // LIMIT is about folded rows: the backends do not get it
	unique    bool       // DISTINCT is made of the merge
	sort      []sortItem // groups are in this order, not in that of keys
	learned   learned
}

// sortItem is a SortKey of a shape.
type sortItem struct {
	item   int    // in the select list, or -1: a hidden column
	slot   int    // of a literal that says which item, else -1
	tokens [2]int // of the expression
	desc   bool
}

// foldItem is a Fold of a shape; inner are the tokens of its argument.
type foldItem struct {
	item     int
	function FoldFunc
	inner    [2]int
}

// streaming says how the answers of several backends to a SELECT become one, or why they cannot.
func (v *resolver) streaming() (Merge, *stream, string) {
	st := v.st
	tree, ok := v.tree.(*sqlparser.Select)
	switch {
	case len(st.blanks) > 0:
		return MergeNone, nil, "it is not understood near " + st.near(st.blanks[0][0])
	case !ok:
		return MergeNone, nil, "only plain SELECT, UPDATE and DELETE are supported across backends yet"
	case v.derived:
		return MergeNone, nil, "derived tables are not supported across backends yet"
	case len(v.drivers) == 0:
		return MergeNone, nil, "only sharded tables outside of subqueries are supported across backends yet"
	case tree.QueryOpts.SQLCalcFoundRows:
		return MergeNone, nil, "SQL_CALC_FOUND_ROWS is not supported across backends yet"
	case st.has("ROLLUP") >= 0:
		return MergeNone, nil, "ROLLUP is not supported across backends yet"
	}
	b, word := st.cutBlock(tree)
	if word == "INTO" {
		return MergeNone, nil, "a file of INTO is written on one of them"
	}
	if b == nil {
		return MergeNone, nil, word + " is not supported across backends yet"
	}
	c := contentsOf(tree.SelectExprs, tree.Having, tree.OrderBy, tree.Window)
	for _, w := range c.windows {
		if w.NameRef.IsEmpty() && !v.local(w.PartitionBy) {
			return MergeNone, nil, "windows are only supported across backends if they are partitioned by the shard key"
		}
	}
	distinct := tree.QueryOpts.Distinct && !v.local(b.columns())
	sm := &stream{block: b}
	why := ""
	switch {
	case (c.aggregate || len(tree.GroupBy) > 0) && !v.local(sqlparser.Exprs(tree.GroupBy)):
		if len(c.windows) > 0 || tree.QueryOpts.Distinct {
			return MergeNone, nil, "windows and DISTINCT over groups are not supported across backends yet"
		}
		why = sm.grouped()
	case distinct && len(tree.GroupBy) > 0:
		why = "DISTINCT over groups is not supported across backends yet"
	case distinct:
		why = sm.distinct()
	default:
		why = sm.sorted(!tree.QueryOpts.Distinct)
	}
	switch {
	case why != "":
		return MergeNone, nil, why
	case len(sm.keys) == 0 && !sm.group && b.limit[1] == 0:
		return MergeRows, nil, ""
	}
	return MergeStream, sm, ""
}

// local tells whether the whole shard key of a table that drives the statement is among the expressions: rows that are equal in them
// are on one shard.
func (v *resolver) local(exprs sqlparser.Exprs) bool {
	for _, d := range v.drivers {
		covered := 0
		for _, e := range exprs {
			if r, i := v.key(e, v.top); r == d {
				covered |= 1 << i
			} else if s, ok := e.(*starred); ok && (s.table == "" || strings.EqualFold(s.table, d.alias)) {
				covered = -1
			}
		}
		if covered == -1 || covered == 1<<len(d.table.columns)-1 {
			return true
		}
	}
	return false
}

// starred is all columns of a table, or of all tables, as an expression.
type starred struct {
	sqlparser.Expr
	table string
}

// columns are the expressions of the select list.
func (b *block) columns() (all sqlparser.Exprs) {
	for _, e := range b.tree.SelectExprs {
		switch e := e.(type) {
		case *sqlparser.AliasedExpr:
			all = append(all, e.Expr)
		case *sqlparser.StarExpr:
			all = append(all, &starred{table: e.TableName.Name.String()})
		}
	}
	return all
}

const notSortable = "what it is ordered by is not understood well enough to merge rows of several backends"

// sorted finds the keys of a SELECT whose rows are only merged.
func (sm *stream) sorted(mayHide bool) string {
	for i := range sm.block.order {
		k, constant, ok := sm.sortKey(i)
		switch {
		case constant:
		case !ok || k.item < 0 && k.slot < 0 && !mayHide:
			return notSortable
		default:
			sm.keys = append(sm.keys, k)
		}
	}
	return ""
}

// sortKey is the i-th expression of ORDER BY as a key; constant: it has no effect.
func (sm *stream) sortKey(i int) (k sortItem, constant, ok bool) {
	b := sm.block
	o, r := b.tree.OrderBy[i], b.order[i]
	desc := o.Direction == sqlparser.DescScr
	if w := b.st.word(r[1] - 1); w == "ASC" || w == "DESC" {
		if r[1]--; desc != (w == "DESC") {
			return k, false, false
		}
	}
	if r[0] >= r[1] {
		return k, false, false
	}
	k, constant, ok = b.resolve(r, o.Expr, false)
	k.desc = desc
	return k, constant, ok
}

// resolve finds the column that an expression of ORDER BY, or of GROUP BY, is. ORDER BY looks at the names in the select list first and
// GROUP BY last, and then at aliases only.
func (b *block) resolve(r [2]int, e sqlparser.Expr, grouping bool) (k sortItem, constant, ok bool) {
	k = sortItem{item: -1, slot: -1, tokens: r}
	switch t := b.st.toks[r[0]]; {
	case r[1]-r[0] == 1 && t.kind == kInt:
		k.slot = t.slot
		return k, false, true
	case r[1]-r[0] == 1 && t.kind == kParam: // a place in the select list on MariaDB, and a value on MySQL
		return k, false, false
	case r[1]-r[0] == 1 && (t.kind.literal() || t.word == "NULL"):
		return k, true, true
	}
	if c := contentsOf(e); c.subquery || !b.stable(r) {
		return k, false, false
	}
	for i, one := range b.items {
		if one.star || b.st.name(r) != "" {
			continue
		}
		if equal, same := b.st.same(one.tokens, r); same && (grouping || len(equal) == 0) {
			b.equal = append(b.equal, equal...)
			k.item = i
			_, _, ok = b.place(i)
			return k, false, ok
		}
	}
	name := b.st.name(r)
	if name == "" {
		return k, false, !b.aliases(r)
	}
	i, sure := b.aliased(name)
	if !sure {
		return k, false, false
	}
	if i < 0 {
		i = slices.IndexFunc(b.items, func(one item) bool { return one.alias == "" && strings.EqualFold(columnName(one.expr), name) })
	}
	if i < 0 {
		return k, false, true
	}
	k.item, k.tokens = i, b.items[i].tokens
	_, _, ok = b.place(i)
	return k, false, ok
}

// distinct makes DISTINCT one of the merge: rows that are equal in all columns come one behind the other.
func (sm *stream) distinct() string {
	b := sm.block
	if b.stars() {
		return "DISTINCT * is not supported across backends yet"
	}
	sm.group, sm.unique = true, true
	why := sm.sorted(false)
	for i, one := range b.items {
		if !slices.ContainsFunc(sm.keys, func(k sortItem) bool { return k.item == i }) {
			sm.own = append(sm.own, len(sm.keys))
			sm.keys = append(sm.keys, sortItem{item: i, slot: -1, tokens: one.tokens})
		}
	}
	return why
}

// folds are the aggregate functions that can be made of their values on each backend.
var folds = map[string]FoldFunc{
	"count": FoldSum, "sum": FoldSum, "min": FoldMin, "max": FoldMax, "avg": FoldAvg, "bit_and": FoldAnd, "bit_or": FoldOr, "bit_xor": FoldXor,
}

// grouped makes GROUP BY, or aggregates over all rows, one of the merge.
func (sm *stream) grouped() string {
	b := sm.block
	st, tree := b.st, b.tree
	switch {
	case tree.Having != nil:
		return "HAVING over the rows of several backends is not supported yet"
	case b.stars():
		return "aggregates beside * are not supported across backends yet"
	}
	sm.group = true
	for i, one := range b.items {
		f, called := one.expr.(*sqlparser.FuncExpr)
		c := contentsOf(one.expr)
		switch {
		case c.subquery:
			return "subqueries beside aggregates are not supported across backends yet"
		case !c.aggregate || called && f.Name.Lowered() == "any_value":
			switch one.expr.(type) {
			case *sqlparser.SQLVal, *sqlparser.NullVal:
				continue
			}
			if len(tree.GroupBy) == 0 {
				return "columns beside aggregates are not supported across backends yet"
			}
			continue
		case !called:
			return "expressions of aggregates are not supported across backends yet"
		}
		function, known := folds[f.Name.Lowered()]
		inner := [2]int{one.tokens[0] + 2, one.tokens[1] - 1}
		switch {
		case !known || f.Distinct && function != FoldMin && function != FoldMax:
			return f.Name.String() + " is not supported across backends yet"
		case !strings.EqualFold(st.name([2]int{one.tokens[0], one.tokens[0] + 1}), f.Name.String()) || !st.op(one.tokens[0]+1, "(") || !st.op(inner[1], ")"):
			return "expressions of aggregates are not supported across backends yet"
		}
		sm.folds = append(sm.folds, foldItem{i, function, inner})
	}
	if len(tree.GroupBy) == 0 {
		sm.keep = true
		return ""
	}
	var keys []sortItem
	for i, e := range tree.GroupBy {
		k, constant, ok := b.resolve(b.group[i], e, true)
		switch {
		case constant:
			continue
		case !ok:
			return "what it is grouped by is not understood well enough to merge rows of several backends"
		}
		if name := st.name(b.group[i]); name != "" && k.item >= 0 && b.items[k.item].alias != "" && !strings.EqualFold(columnName(b.items[k.item].expr), name) {
			sm.ambiguous = true
		}
		keys = append(keys, k)
	}
	return sm.ordered(keys)
}

// ordered puts the keys of groups into the order that the client wants, or has the groups sorted when they are complete.
func (sm *stream) ordered(keys []sortItem) string {
	b := sm.block
	equal, places := len(b.equal), len(b.places)
	rest := slices.Clone(keys)
	var order []sortItem
	byKeys := true
	for i := range b.order {
		k, constant, ok := sm.sortKey(i)
		if constant {
			continue
		}
		if !ok {
			return notSortable
		}
		order = append(order, k)
		at := slices.IndexFunc(rest, func(g sortItem) bool { return g.item >= 0 && g.item == k.item })
		if at < 0 {
			at = slices.IndexFunc(rest, func(g sortItem) bool { return b.alike(g, k) })
		}
		if byKeys = byKeys && at >= 0; byKeys {
			rest[at].desc = k.desc
			sm.keys = append(sm.keys, rest[at])
			rest = slices.Delete(rest, at, at+1)
		}
	}
	if !byKeys {
		for _, k := range order {
			if k.item < 0 && k.slot < 0 {
				return "groups of several backends are only ordered by columns of the select list yet"
			}
		}
		b.equal, b.places = b.equal[:equal], b.places[:places]
		sm.keys, rest = nil, keys
		sm.sort, sm.keep = order, true
	}
	for _, k := range rest {
		sm.own = append(sm.own, len(sm.keys))
		sm.keys = append(sm.keys, k)
	}
	return ""
}

// sorting is the order of the groups; ok is false if it is by something that is neither folded nor grouped by.
func (sm *stream) sorting(pl *placing) (all []GroupSort, ok bool) {
	for _, k := range sm.sort {
		item := k.item
		if k.slot >= 0 {
			n, ok := pl.count(k.slot)
			if !ok || n == 0 || n > uint64(len(sm.block.items)) {
				return nil, false
			}
			item = int(n) - 1
		}
		one := GroupSort{Key: slices.IndexFunc(sm.keys, func(k sortItem) bool {
			n, ok := uint64(0), false
			if k.slot >= 0 {
				n, ok = pl.count(k.slot)
			}
			return k.item == item || ok && n == uint64(item)+1
		}), Desc: k.desc}
		one.Fold = slices.IndexFunc(sm.folds, func(f foldItem) bool { return f.item == item })
		if one.Key < 0 && one.Fold < 0 {
			return nil, false
		}
		all = append(all, one)
	}
	return all, true
}

// alike tells whether an expression of GROUP BY and one of ORDER BY are the same, if the literals are what they should be.
func (b *block) alike(g, o sortItem) bool {
	switch {
	case g.slot >= 0 && o.slot >= 0:
		b.equal = append(b.equal, [2]int{g.slot, o.slot})
		return true
	case g.slot >= 0 && o.item >= 0:
		b.places = append(b.places, [2]int{g.slot, o.item})
		return true
	case g.item >= 0 && o.slot >= 0:
		b.places = append(b.places, [2]int{o.slot, g.item})
		return true
	case g.slot >= 0 || o.slot >= 0:
		return false
	}
	equal, same := b.st.same(g.tokens, o.tokens)
	if same {
		b.equal = append(b.equal, equal...)
	}
	return same
}
