package dialect

import (
	"fmt"
	"slices"
	"strings"

	"github.com/xaproxy/xaproxy/router"
)

// mask writes the statement for the parser: literals are markers, quotes are backticks, what only advises the server is left out, and the
// locking clause is taken away.
func (s *source) mask() (string, error) {
	var b strings.Builder
	s.starts = make([]int, len(s.toks))
	depth := 0
	for i := 0; i < len(s.toks); i++ {
		t := s.toks[i]
		s.starts[i] = b.Len()
		if text, ok := s.replaced[i]; ok {
			b.WriteString(" " + text + " ")
			continue
		}
		if n := s.advice(i); n > 0 {
			i = s.skip(i, n, &b)
			continue
		}
		if depth == 0 && s.word(i) == "WITH" && s.word(i+1) == "ROLLUP" {
			s.rollup = true
			i = s.skip(i, 2, &b)
			continue
		}
		if n := s.into(i); depth == 0 && n > 0 {
			i = s.skip(i, n, &b)
			continue
		}
		if depth == 0 {
			n, err := s.locking(i)
			if err != nil {
				return "", err
			}
			if n > 0 {
				i = s.skip(i, n, &b)
				continue
			}
		}
		// Operators of several characters are several tokens; "--" would be a comment.
		if joined := t.Class == router.Op && i > 0 && (s.op(i, "(") || s.toks[i-1].Class == router.Op && !(s.op(i, "-") && s.op(i-1, "-"))); t.Spaced || !joined {
			b.WriteByte(' ')
		}
		s.starts[i] = b.Len()
		switch t.Class {
		case router.Bad:
			return "", &Error{Errno: 1064, State: "42000", At: t.Start, What: "the statement cannot be read", Do: "look for a quote that is not closed, or a control character"}
		case router.Semi:
			if i < len(s.toks)-1 {
				return "", refuse(t.Start, "this is more than one statement", "send them one by one")
			}
		case router.Int, router.Param:
			fmt.Fprintf(&b, "%d", marker+s.slot(i))
		case router.Decimal:
			fmt.Fprintf(&b, "%d.5", marker+s.slot(i))
		case router.String:
			fmt.Fprintf(&b, "'~%d'", s.slot(i))
			for i+1 < len(s.toks) && s.toks[i+1].Class == router.String { // 'a' 'b' is one string
				i++
				s.starts[i] = b.Len()
			}
		case router.Other:
			fmt.Fprintf(&b, "'~%d'", s.slot(i))
		case router.UserVar:
			if s.op(i+1, ":=") {
				return "", refuse(t.Start, "an assignment to a user variable within an expression is not translated", "use SET, or SELECT … INTO")
			}
			fmt.Fprintf(&b, "'~%d'", s.slot(i))
		case router.Quoted:
			b.WriteString("`" + strings.ReplaceAll(s.name(i), "`", "``") + "`")
		default:
			switch text := s.text(i); {
			case text == "(":
				if depth++; depth > maxNesting {
					return "", refuse(t.Start, "the statement is nested too deeply", "simplify it")
				}
				b.WriteString(text)
			case text == ")":
				depth--
				b.WriteString(text)
				if n := len(s.closing); n > 0 && s.closing[n-1] == i {
					s.closing = s.closing[:n-1]
					b.WriteString(")")
				}
			case t.Dotted && t.Class == router.Word && !s.op(i+1, "("):
				b.WriteString("`" + text + "`")
			case text == "||" && !s.pipesAsConcat:
				b.WriteString("OR")
			case text == "||": // binds as tightly as ^, which the parser is shown
				b.WriteString("^")
			case text == "^" && s.pipesAsConcat:
				return "", refuse(t.Start, "^ is not translated under PIPES_AS_CONCAT", "SET sql_mode without it, and use CONCAT()")
			case s.quantified(i) != "":
				b.WriteString(s.quantified(i))
				i = s.skip(i+1, s.quantifier(i)-i, &b)
			case quantifiers[s.word(i)] != "" && s.op(i+1, "(") && i > 0 && s.toks[i-1].Class == router.Op && !s.op(i-1, "("):
				b.WriteString(quantifiers[s.word(i)] + "(")
				s.closing = append(s.closing, s.match(i+1))
			case compound[s.word(i)] != nil && s.word(i-1) != "EXTRACT" && !s.op(i-1, "("):
				b.WriteString("`" + s.word(i) + "`")
			case s.word(i) == "UNKNOWN" && (s.word(i-1) == "IS" || s.word(i-1) == "NOT" && s.word(i-2) == "IS"):
				b.WriteString("NULL")
			case s.word(i) == "DISTINCTROW":
				b.WriteString("DISTINCT")
			default:
				b.WriteString(text)
			}
		}
	}
	return b.String(), nil
}

