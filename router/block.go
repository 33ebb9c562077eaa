package router

import (
	"reflect"
	"slices"
	"strings"

	"github.com/dolthub/vitess/go/vt/sqlparser"
)

// block is one SELECT as tokens and tree, cut into its clauses.
type block struct {
	st      *stmt
	tree    *sqlparser.Select
	items   []item // of the select list
	group   [][2]int
	order   [][2]int
	list    int // behind the select list
	tail    int // behind ORDER BY, or where one goes
	orderBy int // where ORDER BY is
	limit   [2]int
	// offset and count are the slots of the literals of LIMIT, -1 if there are none.
	offset, count int
	// What was concluded holds if the literals of these slots are equal, and those of places are the places of these items.
	equal, places [][2]int
}

// item is an expression of the select list.
type item struct {
	tokens [2]int // without the alias
	alias  string // "" if it has none
	masked bool   // its alias is a string, which is not in the shape
	star   bool
	expr   sqlparser.Expr // of all but a star
}

// clauses are the words that begin a part of a SELECT behind its select list.
var clauses = []string{"FROM", "WHERE", "GROUP", "HAVING", "WINDOW", "ORDER", "LIMIT", "FOR", "LOCK", "INTO", "PROCEDURE", "FETCH", "OFFSET", "UNION", "EXCEPT", "INTERSECT"}

// options are words between SELECT and its list.
var options = set(`ALL DISTINCT DISTINCTROW HIGH_PRIORITY STRAIGHT_JOIN SQL_SMALL_RESULT SQL_BIG_RESULT SQL_BUFFER_RESULT SQL_CACHE SQL_NO_CACHE`)

// cutBlock cuts a statement that is a single SELECT. It returns the word that is not understood, if there is one.
func (st *stmt) cutBlock(tree *sqlparser.Select) (*block, string) {
	b := &block{st: st, tree: tree, offset: -1, count: -1}
	at := map[string]int{}
	depth, end := 0, len(st.toks)
	if end > 0 && st.toks[end-1].kind == kSemi {
		end--
	}
	start := 0
	for i := range st.toks[:end] {
		switch w := st.word(i); {
		case st.op(i, "("):
			depth++
		case st.op(i, ")"):
			depth--
		case depth > 0 || w == "":
		case w == "SELECT" && start == 0:
			start = i + 1
			for st.word(start) != "" && options[st.word(start)] {
				start++
			}
		case st.word(i-1) == "FOR" && (w == "ORDER" || w == "GROUP" || w == "JOIN"), w == "FOR" && (st.word(i+1) == "ORDER" || st.word(i+1) == "GROUP" || st.word(i+1) == "JOIN"):
			// of an index hint
		case w == "OFFSET" && at["LIMIT"] > 0, w == "FOR" && st.word(i+1) == "SYSTEM_TIME":
		case w == "FOR" && at["FOR"] > 0, w == "LOCK" && at["FOR"] > 0: // FOR UPDATE OF a FOR SHARE OF b
		case slices.Contains(clauses, w) && start > 0:
			if at[w] > 0 {
				return nil, w
			}
			at[w] = i
		}
	}
	for _, w := range []string{"INTO", "PROCEDURE", "FETCH", "OFFSET", "UNION", "EXCEPT", "INTERSECT"} {
		if at[w] > 0 {
			return nil, w
		}
	}
	if st.word(0) != "SELECT" && st.word(0) != "WITH" || start == 0 || at["FROM"] == 0 {
		return nil, st.word(0)
	}
	// behind is where the clause ends: at the next one.
	behind := func(word string) int {
		next := end
		for _, i := range at {
			if i > at[word] {
				next = min(next, i)
			}
		}
		return next
	}
	b.list = at["FROM"]
	tails := end
	for _, w := range []string{"LIMIT", "FOR", "LOCK"} {
		if at[w] > 0 {
			tails = min(tails, at[w])
		}
	}
	b.tail = tails
	if !b.selectList(start) {
		return nil, "SELECT"
	}
	if i := at["GROUP"]; i > 0 {
		if b.group = st.commas(i+2, behind("GROUP")); len(b.group) != len(tree.GroupBy) {
			return nil, "GROUP"
		}
	}
	if i := at["ORDER"]; i > 0 {
		b.orderBy = i
		if b.order = st.commas(i+2, behind("ORDER")); len(b.order) != len(tree.OrderBy) {
			return nil, "ORDER"
		}
	}
	if i := at["LIMIT"]; i > 0 {
		b.limit = [2]int{i, behind("LIMIT")}
		if !b.limits() {
			return nil, "LIMIT"
		}
	}
	return b, ""
}

