package proxy

import (
	"bytes"
	"errors"

	"github.com/rs/zerolog"

	"github.com/xaproxy/xaproxy/backend"
	"github.com/xaproxy/xaproxy/router"
	"github.com/xaproxy/xaproxy/wire"
	"github.com/xaproxy/xaproxy/xa"
)

// statement plans one statement and carries it out. A returned error ends the session; everything else is answered.
func (s *session) statement(attrs, sql []byte) error {
	s.work.runs(sql)
	s.traced.reads(sql)
	asked := sql
	sql, plan, n, err := s.planned(sql)
	if (err != nil || s.state.Schema == router.Console) && s.forConsole(plan, err) {
		return s.askConsole(asked)
	}
	if err != nil {
		return s.fail(clientError(err, false))
	}
	s.request = request{sql: sql, attrs: attrs, numbers: n}
	if plan.Stream == nil {
		err = s.carryOut(plan, &s.request)
	} else {
		text := sql
		err = s.replan(plan, &s.request, func() (*router.Plan, error) { return s.router.Plan(text, s.state.Schema, s.mode) })
	}
	s.request = request{} // an idle session must not keep the client's packet, which may be large
	return err
}

// planned plans a text, after writing into it what only the session knows: values of its own, names of columns, numbers of a sequence.
func (s *session) planned(sql []byte) (_ []byte, plan *router.Plan, n numbers, err error) {
	plan, s.noted.tally, err = s.router.Tallied(sql, s.state.Schema, s.mode)
	if s.looks() {
		plan, s.noted.tally, err = s.router.Tallied(sql, s.state.Schema, s.mode)
	}
	if err == nil && plan.Own {
		var e *wire.Error
		if sql, e = s.own(sql, s.mode, s.outcomeOf(s.mode)); e != nil {
			return sql, nil, n, e
		}
		plan, err = s.router.Plan(sql, s.state.Schema, s.mode)
	}
	if err == nil && plan.Columns != "" {
		var e *wire.Error
		if sql, e = s.list(plan, sql, s.mode); e != nil {
			return sql, nil, n, e
		}
		plan, err = s.router.Plan(sql, s.state.Schema, s.mode)
	}
	if err == nil && (plan.Numbers > 0 || plan.Highest > 0) {
		var e *wire.Error
		if sql, plan, n, e = s.number(plan, sql); e != nil {
			return sql, nil, n, e
		}
	}
	if err == nil && plan.Compute != nil {
		sql, plan, err = s.computed(plan, sql)
	}
	return sql, plan, n, err
}

// looks asks for the keys of tables that a plan has missed, and tells whether there were any: the plan may be another one now.
func (s *session) looks() bool {
	missed := s.router.Missed()
	if missed != nil {
		s.srv.learnObjects(s.ctx(), missed)
	}
	return missed != nil
}

// forbidden says why the user may not run a statement.
func (s *session) forbidden(plan *router.Plan) *wire.Error {
	for _, schema := range plan.Schemas {
		if !s.user.mayUse(schema) {
			return wire.NewError(wire.CodeDBAccessDenied, "Access denied for user '%s' to database '%s'", s.login.User, schema)
		}
	}
	if plan.Privileged && len(s.user.schemas) > 0 {
		return wire.NewError(wire.CodePrivilege, "Access denied; user '%s' is limited to schemas, and this concerns the server as a whole", s.login.User)
	}
	if plan.Write && s.user.readOnly {
		return s.mayOnlyRead()
	}
	asked := plan.MayScatter && s.user.scatter != router.ScatterNone
	if (plan.Merge == router.MergeOK || plan.Merge == router.MergeChange || plan.Merge == router.MergeSteps || plan.Merge == router.MergeReturning) && plan.Scatter > s.user.scatter && !asked {
		return wire.NewError(wire.CodeSafeUpdate, "the statement would change rows on %d backends, and scatter_writes of user '%s' does not let it; compare the shard key with values in WHERE, or change the setting",
			len(plan.Parts), s.login.User)
	}
	return nil
}

func (s *session) mayOnlyRead() *wire.Error {
	return wire.NewError(wire.CodeReadOnly, "user '%s' is read_only in the configuration of xaproxy and cannot run this statement", s.login.User)
}

// carryOut does what the plan says and answers the client.
func (s *session) carryOut(plan *router.Plan, r *request) error {
	s.plans(plan)
	if plan.Verb != router.Diagnostics {
		s.past.next()
	}
	if e := s.forbidden(plan); e != nil {
		return s.fail(e)
	}
	if plan.Timeout != 0 || plan.Complaints != nil {
		return s.hinted(plan, r)
	}
	return s.perform(plan, r)
}

