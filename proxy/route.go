package proxy

import (
	"errors"
	"slices"
	"strconv"
	"time"

	"github.com/xaproxy/xaproxy/backend"
	"github.com/xaproxy/xaproxy/router"
	"github.com/xaproxy/xaproxy/wire"
)

// route sends a statement to the backends of its plan and answers the client.
func (s *session) route(p *router.Plan, r *request) error {
	if e := s.reach(p); e != nil {
		return s.fail(e)
	}
	locks := p.Pin == router.PinLockTables && !p.Unpin
	if s.relay.Infile = p.Local; p.Local {
		s.armed = time.Time{} // the file takes the deadline away, and with it the interruption by a shutdown
	}
	s.relay.Cursor = r.bound != nil && r.bound.execute.Flags != 0
	if p.Merge == router.MergeListing {
		return s.listing(p, r)
	}
	if p.Scratch != nil && p.Scratch.Direct && s.curbed(p.Scratch.About) {
		one := *p
		one.Merge, p = router.MergeScratch, &one
	}
	if e := s.lacksTransaction(p); e != nil {
		return s.fail(e)
	}
	if p.Merge == router.MergeScratch && p.Scratch.Informs && !p.Scratch.Beside {
		return s.inform(p, r)
	}
	if conn := s.locked(); conn != nil && s.tx == nil && !locks && p.Merge != router.MergeSteps {
		return s.underLocks(conn, p, r)
	}
	if p.Load != nil {
		return s.load(p, r)
	}
	if p.ImplicitCommit {
		defer s.srv.forgetColumns()
		defer s.srv.doubtKeys()
		if e := s.commit(); e != nil {
			return s.fail(e)
		}
		s.nextTx = characteristics{}
		s.track.over()
		if locks { // what was locked before is not any more, wherever it is
			if e := s.unlockTables(); e != nil {
				return s.fail(e)
			}
			if !s.autocommit {
				return s.lock(p, r)
			}
		}
		switch {
		case p.DDL != nil && (p.DDL.What == "CREATE DATABASE" || p.DDL.What == "DROP DATABASE"):
			return s.unselected(p, r)
		case p.Merge == router.MergeDDL:
			return s.define(p, r)
		}
		return s.single(p, r)
	}
	if (p.Merge == router.MergeRows || p.Merge == router.MergeStream) && s.selectLimited() {
		return s.fail(wire.NewError(wire.CodeNotSupported, "the statement was prepared before sql_select_limit was SET, and each of its backends would go by that; prepare it again"))
	}
	if p.LastConn && s.ranOn(p.Parts[0]) {
		return s.again(p, r)
	}
	if s.tx == nil && !s.autocommit && !(p.Parts[0].Backend == router.AnyBackend && !p.Write) {
		s.start()
	}
	switch {
	case p.Lookup != nil:
		return s.byLookup(p, r)
	case p.Merge == router.MergeSteps:
		return s.steps(p, r)
	case p.Merge == router.MergeReturning:
		return s.returning(p, r)
	case p.Merge == router.MergeScratch:
		return s.scratch(p, r)
	case p.Merge == router.MergeChange:
		return s.change(p, r)
	case s.tx != nil && len(p.Parts) == 1 && p.Parts[0].Backend == router.AnyBackend && (s.tx.last == nil || s.first(p)):
		return s.single(p, r) // it touches no table, so it need not open a branch
	case s.tx != nil && len(p.Parts) == 1:
		return s.singleInTx(p, r)
	case p.Merge == router.MergeOne:
		return s.copies(p, r)
	case s.tx != nil && p.Merge == router.MergeRows:
		return s.spreadInTx(p, r, s.rowsInTx)
	case s.tx != nil && p.Merge == router.MergeStream:
		return s.spreadInTx(p, r, s.streamInTx)
	case s.tx != nil:
		return s.writesInTx(p, r)
	case len(p.Parts) == 1:
		return s.single(p, r)
	case p.Merge == router.MergeRows:
		return s.spread(p, r, s.rows)
	case p.Merge == router.MergeStream:
		return s.spread(p, r, s.stream)
	default:
		return s.atomic(p, r)
	}
}

