package postgres

import (
	"fmt"
	"strings"

	"github.com/lib/pq"

	"github.com/xaproxy/xaproxy/backend/postgres/dialect"
	"github.com/xaproxy/xaproxy/wire"
)

// rowsPoint is the savepoint in front of rows that may be taken back: one of them is there already, or cannot be.
const rowsPoint = "xaproxy_rows"

// passing inserts rows as IGNORE has it: those that are there already, or that a foreign key or a CHECK does not let in, are passed over with a
// warning. Which they are it finds out by trying halves, as long as the warnings about them are kept.
type passing struct {
	run
	lead front // what goes in front of the next message
	// statement inserts the rows from, from+1 … to-1; pass: but for those that are there already.
	statement func(from, to int, pass bool) (dialect.Statement, error)
	strict    bool // nothing is passed over
	// went is told of rows that went in, in their order, but for some that are passed over without a warning of their own.
	went func(from, to int, affected uint64)
	// over is told of a row that is passed over, because of this error.
	over func(row int, e *pq.Error)
	// wrong is the error for a row that cannot go in.
	wrong func(row int, st dialect.Statement, err error) error
}

// some inserts the rows from, from+1 … to-1.
func (p *passing) some(from, to int) error {
	sure := to == from+1 // PostgreSQL's error is wanted
	st, err := p.statement(from, to, !sure && !p.strict)
	if err != nil {
		return err
	}
	before := p.run
	if p.places = nil; p.values != nil {
		for _, step := range st.Steps {
			places, err := placesOf(step)
			if err != nil {
				return err
			}
			p.places = append(p.places, places)
		}
	}
	sent := p.s.sent
	err = p.steps(st.Steps, append(p.lead, "SAVEPOINT "+rowsPoint))
	if p.s.lost != nil || p.s.sent == sent {
		return err
	}
	if n := p.affected - before.affected; err == nil && (p.strict || n == uint64(to-from) || len(p.s.said) >= maxWarnings) {
		p.lead = front{"RELEASE SAVEPOINT " + rowsPoint}
		p.went(from, to, n)
		return nil
	}
	p.run = before
	e := said(err)
	if e == nil && err != nil {
		return err
	}
	if e != nil && (e.Code.Class() == "40" || e.Code.Class() == "57" || e.Code.Class() == "53" || e.Code == "55P03") { // no row's fault
		return err
	}
	if undo := p.s.run("ROLLBACK TO SAVEPOINT " + rowsPoint); undo != nil {
		return undo
	}
	p.lead = front{"RELEASE SAVEPOINT " + rowsPoint}
	switch half := (from + to) / 2; {
	case !sure:
		if err := p.some(from, half); err != nil {
			return err
		}
		return p.some(half, to)
	case e == nil:
		return fmt.Errorf("row %d is passed over for no reason", from+1)
	case !p.strict && p.s.passes(e):
		p.over(from, e)
		return nil
	}
	return p.wrong(from, st, err)
}

// passes tells whether IGNORE passes a row over because of the error.
func (s *session) passes(e *pq.Error) bool {
	if e == nil {
		return false
	}
	switch e.Code {
	case "23505":
		return true
	case "23503":
		return s.vars.values["foreign_key_checks"].text != "0" // MySQL would not look
	case "23514":
		_, _, ofType := checkOf(e)
		return !ofType
	}
	return false
}

func (s *session) warn(errno uint16, text string) {
	if len(s.said) < maxWarnings {
		s.said = append(s.said, warning{"Warning", text, errno})
	} else {
		s.unlisted++
	}
}

// fitted warns of a value that was made to fit.
func (s *session) fitted(w dialect.Warning) {
	s.warn(w.Errno, w.Text)
	if n := len(s.said); w.Note && s.unlisted == 0 {
		s.said[n-1].level = "Note"
	}
}

// ignored warns of the row of an INSERT IGNORE that has one, if it did not go in. err is how it failed; the result, why the statement fails.
func (r *run) ignored(of *dialect.Ignored, err error) error {
	s := r.s
	for _, w := range of.Warnings {
		s.fitted(w)
	}
	e := said(err)
	switch {
	case s.passes(e):
	case err != nil || r.affected > 0:
		return err
	default: // it is there already: what PostgreSQL would have said
		if e, err = r.objection(of.Step(0, 1, false)); err != nil {
			return err
		}
	}
	w := translate(e)
	s.warn(w.Errno, w.Message)
	return nil
}

