package proxy

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/xaproxy/xaproxy/backend"
	"github.com/xaproxy/xaproxy/router"
	"github.com/xaproxy/xaproxy/wire"
)

// copy chooses the backend, of those that can answer, for a statement that reads broadcast tables only: where the session is
// anyway, so that a transaction sees what it has written and has no more branches than it needs. PostgreSQL does not understand all
// statements, so it is only asked if nobody else can be.
func (s *session) copy(p *router.Plan) int {
	if b := s.pinned(); b != nil && slices.Contains(p.Copies, b.Index) {
		return b.Index
	}
	on := p.Copies
	if i := slices.IndexFunc(on, func(b int) bool { return s.gen.backends[b].Translates() }); i > 0 { // they are the last
		on = on[:i]
	}
	if s.tx != nil {
		if last := s.tx.last; last != nil && slices.Contains(on, last.Conn().Backend().Index) {
			return last.Conn().Backend().Index
		}
		for _, index := range on {
			if _, open := s.tx.branches[index]; open {
				return index
			}
		}
	}
	if b := s.gen.home(s.state.Schema); slices.Contains(on, b.Index) {
		return b.Index
	}
	return on[0]
}

// copies runs a statement on all backends that have a copy of the broadcast tables that it changes, in the client's transaction or
// in one of its own, and answers as one of them.
func (s *session) copies(p *router.Plan, r *request) error {
	own := s.tx == nil
	var lead []string
	var failed func(*wire.Error)
	if own {
		failed = s.startOwn(p)
	} else {
		lead = []string{"SAVEPOINT " + statementSavepoint}
	}
	ok, e := s.copyOut(p, r, lead)
	switch {
	case e == nil && own:
		e = s.commit()
	case own:
		failed(e)
	}
	if e != nil {
		return s.fail(e)
	}
	if s.track.hears(ok); own {
		s.track.over()
	}
	ok.Status &^= wire.StatusInTrans | wire.StatusAutocommit // the branch's
	return s.ok(ok)
}

// copyOut runs the parts of a statement that must do the same on each backend: the first one alone, so that its row locks bring
// everybody who changes the same rows into one order, then the others at once. What a server adds of its own, the time and the ids
// of AUTO_INCREMENT, they get from the first. After an error s.tx is nil if the transaction is over.
func (s *session) copyOut(p *router.Plan, r *request, lead []string) (wire.OK, *wire.Error) {
	if e := s.alike(p); e != nil {
		return wire.OK{}, e
	}
	if _, err := s.lastInsertID(s.mine); err != nil { // it may be asked of a connection that is about to forget it
		return wire.OK{}, clientError(err, false)
	}
	branches, err := s.branches(p)
	defer s.leave(branches)
	if err != nil {
		return wire.OK{}, clientError(err, false)
	}
	c := copying{session: s, branches: branches, savepoint: len(lead) > 0, oks: make([]wire.OK, len(branches)), errs: make([]error, len(branches)), started: make([]bool, len(branches))}
	if sql := find(s.variables, "timestamp").sql; sql == "" || sql == freeTime {
		now := time.Now()
		lead = append(lead, fmt.Sprintf("SET timestamp = %d.%06d", now.Unix(), now.Nanosecond()/1000))
		c.timed = true
	}
	var all []*backend.Backend
	for _, br := range branches {
		all = append(all, br.Conn().Backend())
	}
	for _, b := range all {
		c.cuts = append(c.cuts, b.Cuts(all, find(s.variables, "sql_mode").literal))
	}
	s.tx.last = branches[0]
	return c.run(p, r, lead)
}

// alike says why backends would not do the same: what is read or converted depends on their settings.
func (s *session) alike(p *router.Plan) *wire.Error {
	first := s.gen.backends[p.Parts[0].Backend]
	have := first.Facts()
	for _, part := range p.Parts[1:] {
		b := s.gen.backends[part.Backend]
		also := b.Facts()
		if have.Version == "" || also.Version == "" {
			continue // it was never there, and cannot be written
		}
		for _, setting := range have.Differ(also) {
			if find(s.variables, setting.Name).sql == "" {
				return wire.NewError(wire.CodeNotSupported, "backends %s and %s have a broadcast table and another %s, '%s' and '%s', so their copies would differ; make them the same, or SET it",
					first.Name(), b.Name(), setting.Name, setting.One, setting.Other)
			}
		}
	}
	if p.Mixed.Name != "" {
		return s.gen.defined.alike(s.ctx(), p.Mixed, s.gen.backends, p.Parts)
	}
	return nil
}

