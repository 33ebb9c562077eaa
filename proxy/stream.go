package proxy

import (
	"errors"
	"math"

	"github.com/xaproxy/xaproxy/backend"
	"github.com/xaproxy/xaproxy/gather"
	"github.com/xaproxy/xaproxy/router"
	"github.com/xaproxy/xaproxy/wire"
)

// errReplan is returned for a statement that was not answered, because its plan has learnt that another one is needed.
var errReplan = errors.New("the plan has changed")

// replan carries out a statement that plan plans, and plans it anew if need be.
func (s *session) replan(p *router.Plan, r *request, plan func() (*router.Plan, error)) error {
	err := s.carryOut(p, r)
	for tries := 0; errors.Is(err, errReplan) && tries < maxReplans; tries++ {
		var e error
		if p, e = plan(); e != nil {
			return s.fail(clientError(e, false))
		}
		err = s.carryOut(p, r)
	}
	if errors.Is(err, errReplan) {
		return s.fail(wire.NewError(wire.CodeUnknown, "the columns of the statement change all the time"))
	}
	return err
}

// maxReplans is how often a plan may learn something from one statement: once for each key, and for what other sessions change.
const maxReplans = 64

// small is how much of an answer that nobody wants is read, in bytes, rather than closing the connection.
const small = 256 << 10

// stream merges the rows that several connections answer.
func (s *session) stream(p *router.Plan, r *request, conns []*backend.Conn) error {
	var a gather.Answer
	e, err := s.merge(&a, p, r, conns)
	for i, c := range conns {
		if !c.Answered() && !c.Broken() {
			var said *wire.Error
			if err := gather.Drain(c.Conn, a.Readers[i], small); err != nil && !errors.As(err, &said) {
				c.Break()
			}
		}
	}
	if e != nil {
		return s.fail(e)
	}
	return err
}

// streamInTx merges the rows of several branches. Whatever the client does not get of them is read to its end, so that the transaction
// can go on.
func (s *session) streamInTx(p *router.Plan, r *request, branches []*txBranch) error {
	conns := make([]*backend.Conn, len(branches))
	for i, br := range branches {
		conns[i] = br.Conn()
	}
	var a gather.Answer
	e, err := s.merge(&a, p, r, conns)
	if err != nil && !errors.Is(err, errReplan) {
		s.breakBranches(branches)
		return err
	}
	for i, br := range branches {
		var failed error
		switch {
		case br.Conn().Broken():
			failed = wire.ErrShape
		case !br.Conn().Answered():
			failed = gather.Drain(br.Conn().Conn, a.Readers[i], math.MaxInt)
		}
		var said *wire.Error
		switch {
		case failed == nil || errors.As(failed, &said) && !endsTransaction(said, br.Conn().Backend().Facts().RollbackOnTimeout):
			continue
		case said == nil:
			br.Conn().Break()
		}
		return s.fail(s.lose(br, failed)) // whatever another branch said: the transaction is over
	}
	if e == nil {
		return err
	}
	if br := branches[a.Failed]; endsTransaction(e, br.Conn().Backend().Facts().RollbackOnTimeout) {
		s.rollback(e)
	}
	return s.fail(e)
}

// merge answers the client with the merge of what the connections answer, or returns the error to answer with. Answers may be left
// unread; connections that failed are broken.
func (s *session) merge(a *gather.Answer, p *router.Plan, r *request, conns []*backend.Conn) (*wire.Error, error) {
	s.relayStatus()
	wires := make([]*wire.Conn, len(conns))
	for i, c := range conns {
		wires[i] = c.Conn
	}
	err := a.Merge(s.conn, wires, p.Stream, r.bound != nil, s.relay.SetStatus)
	var unfit *gather.Unfit
	var failed *gather.BackendError
	var said *wire.Error
	if errors.As(err, &failed) {
		a.Failed = failed.I
	}
	switch {
	case err == nil:
		return s.merged(a, p, conns)
	case errors.As(err, &unfit):
		p.Stream.Learn(unfit.I, unfit.Form)
		return nil, errReplan
	case errors.As(err, &said):
		return said, nil
	case failed != nil:
		return clientError(conns[failed.I].Lost(failed.Err), false), nil
	case errors.Is(err, gather.ErrMerge), errors.Is(err, wire.ErrShape):
		return wire.NewError(wire.CodeUnknown, "the answers of the backends cannot be merged: %v", err), nil
	}
	return nil, err
}

// merged ends the rows for the client.
func (s *session) merged(a *gather.Answer, p *router.Plan, conns []*backend.Conn) (*wire.Error, error) {
	s.past.rowCount, s.past.foundRows = -1, a.Rows
	var end wire.OK
	for i, c := range conns {
		if c.Answered() {
			end.Status |= a.Readers[i].End.Status
			s.track.hears(a.Readers[i].End)
			s.collect(a.Readers[i].End.Warnings, c)
		}
	}
	if p.Stream.Ambiguous {
		for _, line := range s.past.lines {
			if len(line) == 3 && string(line[1]) == "1052" {
				return wire.NewError(wire.CodeNotSupported, "%s, and across backends only groups by the alias are supported; give it another name", line[2]), nil
			}
		}
	}
	return nil, s.endRows(end)
}
