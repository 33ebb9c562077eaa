package proxy

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	"github.com/xaproxy/xaproxy/backend"
	"github.com/xaproxy/xaproxy/router"
	"github.com/xaproxy/xaproxy/wire"
)

// stepping is a change whose rows or values come from several backends, as it runs: it reads first, and then writes what it has found
// with further statements, all in one transaction, and so that either all of them are done or none.
type stepping struct {
	*session
	plan     *router.Plan
	sql      []byte // of the client
	numbers  numbers
	alone    bool // each statement runs on one backend, which warns as often as one server
	under    conditions
	oks      []wire.OK // the answers to what was written
	rows     int64     // that were read
	read     int       // warnings of the reading
	warnings int
	lines    [][][]byte // of SHOW WARNINGS
	inserted uint64     // what LAST_INSERT_ID() says afterwards; 0: what it did
	chosen   bool       // inserted is a number that a server or a sequence has chosen
	latest   uint64     // what LAST_INSERT_ID() says meanwhile
}

// stepsSavepoint is where all that the client's statement has done is undone.
const stepsSavepoint = "xaproxy steps"

// steps carries out a change that runs in steps, and answers with what it has done in all.
func (s *session) steps(p *router.Plan, r *request) error {
	if e := s.mayStep(); e != nil {
		return s.fail(e)
	}
	if r.schema != "" && r.schema != s.state.Schema { // a prepared statement's
		defer func(schema string) { s.state.Schema = schema }(s.state.Schema)
		s.state.Schema = r.schema
	}
	st := &stepping{session: s, plan: p, sql: r.sql, numbers: r.numbers}
	if e := s.whole(p, st.run); e != nil {
		s.doubtColumns(e)
		return s.fail(e)
	}
	return s.ok(st.answer())
}

// whole runs what a statement consists of in the client's transaction, or in one of its own: all of it is undone if it fails.
func (s *session) whole(p *router.Plan, run func() *wire.Error) (e *wire.Error) {
	own := s.tx == nil
	var failed func(*wire.Error)
	if own {
		failed = s.startOwn(p)
	} else {
		e = s.mark()
	}
	if e == nil {
		e = run()
	}
	switch {
	case own && e == nil:
		if e = s.commit(); e == nil {
			s.track.over()
		}
	case own:
		failed(e)
	case s.tx != nil:
		if lost := s.unmark(e != nil); lost != nil {
			e = lost
		}
	}
	return e
}

// mayStep says why a statement cannot run in steps in the session's present state.
func (s *session) mayStep() *wire.Error {
	switch {
	case s.locked() != nil:
		return wire.NewError(wire.CodeNotSupported, "the statement concerns several backends, and tables are locked with LOCK TABLES on one; UNLOCK TABLES first")
	case s.selectLimited():
		return wire.NewError(wire.CodeNotSupported, "the statement reads its rows first, and sql_select_limit would leave some out; SET it to DEFAULT")
	case s.tx != nil && s.tx.readOnly():
		return &wire.Error{Errno: errnoReadOnly, State: "25006", Message: "Cannot execute statement in a READ ONLY transaction."}
	}
	return nil
}

// mark sets a savepoint on all branches, also on those that are to come.
func (s *session) mark() *wire.Error {
	if br, err := onAll(s.tx.started(), s.tx.savepoint(stepsSavepoint)); err != nil {
		return s.lose(br, err)
	}
	return nil
}

// unmark gives the savepoint up, after going back to it if the statement has failed.
func (s *session) unmark(back bool) *wire.Error {
	started := s.tx.started()
	if back {
		statement, _ := s.tx.rollbackTo(stepsSavepoint)
		if br, err := onAll(started, statement); err != nil {
			return s.lose(br, err)
		}
	}
	statement, _ := s.tx.release(stepsSavepoint)
	if br, err := onAll(started, statement); err != nil {
		return s.lose(br, err)
	}
	return nil
}

// run reads and writes.
func (st *stepping) run() *wire.Error {
	var err error
	if st.latest, err = st.lastInsertID(st.mine); err != nil {
		return clientError(err, false)
	}
	switch steps := st.plan.Steps; {
	case steps.Change != nil:
		st.rows = int64(len(steps.Rows))
		return st.eachRow(st.plan, st.numbers)
	case steps.Table != nil:
		return st.insert()
	}
	return st.change()
}

// ask has a server look at the client's text, if one has all of its tables, and returns its answers to questions of the proxy's own about
// a table.
func (st *stepping) ask(t *router.StepTable, questions ...string) ([]wire.Rows, *wire.Error) {
	s, on := st.session, st.plan.Steps.Common
	if on < 0 {
		on = t.Backends[0]
	}
	conn, release, err := s.aside(s.gen.backends[on])
	if err != nil {
		return nil, clientError(err, false)
	}
	defer release()
	if err := conn.Ready(&s.state); err != nil {
		return nil, clientError(err, false)
	}
	if st.plan.Steps.Common >= 0 {
		if _, err := conn.Prepared(string(st.sql)); err != nil {
			return nil, clientError(err, false)
		}
	}
	answers, err := conn.Batch(maxDefinition, append([]string{askConditions}, questions...)...)
	if err != nil {
		return nil, clientError(err, false)
	}
	var ok bool
	if st.under, ok = readConditions(answers[0]); !ok {
		return nil, wire.NewError(wire.CodeUnknown, "backend %s: unexpected answer about its settings", conn.Backend().Name())
	}
	return answers[1:], nil
}

