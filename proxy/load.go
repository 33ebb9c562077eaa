package proxy

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/xaproxy/xaproxy/backend"
	"github.com/xaproxy/xaproxy/router"
	"github.com/xaproxy/xaproxy/wire"
)

// load runs LOAD DATA LOCAL into a sharded table. All of its backends run the client's statement and ask for its file; the
// client is asked once, and each line goes to the backend of its shard key. Whatever fails, it is all or nothing: in a
// transaction the branches go back to where they were, outside of one the statement has a transaction of its own.
//
// Memory is flat: there is one line of the file, and for each backend what is sent at a time. A backend that does not read,
// because it waits for a lock or is busy, makes the client wait; so do the others, which must not take that for a client that
// is gone: see loadPart.start. What waits for each other across backends ends by their lock timeouts, as with other statements.
func (s *session) load(p *router.Plan, r *request) error {
	own := s.tx == nil && s.autocommit
	var failed func(*wire.Error)
	switch {
	case own:
		failed = s.startOwn(p)
	case s.tx == nil:
		s.start()
	}
	s.last = lastStatement{}
	var lead []string
	if !own {
		lead = []string{"SAVEPOINT " + statementSavepoint}
	}
	l := &loading{session: s, load: p.Load, at: make(map[int]*loadPart)}
	ok, e, err := l.run(p, r, lead)
	switch {
	case err != nil:
		return err // the transaction ends with the session
	case e == nil && own:
		e = s.commit()
		s.track.over()
	case own:
		failed(e)
	}
	if e != nil {
		return s.fail(e)
	}
	return s.ok(ok)
}

// loading is a LOAD DATA LOCAL into a sharded table as it runs.
type loading struct {
	*session
	load     *router.Load
	parts    []*loadPart
	at       map[int]*loadPart // the same by backend
	latest   *loadPart         // that got a line last
	failed   *wire.Error
	patience time.Duration // how long the backends would let the client be silent
}

// run carries out the statement, after lead. The first error is the client's answer and leaves s.tx as writes does; with the second
// the session cannot go on.
func (l *loading) run(p *router.Plan, r *request, lead []string) (wire.OK, *wire.Error, error) {
	branches, err := l.branches(p)
	defer l.leave(branches)
	if err != nil {
		return wire.OK{}, clientError(err, false), nil
	}
	for i, br := range branches {
		l.tx.xa.Wrote(br.index)
		part := &loadPart{txBranch: br, request: *r}
		if br.Conn().Backend().Translates() {
			part.numbers = &lineNumbers{}
		}
		l.parts = append(l.parts, part)
		l.at[p.Parts[i].Backend] = part
	}
	l.tx.last = branches[0]
	parallel(len(l.parts), func(i int) { l.parts[i].start(l.tx, &l.state, l.load, lead) })
	if l.ready() {
		err = l.spread()
	}
	if err != nil {
		for _, part := range l.parts {
			part.abort()
		}
		return wire.OK{}, nil, l.unreadable(err)
	}
	parallel(len(l.parts), func(i int) { l.parts[i].finish(l.failed == nil) })
	ok, e := l.settle(len(lead) > 0)
	return ok, e, nil
}

// ready reports whether all backends wait for the file.
func (l *loading) ready() bool {
	for _, part := range l.parts {
		if part.err != nil {
			return false
		}
		l.patience = max(l.patience, part.readTimeout)
	}
	if !l.conn.Caps().Has(wire.LocalFiles) { // they have no reason to ask
		l.failed = &wire.Error{
			Errno: 3948, State: "42000", Message: "Loading local data is disabled; this must be enabled on both the client and server sides",
		}
	}
	return l.failed == nil
}