// commas cuts tokens at the commas outside of brackets.
func (st *stmt) commas(from, to int) (all [][2]int) {
	depth, start := 0, from
	for i := from; i < to; i++ {
		switch {
		case st.op(i, "("):
			depth++
		case st.op(i, ")"):
			depth--
		case depth == 0 && st.op(i, ","):
			all = append(all, [2]int{start, i})
			start = i + 1
		}
	}
	return append(all, [2]int{start, to})
}

// selectList reads the select list, which begins at start.
func (b *block) selectList(start int) bool {
	parts := b.st.commas(start, b.list)
	if len(parts) != len(b.tree.SelectExprs) {
		return false
	}
	for i, p := range parts {
		one := item{tokens: p}
		switch e := b.tree.SelectExprs[i].(type) {
		case *sqlparser.StarExpr:
			one.star = true
		case *sqlparser.AliasedExpr:
			one.expr = e.Expr
			if e.As.IsEmpty() {
				break
			}
			last := p[1] - 1
			t := b.st.toks[last]
			if t.name == "" && t.kind != kString || last <= p[0] {
				return false
			}
			one.alias, one.masked = t.name, t.kind == kString
			if b.st.word(last-1) == "AS" {
				last--
			}
			one.tokens[1] = last
		default:
			return false
		}
		if one.tokens[0] >= one.tokens[1] {
			return false
		}
		b.items = append(b.items, one)
	}
	return true
}

// limits reads LIMIT count, LIMIT offset, count or LIMIT count OFFSET offset.
func (b *block) limits() bool {
	st, i := b.st, b.limit[0]+1
	number := func(i int) bool { return i < b.limit[1] && (st.toks[i].kind == kInt || st.toks[i].kind == kParam) }
	switch n := b.limit[1] - i; {
	case n == 1 && number(i):
		b.count = st.toks[i].slot
	case n == 3 && number(i) && number(i+2) && st.op(i+1, ","):
		b.offset, b.count = st.toks[i].slot, st.toks[i+2].slot
	case n == 3 && number(i) && number(i+2) && st.word(i+1) == "OFFSET":
		b.count, b.offset = st.toks[i].slot, st.toks[i+2].slot
	default:
		return false
	}
	return true
}

// same tells whether two ranges of tokens say the same, if the literals of the slots are equal.
func (st *stmt) same(a, b [2]int) (equal [][2]int, same bool) {
	if a[1]-a[0] != b[1]-b[0] {
		return nil, false
	}
	for i := range a[1] - a[0] {
		t, u := st.toks[a[0]+i], st.toks[b[0]+i]
		switch {
		case t.kind.literal() && t.kind == u.kind:
			equal = append(equal, [2]int{t.slot, u.slot})
		case t.name != "" && u.name != "":
			if !strings.EqualFold(t.name, u.name) {
				return nil, false
			}
		case st.text[t.start:t.end] != st.text[u.start:u.end]:
			return nil, false
		}
	}
	return equal, true
}

// name is the unqualified name that the tokens are, "" if they are something else.
func (st *stmt) name(r [2]int) string {
	if r[1]-r[0] == 1 {
		return st.toks[r[0]].name
	}
	return ""
}

// columnName is the name of the column that an expression is, "" if it is none.
func columnName(e sqlparser.Expr) string {
	if c, ok := e.(*sqlparser.ColName); ok && c.StoredProcVal == nil {
		return c.Name.String()
	}
	return ""
}

// stars tells whether there is a * in the select list.
func (b *block) stars() bool {
	return slices.ContainsFunc(b.items, func(i item) bool { return i.star })
}

