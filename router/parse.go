package router

import (
	"context"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"github.com/dolthub/vitess/go/vt/sqlparser"
)

// limits of what the parser is given; it and the walks over its trees are recursive
const (
	maxParsedText   = 4 << 20
	maxParsedTokens = 20_000 // without literals and commas, which do not nest
	maxNesting      = 200    // of brackets
)

// marker is a number that stands for a literal in the text for the parser: marker + slot. All are of one length.
const marker = 9_000_000_000

// parse gives the statement to the SQL parser. On an error it returns the token at which the parser stopped.
func (st *stmt) parse() (tree sqlparser.Statement, at int, err error) {
	text, starts, err := st.forParser()
	if err != nil {
		return nil, 0, err
	}
	// The parser panics on some statements.
	defer func() {
		if p := recover(); p != nil {
			tree, at, err = nil, 0, fmt.Errorf("the parser failed: %v", p)
		}
	}()
	tree, err = sqlparser.ParseWithOptions(context.Background(), text, sqlparser.ParserOptions{})
	if err != nil {
		return nil, stopped(err, starts), err
	}
	return tree, 0, nil
}

// The parser's errors say "... at position N near 'x'", N being the offset behind the token.
var position = regexp.MustCompile(`at position (\d+)`)

// stopped is the token that the parser complains about.
func stopped(err error, starts []int) int {
	m := position.FindStringSubmatch(err.Error())
	if m == nil {
		return 0
	}
	n, err := strconv.Atoi(m[1])
	if err != nil {
		return 0 // longer than any text
	}
	at := 0
	for i, start := range starts {
		if start >= 0 && start < n-1 {
			at = i
		}
	}
	return at
}

// forParser writes the statement as the parser likes it: each literal is a marker of its class, quotes are backticks, and
// what the parser does not know, and what does not matter for the place of a statement, is left out. starts has the offset of
// each token, -1 for those left out.
func (st *stmt) forParser() (text string, starts []int, err error) {
	if err := st.simple(); err != nil {
		return "", nil, err
	}
	var b strings.Builder
	starts = make([]int, len(st.toks))
	for i := 0; i < len(st.toks); {
		if n := st.omitted(i); n > 0 {
			for ; n > 0; n-- {
				starts[i] = -1
				i++
			}
			b.WriteByte(' ')
			continue
		}
		t := st.toks[i]
		if t.space {
			b.WriteByte(' ')
		}
		starts[i] = b.Len()
		switch {
		case t.kind == kUserVar:
			b.WriteString(" (NULL) ") // not to be taken for a NULL of the text
		case t.kind == kInt, t.kind == kParam:
			fmt.Fprintf(&b, " %d ", marker+t.slot)
		case t.kind == kDecimal:
			fmt.Fprintf(&b, " %d.5 ", marker+t.slot)
		case t.kind == kString:
			fmt.Fprintf(&b, " '~%d' ", marker+t.slot)
		case t.kind == kOther:
			fmt.Fprintf(&b, " x'%d' ", marker+t.slot)
		case t.kind == kQuoted, t.kind == kWord && foreignWord(t.name), t.dotted && t.name != "" && !st.op(i+1, "("):
			b.WriteByte('`')
			b.WriteString(strings.ReplaceAll(t.name, "`", "``"))
			b.WriteByte('`')
		case i == 0 && t.word == "DO":
			b.WriteString("SELECT")
		default:
			b.WriteString(st.text[t.start:t.end])
		}
		i++
	}
	return b.String(), starts, nil
}

// foreignWord tells whether the parser, unlike the servers, takes the identifier only in quotes.
func foreignWord(name string) bool {
	return class[name[0]]&cDigit != 0 || strings.ContainsFunc(name, func(r rune) bool { return r >= 0x80 })
}

// simple tells whether the parser can take the statement.
func (st *stmt) simple() error {
	if len(st.text) > maxParsedText {
		return fmt.Errorf("the statement is too long")
	}
	n, depth := 0, 0
	for i, t := range st.toks {
		switch {
		case t.kind.literal(), st.op(i, ","):
			continue
		case st.op(i, "("):
			depth++
		case st.op(i, ")"):
			depth--
		}
		n++
		if depth > maxNesting || n > maxParsedTokens {
			return fmt.Errorf("the statement is too deep")
		}
	}
	return nil
}

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
	case "WITH":
		if st.word(i+1) == "ROLLUP" {
			return 2
		}
	case "ANY", "SOME", "ALL": // of a comparison with a subquery
		if st.op(i+1, "(") && (st.op(i-1, "=") || st.op(i-1, "<") || st.op(i-1, ">")) {
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

// literal finds the literal that an expression of the tree is: a marker, perhaps with signs and brackets.
func (st *stmt) literal(e sqlparser.Expr) (keyRef, bool) {
	switch e := e.(type) {
	case *sqlparser.ParenExpr:
		return st.literal(e.Expr)
	case *sqlparser.UnaryExpr:
		k, ok := st.literal(e.Expr)
		switch e.Operator {
		case sqlparser.UPlusStr:
			return k, ok
		case sqlparser.UMinusStr:
			k.minus = !k.minus
			return k, ok
		}
	case *sqlparser.SQLVal:
		return st.marked(string(e.Val), e.Type)
	}
	return keyRef{}, false
}

// marked reads a marker.
func (st *stmt) marked(val string, t sqlparser.ValType) (k keyRef, ok bool) {
	switch t {
	case sqlparser.IntVal, sqlparser.FloatVal:
		val, k.minus = strings.CutPrefix(val, "-")
		val = strings.TrimSuffix(val, ".5")
	case sqlparser.StrVal:
		val = strings.TrimPrefix(val, "~")
	case sqlparser.HexVal:
	default:
		return k, false
	}
	n, err := strconv.Atoi(val)
	if err != nil || n < marker {
		return k, false
	}
	k.slot = n - marker
	return k, st.standsAlone(k.slot)
}

// beforeLiteral are the words that may come directly before a literal without changing what it means, as DATE and _utf8mb4 do.
var beforeLiteral = map[string]bool{"WHERE": true, "AND": true, "OR": true, "ON": true, "IN": true, "NOT": true, "HAVING": true, "BETWEEN": true}

// standsAlone tells whether the tokens around a literal leave it what it is.
func (st *stmt) standsAlone(slot int) bool {
	for i, t := range st.toks {
		if !t.kind.literal() || t.slot != slot {
			continue
		}
		if i > 0 && st.toks[i-1].kind != kOp && !beforeLiteral[st.word(i-1)] || st.op(i-1, ":=") {
			return false // of a type, or assigned, and then compared in other ways than a literal is
		}
		return i+1 == len(st.toks) || !st.toks[i+1].kind.literal()
	}
	return false
}