// copying is a statement on all copies of a broadcast table as it runs.
type copying struct {
	*session
	branches  []*txBranch
	oks       []wire.OK
	errs      []error
	started   []bool
	savepoint bool
	cuts      []bool // the connection has to be told to round fractions of a second
	timed     bool   // the connections have the time of the statement
	turn      bool   // the first connection has the lock of takeTurn
}

func (c *copying) run(p *router.Plan, r *request, lead []string) (wire.OK, *wire.Error) {
	part := func(i int) {
		lead := append(slices.Clone(lead), c.branches[i].Conn().Backend().ChangingCopy(i == 0))
		if c.cuts[i] {
			lead = append(lead, backend.RoundFractions)
		}
		if c.errs[i] = c.tx.begin(c.branches[i], &c.state, r.share(p.Parts[i]), false, lead...); c.errs[i] == nil {
			c.started[i] = true
			c.oks[i], c.errs[i] = c.branches[i].Conn().Result()
		}
	}
	c.tx.xa.Wrote(c.branches[0].index)
	if part(0); c.errs[0] != nil {
		return wire.OK{}, c.settle(nil)
	}
	ok := c.oks[0]
	c.collect(ok.Warnings, c.branches[0].Conn())
	var ids generated
	if p.Inserts && !c.branches[0].Conn().Backend().Translates() { // PostgreSQL lets one writer in at a time
		var said *wire.Error
		if c.errs[0] = c.takeTurn(); errors.As(c.errs[0], &said) {
			c.errs[0] = nil // the statement itself has succeeded there
			return wire.OK{}, c.settle(said)
		}
	}
	if c.errs[0] == nil {
		ids, c.errs[0] = c.ids(0)
	}
	if c.errs[0] == nil && ids.first != 0 {
		if p.Unordered {
			return wire.OK{}, c.settle(unordered)
		}
		lead = append(lead, "SET insert_id = "+strconv.FormatUint(ids.first, 10))
	}
	if c.errs[0] == nil {
		for _, br := range c.branches[1:] { // not before: a branch that has not begun cannot be prepared
			c.tx.xa.Wrote(br.index)
		}
		parallel(len(c.branches)-1, func(i int) {
			if part(i + 1); c.errs[i+1] == nil {
				c.errs[i+1] = c.compare(i+1, ids)
			} else if ids.first != 0 {
				c.spoiled(i + 1)
			}
		})
	}
	var failed *wire.Error
	for i, err := range c.errs {
		if differ := (differError{}); errors.As(err, &differ) {
			failed, c.errs[i] = wire.NewError(wire.CodeUnknown, "%s; nothing was changed", differ.how), nil
		}
	}
	if e := c.settle(failed); e != nil {
		return wire.OK{}, e
	}
	c.past.rowCount = int64(ok.Affected)
	if ids.first != 0 {
		c.past.inserted(ids.first)
	}
	return ok, nil
}

var unordered = wire.NewError(wire.CodeNotSupported,
	"the rows of a query come in no certain order, so that each copy of the broadcast table could give them other AUTO_INCREMENT values; nothing was changed; read the rows and insert literals")

// turnLock is a lock of GET_LOCK on the first backend.
const turnLock = "'xaproxy copies'"

// takeTurn waits until nobody else inserts into copies behind the first one. Rows that meet on none of their keys do not wait for each
// other there, so that the others may get them in any order, and ON DUPLICATE KEY UPDATE takes a new AUTO_INCREMENT value before it
// finds its row: on another backend that value may by then be the one that a row came with, and that row would be changed.
func (c *copying) takeTurn() error {
	conn := c.branches[0].Conn()
	rows, err := conn.Query("SELECT GET_LOCK(" + turnLock + ", @@innodb_lock_wait_timeout)")
	if err != nil {
		return fmt.Errorf("backend %s: wait for other statements that insert into copies: %w", conn.Backend().Name(), err)
	}
	if c.turn = len(rows.Values) == 1 && len(rows.Values[0]) == 1 && string(rows.Values[0][0]) == "1"; !c.turn {
		return wire.NewError(wire.CodeLockWait, "Lock wait timeout exceeded; try restarting transaction")
	}
	return nil
}

