package postgres

import (
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"runtime/debug"
	"slices"
	"strings"

	"github.com/xaproxy/xaproxy/backend/postgres/dialect"
	"github.com/xaproxy/xaproxy/wire"
)

// translate translates a statement of the client's for values of these classes.
func (s *session) translate(st *statement, classes []dialect.Class) (t dialect.Statement, err error) {
	return s.translateNoting(st, classes, &use{})
}

// translateNoting is translate that notes what it makes use of.
func (s *session) translateNoting(st *statement, classes []dialect.Class, used *use) (t dialect.Statement, err error) {
	defer func() {
		if r := recover(); r != nil { // the statement has not been sent: nothing has happened
			s.dialer.warn(fmt.Errorf("panic in the translation of a statement: %v: this is a mistake in xaproxy\n%s", r, debug.Stack()))
			err = wire.NewError(wire.CodeNotSupported, "the statement cannot be translated to PostgreSQL because of a mistake in xaproxy; write it in another way, or in PostgreSQL's words behind /* xaproxy: %s */", dialectHint)
		}
	}()
	c := &catalog{s: s, used: used}
	used.own = slices.ContainsFunc(ofSession, func(f string) bool { return containsFold(st.text, f) })
	t, err = dialect.Translate(string(st.text), s.options(c, st.matched, classes))
	return t, refusedBy(c, err)
}

// refusedBy is the error of a translation as the client gets it.
func refusedBy(c *catalog, err error) error {
	if c.err != nil {
		return c.err
	}
	var refused *dialect.Error
	if errors.As(err, &refused) {
		return &wire.Error{Errno: refused.Errno, State: refused.State, Message: refused.Error()}
	}
	return err
}

// options are what a translation depends on. What of the session it makes use of is noted.
func (s *session) options(c *catalog, matched bool, classes []dialect.Class) dialect.Options {
	used := c.used
	mode := "," + s.vars.values["sql_mode"].text + ","
	if _, set := s.vars.values["sql_mode"]; !set {
		mode = "," + defaultMode + ","
	}
	has := func(m string) bool { return strings.Contains(mode, ","+m+",") }
	return dialect.Options{
		Catalog: c, Schema: s.schema,
		ANSIQuotes: has("ANSI_QUOTES") || has("ANSI"), NoBackslashEscapes: s.vars.noEscapes, PipesAsConcat: has("PIPES_AS_CONCAT") || has("ANSI"),
		LenientGroupBy: !has("ONLY_FULL_GROUP_BY"), Lenient: !has("STRICT_TRANS_TABLES") && !has("STRICT_ALL_TABLES") && !has("TRADITIONAL"),
		NoAutoValueOnZero: has("NO_AUTO_VALUE_ON_ZERO"), Clock: s.vars.clock != "", FoundRows: s.client.Caps().Has(wire.FoundRows), Matched: matched, Params: classes,
		Version: Version(s.version), User: s.dialer.User + "@%", ConnectionID: uint64(s.id), LastInsertID: s.insertID,
		Variable: func(name string) (string, bool) {
			used.own = true
			v, err := s.vars.get(strings.ToLower(name))
			return v.text, err == nil
		},
		UserVariable: func(name string) dialect.UserValue {
			used.own = true
			if u, set := s.vars.user[name]; set {
				return u
			}
			return dialect.UserValue{Null: true}
		},
	}
}

// foreign runs a statement in MySQL's words.
func (s *session) foreign(st *statement, a *answer, p *preparedStatement) error {
	next := s.tx.next
	s.tx.next = copyNext{}
	t, values, named, err := s.translation(st, p)
	if err != nil {
		return err
	}
	if err := s.unchecked(st, t.Statement); err != nil {
		return err
	}
	var wait front
	if next.copied != noCopy {
		if wait, err = s.asCopy(&t.Statement, next.copied); err != nil {
			return err
		}
	}
	var r run
	ignored := t.Ignored
	if next != (copyNext{}) { // another copy warns
		ignored = nil
	}
	several := len(t.Steps) > 1 || ignored != nil && ignored.Rows != 1 || t.Passed != nil
	alone := several && s.tx.phase == idle && s.vars.autocommit
	if alone {
		s.begin("", "")
	}
	err = s.numbered(&t.Statement, next, func() error {
		return s.guarded(st.is("SELECT"), func(lead front) error {
			r = run{s: s, answer: a, values: values, places: t.places, named: named, copied: next.copied != noCopy, next: next.insertID}
			if t.Passed != nil {
				return r.changing(t.Passed, lead)
			}
			if ignored != nil && ignored.Into != "" {
				return r.selected(ignored, t.Steps, lead)
			}
			if ignored != nil && several {
				return r.ignoring(ignored, lead)
			}
			return r.steps(t.Steps, append(lead, wait...))
		})
	})
	if ignored != nil && !several {
		err = r.ignored(ignored, err)
	}
	if alone {
		if ended := s.end(err == nil); err == nil {
			err = ended
		}
	}
	if p != nil && (ignored != nil || t.Passed != nil) && s.lost == nil && unfit(err) {
		written, err := s.writtenDown(p)
		if err != nil {
			return err
		}
		s.said, s.unlisted = nil, 0
		return s.foreign(written, a, nil)
	}
	if err != nil {
		err = s.explained(err, t.gives(), values)
	}
	if err != nil || a.broken != nil || r.answered {
		return err
	}
	if r.insertID > 0 && !r.given {
		s.insertID = r.insertID
	}
	a.ok(wire.OK{Affected: r.affected, InsertID: r.insertID, Info: r.info})
	return nil
}