// skip leaves n tokens out and returns the last of them.
func (s *source) skip(i, n int, b *strings.Builder) int {
	for j := i; j < i+n; j++ {
		s.starts[j] = b.Len()
	}
	return i + n - 1
}

// quantifier is the place of ANY, SOME or ALL behind a comparison at i, 0 if there is none.
func (s *source) quantifier(i int) int {
	j := i + 1
	if s.op(j, ">") {
		j++
	}
	if w := s.word(j); (w == "ANY" || w == "SOME" || w == "ALL") && s.op(j+1, "(") {
		return j
	}
	return 0
}

// quantifiers are what the parser is shown instead of ALL and ANY before a query: a function of it.
var quantifiers = map[string]string{"ALL": "__xaproxy_all", "ANY": "__xaproxy_any", "SOME": "__xaproxy_any"}

// match is the bracket that closes the one at i; the end of the text if there is none.
func (s *source) match(i int) int {
	depth := 0
	for ; i < len(s.toks); i++ {
		if s.op(i, "(") {
			depth++
		} else if s.op(i, ")") {
			if depth--; depth == 0 {
				return i
			}
		}
	}
	return i
}

// quantified is what = ANY and <> ALL are: IN, and NOT IN.
func (s *source) quantified(i int) string {
	j := s.quantifier(i)
	switch {
	case j == 0 || i > 0 && s.toks[i-1].Class == router.Op && !s.op(i-1, ")"): // <=, >=, != and <=>
	case s.op(i, "=") && j == i+1 && s.word(j) != "ALL" && !s.op(i-1, "<"):
		return "IN"
	case s.op(i, "<") && j == i+2 && s.word(j) == "ALL":
		return "NOT IN"
	}
	return ""
}

// bare takes the brackets away that mean nothing and the parser does not know: those around the whole statement, around a query in brackets, and
// around a query without an order or limit in front of an order or limit.
func (s *source) bare() {
	for i := 0; i < len(s.toks); i++ {
		for s.op(i, "(") && (i == 0 || s.op(i-1, "(") || s.word(i-1) == "FROM" || s.word(i-1) == "JOIN" || s.afterWith(i)) {
			end := s.match(i)
			if end == len(s.toks) || !s.query(i+1) {
				break
			}
			last, next := end == len(s.toks)-1, s.word(end+1)
			around := s.op(i+1, "(") && s.match(i+1) == end-1
			ordered := (next == "ORDER" || next == "LIMIT") && s.plain(i+1, end)
			outermost := i == 0 || s.afterWith(i)
			if !around && !(outermost && last) && !(ordered && (outermost || s.op(i-1, "("))) {
				break
			}
			s.toks = slices.Delete(slices.Delete(slices.Clone(s.toks), end, end+1), i, i+1)
		}
	}
}

// afterWith tells whether the bracket at i begins the query behind a WITH.
func (s *source) afterWith(i int) bool {
	if s.word(0) != "WITH" || !s.op(i-1, ")") {
		return false
	}
	for depth, j := 0, 0; j < i; j++ {
		switch {
		case s.op(j, "("):
			depth++
		case s.op(j, ")"):
			depth--
		case depth == 0 && s.word(j) == "SELECT":
			return false
		}
	}
	return true
}

// query tells whether a query begins at i, in brackets or not.
func (s *source) query(i int) bool {
	for s.op(i, "(") {
		i++
	}
	switch s.word(i) {
	case "SELECT", "WITH", "TABLE", "VALUES":
		return true
	}
	return false
}