// heard takes over the warnings of a statement of the proxy's own.
func (st *stepping) heard() *wire.Error {
	p := &st.past
	if p.errno != 0 || p.warnings == 0 {
		return nil
	}
	n := p.warnings
	lines, err := st.session.warnings()
	if err != nil {
		return clientError(err, false)
	}
	before := len(st.lines)
	for _, line := range lines {
		if !st.alone {
			before = len(st.lines)
		}
		if len(line) == 3 && once[string(line[1])] && slices.ContainsFunc(st.lines[:before], func(l [][]byte) bool { return bytes.Equal(l[2], line[2]) }) {
			n--
			continue
		}
		st.lines = append(st.lines, line)
	}
	st.warnings += n
	p.next()
	return nil
}

// once are the warnings about a statement's text or table, and not about a row: a default that is missing, what is deprecated.
var once = map[string]bool{"1287": true, "1364": true, "1681": true, "3719": true}

// looked looks at the warnings of what was read: in a change they are errors in strict mode.
func (st *stepping) looked() *wire.Error {
	st.read = st.warnings
	if !st.under.strict || st.plan.Steps.Ignore {
		return nil
	}
	for _, line := range st.lines {
		if len(line) != 3 || string(line[0]) != "Warning" {
			continue
		}
		state, severe := strictly[string(line[1])]
		if severe && st.plan.Steps.Table == nil && st.gen.backends[st.plan.Parts[0].Backend].Flavour() == 1 {
			return wire.NewError(wire.CodeNotSupported, "the rows that are to be changed are read first, with a warning (%s) of which MariaDB makes an error in some such statements; write values of the columns' own types", line[2])
		}
		if severe {
			var errno uint16
			_, _ = fmt.Sscan(string(line[1]), &errno) // a number of the map
			return &wire.Error{Errno: errno, State: state, Message: string(line[2])}
		}
	}
	return nil
}

// strictly are the warnings about values that strict mode makes errors of, with their SQLSTATEs.
var strictly = map[string]string{"1264": "22003", "1265": "01000", "1292": "22007", "1365": "22012", "1366": "HY000", "1406": "22001", "1411": "HY000", "1441": "22008"}

// written notes the answer to a statement that has written, with numbers of a sequence.
func (st *stepping) written(rec *wire.Recording, n numbers) *wire.Error {
	answer, err := rec.ReadResult(maxAnswer)
	if err != nil {
		return clientError(err, false)
	}
	ok := answer.OK
	if ok.InsertID != 0 {
		id, err := st.lastInsertID(st.mine)
		if err != nil {
			return clientError(err, false)
		}
		argument := st.plan.Pin == router.PinLastInsertID && !n.has(id) // the last one counts, unless a number was chosen: of these the first
		if id != st.latest && !st.chosen {
			st.inserted, st.chosen = id, !argument
		}
		st.latest = id
	}
	st.oks = append(st.oks, ok)
	if len(st.oks) > 1 && st.plan.Steps.Table == nil {
		st.oks = []wire.OK{mergeOK(st.oks)}
	}
	return st.heard()
}

// answer is that of one server.
func (st *stepping) answer() wire.OK {
	steps := st.plan.Steps
	var ok wire.OK
	switch {
	case len(st.oks) > 0:
		if ok = mergeOK(st.oks); st.alone {
			ok.InsertID = st.oks[len(st.oks)-1].InsertID
		}
	case !steps.Delete:
		ok.Info = "Rows matched: 0  Changed: 0  Warnings: 0"
	}
	ok.Warnings = uint16(min(st.warnings, 1<<16-1))
	if steps.Table != nil {
		if !steps.Row {
			ok.Info = insertInfo(&router.Plan{Records: int(st.rows), Ignore: steps.Ignore}, st.oks)
		}
		if st.inserted != 0 {
			ok.InsertID = st.inserted
			st.past.inserted(st.inserted)
		}
	}
	if label, _, cut := strings.Cut(ok.Info, "Warnings: "); cut {
		ok.Info = fmt.Sprintf("%sWarnings: %d", label, st.warnings)
	}
	st.past.next()
	st.past.rowCount = int64(ok.Affected)
	st.past.warnings, st.past.lines = st.warnings, st.lines
	return ok
}

// next reads a row, within the budget.
func (st *stepping) next(rows *found) ([]byte, *wire.Error) {
	if st.ctx().Err() != nil {
		return nil, wire.NewError(wire.CodeQueryInterrupted, "Query execution was interrupted")
	}
	row, err := rows.Next()
	if err != nil {
		return nil, clientError(err, false)
	}
	if row == nil {
		return nil, nil
	}
	if st.rows++; st.user.rows > 0 && st.rows > st.user.rows {
		return nil, wire.NewError(wire.CodeTooBigSelect, "the statement reads more rows before it writes than max_scratch_rows = %d of user '%s' allows; change fewer rows at a time, or change the setting", st.user.rows, st.login.User)
	}
	return row, nil
}

// names quotes names of columns.
func names(columns []string) string {
	quoted := make([]string, len(columns))
	for i, c := range columns {
		quoted[i] = backend.Quote(c)
	}
	return strings.Join(quoted, ", ")
}
