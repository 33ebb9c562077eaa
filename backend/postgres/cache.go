package postgres

import (
	"strings"
	"sync"

	"github.com/xaproxy/xaproxy/backend/postgres/dialect"
	"github.com/xaproxy/xaproxy/wire"
)

const (
	// maxTranslations bounds the translations that are kept, twice: see translationCache.
	maxTranslations = 1000
	// maxShape is the length of the longest statement whose translation is kept.
	maxShape = 4 << 10
)

// shape is everything that a translation which is kept depends on, but for the definitions of tables.
type shape struct {
	text, schema, mode string
	modeSet, noEscapes bool
	found, matched     bool   // what an UPDATE counts
	clock              bool   // the session has its own
	classes            string // of the parameters' values
}

// translation of a statement of some shape.
type translated struct {
	dialect.Statement
	places [][]place   // of each step's parameters
	tables []usedTable // as they were
	kept   bool        // others may use it: nothing in it is of one session or one execution
	unfit  bool        // there is none for the statement with parameters in place of its numbers

	once  sync.Once // protects given
	given []dialect.Given
}

// gives are the values that the statement gives to columns. Several sessions may ask at once.
func (t *translated) gives() []dialect.Given {
	t.once.Do(func() {
		if t.Given != nil {
			t.given = t.Given()
		}
	})
	return t.given
}

type usedTable struct {
	key   [2]string
	table *dialect.Table
}

// translationCache has those that the sessions of a Dialer share. It is safe for concurrent use.
//
// When known is full, it becomes older, and what was there and not used since is forgotten: many statements that come once do not drive out one
// that comes all the time.
type translationCache struct {
	mu           sync.Mutex // protects following fields
	known, older map[shape]*translated
}

// get returns a translation, if the tables that it is about are still defined as they were.
func (t *translationCache) get(of shape, now *tables) *translated {
	t.mu.Lock()
	known := t.known[of]
	if known == nil {
		if known = t.older[of]; known != nil {
			t.add(of, known)
		}
	}
	t.mu.Unlock()
	if known == nil {
		return nil
	}
	for _, u := range known.tables {
		if table, ok := now.get(u.key); !ok || table != u.table {
			return nil
		}
	}
	return known
}

func (t *translationCache) put(of shape, what *translated) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.add(of, what)
}

// add is put of one who has the lock.
func (t *translationCache) add(of shape, what *translated) {
	if t.known == nil || len(t.known) >= maxTranslations {
		t.known, t.older = make(map[shape]*translated), t.known
	}
	t.known[of] = what
}

// translation finds or makes the translation of a statement, with what its parameters are. named tells that it is worth a name in PostgreSQL.
func (s *session) translation(st *statement, p *preparedStatement) (t *translated, values parameters, named bool, err error) {
	if p != nil {
		t, err := s.kept(st, string(st.text), p.bound())
		return t, p.appendValue, err == nil && t.kept, err
	}
	if text, numbers := masked(st, !s.vars.noEscapes); text != "" {
		classes := make([]dialect.Class, len(numbers))
		for i := range classes {
			classes[i] = dialect.IntClass
		}
		if t, err := s.kept(st, text, classes); err == nil && !t.unfit {
			return t, func(dst []byte, i int) ([]byte, bool, error) { return append(dst, numbers[i]...), false, nil }, t.kept && s.named.often(text), nil
		} else if s.lost != nil {
			return nil, nil, false, err
		}
	}
	t, err = s.kept(st, string(st.text), nil)
	return t, nil, false, err
}