// perform does what the plan says, which the user may.
func (s *session) perform(plan *router.Plan, r *request) error {
	switch plan.Verb {
	case router.Route:
		return s.route(plan, r)
	case router.Empty:
		if len(bytes.Trim(r.sql, " \t\r\n;")) > 0 {
			return s.ok(wire.OK{}) // a comment alone succeeds on a server
		}
		return s.fail(emptyQuery)
	case router.Use:
		return s.use(plan.Name)
	case router.Set:
		if plan.LastConn && (s.tx == nil || s.tx.last == nil) {
			return s.fail(wire.NewError(wire.CodeNotSupported, "SET to a value of the previous statement is only supported inside a transaction: read the value first"))
		}
		return s.set(plan.Sets)
	case router.Kill:
		return s.kill(plan.ID, plan.Query)
	case router.PrepareSQL:
		return s.prepareByName(plan, r)
	case router.ExecuteSQL:
		return s.executeByName(plan, r)
	case router.Deallocate:
		return s.deallocate(plan)
	case router.Diagnostics:
		return s.diagnostics(plan, r)
	case router.Handler:
		return s.route(s.atHandler(plan), r)
	case router.Processes:
		return s.processes(plan)
	case router.Explain:
		return s.explain(plan)
	case router.Administer:
		return s.administer(plan.Command)
	case router.List:
		return s.showTable(plan.Name)
	case router.Begin:
		return s.begin(plan)
	case router.Commit, router.Rollback:
		return s.end(plan)
	case router.Savepoint, router.RollbackTo, router.Release:
		return s.savepoint(plan)
	}
	return s.fail(wire.NewError(wire.CodeUnknown, "statement of kind %s is not known here: this is a mistake in xaproxy", plan.Verb))
}

var emptyQuery = &wire.Error{Errno: 1065, State: "42000", Message: "Query was empty"}

// begin starts a transaction. An open one is committed first, as MySQL does.
func (s *session) begin(p *router.Plan) error {
	switch {
	case s.tx == nil:
	case s.srv.style.mariadb:
		s.track.over()
	case !p.ReadWrite: // MySQL keeps the characteristics for the next transaction
		s.nextTx = s.tx.opening
	}
	if e := s.commit(); e != nil {
		return s.fail(e)
	}
	if e := s.unlockTables(); e != nil {
		return s.fail(e)
	}
	s.start()
	if p.CommitKey != "" {
		if e := s.useKey(p.CommitKey); e != nil {
			s.tx = nil
			return s.fail(e)
		}
	}
	switch {
	case p.ReadOnly:
		s.tx.opening.access = "READ ONLY"
	case p.ReadWrite && !s.user.readOnly:
		s.tx.opening.access = "READ WRITE"
	}
	if p.Snapshot {
		if e := s.snapshot(); e != nil {
			s.abandon()
			return s.fail(e)
		}
	}
	switch {
	case p.ReadOnly:
		s.track.characterize("READ ONLY")
	case p.ReadWrite:
		s.track.characterize("READ WRITE")
	}
	s.track.begins(p.Snapshot)
	return s.ok(wire.OK{})
}

// start opens a transaction with the characteristics that SET TRANSACTION left for it.
func (s *session) start() {
	s.tx = newTransaction(s, s.nextTx)
	s.giveKey(s.nextKey)
	s.nextKey, s.nextTx = xa.Key{}, characteristics{}
}

// commit commits the open transaction, if there is one. If its statement or its session was killed, and no server has noticed, no COMMIT
// begins: who has killed it has been told so.
func (s *session) commit() *wire.Error {
	tx := s.tx
	switch {
	case tx == nil:
		return nil
	case s.work.Err() == nil:
		s.tx = nil
		s.track.ends()
		return s.committed(tx.commit(s.acquire, &s.state))
	case tx.own:
		return s.committed(s.rollback(wire.NewError(wire.CodeQueryInterrupted, "Query execution was interrupted")))
	}
	return s.committed(s.rollback(errKilled))
}

var errKilled = errors.New("it was killed before its COMMIT began")

// committed logs and translates the end of a transaction.
func (s *session) committed(a xa.Answer) *wire.Error {
	s.ended(a)
	switch a.Outcome {
	case xa.CommittedLate:
		s.log(zerolog.WarnLevel).Stringer("gtrid", a.GTRID).AnErr("cause", a.Cause).Msg("committed, but a branch is still to be finished by recovery")
		s.committedLate(a.GTRID)
	case xa.InDoubt:
		s.log(zerolog.ErrorLevel).Stringer("gtrid", a.GTRID).AnErr("cause", a.Cause).Msg("outcome unknown")
	}
	return outcomeError(a)
}