// relayStatus sets how the relay changes the status flags on their way to the client: what a backend says of
// transactions is about its branch, not about the client's transaction.
func (s *session) relayStatus() {
	s.relay.ClearStatus = wire.StatusInTrans | wire.StatusAutocommit
	s.relay.SetStatus = s.status()
}

// single runs a statement on one backend, outside of a transaction: the backend's own autocommit decides.
func (s *session) single(p *router.Plan, r *request) error {
	part := p.Parts[0]
	conn, err := s.acquire(s.backend(p, part))
	for i := 0; err != nil && i < len(p.Copies); i++ { // it may be that only this one is down
		conn, err = s.acquire(s.gen.backends[p.Copies[i]])
	}
	if err != nil {
		return s.fail(clientError(err, false))
	}
	return s.singleOn(conn, p, r.part(part))
}

func (s *session) singleOn(conn *backend.Conn, p *router.Plan, r *request) error {
	s.work.uses(conn)
	defer conn.Put()
	defer s.work.leaves(conn)
	s.last = lastStatement{conn, conn.Backend(), conn.Lends()}
	if s.nextTx != (characteristics{}) && s.tx == nil && p.Verb == router.Route {
		return s.once([]*backend.Conn{conn}, func(lead string) error { return s.relayOn(conn, p, r, lead) })
	}
	return s.relayOn(conn, p, r)
}

// relayOn runs a statement on a connection, after lead, and relays the answer.
func (s *session) relayOn(conn *backend.Conn, p *router.Plan, r *request, lead ...string) error {
	if p.Program || p.Pin == router.PinUserVariable { // also a statement that fails may have assigned some
		conn.Soil()
	}
	if e := s.programLead(p, conn, &lead); e != nil {
		return s.fail(e)
	}
	if err := r.send(conn, &s.state, lead...); err != nil {
		return s.fail(clientError(err, p.Write))
	}
	s.relayStatus()
	local := s.local() == conn || p.Pin == router.PinLockTables && !p.Unpin && !s.autocommit
	if local {
		s.relay.ClearStatus, s.relay.SetStatus = wire.StatusAutocommit, s.relay.SetStatus&^wire.StatusInTrans
	}
	result, err := s.response(conn, p, r)
	if err != nil {
		return s.side(conn, err, func(cause error) *wire.Error { return clientError(cause, p.Write) })
	}
	s.opened(r, conn, result)
	s.ran(p, r, conn, result)
	if result.Err != nil {
		s.failed = true
		s.open = s.open && !endsTransaction(result.Err, conn.Backend().Facts().RollbackOnTimeout)
		return nil
	}
	if local {
		s.open = result.OK.Status&wire.StatusInTrans != 0
	}
	s.left(p, conn)
	if result.OK.Status&wire.StatusInTrans != 0 && !local && !conn.InBranch() && s.cursor == nil && p.Pin != router.PinLockTables {
		conn.Break() // something opened a transaction that the router did not see: nobody else may inherit it
	}
	return nil
}

// programLead gives a connection the client's LAST_INSERT_ID() before stored code runs on it: that may read it, and nothing tells
// whether it leaves another one.
func (s *session) programLead(p *router.Plan, conn *backend.Conn, lead *[]string) *wire.Error {
	if !p.Program || !p.Write {
		return nil
	}
	id, err := s.lastInsertID(func(c *backend.Conn) bool { return c == conn || s.mine(c) })
	if err != nil {
		return clientError(err, false)
	}
	*lead = append(*lead, "DO LAST_INSERT_ID("+strconv.FormatUint(id, 10)+")")
	return nil
}

// side answers after a relay from conn failed: with the error that explain makes of the backend's failure, if the
// client can still hear it. If the client failed, the session ends, and what is open is rolled back then.
func (s *session) side(conn *backend.Conn, err error, explain func(error) *wire.Error) error {
	lost := conn.Lost(err)
	var side *wire.SideError
	if !errors.As(err, &side) || !side.Backend {
		return err
	}
	e := explain(lost)
	if side.Torn {
		return side
	}
	return s.fail(e)
}

// selectLimited reports whether the client has set sql_select_limit.
func (s *settings) selectLimited() bool {
	limit := find(s.variables, "sql_select_limit").literal
	return limit != "" && limit != "18446744073709551615"
}