// plain tells whether the query between i and end has no order, limit or lock of its own.
func (s *source) plain(i, end int) bool {
	depth := 0
	for ; i < end; i++ {
		switch {
		case s.op(i, "("):
			depth++
		case s.op(i, ")"):
			depth--
		case depth > 0:
		case s.word(i) == "ORDER", s.word(i) == "LIMIT", s.word(i) == "FOR", s.word(i) == "LOCK", s.word(i) == "INTO":
			return false
		}
	}
	return true
}

// values tells whether there is a VALUES ROW(…).
func (s *source) values() bool {
	for i := range s.toks {
		if s.word(i) == "VALUES" && s.word(i+1) == "ROW" {
			return true
		}
	}
	return false
}

// way is the number of tokens from i on that say how an ALTER is to be done, with a comma.
func (s *source) way(i int) int {
	j := i
	if s.op(i, ",") {
		j++
	}
	if w := s.word(j); s.word(0) != "ALTER" || w != "ALGORITHM" && w != "LOCK" {
		return 0
	}
	if j++; s.op(j, "=") {
		j++
	}
	switch s.word(j) {
	case "DEFAULT", "INSTANT", "INPLACE", "COPY", "NONE", "SHARED", "EXCLUSIVE":
	default:
		return 0
	}
	if j++; !s.op(i, ",") && s.op(j, ",") {
		j++
	}
	return j - i
}

// advice is the number of tokens from i on that only advise MySQL's optimizer.
func (s *source) advice(i int) int {
	if n := s.way(i); n > 0 {
		return n
	}
	switch s.word(i) {
	case "HIGH_PRIORITY", "LOW_PRIORITY", "DELAYED", "QUICK", "SQL_SMALL_RESULT", "SQL_BIG_RESULT", "SQL_BUFFER_RESULT", "SQL_NO_CACHE", "SQL_CACHE":
		switch s.word(i - 1) {
		case "SELECT", "INSERT", "REPLACE", "UPDATE", "DELETE", "DISTINCT":
			return 1
		}
	case "RESPECT": // NULLS, as ever
		if s.word(i+1) == "NULLS" && s.op(i-1, ")") {
			return 2
		}
	case "FROM":
		if s.word(i+1) == "FIRST" && s.word(i+2) == "OVER" {
			return 2
		}
	case "ROW": // a row is in brackets, too
		if s.op(i+1, "(") && !s.values() {
			return 1
		}
	case "USE", "FORCE", "IGNORE":
		if w := s.word(i + 1); i == 0 || w != "INDEX" && w != "KEY" {
			return 0
		}
		for j := i + 2; j < len(s.toks); j++ {
			if s.op(j, ")") {
				return j + 1 - i
			}
		}
	}
	return 0
}

// locking is the number of tokens of the locking clause from i on, which it remembers.
func (s *source) locking(i int) (int, error) {
	w := s.word(i + 1)
	var j int
	lock := " FOR UPDATE"
	switch {
	case s.word(i) == "FOR" && (w == "UPDATE" || w == "SHARE"):
		j = i + 2
		if w == "SHARE" {
			lock = " FOR SHARE"
		}
	case s.word(i) == "LOCK" && w == "IN" && s.word(i+2) == "SHARE":
		j, lock = i+4, " FOR SHARE"
	default:
		return 0, nil
	}
	if s.lock != "" && (!strings.Contains(s.lock, " OF ") || s.word(j) != "OF") {
		return 0, refuse(s.toks[i].Start, "several locking clauses without OF are not translated", "name the tables with OF")
	}
	if s.word(j) == "OF" {
		lock += " OF "
		for first := true; first || s.op(j, ","); first = false {
			if !first {
				lock += ", "
			}
			j++
			if s.op(j+1, ".") {
				j += 2
			}
			lock += quoteName(s.name(j))
			j++
		}
	}
	switch {
	case s.word(j) == "NOWAIT":
		lock += " NOWAIT"
		j++
	case s.word(j) == "SKIP" && s.word(j+1) == "LOCKED":
		lock += " SKIP LOCKED"
		j += 2
	}
	s.lock += lock
	return j - i, nil
}
