package router

import (
	"slices"
	"strings"
)

// afterVerb are words behind the first one of a statement that only advise the server.
var afterVerb = map[string]bool{
	"HIGH_PRIORITY": true, "LOW_PRIORITY": true, "DELAYED": true, "QUICK": true,
	"SQL_SMALL_RESULT": true, "SQL_BIG_RESULT": true, "SQL_BUFFER_RESULT": true,
}

// beforeAssigned are words behind which an expression begins. What is assigned in a := b AND c is all of b AND c, so that
// a := may only be left out where nothing of the expression is on its left.
var beforeAssigned = map[string]bool{
	"SELECT": true, "DISTINCT": true, "ALL": true, "DO": true, "WHERE": true, "ON": true, "HAVING": true, "BY": true, "WHEN": true, "THEN": true, "ELSE": true,
}

// omitted is the number of tokens from i on that the parser is not shown: assignments to user variables, locking clauses,
// index hints, WITH ROLLUP, the quantifier of a comparison, and advice to the server.
func (st *stmt) omitted(i int) int {
	if st.toks[i].kind == kUserVar && st.op(i+1, ":=") && (st.op(i-1, "(") || st.op(i-1, ",") || beforeAssigned[st.word(i-1)]) {
		return 2
	}
	switch { // { d 'x' } and { OJ a LEFT JOIN b } of ODBC
	case st.op(i, "{") && i+1 < len(st.toks) && st.toks[i+1].name != "":
		return 2
	case st.op(i, "}"):
		return 1
	}
	switch st.word(i) {
	case "INTO":
		if names, next := st.variableList(i + 1); names != nil {
			return next - i
		}
	case "FOR":
		if w := st.word(i + 1); w == "UPDATE" || w == "SHARE" {
			return st.locking(i+2) - i
		}
	case "LOCK":
		if st.words(i, "LOCK", "IN", "SHARE", "MODE") {
			return st.locking(i+4) - i
		}
	case "USE", "FORCE", "IGNORE":
		if w := st.word(i + 1); i > 0 && (w == "INDEX" || w == "KEY") {
			return st.hint(i+2) - i
		}
		if w := st.word(i - 1); st.word(i) == "IGNORE" && (w == "DELETE" || st.word(0) == "DELETE" && afterVerb[w]) {
			return 1
		}
	case "RETURNING":
		if w := st.word(0); (w == "DELETE" || w == "REPLACE") && st.returnsPlainly(i+1) {
			return st.end() - i
		}
	case "WITH":
		if st.word(i+1) == "ROLLUP" {
			return 2
		}
	case "ANY", "SOME", "ALL": // of a comparison with a subquery
		if st.op(i+1, "(") && (st.op(i-1, "=") || st.op(i-1, "<") || st.op(i-1, ">")) {
			return 1
		}
	case "FROM": // FIRST, of NTH_VALUE
		if w := st.word(i + 2); st.word(i+1) == "FIRST" && (w == "OVER" || w == "RESPECT") {
			return 2
		}
	case "OFFSET", "FETCH":
		if n := st.fetch(i); n > 0 {
			return n
		}
	case "LIMIT":
		if st.words(i+1, "ROWS", "EXAMINED") {
			return 4
		}
	case "ROWS":
		if st.word(i+1) == "EXAMINED" {
			return 3
		}
	case "CYCLE": // a, b RESTRICT
		if n := slices.IndexFunc(st.toks[i:], func(t tok) bool { return t.word == "RESTRICT" }); n > 0 && st.op(i-1, ")") {
			return n + 1
		}
	case "OF": // see instead
		if st.word(i-1) == "MEMBER" && st.op(i+1, "(") {
			return 1
		}
	case "SOUNDS":
		if st.word(i+1) == "LIKE" {
			return 1
		}
	default:
		if afterVerb[st.word(i)] {
			switch w := st.word(i - 1); w {
			case "SELECT", "INSERT", "REPLACE", "UPDATE", "DELETE":
				return 1
			default:
				if afterVerb[w] {
					return 1
				}
			}
		}
	}
	return 0
}

// fetch is the number of tokens of OFFSET n ROWS or FETCH FIRST n ROWS ONLY from i on, 0 if it is neither.
func (st *stmt) fetch(i int) int {
	n := 1
	if st.word(i) == "FETCH" {
		n = 2
	}
	if i+n < len(st.toks) && st.toks[i+n].kind.literal() {
		n++
	}
	if w := st.word(i + n); w != "ROW" && w != "ROWS" {
		return 0
	}
	switch n++; {
	case st.word(i) == "OFFSET":
		return n
	case st.word(i+n) == "ONLY":
		return n + 1
	case st.words(i+n, "WITH", "TIES"):
		return n + 2
	}
	return 0
}