// ranOn reports whether the session's previous statement ran where the part goes; elsewhere there is nothing to ask about.
func (s *session) ranOn(part router.Part) bool {
	switch {
	case part.Backend == router.AnyBackend:
		return true
	case s.tx != nil && s.tx.last != nil:
		return s.tx.last.Conn().Backend().Index == part.Backend
	}
	return part.Backend >= 0 && s.last.conn != nil && s.last.on.Shares(s.gen.backends[part.Backend])
}

// again runs a statement that asks about the session's previous one, on the connection that ran that.
func (s *session) again(p *router.Plan, r *request) error {
	if s.tx != nil && s.tx.last != nil {
		return s.onBranch(s.tx.last, p, r)
	}
	if conn := s.last.conn; conn != nil && (s.holds(conn) || conn.Reclaim(s.last.lends)) {
		return s.singleOn(conn, p, r)
	}
	return s.fail(wire.NewError(wire.CodeNotSupported,
		"this asks about the previous statement, whose connection serves another client by now; ask inside a transaction, or read the answer of the statement itself"))
}

// lastStatement remembers where the session's last statement outside of a transaction ran.
type lastStatement struct {
	conn  *backend.Conn
	on    *backend.Backend
	lends uint64
}

// singleInTx runs a statement on one branch and relays its answer.
func (s *session) singleInTx(p *router.Plan, r *request) error {
	part := p.Parts[0]
	br, err := s.tx.branch(s.backend(p, part), s.acquire)
	for i := 0; err != nil && i < len(p.Copies); i++ {
		br, err = s.tx.branch(s.gen.backends[p.Copies[i]], s.acquire)
	}
	if err != nil {
		return s.fail(clientError(err, false))
	}
	return s.onBranch(br, p, r.part(part))
}

func (s *session) onBranch(br *txBranch, p *router.Plan, r *request) error {
	s.tx.last = br
	s.work.uses(br.Conn())
	defer s.work.leaves(br.Conn())
	if p.Program || p.Pin == router.PinUserVariable {
		br.Conn().Soil()
	}
	var lead []string
	if p.Program {
		lead = br.Mark()
	}
	if e := s.programLead(p, br.Conn(), &lead); e != nil {
		return s.fail(e)
	}
	if err := s.tx.begin(br, &s.state, r, p.Write, lead...); err != nil {
		return s.fail(s.unsent(br, err))
	}
	s.relayStatus()
	result, err := s.response(br.Conn(), p, r)
	if err != nil {
		return s.side(br.Conn(), err, func(cause error) *wire.Error { return s.lose(br, cause) })
	}
	s.opened(r, br.Conn(), result)
	s.ran(p, r, br.Conn(), result)
	if result.Err == nil {
		s.left(p, br.Conn())
	}
	return s.relayed(br, result)
}

// unsent returns the client's error for a statement that could not be sent on a branch. Only a server's refusal to prepare
// it leaves the transaction as it was.
func (s *session) unsent(br *txBranch, err error) *wire.Error {
	var refused refusedError
	if errors.As(err, &refused) && !endsTransaction(refused.said, br.Conn().Backend().Facts().RollbackOnTimeout) {
		return refused.said
	}
	return s.lose(br, err)
}

// relayed looks at what the client was told by a branch.
func (s *session) relayed(br *txBranch, result wire.Result) error {
	if result.Err == nil {
		return nil
	}
	s.failed = true
	if endsTransaction(result.Err, br.Conn().Backend().Facts().RollbackOnTimeout) {
		s.rollback(result.Err)
	}
	return nil
}

// borrow lends the session a connection for each part of a plan, until release.
func (s *session) borrow(p *router.Plan) (conns []*backend.Conn, release func(), err error) {
	conns = make([]*backend.Conn, 0, len(p.Parts))
	release = func() {
		for _, c := range conns {
			s.work.leaves(c)
			c.Put()
		}
	}
	for _, part := range p.Parts {
		conn, err := s.acquire(s.backend(p, part))
		if err != nil {
			return conns, release, err
		}
		s.work.uses(conn)
		conns = append(conns, conn)
	}
	return conns, release, nil
}

