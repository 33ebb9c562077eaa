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
	slots         []int          // the token of each marker
	params        map[int]int    // which parameter is at a place of sql
	starts        []int          // where each token begins in the text for the parser
	lock          string         // the locking clause, in the words of PostgreSQL
	closing       []int          // brackets behind which the text for the parser has another one
	replaced      map[int]string // what the parser is shown for tokens
	rollup        bool           // WITH ROLLUP, of the outermost query
	variables     []string       // of INTO @a, @b
	ignore        bool           // the statement is a DELETE IGNORE
	mode          router.Mode    // how strings and names are written
	pipesAsConcat bool           // || joins strings
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

// variable is the i-th token as the name of a user variable, "" if it is none.
func (s *source) variable(i int) string {
	if i >= len(s.toks) || s.toks[i].Class != router.UserVar {
		return ""
	}
	name := strings.ToLower(s.text(i)[1:])
	if name != "" && strings.IndexByte("`'\"", name[0]) >= 0 {
		name = strings.ReplaceAll(name[1:len(name)-1], name[:1]+name[:1], name[:1])
	}
	return name
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
	s.rewrite()
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

// slot gives the i-th token a marker.
func (s *source) slot(i int) int {
	s.slots = append(s.slots, i)
	return len(s.slots) - 1
}

// paramIndex is which ? the token is, from 0.
func (s *source) paramIndex(tok int) int { return s.params[s.toks[tok].Start] }

// quoteText writes a string; standard_conforming_strings is on.
func quoteText(s string) string { return "'" + strings.ReplaceAll(s, "'", "''") + "'" }
