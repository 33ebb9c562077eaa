package dialect

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"github.com/dolthub/vitess/go/vt/sqlparser"

	"github.com/xaproxy/xaproxy/router"
)

// translator translates one statement.
type translator struct {
	o       Options
	src     source
	tree    sqlparser.Statement
	steps   []Step
	params  int
	gives   []given
	ignored *Ignored // the rows of an INSERT IGNORE, and what was made to fit of an UPDATE IGNORE
	chosen  *Passed
	writes  bool // the statement changes rows: what MySQL only warns of in a SELECT is an error

	used   []Param       // parameters that were asked for
	places map[Param]int // of used
	scope  *scope
	clause string // what MySQL calls the part of the statement being read
	// aliases may be named in HAVING and ORDER BY.
	aliases  map[string]value
	excluded *relation // the row that ON DUPLICATE KEY UPDATE is about
	targets  []*Table  // that a change is about, which no subquery of it may read
	altered  *Table    // what ALTER TABLE leaves
	// numbersFrom is the sequence that gives new rows their numbers.
	numbersFrom string
	inSet       int // the query is a part of a UNION
}

// refuse is the error of what cannot be translated.
func refuse(at int, what, do string) *Error {
	return &Error{Errno: 1235, State: "42000", At: at, What: what, Do: do}
}

// refuse is the error of what cannot be translated, at the place of a name or keyword.
func (t *translator) refuse(name, do, format string, args ...any) *Error {
	return refuse(t.src.find(name), fmt.Sprintf(format, args...), do)
}

// mode is how strings and names are written.
func (o *Options) mode() (mode router.Mode) {
	if o.ANSIQuotes {
		mode |= router.AnsiQuotes
	}
	if o.NoBackslashEscapes {
		mode |= router.NoBackslashEscapes
	}
	return mode
}

func newTranslator(sql string, o Options) (*translator, error) {
	mode := o.mode()
	t := &translator{o: o, src: source{sql: sql, toks: router.Tokens([]byte(sql), mode), mode: mode, pipesAsConcat: o.PipesAsConcat}}
	t.src.params = map[int]int{}
	for _, k := range t.src.toks {
		if k.Class == router.Param {
			t.src.params[k.Start] = t.params
			t.params++
		}
	}
	if o.Params != nil && len(o.Params) != t.params {
		return nil, &Error{Errno: 1210, State: "HY000", At: -1, What: "Incorrect arguments to EXECUTE"}
	}
	return t, nil
}

// asIs tells whether the client wrote the statement for PostgreSQL.
func asIs(sql string) bool {
	for rest := sql; ; {
		start := strings.Index(rest, "/*")
		if start < 0 {
			return false
		}
		end := strings.Index(rest[start+2:], "*/")
		if end < 0 {
			return false
		}
		name, hint, _ := strings.Cut(strings.TrimSpace(rest[start+2:start+2+end]), ":")
		if strings.TrimSpace(name) == "xaproxy" {
			for _, word := range strings.FieldsFunc(hint, func(r rune) bool { return r == ' ' || r == ',' }) {
				if word == "dialect=postgres" {
					return true
				}
			}
		}
		rest = rest[start+2+end+2:]
	}
}

// statement translates the whole statement.
func (t *translator) statement() error {
	if asIs(t.src.sql) {
		return t.passed()
	}
	tree, err := t.src.parse()
	if err != nil {
		return err
	}
	t.tree = tree
	if s, ok := tree.(*sqlparser.Select); t.src.rollup && (!ok || len(s.GroupBy) == 0) {
		return t.refuse("ROLLUP", "make a derived table of it", "WITH ROLLUP in a part of a statement is not translated")
	}
	n, selects := tree.(sqlparser.SelectStatement)
	switch {
	case selects:
		return t.selects(n)
	case t.src.variables != nil:
		return t.refuse("INTO", "read it with a SELECT of its own", "INTO of user variables is only of SELECT")
	}
	switch n := tree.(type) {
	case *sqlparser.Insert:
		t.writes = true
		return t.insert(n)
	case *sqlparser.Update:
		t.writes = true
		return t.update(n)
	case *sqlparser.Delete:
		t.writes = true
		return t.delete(n)
	case *sqlparser.DDL:
		t.o.Clock = true
		return t.define(n)
	case *sqlparser.AlterTable:
		t.o.Clock = true
		return t.alter(n)
	case *sqlparser.DBDDL:
		return t.schema(n)
	case *sqlparser.Show:
		return t.show(n)
	case *sqlparser.Explain:
		return refuse(0, "EXPLAIN would show PostgreSQL's plan", "EXPLAIN in PostgreSQL's words behind /* xaproxy: dialect=postgres */")
	case *sqlparser.Use:
		t.step(Step{Kind: Session, Use: n.DBName.String()})
		return nil
	case *sqlparser.Begin, *sqlparser.Commit, *sqlparser.Rollback, *sqlparser.Savepoint, *sqlparser.RollbackSavepoint, *sqlparser.ReleaseSavepoint:
		return t.transaction(n)
	}
	return refuse(0, fmt.Sprintf("%s is not translated to PostgreSQL", t.verb()), raw)
}