// spread sends each part of a plan to its backend outside of a transaction, and answers with what answer makes of what comes back.
func (s *session) spread(p *router.Plan, r *request, answer func(*router.Plan, *request, []*backend.Conn) error) error {
	conns, release, err := s.borrow(p)
	defer release()
	if err != nil {
		return s.fail(clientError(err, false))
	}
	run := func(lead ...string) error {
		errs := make([]error, len(conns))
		parallel(len(conns), func(i int) { errs[i] = r.share(p.Parts[i]).send(conns[i], &s.state, lead...) })
		for _, err := range errs {
			if err != nil {
				breakAll(conns)
				return s.fail(clientError(err, false))
			}
		}
		return answer(p, r, conns)
	}
	if s.nextTx != (characteristics{}) {
		return s.once(conns, func(lead string) error { return run(lead) })
	}
	return run()
}

// spreadInTx is spread on the branches of the transaction.
func (s *session) spreadInTx(p *router.Plan, r *request, answer func(*router.Plan, *request, []*txBranch) error) error {
	branches, err := s.branches(p)
	defer s.leave(branches)
	if err != nil {
		return s.fail(clientError(err, false))
	}
	s.tx.last = branches[len(branches)-1]
	errs := make([]error, len(branches))
	parallel(len(branches), func(i int) { errs[i] = s.tx.begin(branches[i], &s.state, r.share(p.Parts[i]), p.Write) })
	for i, err := range errs {
		if err != nil { // the others' answers are unread
			s.breakBranches(branches)
			return s.fail(s.lose(branches[i], err))
		}
	}
	return answer(p, r, branches)
}

// rows concatenates the rows that several connections answer.
func (s *session) rows(_ *router.Plan, _ *request, conns []*backend.Conn) error {
	s.relayStatus()
	for i, conn := range conns {
		result, err := s.relay.Concat(s.conn, conn.Conn, i == 0, i == len(conns)-1)
		if err != nil {
			breakAll(conns[i:])
			return s.side(conn, err, func(cause error) *wire.Error { return clientError(cause, false) })
		}
		s.added(conn, result)
		if result.Err != nil {
			s.failed = true
			breakAll(conns[i+1:])
			return nil
		}
	}
	return nil
}

func breakAll(conns []*backend.Conn) {
	for _, c := range conns {
		c.Break()
	}
}

// rowsInTx concatenates the rows of several branches. If one fails, the answers of those behind it are unread, so the
// transaction is rolled back.
func (s *session) rowsInTx(_ *router.Plan, _ *request, branches []*txBranch) error {
	s.relayStatus()
	for i, br := range branches {
		last := i == len(branches)-1
		result, err := s.relay.Concat(s.conn, br.Conn().Conn, i == 0, last)
		if err != nil {
			s.breakBranches(branches[i:])
			return s.side(br.Conn(), err, func(cause error) *wire.Error { return s.lose(br, cause) })
		}
		s.added(br.Conn(), result)
		if result.Err != nil && !last {
			s.failed = true
			s.breakBranches(branches[i+1:])
			s.rollback(errUnfinished)
			return nil
		}
		if result.Err != nil {
			return s.relayed(br, result)
		}
	}
	return nil
}

func (s *session) breakBranches(branches []*txBranch) {
	for _, br := range branches {
		br.Conn().Break()
	}
}

// branches returns the transaction's branches for the parts of a plan.
func (s *session) branches(p *router.Plan) ([]*txBranch, error) {
	branches := make([]*txBranch, 0, len(p.Parts))
	for _, part := range p.Parts {
		br, err := s.tx.branch(s.backend(p, part), s.acquire)
		if err != nil {
			return branches, err
		}
		s.work.uses(br.Conn())
		branches = append(branches, br)
	}
	return branches, nil
}

// leave notes that a statement has finished on its branches.
func (s *session) leave(branches []*txBranch) {
	for _, br := range branches {
		s.work.leaves(br.Conn())
	}
}

// statementSavepoint lets a statement that runs on several branches fail as a whole, as it does on one server: the
// branches where it succeeded go back to it.
const statementSavepoint = "`xaproxy statement`"

