package router

import (
	"slices"
	"strings"

	"github.com/dolthub/vitess/go/vt/sqlparser"
)

// Servers know more of SQL than the parser does. What decides about the place of a query is its tables, the conditions on their keys and
// the functions that it calls, and our own tokens say where in it an expression begins and ends. So an expression at which the parser stops
// is blanked: the parser is shown NULL, and the query runs on one backend or on scratch tables, where its whole text is understood.

// maxBlanks bounds how often a statement is parsed.
const maxBlanks = 32

// blankAt is the blanked expression that begins at token i, nil if none does.
func (st *stmt) blankAt(i int) *[2]int {
	for n := range st.blanks {
		if st.blanks[n][0] == i {
			return &st.blanks[n]
		}
	}
	return nil
}

// blanked blanks the least expression that has the token in it and is not blanked yet, and tells whether there is one.
func (st *stmt) blanked(at int) bool {
	if !queryVerbs[st.word(0)] && !st.op(0, "(") || len(st.blanks) == maxBlanks || st.simple() != nil {
		return false
	}
	for {
		b, open := st.expression(at)
		inside := func(c [2]int) bool { return c[0] >= b[0] && c[1] <= b[1] }
		switch {
		case b[0] < b[1] && !st.blankable(b):
			return false
		case b[0] < b[1] && !slices.ContainsFunc(st.blanks, func(c [2]int) bool { return c[0] <= b[0] && c[1] >= b[1] }):
			st.blanks = append(slices.DeleteFunc(st.blanks, inside), b)
			return true
		case open < 0:
			return false
		}
		at = open
	}
}

// before and behind are words that an expression may begin or end at.
var (
	before = set("SELECT DISTINCT DISTINCTROW ALL WHERE AND OR XOR NOT ON HAVING BY WHEN THEN ELSE CASE LIMIT")
	behind = set("AND OR XOR WHEN THEN ELSE END ASC DESC FROM WHERE GROUP HAVING WINDOW ORDER LIMIT UNION EXCEPT INTERSECT INTO PROCEDURE OFFSET FETCH INNER LEFT RIGHT CROSS NATURAL JOIN STRAIGHT_JOIN")
)

// expression is the expression around token i as far as brackets and commas tell, none if there is none, and the bracket that it is in,
// -1 if it is in none.
func (st *stmt) expression(i int) (found [2]int, open int) {
	ends := func(i int) bool {
		return i >= len(st.toks) || st.op(i, ",") || st.op(i, ")") || st.op(i, "&&") || st.toks[i].kind == kSemi || behind[st.word(i)] && !st.op(i+1, "(") ||
			(st.word(i) == "FOR" || st.word(i) == "LOCK") && st.clause(i)
	}
	if ends(i) {
		i--
	}
	first, depth := i, 0
	for ; first > 0; first-- {
		w := st.word(first - 1)
		switch {
		case st.op(first-1, ")"), w == "END":
			depth++
		case st.op(first-1, "("), w == "CASE":
			depth--
		}
		if depth < 0 || depth == 0 && w != "CASE" && (st.op(first-1, ",") || st.op(first-1, "&&") || before[w]) {
			break
		}
	}
	open = -1
	depth = 0
	for at := first - 1; at >= 0; at-- {
		if st.op(at, ")") {
			depth++
		} else if st.op(at, "(") {
			if depth--; depth < 0 {
				open = at
				break
			}
		}
	}
	end := max(i, first)
	for ; !ends(end); end++ {
		switch {
		case st.op(end, "("):
			end = min(st.closing(end), len(st.toks)-1)
		case st.word(end) == "CASE":
			end = st.caseEnd(end)
		}
	}
	return [2]int{first, end}, open
}

// caseEnd is the END of the CASE at i, or the last token.
func (st *stmt) caseEnd(i int) int {
	for depth := 0; i < len(st.toks)-1; i++ {
		switch st.word(i) {
		case "CASE":
			depth++
		case "END":
			if depth--; depth == 0 {
				return i
			}
		}
	}
	return i
}

// blankable tells whether the tokens are an expression that no table is named in, and nothing that changes anything.
func (st *stmt) blankable(b [2]int) bool {
	for i := b[0]; i < b[1]; i++ {
		name := strings.ToLower(st.toks[i].name)
		if slices.Contains(queries, st.word(i)) || st.op(i, ":=") || st.words(i, "VALUE", "FOR") || sequenceFunctions[name] && st.op(i+1, "(") {
			return false
		}
	}
	return !slices.ContainsFunc(st.factors(), func(f factor) bool { return f.first < b[1] && f.last >= b[0] })
}

// blanks notes what is in the blanked expressions: functions, and stars, which may mean any columns.
func (v *resolver) blanks() {
	st := v.st
	for _, b := range st.blanks {
		for i := b[0]; i < b[1]; i++ {
			t := st.toks[i]
			if st.op(i, "*") {
				for _, s := range v.sources {
					s.all = true
				}
			}
			if t.name == "" || !st.op(i+1, "(") || notCalled[t.word] || st.word(i-1) == "AS" || st.op(i-1, ")") { // a type, or a part of what goes before
				continue
			}
			f := &sqlparser.FuncExpr{Name: sqlparser.NewColIdent(t.name)}
			if t.dotted && i > 1 {
				f.Qualifier = sqlparser.NewTableIdent(st.toks[i-2].name)
			}
			v.call(f)
		}
	}
}
