package router

import (
	"slices"
	"strings"
)

// factor is a table in a FROM clause as the tokens have it, which alone say where in the text it is.
type factor struct {
	object
	first, last int    // the tokens of its name
	alias       string // as written, "" without one
	whole       bool   // it is of TABLE t, where nothing may be called by another name
	block       *selectTokens
}

// called is what columns of the table are qualified with.
func (f *factor) called() string {
	if f.alias != "" {
		return f.alias
	}
	return f.name
}

// selectTokens is one SELECT among the tokens.
type selectTokens struct {
	where  [2]int // the tokens of WHERE's condition; none if both are 0
	order  [2]int // those behind ORDER BY
	limit  [2]int // those behind LIMIT
	tables int    // in its FROM, derived ones included
	locks  []lock
}

// lock is a locking clause.
type lock struct {
	text string   // without OF and the number of WAIT
	of   []string // aliases, lower case; nil: all tables of the block
	wait int      // the slot of the number, -1: none
}

// factors finds the tables of all FROM clauses.
func (st *stmt) factors() (all []factor) {
	for i := range st.toks {
		switch st.word(i) {
		case "SELECT":
			all = append(all, st.block(i+1)...)
		case "TABLE":
			if o, next, ok := st.object(i + 1); ok && !st.op(next, "(") {
				all = append(all, factor{object: o, first: i + 1, last: next - 1, block: &selectTokens{tables: 1}, whole: true})
			}
		}
	}
	return all
}

// closing is the place of the bracket that closes the one at i.
func (st *stmt) closing(i int) int {
	for depth := 0; i < len(st.toks); i++ {
		if st.op(i, "(") {
			depth++
		} else if st.op(i, ")") {
			if depth--; depth == 0 {
				return i
			}
		}
	}
	return i
}

// ends are words that end a FROM or WHERE clause.
var ends = map[string]bool{
	"WHERE": true, "GROUP": true, "HAVING": true, "WINDOW": true, "ORDER": true, "LIMIT": true, "PROCEDURE": true, "INTO": true,
	"UNION": true, "EXCEPT": true, "INTERSECT": true, "OFFSET": true, "FETCH": true,
}

// clause tells whether the i-th token ends what goes before it in a SELECT.
func (st *stmt) clause(i int) bool {
	switch w := st.word(i); {
	case i >= len(st.toks), st.op(i, ")"):
		return true
	case w == "FOR":
		return st.word(i+1) == "UPDATE" || st.word(i+1) == "SHARE"
	case w == "LOCK":
		return st.word(i+1) == "IN"
	default:
		return ends[w] && st.word(i-1) != "FOR" // USE INDEX FOR ORDER BY (...)
	}
}

// block reads a SELECT from behind its first word on and returns the tables of its FROM.
func (st *stmt) block(i int) (found []factor) {
	b := &selectTokens{}
	for ; i < len(st.toks) && !st.op(i, ")"); i++ {
		switch w := st.word(i); {
		case st.op(i, "("):
			i = st.closing(i)
		case w == "UNION", w == "EXCEPT", w == "INTERSECT":
			return found
		case w == "FROM" && b.tables == 0:
			found, i = st.clauseFrom(b, i+1)
			i--
		case w == "WHERE" && b.where[0] == 0:
			b.where = st.operand(i + 1)
			i = b.where[1] - 1
		case w == "ORDER" && st.word(i+1) == "BY":
			b.order = st.operand(i + 2)
			i = b.order[1] - 1
		case w == "LIMIT":
			b.limit = [2]int{i + 1, i + 2}
			for w := i + 2; st.op(w, ",") || st.word(w) == "OFFSET"; w += 2 {
				b.limit[1] = w + 2
			}
			i = b.limit[1] - 1
		case (w == "FOR" || w == "LOCK") && st.clause(i):
			l, next := st.clauseLock(i)
			b.locks = append(b.locks, l)
			i = next - 1
		}
	}
	return found
}

// operand is the tokens of a clause from the i-th on.
func (st *stmt) operand(i int) [2]int {
	end := i
	for ; !st.clause(end); end++ {
		if st.op(end, "(") {
			end = st.closing(end)
		}
	}
	return [2]int{i, min(end, len(st.toks))}
}

// notAlias are words that may come behind a table's name and are no alias of it.
var notAlias = map[string]bool{
	"ON": true, "USING": true, "JOIN": true, "INNER": true, "CROSS": true, "LEFT": true, "RIGHT": true, "NATURAL": true, "STRAIGHT_JOIN": true,
	"FULL": true, "OUTER": true, "USE": true, "FORCE": true, "IGNORE": true, "FOR": true, "LOCK": true, "TABLESAMPLE": true,
}

