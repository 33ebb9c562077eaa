package router

import (
	"context"
	"fmt"
	"regexp"
	"slices"
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

// parse gives the statement to the SQL parser, without expressions of a query that the parser does not know. On an error it returns the
// token at which the parser stopped.
func (st *stmt) parse() (tree sqlparser.Statement, at int, err error) {
	tree, at, err = st.parseOnce()
	first, why := at, err
	for err != nil && st.blanked(at) {
		if tree, at, err = st.parseOnce(); err == nil && !isQuery(tree) {
			break
		}
	}
	if len(st.blanks) > 0 && !isQuery(tree) {
		st.blanks = nil
		return nil, first, why
	}
	return tree, at, err
}

// isQuery tells whether the statement only reads.
func isQuery(tree sqlparser.Statement) bool {
	_, ok := tree.(sqlparser.SelectStatement)
	return ok
}

func (st *stmt) parseOnce() (tree sqlparser.Statement, at int, err error) {
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
	around := st.recast()
	for i := 0; i < len(st.toks); {
		if s := st.blankAt(i); s != nil {
			starts[i] = b.Len() + 1
			b.WriteString(" NULL ")
			for i++; i < s[1]; i++ {
				starts[i] = -1
			}
			continue
		}
		n := st.omitted(i)
		if around[i].omit {
			n = 1
		}
		if n > 0 {
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
		b.WriteString(around[i].before)
		starts[i] = b.Len()
		switch instead := max(around[i].instead, st.instead(i)); {
		case instead != "":
			b.WriteString(instead)
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
			if st.op(i, "-") && strings.HasSuffix(b.String(), "-") { // which the parser takes for a comment
				b.WriteByte(' ')
			}
			b.WriteString(st.text[t.start:t.end])
		}
		b.WriteString(around[i].behind)
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
var beforeLiteral = map[string]bool{"WHERE": true, "AND": true, "OR": true, "ON": true, "IN": true, "LIKE": true, "NOT": true, "HAVING": true, "BETWEEN": true}

// standsAlone tells whether the tokens around a literal leave it what it is.
func (st *stmt) standsAlone(slot int) bool {
	if len(st.toks) == 0 {
		return false
	}
	if st.of.first != &st.toks[0] || st.of.n != len(st.toks) { // once: a list may have a million
		st.of.first, st.of.n, st.literals = &st.toks[0], len(st.toks), nil
		for i, t := range st.toks {
			if t.kind.literal() {
				st.literals = append(st.literals, i)
			}
		}
	}
	n, ok := slices.BinarySearchFunc(st.literals, slot, func(i, slot int) int { return st.toks[i].slot - slot })
	if !ok {
		return false
	}
	i := st.literals[n]
	if i > 0 && st.toks[i-1].kind != kOp && !beforeLiteral[st.word(i-1)] || st.op(i-1, ":=") {
		return false // of a type, or assigned, and then compared in other ways than a literal is
	}
	return i+1 == len(st.toks) || !st.toks[i+1].kind.literal()
}
