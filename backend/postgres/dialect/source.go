package dialect

import (
	"context"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"github.com/dolthub/vitess/go/vt/sqlparser"

	"github.com/xaproxy/xaproxy/router"
)

// limits of what the parser, and the walks over its trees, which are recursive, are given
const (
	maxText    = 4 << 20
	maxNesting = 200
)

// marker is a number that stands for a literal in the text for the parser: marker + slot.
const marker = 9_000_000_000

// source is the client's text, cut into tokens and parsed.
type source struct {
	sql           string
	toks          []router.Token
	slots         []int       // the token of each marker
	params        map[int]int // which parameter is at a place of sql
	starts        []int       // where each token begins in the text for the parser
	lock          string      // the locking clause, in the words of PostgreSQL
	rollup        bool        // WITH ROLLUP, of the outermost query
	mode          router.Mode // how strings and names are written
	pipesAsConcat bool        // || joins strings
}

// word is the i-th token as an upper-case keyword, "" if it is none.
func (s *source) word(i int) string {
	if i < 0 || i >= len(s.toks) || s.toks[i].Class != router.Word || s.toks[i].Dotted {
		return ""
	}
	return strings.ToUpper(s.text(i))
}

func (s *source) text(i int) string { return s.sql[s.toks[i].Start:s.toks[i].End] }

func (s *source) op(i int, op string) bool {
	return i >= 0 && i < len(s.toks) && s.toks[i].Class == router.Op && s.text(i) == op
}

// name is the i-th token as an identifier.
func (s *source) name(i int) string {
	if i < 0 || i >= len(s.toks) {
		return ""
	}
	switch s.toks[i].Class {
	case router.Word:
		return s.text(i)
	case router.Quoted:
		quoted := s.text(i)
		q := quoted[:1]
		return strings.ReplaceAll(quoted[1:len(quoted)-1], q+q, q)
	}
	return ""
}

// find is where the identifier or keyword stands in the client's text, -1 if nowhere.
func (s *source) find(name string) int {
	for i := range s.toks {
		if strings.EqualFold(s.name(i), name) || s.toks[i].Class == router.Op && s.text(i) == name {
			return s.toks[i].Start
		}
	}
	return -1
}

// parse reads the statement. The tree's literals are markers.
func (s *source) parse() (sqlparser.Statement, error) {
	if len(s.sql) > maxText {
		return nil, refuse(-1, "the statement is too long to be translated", "send it in parts")
	}
	s.bare()
	masked, err := s.mask()
	if err != nil {
		return nil, err
	}
	tree, err := parse(masked)
	if err != nil {
		at := s.stopped(err)
		return nil, &Error{Errno: 1064, State: "42000", At: at, What: "the translation to PostgreSQL does not know this syntax, near '" + near(s.sql, at) + "'", Do: raw}
	}
	return tree, nil
}

func parse(text string) (tree sqlparser.Statement, err error) {
	defer func() { // the parser panics on some statements
		if p := recover(); p != nil {
			tree, err = nil, fmt.Errorf("the parser failed: %v", p)
		}
	}()
	return sqlparser.ParseWithOptions(context.Background(), text, sqlparser.ParserOptions{})
}

func near(sql string, at int) string {
	if at < 0 {
		at = 0
	}
	rest := sql[at:]
	if len(rest) > 40 {
		rest = strings.ToValidUTF8(rest[:40], "")
	}
	return rest
}

var stoppedAt = regexp.MustCompile(`at position (\d+)`)

// stopped is where the parser stopped, as a place in the client's text.
func (s *source) stopped(err error) int {
	m := stoppedAt.FindStringSubmatch(err.Error())
	if m == nil || len(s.toks) == 0 {
		return 0
	}
	n, err := strconv.Atoi(m[1])
	if err != nil {
		return 0
	}
	return s.origin(n - 2)
}

// origin is the place in the client's text of a place in the text for the parser.
func (s *source) origin(at int) int {
	place := 0
	for i, start := range s.starts {
		if start > at {
			break
		}
		place = s.toks[i].Start
	}
	return place
}

// mask writes the statement for the parser: literals are markers, quotes are backticks, what only advises the server is left out, and the
// locking clause is taken away.
func (s *source) mask() (string, error) {
	var b strings.Builder
	s.starts = make([]int, len(s.toks))
	depth := 0
	for i := 0; i < len(s.toks); i++ {
		t := s.toks[i]
		s.starts[i] = b.Len()
		if n := s.advice(i); n > 0 {
			i = s.skip(i, n, &b)
			continue
		}
		if depth == 0 && s.word(i) == "WITH" && s.word(i+1) == "ROLLUP" {
			s.rollup = true
			i = s.skip(i, 2, &b)
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
			return "", refuse(t.Start, "PostgreSQL has no user variables", "keep the value in the application")
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
			case s.word(i) == "DISTINCTROW":
				b.WriteString("DISTINCT")
			default:
				b.WriteString(text)
			}
		}
	}
	return b.String(), nil
}

// slot gives the i-th token a marker.
func (s *source) slot(i int) int {
	s.slots = append(s.slots, i)
	return len(s.slots) - 1
}

// paramIndex is which ? the token is, from 0.
func (s *source) paramIndex(tok int) int { return s.params[s.toks[tok].Start] }

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

// bare takes the brackets around the whole statement away.
func (s *source) bare() {
	for len(s.toks) > 2 && s.op(0, "(") {
		depth, end := 0, 0
		for i := range s.toks {
			switch {
			case s.op(i, "("):
				depth++
			case s.op(i, ")"):
				depth--
			}
			if depth == 0 {
				end = i
				break
			}
		}
		if end != len(s.toks)-1 {
			return
		}
		s.toks = s.toks[1:end]
	}
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
	if s.lock != "" {
		return 0, refuse(s.toks[i].Start, "several locking clauses are not translated", "lock with one")
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
	s.lock = lock
	return j - i, nil
}

// quoteName writes an identifier.
func quoteName(name string) string { return `"` + strings.ReplaceAll(name, `"`, `""`) + `"` }

// quoteText writes a string; standard_conforming_strings is on.
func quoteText(s string) string { return "'" + strings.ReplaceAll(s, "'", "''") + "'" }