// locking is the place behind [OF t, ...] [NOWAIT | SKIP LOCKED | WAIT n].
func (st *stmt) locking(i int) int {
	if st.word(i) == "OF" {
		for {
			_, next, ok := st.object(i + 1)
			if !ok {
				break
			}
			i = next
			if !st.op(i, ",") {
				break
			}
		}
	}
	switch {
	case st.word(i) == "NOWAIT":
		i++
	case st.words(i, "SKIP", "LOCKED"):
		i += 2
	case st.word(i) == "WAIT" && i+1 < len(st.toks) && st.toks[i+1].kind == kInt:
		i += 2
	}
	return i
}

// hint is the place behind [FOR JOIN | FOR ORDER BY | FOR GROUP BY] (index, ...).
func (st *stmt) hint(i int) int {
	start := i - 2
	if st.word(i) == "FOR" {
		i += 2
		if st.word(i) == "BY" {
			i++
		}
	}
	if !st.op(i, "(") {
		return start
	}
	for i++; i < len(st.toks); i++ {
		if st.op(i, ")") {
			return i + 1
		}
		if st.toks[i].name == "" && !st.op(i, ",") {
			break
		}
	}
	return start
}

// compositeUnits are those of INTERVAL that the parser does not know.
var compositeUnits = set("SECOND_MICROSECOND MINUTE_MICROSECOND MINUTE_SECOND HOUR_MICROSECOND HOUR_SECOND HOUR_MINUTE DAY_MICROSECOND DAY_SECOND DAY_MINUTE DAY_HOUR")

// instead is what the parser is shown in place of the i-th token, "" if that is the token.
func (st *stmt) instead(i int) string {
	switch w := st.word(i); {
	case w == "DISTINCTROW":
		return "DISTINCT"
	case w == "MEMBER" && st.word(i+1) == "OF" && st.op(i+2, "("): // a comparison that says nothing of a shard key
		return "LIKE"
	case compositeUnits[w]:
		return "DAY"
	}
	return ""
}

func (st *stmt) setOperation(i int) bool {
	w := st.word(i)
	return w == "UNION" || w == "EXCEPT" || w == "INTERSECT"
}

// recast is what becomes of a token on its way to the parser because of what is around it.
type recast struct {
	omit                    bool
	before, behind, instead string
}

// recast finds what else of a query the parser takes only in other words: brackets around queries, other than those around the parts of a
// UNION and single ones around subqueries, and VALUES as a query of its own.
func (st *stmt) recast() map[int]recast {
	all := map[int]recast{}
	if !queryVerbs[st.word(0)] && !st.op(0, "(") {
		return all
	}
	rows := map[int]bool{}
	for i := range st.toks {
		switch {
		case st.op(i, "(") && st.derives(i):
			st.bracket(i, all)
		case st.word(i) == "VALUES":
			alone := i == 0 || i == 1 && st.op(0, "(") || st.setOperation(i-1) || (st.word(i-1) == "ALL" || st.word(i-1) == "DISTINCT") && st.setOperation(i-2)
			if alone {
				all[i] = recast{instead: "SELECT"}
			}
			for at := i + 1; st.word(at) == "ROW" && st.op(at+1, "("); at = st.closing(at+1) + 2 {
				rows[at] = !alone
			}
		case st.word(i) == "ROW" && st.op(i+1, "(") && !rows[i]: // a row constructor
			all[i] = recast{omit: true}
		}
	}
	return all
}

// bracket says how the bracket at i, around a query, is shown: not at all if it is doubled or around a whole statement, and as a derived
// table if an ORDER BY or LIMIT comes behind it.
func (st *stmt) bracket(i int, all map[int]recast) {
	end := st.closing(i)
	if end >= len(st.toks) {
		return
	}
	if st.op(i+1, "(") && st.closing(i+1) == end-1 {
		all[i+1], all[end-1] = recast{omit: true}, recast{omit: true}
	}
	whole := i == 0 || st.op(i-1, ")") // behind WITH
	switch {
	case all[i].omit:
	case whole && (end+1 == len(st.toks) || st.toks[end+1].kind == kSemi || st.op(end+1, ")")):
		all[i], all[end] = recast{omit: true}, recast{omit: true}
	case (whole || st.op(i-1, "(")) && st.clause(end+1) && !st.op(end+1, ")") && !st.setOperation(end+1):
		all[i], all[end] = recast{before: "SELECT * FROM "}, recast{behind: " AS `xaproxy`"}
	}
}

// queryVerbs begin a query.
var queryVerbs = map[string]bool{"SELECT": true, "WITH": true, "TABLE": true, "VALUES": true}

// returnsPlainly tells whether RETURNING has nothing that the analysis would have to see: queries, functions that are not built in, variables.
func (st *stmt) returnsPlainly(i int) bool {
	for ; i < st.end(); i++ {
		t := st.toks[i]
		if t.kind == kUserVar || t.kind == kSysVar || slices.Contains(queries, t.word) || t.name != "" && st.op(i+1, "(") && !builtin[strings.ToLower(t.name)] {
			return false
		}
	}
	return true
}