// writesInTx runs a statement on several branches and answers with the sum of their OK packets.
func (s *session) writesInTx(p *router.Plan, r *request) error {
	ok, e := s.writes(p, r, "SAVEPOINT "+statementSavepoint)
	if e != nil {
		return s.fail(e)
	}
	return s.ok(ok)
}

// atomic runs a statement on several backends outside of a transaction, in one of its own.
func (s *session) atomic(p *router.Plan, r *request) error {
	failed := s.startOwn(p)
	ok, e := s.writes(p, r)
	if e != nil {
		failed(e)
		return s.fail(e)
	}
	if e := s.commit(); e != nil {
		return s.fail(e)
	}
	s.track.over()
	return s.ok(ok)
}

// writes runs the parts of a statement on their branches in parallel, those of UPDATE and DELETE behind the first one: of two that change
// the same rows one waits for the other there, and not each for the other on two backends, which no server would notice. With a lead, a savepoint, a part that fails
// undoes the others; without one the caller rolls back. After an error s.tx is nil if the transaction is over.
func (s *session) writes(p *router.Plan, r *request, lead ...string) (wire.OK, *wire.Error) {
	branches, err := s.branches(p)
	defer s.leave(branches)
	if err != nil {
		return wire.OK{}, clientError(err, false)
	}
	oks := make([]wire.OK, len(branches))
	errs := make([]error, len(branches))
	started := make([]bool, len(branches))
	for _, br := range branches {
		s.tx.xa.Wrote(br.index)
	}
	part := func(i int) {
		if errs[i] = s.tx.begin(branches[i], &s.state, r.share(p.Parts[i]), false, lead...); errs[i] == nil {
			started[i] = true
			oks[i], errs[i] = branches[i].Conn().Result()
		}
	}
	if p.Records > 0 {
		parallel(len(branches), part)
	} else if part(0); errs[0] == nil {
		parallel(len(branches)-1, func(i int) { part(i + 1) })
	}
	s.tx.last = branches[0]
	if e := s.undo(branches, started, errs, len(lead) > 0, nil); e != nil {
		s.doubtColumns(e)
		return wire.OK{}, e
	}
	for _, ok := range oks {
		s.track.hears(ok)
	}
	ok := mergeOK(oks)
	if p.Records > 0 {
		ok.Info = insertInfo(p, oks)
	}
	conns := make([]*backend.Conn, len(branches))
	for i, br := range branches {
		conns[i] = br.Conn()
		s.collect(oks[i].Warnings, br.Conn())
	}
	if p.Sequence != "" {
		last := slices.IndexFunc(p.Parts, func(part router.Part) bool { return part.Backend == p.LastRow })
		if ok.InsertID = oks[last].InsertID; r.numbers.count > 0 {
			ok.InsertID = s.insertID(p, r, ok.InsertID, conns...)
		}
		s.past.rowCount = int64(ok.Affected)
		s.past.numbered(r.numbers, ok.InsertID)
	} else {
		s.past.merged(ok)
	}
	return ok, nil
}

// undo looks at how the parts of a statement ended. If one failed, or failed is given, it brings those that succeeded back to the
// savepoint, if there is one, and returns the client's error; s.tx is nil then if the transaction is over.
func (s *session) undo(branches []*txBranch, started []bool, errs []error, savepoint bool, failed *wire.Error) *wire.Error {
	for i, err := range errs {
		var said *wire.Error
		var refused refusedError
		switch {
		case err == nil:
		case errors.As(err, &refused) && failed == nil:
			failed = refused.said
		case errors.As(err, &refused):
		case !started[i] || !errors.As(err, &said) || endsTransaction(said, branches[i].Conn().Backend().Facts().RollbackOnTimeout):
			return s.lose(branches[i], err)
		default:
			branches[i].Conn().Warned(s)
			if failed == nil {
				failed = said
			}
		}
	}
	if failed == nil || !savepoint {
		return failed
	}
	for i, br := range branches {
		if errs[i] != nil || !started[i] {
			continue
		}
		if err := br.Conn().Exec("ROLLBACK TO SAVEPOINT " + statementSavepoint); err != nil {
			return s.lose(br, err)
		}
	}
	return failed
}