// kept translates a statement, which has this text, unless that was done before.
func (s *session) kept(st *statement, text string, classes []dialect.Class) (*translated, error) {
	of := shape{text: text, schema: s.schema, noEscapes: s.vars.noEscapes, found: s.client.Caps().Has(wire.FoundRows), matched: st.matched, clock: s.vars.clock != ""}
	if mode, set := s.vars.values["sql_mode"]; set {
		of.mode, of.modeSet = mode.text, true
	}
	var b strings.Builder
	for _, c := range classes {
		b.WriteByte(byte(c) + 1)
	}
	of.classes = b.String()
	if t := s.dialer.translations.get(of, &s.dialer.tables); t != nil {
		return t, nil
	}
	one, used := *st, &use{}
	one.text = []byte(text)
	t, err := s.translateNoting(&one, classes, used)
	new := &translated{Statement: t, tables: used.tables}
	if err != nil {
		if len(one.text) != len(st.text) || text != string(st.text) {
			new.unfit = true
			s.dialer.translations.put(of, new)
		}
		return nil, err
	}
	for _, step := range t.Steps {
		places, err := placesOf(step)
		if err != nil {
			return nil, err
		}
		new.places = append(new.places, places)
		used.own = used.own || step.Kind != dialect.Rows && step.Kind != dialect.Count || step.Use != ""
	}
	if new.kept = !used.own && len(text) <= maxShape; new.kept {
		s.dialer.translations.put(of, new)
	}
	return new, nil
}

// use is what a translation has made use of.
type use struct {
	tables []usedTable
	own    bool // something of the session: another one's translation is another one
}

// ofSession are functions whose values are the session's.
var ofSession = []string{"LAST_INSERT_ID", "CONNECTION_ID"}

// containsFold reports whether text has a word of ASCII, in whatever case.
func containsFold(text []byte, upper string) bool {
	for i := 0; i+len(upper) <= len(text); i++ {
		if strings.EqualFold(string(text[i:i+len(upper)]), upper) {
			return true
		}
	}
	return false
}

// masked returns the text with ? in place of the whole numbers that columns are compared with behind WHERE, and these; "" if there are none, or
// the statement is not so simple. Elsewhere a number can be more than a value: a position, a limit, or part of a column's name.
func masked(st *statement, escapes bool) (text string, numbers []string) {
	if len(st.text) > maxShape || !st.is("SELECT") && !st.is("UPDATE") && !st.is("DELETE") {
		return "", nil
	}
	var b strings.Builder
	l, from, depth, where := lexer{text: st.text, escapes: escapes}, 0, 0, false
	var before, number token
	compares := false // a comparison is in front of number
	for t := l.next(); ; t = l.next() {
		is := string(st.text[t.from:t.to])
		if compares && number.kind == word && (t.kind == endOfText || t.kind == word && behindValue[strings.ToUpper(is)]) {
			b.Write(st.text[from:number.from])
			b.WriteByte('?')
			numbers = append(numbers, string(st.text[number.from:number.to]))
			from = number.to
		}
		number = token{}
		switch {
		case t.kind == endOfText:
			if len(numbers) == 0 {
				return "", nil
			}
			b.Write(st.text[from:])
			return b.String(), numbers
		case t.kind == mark && is == "?":
			return "", nil
		case t.kind == mark && is == "(":
			depth++
		case t.kind == mark && is == ")":
			depth--
		case t.kind == word && depth == 0 && strings.EqualFold(is, "WHERE"):
			where = true
		case t.kind == word && depth == 0 && where && endsWhere[strings.ToUpper(is)]:
			where = false
		case t.kind == word && depth == 0 && where && len(is) <= maxNumber && strings.Trim(is, "0123456789") == "":
			number = t
			compares = before.kind == mark && before.to-before.from == 1 && strings.IndexByte("=<>", st.text[before.from]) >= 0
		}
		before = t
	}
}

// maxNumber is how many digits every BIGINT has.
const maxNumber = 18

var (
	// behindValue are words behind the number that a column is compared with.
	behindValue = map[string]bool{"AND": true, "OR": true, "ORDER": true, "LIMIT": true, "GROUP": true, "FOR": true}
	// endsWhere are words behind a condition.
	endsWhere = map[string]bool{"GROUP": true, "HAVING": true, "ORDER": true, "LIMIT": true, "FOR": true, "LOCK": true, "UNION": true, "EXCEPT": true, "INTERSECT": true, "WINDOW": true, "PROCEDURE": true, "INTO": true, "SELECT": true, "RETURNING": true}
)
