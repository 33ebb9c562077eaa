package postgres

import (
	"cmp"
	"io"
	"strconv"
	"strings"

	"github.com/xaproxy/xaproxy/wire"
)

// phase is where the session's transaction is.
type phase uint8

const (
	idle     phase = iota // there is none
	begun                 // the client has begun one, PostgreSQL does not know of it yet
	active                // statements have run
	ended                 // XA END: no further statement
	undone                // PostgreSQL has undone all of it after a deadlock or a serialization failure; XA ROLLBACK or ROLLBACK ends it
	prepared              // XA PREPARE: it is not the session's any more, but MySQL's session still has it
)

// transaction is that of a session. A failed statement undoes only itself, as in MySQL, where PostgreSQL would undo everything: each statement
// but the first has a savepoint in front of it, in the same message.
type transaction struct {
	phase phase
	xid   string // gtrid|bqual of an XA transaction, "" for another one
	// guarded: the savepoint in front of the last statement is there still.
	guarded bool
	points  []savepoint // the client's
	named   int         // how many there were so far
	// characteristics are what BEGIN says behind itself.
	characteristics string
	// sets are settings of the session that were made within: PostgreSQL takes them back with what else it undoes, MySQL does not.
	sets    []string
	limited bool // the time of its statements is bounded at present
	next    copyNext
	clocked bool // a statement had the session's own clock: each has to say which one it goes by
}

// configure runs a statement that makes a setting of the session.
func (s *session) configure(sql string) error {
	err := s.run(s.unlimited().text() + sql)
	if err == nil && (s.tx.phase == active || s.tx.phase == ended) {
		s.tx.sets = append(s.tx.sets, sql)
	}
	if err != nil && s.tx.phase == active && s.lost == nil { // it has failed the transaction, too
		return cmp.Or(s.undo(), err)
	}
	return err
}

// undo takes back what has happened since the last statement began.
func (s *session) undo() error {
	if !s.tx.guarded {
		return wire.NewError(wire.CodeXARBRollback, "XA_RBROLLBACK: the transaction has failed")
	}
	return s.undone("ROLLBACK TO SAVEPOINT " + guard)
}

// undone runs a statement that takes something back, and makes the settings again.
func (s *session) undone(sql string) error {
	if err := s.run(sql); err != nil {
		return err
	}
	for _, set := range s.tx.sets {
		if err := s.run(set); err != nil {
			return err
		}
	}
	return nil
}

// bounded is what goes in front of a SELECT whose time is bounded, as max_execution_time says.
func (s *session) bounded() front {
	if s.vars.limit == "" {
		return nil
	}
	s.tx.limited = s.tx.phase == begun || s.tx.phase == active
	return front{"SET LOCAL statement_timeout = " + s.vars.limit}
}

// unlimited is what goes in front of the next statement after it.
func (s *session) unlimited() front {
	if !s.tx.limited {
		return nil
	}
	s.tx.limited = false
	return front{"SET LOCAL statement_timeout = 0"}
}

// clock is what goes in front of a statement for NOW() and defaults, if the session has a time of its own.
func (s *session) clock() front {
	switch {
	case s.vars.clock != "":
		s.tx.clocked = s.tx.phase == begun || s.tx.phase == active
	case !s.tx.clocked:
		return nil
	}
	return front{"SET LOCAL xaproxy.timestamp = '" + s.vars.clock + "'"}
}

// savepoint is one of the client's. PostgreSQL has another name for it: with the client's, a second one of the same name would not replace the
// first, but hide it.
type savepoint struct{ name, inside string }

// guard is the savepoint in front of a statement.
const guard = "xaproxy_statement"

func (t *transaction) open() bool {
	return t.phase == begun || t.phase == active || t.phase == ended || t.phase == undone
}

// begin starts a transaction; PostgreSQL hears of it with the first statement.
func (s *session) begin(xid, characteristics string) {
	isolation, access := s.vars.isolation, s.vars.readOnly
	if s.vars.next.isolation != "" {
		isolation = s.vars.next.isolation
	}
	if s.vars.next.access != nil {
		access = *s.vars.next.access
	}
	s.vars.next = next{}
	all := " ISOLATION LEVEL " + strings.ReplaceAll(isolation, "-", " ")
	if access && characteristics == "" {
		characteristics = " READ ONLY"
	}
	s.tx = transaction{phase: begun, xid: xid, characteristics: all + characteristics}
}