// end answers COMMIT and ROLLBACK.
func (s *session) end(p *router.Plan) error {
	chained, open := s.nextTx, s.tx != nil
	if open {
		chained = s.tx.opening
	}
	s.nextTx = characteristics{}
	ok := wire.OK{}
	if conn := s.local(); conn != nil {
		if e := s.tell(conn, map[router.Verb]string{router.Commit: "COMMIT", router.Rollback: "ROLLBACK"}[p.Verb]); e != nil {
			return s.fail(e)
		}
		s.open = false
	} else if p.Verb == router.Commit && open {
		if e := s.commit(); e != nil {
			return s.fail(e)
		}
	} else if open {
		s.rollback(nil) // a branch that is lost is rolled back by recovery: the answer is true in any case
	}
	if p.Chain {
		if e := s.unlockTables(); e != nil { // as BEGIN does
			return s.fail(e)
		}
		s.nextTx = chained
		s.start()
		s.track.begins(false)
	} else {
		s.track.over()
	}
	if err := s.ok(ok); err != nil {
		return err
	}
	if p.Disconnect {
		return errReleased
	}
	return nil
}

var errReleased = errors.New("the client asked for RELEASE")

// savepoint answers SAVEPOINT, ROLLBACK TO and RELEASE SAVEPOINT. They go to every branch; a branch that is opened
// later gets the savepoints before its first statement.
func (s *session) savepoint(p *router.Plan) error {
	if conn := s.local(); conn != nil {
		verb := map[router.Verb]string{router.Savepoint: "SAVEPOINT ", router.RollbackTo: "ROLLBACK TO SAVEPOINT ", router.Release: "RELEASE SAVEPOINT "}[p.Verb]
		if e := s.tell(conn, verb+backend.Quote(p.Name)); e != nil {
			return s.fail(e)
		}
		return s.ok(wire.OK{})
	}
	if s.tx == nil && !s.autocommit {
		s.start()
	}
	if s.tx == nil {
		if p.Verb == router.Savepoint {
			return s.ok(wire.OK{}) // it lasts as long as the statement's own transaction
		}
		return s.fail(noSavepoint(p.Name))
	}
	statement, known := "", true
	switch p.Verb {
	case router.Savepoint:
		statement = s.tx.savepoint(p.Name)
	case router.RollbackTo:
		statement, known = s.tx.rollbackTo(p.Name)
	default:
		statement, known = s.tx.release(p.Name)
	}
	if !known {
		return s.fail(noSavepoint(p.Name))
	}
	branches := s.tx.started()
	for _, br := range branches {
		s.work.uses(br.Conn())
	}
	br, err := onAll(branches, statement)
	s.leave(branches)
	if err != nil {
		return s.fail(s.lose(br, err))
	}
	return s.ok(wire.OK{})
}

func noSavepoint(name string) *wire.Error {
	return &wire.Error{Errno: 1305, State: "42000", Message: "SAVEPOINT " + name + " does not exist"}
}

// lose ends the open transaction because of what happened on br, and returns the client's error.
func (s *session) lose(br *txBranch, cause error) *wire.Error {
	tx := s.tx
	s.tx = nil
	s.work.drop()
	s.past.ended()
	s.track.ends()
	a := tx.fail(br, cause)
	s.ended(a)
	return outcomeError(a)
}

// rollback ends the open transaction.
func (s *session) rollback(cause error) xa.Answer {
	tx := s.tx
	s.tx = nil
	s.work.drop()
	s.past.ended()
	s.track.ends()
	a := tx.rollback(cause)
	s.ended(a)
	return a
}

// first reports whether a statement about the server's variables goes to the first backend, although the session is at one of
// the other kind: the client was told the first one's version and asks for what that has.
func (s *session) first(p *router.Plan) bool {
	return p.Server && s.gen.mixed && p.Parts[0].Backend == router.AnyBackend && s.pinned() == nil &&
		!(s.tx != nil && s.tx.last != nil && s.tx.last.Conn().Backend().Flavour() == s.gen.backends[0].Flavour())
}

// backend returns the backend of a part. One that any backend can answer goes to where the session is anyway.
func (s *session) backend(p *router.Plan, part router.Part) *backend.Backend {
	switch part.Backend {
	case router.OneCopy:
		return s.gen.backends[s.copy(p)]
	case router.AnyBackend:
	default:
		return s.gen.backends[part.Backend]
	}
	if b := s.pinned(); b != nil {
		return b
	}
	if s.first(p) {
		return s.gen.backends[0]
	}
	if s.tx != nil && s.tx.last != nil {
		return s.tx.last.Conn().Backend()
	}
	return s.gen.home(s.state.Schema)
}