// objection is the error of a step, of which nothing stays.
func (r *run) objection(step dialect.Step) (*pq.Error, error) {
	s := r.s
	sql, err := r.text(step)
	if err != nil {
		return nil, err
	}
	begin, end := "BEGIN; ", "ROLLBACK"
	if s.tx.phase == active {
		begin, end = "SAVEPOINT "+rowsPoint+"; ", "ROLLBACK TO SAVEPOINT "+rowsPoint+"; RELEASE SAVEPOINT "+rowsPoint
	}
	err = s.run(begin + sql)
	if s.lost != nil {
		return nil, err
	}
	if err := s.run(end); err != nil {
		return nil, err
	}
	if e := said(err); e != nil {
		return e, nil
	}
	return &pq.Error{Code: "23505", Message: "it was there, and has gone since"}, nil
}

// text is a step with the values of its parameters.
func (r *run) text(step dialect.Step) (string, error) {
	if r.values == nil {
		return step.Text, nil
	}
	places, err := placesOf(step)
	if err != nil {
		return "", err
	}
	return bind(step, places, r.values)
}

// maxPassed is the number of rows that an UPDATE IGNORE or DELETE IGNORE may find.
const maxPassed = 100_000

// changing runs an UPDATE IGNORE or DELETE IGNORE.
func (r *run) changing(of *dialect.Passed, lead front) error {
	s := r.s
	sql, err := r.text(of.Choose)
	if err != nil {
		return err
	}
	found, err := s.ask(lead.text() + sql)
	if err != nil {
		return err
	}
	if len(found) > maxPassed {
		return wire.NewError(wire.CodeNotSupported, "with IGNORE %d rows are not changed at once on PostgreSQL: change at most %d, with LIMIT", len(found), maxPassed)
	}
	var places []string
	var numbers []int // of these rows among those found
	for i, row := range found {
		if row[1] == true {
			places, numbers = append(places, fmt.Sprintf("%s", row[0])), append(numbers, i)
		}
	}
	warned, passed := 0, 0     // rows; MySQL does not count those that are passed over
	warn := func(number int) { // of what was made to fit, up to this row
		for ; warned <= number && len(of.Warnings) > 0; warned++ {
			for _, w := range of.Warnings {
				if text, ok := strings.CutSuffix(w.Text, " at row 1"); ok {
					w.Text = fmt.Sprintf("%s at row %d", text, warned+1-passed)
				}
				s.fitted(w)
			}
		}
	}
	p := &passing{run: *r}
	p.named = false // no text comes twice
	p.statement = func(from, to int, _ bool) (dialect.Statement, error) {
		return dialect.Statement{Steps: []dialect.Step{of.Change(places[from:to])}}, nil
	}
	p.went = func(_, to int, _ uint64) { warn(numbers[to-1]) }
	p.over = func(row int, e *pq.Error) {
		warn(numbers[row])
		w := translate(e)
		s.warn(w.Errno, w.Message)
		passed++
	}
	p.wrong = func(_ int, _ dialect.Statement, err error) error { return err }
	if len(places) > 0 {
		if err := p.some(0, len(places)); err != nil {
			return err
		}
	}
	warn(len(found) - 1)
	r.affected = p.affected
	if of.Update {
		r.info = fmt.Sprintf("Rows matched: %d  Changed: %d  Warnings: %d", len(found), r.affected, len(s.said)+s.unlisted)
		if s.client.Caps().Has(wire.FoundRows) {
			r.affected = uint64(len(found))
		}
	}
	return nil
}

// ignoring runs an INSERT IGNORE of rows.
func (r *run) ignoring(of *dialect.Ignored, lead front) error {
	s, warnings, records, passed := r.s, of.Warnings, of.Rows, 0
	warn := func(row int) { // of what was made to fit, up to this row
		for ; len(warnings) > 0 && warnings[0].Row <= row; warnings = warnings[1:] {
			s.fitted(warnings[0])
		}
	}
	p := &passing{run: *r, lead: lead}
	p.statement = func(from, to int, pass bool) (dialect.Statement, error) {
		return dialect.Statement{Steps: []dialect.Step{of.Step(from, to, pass)}}, nil
	}
	p.went = func(from, to int, affected uint64) {
		warn(to - 1)
		passed += to - from - int(affected)
		s.unlisted += to - from - int(affected)
	}
	p.over = func(row int, e *pq.Error) {
		warn(row)
		w := translate(e)
		s.warn(w.Errno, w.Message)
		if e.Code == "23505" {
			passed++
		} else { // that is no record to MySQL
			records--
		}
	}
	p.wrong = func(_ int, _ dialect.Statement, err error) error { return err }
	err := p.some(0, of.Rows)
	r.affected, r.insertID, r.given = p.affected, p.insertID, p.given
	if of.Rows > 1 {
		r.info = fmt.Sprintf("Records: %d  Duplicates: %d  Warnings: %d", records, passed, len(s.said)+s.unlisted)
	}
	return err
}