// place is the column of the i-th item in a result, counted from the end if a star is in front of it; ok is false if stars are on both
// sides. hidden columns are counted by the caller.
func (b *block) place(i int) (column int, fromEnd, ok bool) {
	switch {
	case !slices.ContainsFunc(b.items[:i+1], func(i item) bool { return i.star }):
		return i, false, true
	case !slices.ContainsFunc(b.items[i:], func(i item) bool { return i.star }):
		return i - len(b.items), true, true
	}
	return 0, false, false
}

// aliased is the item with this alias, -1 if there is none; sure is false if that cannot be told.
func (b *block) aliased(name string) (i int, sure bool) {
	i = slices.IndexFunc(b.items, func(i item) bool { return i.alias != "" && strings.EqualFold(i.alias, name) })
	return i, i >= 0 || !slices.ContainsFunc(b.items, func(i item) bool { return i.masked })
}

// aliases tells whether a name in the tokens, other than of a function or with a qualifier, may be an alias.
func (b *block) aliases(r [2]int) bool {
	for i := r[0]; i < r[1]; i++ {
		if t := b.st.toks[i]; t.name == "" || t.dotted || b.st.op(i+1, ".") || b.st.op(i+1, "(") {
			continue
		}
		if at, sure := b.aliased(b.st.toks[i].name); at >= 0 || !sure {
			return true
		}
	}
	return false
}

// each calls f with every node of a tree, a node's fields only if it returns true.
func each(node any, f func(any) bool) {
	var walk func(n reflect.Value)
	walk = func(n reflect.Value) {
		switch n.Kind() {
		case reflect.Interface:
			if !n.IsNil() {
				walk(n.Elem())
			}
		case reflect.Pointer:
			if !n.IsNil() && f(n.Interface()) {
				walk(n.Elem())
			}
		case reflect.Slice:
			if n.Type().Elem().Kind() == reflect.Uint8 {
				return
			}
			for i := range n.Len() {
				walk(n.Index(i))
			}
		case reflect.Struct:
			for i := range n.NumField() {
				if n.Type().Field(i).IsExported() {
					walk(n.Field(i))
				}
			}
		}
	}
	walk(reflect.ValueOf(node))
}

// contents is what a part of a SELECT has in it, without that of subqueries.
type contents struct {
	aggregate, subquery bool
	windows             []*sqlparser.WindowDef
}

func contentsOf(nodes ...any) (c contents) {
	for _, n := range nodes {
		each(n, func(n any) bool {
			switch n := n.(type) {
			case *sqlparser.Subquery, sqlparser.SelectStatement:
				c.subquery = true
				return false
			case *sqlparser.WindowDef:
				c.windows = append(c.windows, n)
			case *sqlparser.GroupConcatExpr:
				c.aggregate = true
			case *sqlparser.FuncExpr:
				if n.Over == nil {
					c.aggregate = c.aggregate || aggregates[n.Name.Lowered()]
					break
				}
				over := (*sqlparser.WindowDef)(n.Over)
				c.windows = append(c.windows, over)
				inner := contentsOf(n.Exprs, over.PartitionBy, over.OrderBy)
				c.aggregate, c.subquery = c.aggregate || inner.aggregate, c.subquery || inner.subquery
				return false
			}
			return true
		})
	}
	return c
}

// unstable are functions whose value is another one each time, or on each server; those of moments may come without brackets.
var (
	unstable = set(`rand uuid uuid_short uuid_v4 uuid_v7 sys_guid random_bytes sleep benchmark get_lock release_lock is_free_lock is_used_lock
		release_all_locks now sysdate curdate curtime connection_id row_count found_rows last_insert_id load_file version`)
	moments = set("current_date current_time current_timestamp localtime localtimestamp utc_date utc_time utc_timestamp")
)

// stable tells whether the tokens have the same value whenever and wherever they are evaluated.
func (b *block) stable(r [2]int) bool {
	for i := r[0]; i < r[1]; i++ {
		name := strings.ToLower(b.st.toks[i].name)
		switch called := b.st.op(i+1, "("); {
		case b.st.toks[i].kind == kUserVar || b.st.toks[i].kind == kSysVar:
			return false
		case name == "" || b.st.toks[i].dotted:
		case moments[name] && b.st.toks[i].kind == kWord, called && unstable[name], called && name == "unix_timestamp" && b.st.op(i+2, ")"):
			return false
		}
	}
	return true
}
