package proxy

import (
	"errors"

	"github.com/xaproxy/xaproxy/router"
	"github.com/xaproxy/xaproxy/wire"
)

// byLookup asks a lookup table where the rows of a statement are, and runs the statement there. An UPDATE or DELETE has what it was told
// locked until it is committed.
func (s *session) byLookup(p *router.Plan, r *request) error {
	if p.Lookup.Changes && s.tx == nil {
		failed := s.startOwn(p)
		ok, e := s.changeFound(p, r)
		if e != nil {
			failed(e)
		} else if e = s.commit(); e == nil {
			s.track.over()
			return s.ok(ok)
		}
		s.doubtColumns(e)
		return s.fail(e)
	}
	rows, e := s.found(p, r)
	if e != nil {
		return s.fail(e)
	}
	for range maxReplans {
		next, e := s.then(p, rows)
		if e != nil {
			return s.fail(e)
		}
		if r.bound != nil && len(next.Parts) != 1 {
			r.bound.execute.Flags = 0 // as for any statement of several backends
		}
		if err := s.route(next, r); !errors.Is(err, errReplan) {
			return err
		}
	}
	return s.fail(wire.NewError(wire.CodeUnknown, "the columns of the statement change all the time"))
}

// changeFound is an UPDATE or DELETE in a transaction of its own.
func (s *session) changeFound(p *router.Plan, r *request) (wire.OK, *wire.Error) {
	rows, e := s.found(p, r)
	if e != nil {
		return wire.OK{}, e
	}
	next, e := s.then(p, rows)
	switch {
	case e != nil:
		return wire.OK{}, e
	case next.Change == nil:
		return s.writes(next, r)
	}
	return s.changeRows(next, r, nil)
}

// then is the plan of the statement, if the user may run it.
func (s *session) then(p *router.Plan, rows [][][]byte) (*router.Plan, *wire.Error) {
	next, err := p.Lookup.Then(rows)
	if err != nil {
		return nil, clientError(err, false)
	}
	return next, s.forbidden(next)
}

// found asks the lookup table. In a transaction it is asked there; after an error that may be over.
func (s *session) found(p *router.Plan, r *request) (all [][][]byte, _ *wire.Error) {
	for _, part := range p.Lookup.Ask {
		one := r.share(part)
		if one.bound != nil {
			one.bound.execute.Flags = 0 // no cursor: the rows are not the client's
		}
		note := func(values [][]byte) { all = append(all, values) }
		b := s.gen.backends[part.Backend]
		if s.tx == nil {
			conn, err := s.acquire(b)
			if err != nil {
				return nil, clientError(err, false)
			}
			s.work.uses(conn)
			if err = one.send(conn, &s.state); err == nil {
				err = texts(conn, p.Lookup.Key, one.bound != nil, note)
			}
			s.work.leaves(conn)
			conn.Put()
			if err != nil {
				return nil, clientError(err, false)
			}
			continue
		}
		br, err := s.tx.branch(b, s.acquire)
		if err != nil {
			return nil, clientError(err, false)
		}
		s.work.uses(br.Conn())
		started := []bool{false}
		if err = s.tx.begin(br, &s.state, one, p.Write); err == nil {
			started[0] = true
			err = texts(br.Conn(), p.Lookup.Key, one.bound != nil, note)
		}
		s.leave([]*txBranch{br})
		if e := s.undo([]*txBranch{br}, started, []error{err}, false, nil); e != nil {
			return nil, e
		}
	}
	return all, nil
}