// spread asks the client for its file and sends the lines to where they belong. When that can no longer succeed, the rest of the
// file is read and dropped. An error is one of the client's connection.
func (l *loading) spread() error {
	l.conn.SetPatience(min(l.patience, l.session.patience()))
	defer func() {
		l.conn.SetPatience(l.session.patience())
		l.armed = time.Time{} // the connection's deadline has moved
	}()
	file, err := l.conn.RequestFile(l.load.File)
	if err != nil {
		return err
	}
	cutter, limit := l.load.Cutter(), int(l.gen.cfg.Server.MaxPacket)
	var unread []byte
	for last := false; !last; {
		chunk, err := file.Next()
		if err != nil {
			return err
		}
		last = len(chunk) == 0
		if l.failed != nil {
			continue
		}
		unread = append(unread, chunk...)
		n := 0
		for l.failed == nil {
			piece, ok := cutter.Next(unread[n:], last)
			if !ok {
				break
			}
			n += piece.Size
			l.send(piece)
		}
		if n > 0 {
			unread = append(unread[:0], unread[n:]...)
		}
		if len(unread) > limit && l.failed == nil {
			l.failed = wire.NewError(wire.CodePacketTooLarge,
				"line %d of the file is longer than max_packet = %d bytes; nothing was loaded; correct the file, its separators, or raise max_packet", cutter.Lines(), limit)
		}
		if l.failed != nil {
			unread = nil
			parallel(len(l.parts), func(i int) { l.parts[i].finish(false) }) // they need not wait for the client
		}
	}
	return nil
}

// send sends a piece of the file to where it belongs.
func (l *loading) send(piece router.Piece) {
	switch piece.For {
	case router.ForAll:
		for _, part := range l.parts {
			l.write(part, piece.Text)
		}
	case router.ForKey:
		at, err := l.load.Place(piece)
		if err != nil {
			l.failed = clientError(err, false)
			return
		}
		l.latest = l.at[at]
		l.latest.lines++
		if l.latest.numbers != nil {
			l.latest.numbers.add(piece.Line)
		}
		l.write(l.latest, piece.Text)
	}
}

func (l *loading) write(part *loadPart, text []byte) {
	if part.write(text); part.err != nil {
		l.failed = clientError(part.err, false)
	}
}

// settle looks at how the parts ended. Those that succeeded go back to the savepoint if another did not.
func (l *loading) settle(savepoint bool) (wire.OK, *wire.Error) {
	failed := l.failed
	oks := make([]wire.OK, len(l.parts))
	for i, part := range l.parts {
		if part.numbers != nil {
			part.err = part.numbers.placed(part.err, l.load.Ignore)
		}
		var said *wire.Error
		switch {
		case part.err == nil:
		case part.Conn().Broken(), !errors.As(part.err, &said), endsTransaction(said, part.Conn().Backend().Facts().RollbackOnTimeout):
			return wire.OK{}, l.lose(part.txBranch, part.err)
		case failed == nil:
			failed = said
		}
		oks[i] = part.ok
	}
	for _, part := range l.parts {
		if records, lines := part.records(), part.lines; failed == nil && records != lines {
			failed = wire.NewError(wire.CodeUnknown, "backend %s read %d rows in %d lines of the file; nothing was loaded: the file may not be in the character set that it is read in, or a view refuses rows",
				part.Conn().Backend().Name(), records, lines)
		}
	}
	ok := mergeOK(oks)
	if failed == nil {
		l.past.merged(ok)
		for _, part := range l.parts { // the savepoint clears them
			l.collect(part.ok.Warnings, part.Conn())
		}
	}
	if savepoint {
		errs := make([]error, len(l.parts))
		parallel(len(l.parts), func(i int) { errs[i] = l.parts[i].restore(failed != nil) })
		for i, err := range errs {
			if err != nil {
				return wire.OK{}, l.lose(l.parts[i].txBranch, err)
			}
		}
	}
	if failed != nil {
		return wire.OK{}, failed
	}
	if i := slices.IndexFunc(oks, func(o wire.OK) bool { return o.Warnings > 0 }); i >= 0 {
		l.tx.last = l.parts[i].txBranch // SHOW WARNINGS asks it
	}
	if l.latest != nil && len(l.load.Assigns) > 0 {
		l.keep(l.latest.Conn())
	}
	return ok, nil
}

// keep pins the session to the connection that got the last line: it has what the user variables are on a single server. Those
// that it had pinned for them before may be free now.
func (l *loading) keep(conn *backend.Conn) {
	l.hold(conn, router.PinUserVariable.String())
	l.assigned(l.load.Assigns, conn)
	l.freeVariables()
}

// unreadable ends the session after its client could not be read amid its file.
func (l *loading) unreadable(err error) error {
	l.srv.mu.Lock()
	closing := l.srv.closing
	l.srv.mu.Unlock()
	if errors.Is(err, os.ErrDeadlineExceeded) && !closing {
		err = fmt.Errorf("%w: %w", &wire.Error{Errno: 1159, State: "08S01", Message: "Got timeout reading communication packets"}, err)
	}
	return l.session.unreadable(err)
}