// front are statements of our own in front of another one, in the same message.
type front []string

// text is what they are in front of the text of the other one.
func (f front) text() string {
	if len(f) == 0 {
		return ""
	}
	return strings.Join(f, "; ") + "; "
}

// lead is what goes in front of the next statement.
func (s *session) lead() front {
	t := &s.tx
	switch {
	case t.phase == begun:
		return front{"BEGIN" + t.characteristics}
	case t.phase == active && t.guarded:
		return append(s.unlimited(), "RELEASE SAVEPOINT "+guard, "SAVEPOINT "+guard)
	case t.phase == active:
		return append(s.unlimited(), "SAVEPOINT "+guard)
	}
	return nil
}

// ready refuses a statement where MySQL would.
func (s *session) ready() error {
	t := &s.tx
	switch {
	case t.phase == ended:
		return wire.NewError(wire.CodeXARMFail, "XAER_RMFAIL: The command cannot be executed when global transaction is in the  IDLE state")
	case t.phase == prepared:
		return wire.NewError(wire.CodeXARMFail, "XAER_RMFAIL: The command cannot be executed when global transaction is in the  PREPARED state")
	case t.phase == undone:
		return wire.NewError(wire.CodeXARMFail, "XAER_RMFAIL: The command cannot be executed when global transaction is in the  ROLLBACK ONLY state")
	}
	if t.phase == idle && !s.vars.autocommit {
		s.begin("", "")
	}
	return nil
}

// ran notes what became of a statement that lead went in front of, and undoes it if it failed. The error is the client's.
func (s *session) ran(err error) error {
	t := &s.tx
	switch {
	case t.phase != begun && t.phase != active || s.lost != nil:
		return err
	case err == nil:
		t.guarded = t.phase == active
		t.phase = active
		return nil
	}
	if e := said(err); e != nil && e.Code.Class() == "40" { // deadlock, serialization failure: another try would see the same snapshot
		t.phase, t.points, t.limited = undone, nil, false
		if undo := s.undone("ROLLBACK"); undo != nil {
			return undo
		}
		return err
	}
	if t.phase == begun { // nothing else has happened in it
		t.limited = false
		if undo := s.run("ROLLBACK"); undo != nil {
			return undo
		}
		return err
	}
	t.guarded = true
	if undo := s.undone("ROLLBACK TO SAVEPOINT " + guard); undo != nil {
		return undo
	}
	return err
}

// guarded runs a statement of the client, behind what it is given to go in front of it, and once more where that is stale. reads says that its time
// may be bounded.
func (s *session) guarded(reads bool, run func(lead front) error) error {
	if err := s.ready(); err != nil {
		return err
	}
	lead := func() front {
		all := append(s.lead(), s.clock()...)
		if reads {
			all = append(all, s.bounded()...)
		}
		return all
	}
	attempt := func() error {
		for {
			before, sent, told := s.tx, s.sent, len(s.said)
			err := run(lead())
			if s.sent == sent { // not even the savepoint is there: PostgreSQL knows of nothing
				s.tx = before
				return err
			}
			err = s.ran(err)
			if _, again := err.(stale); !again {
				return err
			}
			s.said = s.said[:told]
		}
	}
	if s.tx.phase == idle && s.vars.next != (next{}) { // SET TRANSACTION is for this statement
		s.begin("", "")
		err := attempt()
		if ended := s.end(err == nil); err == nil {
			err = ended
		}
		return err
	}
	err := attempt()
	if s.tx.phase == idle {
		s.count(err == nil)
	}
	return err
}

// count counts an end of a transaction.
func (s *session) count(commit bool) {
	if commit {
		s.commits++
	} else {
		s.rollbacks++
	}
}