// unchecked refuses a change without foreign_key_checks: PostgreSQL would not leave out what a foreign key makes of it in other rows. That
// it checks new rows, and tables that are dropped, is an error at the worst.
func (s *session) unchecked(st *statement, t dialect.Statement) error {
	if v := s.vars.values["foreign_key_checks"]; v.text != "0" || len(t.Steps) == 0 || t.Steps[0].Kind != dialect.Count {
		return nil
	}
	if st.is("INSERT") && !strings.Contains(strings.ToUpper(string(st.text)), "DUPLICATE") {
		return nil
	}
	return errUnchecked
}

var errUnchecked = wire.NewError(wire.CodeNotSupported, "foreign_key_checks is 0, and a PostgreSQL backend always does what foreign keys say; SET foreign_key_checks = 1")

// run is the execution of the steps of a statement.
type run struct {
	s        *session
	answer   *answer
	values   parameters // nil: there are none
	places   [][]place  // of them, in each step
	named    bool       // its steps may run under names
	answered bool       // with rows
	affected uint64
	info     string
	insertID uint64
	given    bool   // the client gave insertID itself
	copied   bool   // it changes copies
	next     uint64 // the number of the next row of copies; 0: any
}

func (r *run) steps(steps []dialect.Step, lead front) error {
	for i, step := range steps {
		if step.Use != "" {
			if err := r.s.enter(step.Use); err != nil {
				return err
			}
		}
		if step.Text == "" {
			continue
		}
		if err := r.one(i, step, lead); err != nil {
			return err
		}
		lead = nil
	}
	return nil
}

// one runs the step with this number.
func (r *run) one(i int, step dialect.Step, lead front) error {
	var n *namedStatement
	if r.named && len(step.Text) <= maxNamable && (len(lead) == 0 || r.s.tx.open()) { // SET LOCAL, LOCK TABLE and the like are for transactions
		if n = r.s.named.of(step.Text); !n.refused {
			rows, err := r.s.sendNamed(n, step, lead, r.values)
			if err != nil {
				return err
			}
			return r.step(step, rows)
		}
	}
	sql := step.Text
	if r.values != nil {
		var err error
		if sql, err = bind(step, r.places[i], r.values); err != nil {
			return err
		}
	} else if len(step.Params) > 0 {
		return wire.NewError(wire.CodeParse, "You have an error in your SQL syntax: ? is for prepared statements")
	}
	if step.Kind == dialect.DDL {
		defer r.s.dialer.tables.clear()
	}
	if step.Kind == dialect.Into {
		return r.into(step, lead.text()+sql)
	}
	rows, err := r.s.send(lead.text() + sql)
	if err != nil {
		if n != nil { // it was refused for what it is, and not for how it was sent
			r.s.named.drop(n)
		}
		return err
	}
	return r.step(step, rows)
}

func (r *run) step(step dialect.Step, rows *rows) (err error) {
	defer func() {
		if closed := rows.Close(); err == nil {
			err = r.s.noted(closed)
		}
	}()
	switch {
	case step.Kind == dialect.Rows || step.Kind == dialect.Show:
		r.answered = true
		columns := r.s.resultColumns(step.Columns)
		if len(columns) != rows.columns {
			columns = columnsOf(rows, r.s.vars.collation)
		}
		return r.answer.stream(rows, columns)
	case step.Kind == dialect.Count && rows.columns > 0:
		return r.returned(step, rows)
	}
	if err := r.s.drain(rows); err != nil {
		return err
	}
	if step.Kind == dialect.Count {
		n, _ := rows.Result().RowsAffected() // there is none
		r.affected += uint64(n)
	}
	return nil
}

// returned reads what RETURNING says of the rows that were written.
func (r *run) returned(step dialect.Step, rows *rows) error {
	values := make([]driver.Value, rows.columns)
	n := uint64(step.AffectedPlus)
	for {
		if err := rows.Next(values); err == io.EOF {
			break
		} else if err != nil {
			return r.s.noted(err)
		}
		if id := step.InsertID; r.copied && id >= 0 && values[id] != nil && !(step.InsertIDGiven >= 0 && values[step.InsertIDGiven] == true) {
			if err := r.consecutive(unsigned(values[id])); err != nil {
				return err
			}
		}
		if step.InsertID >= 0 && (r.insertID == 0 || r.given) { // of the first row that PostgreSQL has given one, or that has one
			id, given := unsigned(values[step.InsertID]), step.InsertIDGiven >= 0 && values[step.InsertIDGiven] == true
			if r.insertID == 0 || id > 0 && !given {
				r.insertID, r.given = id, given
			}
		}
		if step.Matched > 0 {
			r.info = fmt.Sprintf("Rows matched: %d  Changed: %d  Warnings: 0", unsigned(values[step.Matched-1]), unsigned(values[step.Affected]))
		}
		if step.Affected >= 0 {
			n += unsigned(values[step.Affected])
		} else {
			n++
		}
	}
	r.affected += n
	return nil
}

// unsigned reads a number that is not negative, 0 for all else.
func unsigned(v driver.Value) (n uint64) {
	if b, ok := v.([]byte); ok {
		v = string(b)
	}
	_, _ = fmt.Sscan(fmt.Sprint(v), &n) // NULL is 0
	return n
}