// clauseFrom reads a FROM clause of the block and returns its tables and the place behind it.
func (st *stmt) clauseFrom(b *selectTokens, i int) (found []factor, next int) {
	depth, wanted := 0, true
	for i < len(st.toks) {
		switch {
		case st.op(i, ")") && depth > 0:
			depth--
		case st.clause(i):
			return found, i
		case st.op(i, "("):
			if wanted && !st.derives(i) {
				depth++
			} else {
				if wanted {
					b.tables++
				}
				i, wanted = st.closing(i), false
			}
		case st.op(i, ","):
			wanted = st.word(i+2) != "INDEX" && st.word(i+2) != "KEY" // not the next of several index hints
		case st.word(i) == "JOIN", st.word(i) == "STRAIGHT_JOIN":
			wanted = true
		case wanted && st.word(i) == "LATERAL":
		case wanted && st.toks[i].name != "":
			wanted = false
			b.tables++
			o, behind, ok := st.object(i)
			if !ok || st.op(behind, "(") {
				break // a table function
			}
			f := factor{object: o, first: i, last: behind - 1, block: b}
			i = behind
			if st.word(i) == "PARTITION" && st.op(i+1, "(") {
				i = st.closing(i+1) + 1
			}
			if st.word(i) == "AS" {
				i++
			}
			if i < len(st.toks) && st.toks[i].name != "" && !notAlias[st.word(i)] && !st.clause(i) {
				f.alias = st.toks[i].name
				i++
			}
			found = append(found, f)
			continue
		}
		i++
	}
	return found, i
}

// derives tells whether the bracket at i is around a query.
func (st *stmt) derives(i int) bool {
	for st.op(i, "(") {
		i++
	}
	return slices.Contains(queries, st.word(i))
}

// clauseLock reads a locking clause and returns the place behind it.
func (st *stmt) clauseLock(i int) (l lock, next int) {
	l.wait = -1
	words := 2
	if st.word(i) == "LOCK" {
		words = 4 // LOCK IN SHARE MODE
	}
	for n := range words {
		l.text += " " + st.word(i+n)
	}
	for i += words; i < len(st.toks); i++ {
		switch w := st.word(i); {
		case w == "OF" || st.op(i, ",") && l.of != nil:
			o, behind, ok := st.object(i + 1)
			if !ok {
				return l, i
			}
			l.of = append(l.of, strings.ToLower(o.name))
			i = behind - 1
		case w == "NOWAIT", w == "SKIP", w == "LOCKED", w == "WAIT":
			l.text += " " + w
		case st.toks[i].kind.literal() && st.word(i-1) == "WAIT":
			l.wait = st.toks[i].slot
		default:
			return l, i
		}
	}
	return l, i
}

// conjuncts are the conditions that AND joins between the tokens from and to. What cannot be cut stays whole.
func (st *stmt) conjuncts(from, to int) (all [][2]int) {
	start, cases, between := from, 0, 0
	for i := from; i < to; i++ {
		switch w := st.word(i); {
		case st.op(i, "("):
			i = st.closing(i)
		case w == "CASE":
			cases++
		case w == "END":
			cases--
		case cases > 0:
		case w == "OR", w == "XOR", st.op(i, "||"), st.op(i, "&&"), st.op(i, ":="):
			return [][2]int{{from, to}}
		case w == "BETWEEN":
			between++
		case w == "AND" && between > 0:
			between--
		case w == "AND":
			all = append(all, [2]int{start, i})
			start = i + 1
		}
	}
	return append(all, [2]int{start, to})
}

// plainWords are words that conditions may have besides names of columns.
var plainWords = map[string]bool{
	"AND": true, "OR": true, "NOT": true, "XOR": true, "IN": true, "IS": true, "NULL": true, "LIKE": true, "BETWEEN": true, "DIV": true, "MOD": true,
	"REGEXP": true, "RLIKE": true, "TRUE": true, "FALSE": true, "UNKNOWN": true, "ESCAPE": true, "CASE": true, "WHEN": true, "THEN": true, "ELSE": true, "END": true,
}

// plainFunctions depend on nothing but their arguments.
var plainFunctions = map[string]bool{
	"in": true, "and": true, "or": true, "not": true, "abs": true, "ceil": true, "ceiling": true, "char_length": true, "coalesce": true, "concat": true, "crc32": true, "date": true,
	"datediff": true, "day": true, "dayofmonth": true, "find_in_set": true, "floor": true, "greatest": true, "hex": true, "hour": true, "if": true, "ifnull": true,
	"instr": true, "isnull": true, "json_contains": true, "json_extract": true, "json_unquote": true, "json_value": true, "least": true, "left": true, "length": true, "like": true,
	"locate": true, "lower": true, "ltrim": true, "mod": true, "month": true, "nullif": true, "replace": true, "right": true, "round": true, "rtrim": true, "substr": true,
	"substring": true, "trim": true, "truncate": true, "unhex": true, "upper": true, "year": true,
}

// plain tells whether the condition can be asked of the table of f alone, and returns the columns that it names without a qualifier.
func (st *stmt) plain(f *factor, from, to int) (names []string, ok bool) {
	for i := from; i < to; i++ {
		t := st.toks[i]
		switch {
		case t.kind == kUserVar, t.kind == kSysVar, st.op(i, ":="), slices.Contains(queries, t.word):
			return nil, false
		case t.name == "":
		case st.op(i+1, "("):
			if t.dotted || !plainWords[t.word] && !plainFunctions[strings.ToLower(t.name)] {
				return nil, false
			}
		case st.op(i+1, "."):
			if !strings.EqualFold(t.name, f.called()) || st.op(i+3, ".") {
				return nil, false
			}
			i += 2
		case plainWords[t.word]:
		case t.kind == kWord && i+1 < to && st.toks[i+1].kind.literal():
			if t.word != "DATE" && t.word != "TIME" && t.word != "TIMESTAMP" && !strings.HasPrefix(t.name, "_") {
				return nil, false
			}
		case f.block.tables > 1:
			return nil, false
		default:
			names = append(names, strings.ToLower(t.name))
		}
	}
	return names, true
}