// direct runs one statement in PostgreSQL's words and answers it. One that returns rows of what it has changed is a transaction of its own, so that
// nothing has changed where a value cannot be told.
func (s *session) direct(sql string, reads bool, a *answer) error {
	alone := !reads && s.tx.phase == idle && s.vars.autocommit && strings.Contains(strings.ToUpper(sql), "RETURNING")
	if alone {
		s.begin("", "")
	}
	err := s.guarded(reads, func(lead front) error {
		rows, err := s.send(lead.text() + sql)
		if err != nil {
			return err
		}
		return s.relay(rows, a)
	})
	if alone {
		if ended := s.end(err == nil); err == nil {
			err = ended
		}
	}
	return err
}

// relay answers with what a statement has returned.
func (s *session) relay(rows *rows, a *answer) (err error) {
	defer func() {
		if closed := rows.Close(); err == nil {
			err = s.noted(closed)
		}
	}()
	if rows.columns > 0 {
		return a.stream(rows, columnsOf(rows, s.vars.collation))
	}
	if err := s.drain(rows); err != nil {
		return err
	}
	n, _ := rows.Result().RowsAffected() // it has none
	if rows.Tag() == "SELECT" {
		n = 0
	}
	a.ok(wire.OK{Affected: uint64(n)})
	return nil
}

func (s *session) drain(rows *rows) error {
	for {
		if err := rows.Next(nil); err == io.EOF {
			return nil
		} else if err != nil {
			return s.noted(err)
		}
	}
}

// end ends the transaction. COMMIT of a transaction that has failed is no error in PostgreSQL, but a ROLLBACK; a savepoint in front of it is
// one then.
func (s *session) end(commit bool) error {
	defer func() { s.tx = transaction{} }()
	switch phase := s.tx.phase; {
	case phase == undone && commit:
		return errXAUndone
	case phase != active && phase != ended:
		return nil
	}
	s.count(commit)
	if !commit {
		return s.undone("ROLLBACK")
	}
	err := s.run(s.unlimited().text() + "SAVEPOINT " + guard + "; COMMIT")
	if err != nil && s.lost == nil {
		if undo := s.undone("ROLLBACK"); undo != nil { // a warning where COMMIT itself has failed
			return undo
		}
	}
	return err
}

// set sets a savepoint of the client's.
func (s *session) setSavepoint(name string) error {
	t := &s.tx
	if t.phase == idle && s.vars.autocommit {
		return nil // as MySQL does
	}
	if err := s.ready(); err != nil {
		return err
	}
	t.named++
	p := savepoint{name, "xaproxy_" + strconv.Itoa(t.named)}
	sql := "SAVEPOINT " + p.inside
	switch {
	case t.phase == begun:
		sql = "BEGIN" + t.characteristics + "; " + sql
	case t.guarded:
		sql = "RELEASE SAVEPOINT " + guard + "; " + sql
	}
	if err := s.run(sql); err != nil {
		return err
	}
	for i, old := range t.points {
		if strings.EqualFold(old.name, name) {
			t.points = append(t.points[:i:i], t.points[i+1:]...)
			break
		}
	}
	t.points = append(t.points, p)
	t.phase, t.guarded = active, false
	return nil
}

// toSavepoint rolls back to a savepoint of the client's, or releases it.
func (s *session) toSavepoint(name string, release bool) error {
	t := &s.tx
	if t.phase == ended || t.phase == prepared || t.phase == undone {
		return s.ready()
	}
	for i := len(t.points) - 1; i >= 0; i-- {
		if !strings.EqualFold(t.points[i].name, name) {
			continue
		}
		verb := "ROLLBACK TO SAVEPOINT "
		keep := i + 1
		if release {
			verb, keep = "RELEASE SAVEPOINT ", i
		}
		if err := s.undone(verb + t.points[i].inside); err != nil {
			return err
		}
		t.points, t.guarded = t.points[:keep], false
		return nil
	}
	return &wire.Error{Errno: 1305, State: "42000", Message: "SAVEPOINT " + name + " does not exist"}
}

// quote returns a string as a literal of PostgreSQL's.
func quote(s string) string { return "'" + strings.ReplaceAll(s, "'", "''") + "'" }

func syntaxError(words []part) error {
	near := ""
	for _, w := range words {
		near += w.raw + " "
	}
	return wire.NewError(wire.CodeParse, "You have an error in your SQL syntax near '%s'", strings.TrimSpace(near))
}