// verb is the statement's first word.
func (t *translator) verb() string {
	if len(t.src.toks) == 0 {
		return "an empty statement"
	}
	verb := strings.ToUpper(t.src.text(0))
	if verb == "LOAD" {
		verb += " DATA"
	}
	return verb
}

// passed sends the client's text as it is; ? are not looked for, since PostgreSQL has operators of that name.
func (t *translator) passed() error {
	t.params = 0
	kind := Count
	switch t.verb() {
	case "SELECT", "WITH", "VALUES", "TABLE", "SHOW", "EXPLAIN", "(":
		kind = Rows
	case "CREATE", "ALTER", "DROP", "COMMENT", "GRANT", "REVOKE", "TRUNCATE":
		kind = DDL
	case "SET", "RESET":
		kind = Session
	default:
		for i := range t.src.toks {
			if t.src.word(i) == "RETURNING" {
				kind = Rows
			}
		}
	}
	t.step(Step{Kind: kind, Text: t.src.sql, InsertID: -1, Affected: -1, InsertIDGiven: -1})
	return nil
}

// transaction translates transaction control, whose words both have.
func (t *translator) transaction(n sqlparser.Statement) error {
	var text string
	switch n := n.(type) {
	case *sqlparser.Begin:
		text = "BEGIN"
		switch n.TransactionCharacteristic {
		case sqlparser.TxReadOnly:
			text += " READ ONLY"
		case sqlparser.TxReadWrite:
			text += " READ WRITE"
		}
	case *sqlparser.Commit:
		text = "COMMIT"
	case *sqlparser.Rollback:
		text = "ROLLBACK"
	case *sqlparser.Savepoint:
		text = "SAVEPOINT " + quoteName(strings.ToLower(n.Identifier))
	case *sqlparser.RollbackSavepoint:
		text = "ROLLBACK TO SAVEPOINT " + quoteName(strings.ToLower(n.Identifier))
	case *sqlparser.ReleaseSavepoint:
		text = "RELEASE SAVEPOINT " + quoteName(strings.ToLower(n.Identifier))
	}
	t.step(Step{Kind: Session, Text: text})
	return nil
}

// A parameter stands in a text as its place in used between two of these, until the step has its whole text: not all that were asked for
// are in it. No text of a client's has them.
const paramMark = "\x00p"

var paramPlace = regexp.MustCompile(paramMark + `(\d+);`)

// step adds a step, whose parameters it numbers.
func (t *translator) step(s Step) {
	if s.Kind != Count {
		s.InsertID, s.Affected, s.InsertIDGiven = -1, -1, -1
	}
	t.steps = append(t.steps, t.numbered(s))
}

// numbered is the step with its parameters numbered.
func (t *translator) numbered(s Step) Step {
	numbers := map[string]int{}
	s.Text = paramPlace.ReplaceAllStringFunc(s.Text, func(place string) string {
		if numbers[place] == 0 {
			i, _ := strconv.Atoi(strings.Trim(place, paramMark+";"))
			s.Params = append(s.Params, t.used[i])
			numbers[place] = len(s.Params)
		}
		return "$" + strconv.Itoa(numbers[place])
	})
	return s
}

// parameter writes a parameter of the client's with the type that it is cast to.
func (t *translator) parameter(from int, cast string, class Class) string {
	p := Param{From: from, Cast: cast, Class: class}
	if t.o.Params != nil {
		p.Class = t.o.Params[from]
	}
	i, ok := t.places[p]
	if !ok {
		i = len(t.used)
		t.used = append(t.used, p)
		if t.places == nil {
			t.places = map[Param]int{}
		}
		t.places[p] = i
	}
	return fmt.Sprintf("%s%d;::%s", paramMark, i, cast)
}