// spoiled says what becomes of an INSERT with ids that has failed on the i-th connection: insert_id may be there still, for the next one.
func (c *copying) spoiled(i int) {
	conn := c.branches[i].Conn()
	if conn.Backend().Translates() { // insert_id is of one statement there
		return
	}
	conn.Break()
	var said *wire.Error
	if errors.As(c.errs[i], &said) && endsTransaction(said, conn.Backend().Facts().RollbackOnTimeout) {
		return
	}
	c.errs[i] = fmt.Errorf("backend %s: %v", conn.Backend().Name(), c.errs[i])
}

// settle gives the connections their own time and sql_mode back, ends the turn, and undoes the statement if it has failed, be it only in the proxy's
// eyes.
func (c *copying) settle(failed *wire.Error) *wire.Error {
	parallel(len(c.branches), func(i int) {
		conn := c.branches[i].Conn()
		if !c.started[i] || conn.Broken() {
			return
		}
		var ends []string
		if c.cuts[i] {
			ends = append(ends, backend.CutFractions)
		}
		if c.timed {
			ends = append(ends, freeTime)
		}
		if c.turn && i == 0 {
			ends = append(ends, "DO RELEASE_LOCK("+turnLock+")")
		}
		if ends == nil {
			return
		}
		if _, err := conn.Batch(maxEnd, ends...); err != nil {
			c.errs[i] = fmt.Errorf("backend %s: end the statement: %v", conn.Backend().Name(), err)
		}
	})
	return c.undo(c.branches, c.started, c.errs, c.savepoint, failed)
}

// maxEnd bounds an answer to what ends a statement, in bytes.
const maxEnd = 1 << 10

// generated is what a connection knows of the ids that the statement gave its rows.
type generated struct{ first, step uint64 }

// ids asks the i-th connection, if there can be any.
func (c *copying) ids(i int) (g generated, err error) {
	if c.oks[i].InsertID == 0 {
		return g, nil
	}
	conn := c.branches[i].Conn()
	rows, err := conn.Query("SELECT LAST_INSERT_ID(), @@auto_increment_increment")
	if err != nil { // a server's answer, too, leaves the statement done
		return g, fmt.Errorf("backend %s: ask for its ids: %v", conn.Backend().Name(), err)
	}
	if len(rows.Values) != 1 || len(rows.Values[0]) != 2 {
		return g, fmt.Errorf("backend %s: unexpected answer to a question about ids", conn.Backend().Name())
	}
	if g.first, err = strconv.ParseUint(string(rows.Values[0][0]), 10, 64); err != nil || g.first == 0 {
		return g, err
	}
	g.step, err = strconv.ParseUint(string(rows.Values[0][1]), 10, 64)
	return g, err
}

// compare says how the i-th part differs from the first.
func (c *copying) compare(i int, of generated) error {
	ok, conn := c.oks[i], c.branches[i].Conn()
	ids, err := c.ids(i)
	if err != nil {
		return err
	}
	what := fmt.Sprintf("the copies of a broadcast table differ between backends %s and %s: ", c.branches[0].Conn().Backend().Name(), conn.Backend().Name())
	// A transaction that is committing meanwhile may be through on one backend and not on the other.
	const do = "; try again, and if it stays so, compare the table on both, its definition and its triggers"
	switch {
	case ids != of:
		how := fmt.Sprintf("%sAUTO_INCREMENT gives %d in steps of %d on the first and %d in steps of %d on the second%s", what, of.first, of.step, ids.first, ids.step, do)
		if conn.Backend().Translates() {
			return differError{how}
		}
		conn.Break() // insert_id may be there still
		return errors.New(how)
	case ok.Affected != c.oks[0].Affected:
		return differError{fmt.Sprintf("%s%d rows are affected on the first and %d on the second%s", what, c.oks[0].Affected, ok.Affected, do)}
	}
	return nil
}

// differError says that a statement has not done the same on two backends.
type differError struct{ how string }

func (e differError) Error() string { return e.how }
