package ddl

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/xaproxy/xaproxy/backend"
)

// Orders are what the operator knows of backends of which the definitions do not tell.
type Orders struct {
	Done []string // it has run there
	Run  []string // it has not
}

// Resume runs a statement where it is missing, and returns its record as it is then. left says what is in the way, by backend; an
// error that nothing was tried.
func (j *Journal) Resume(ctx context.Context, id uint64, o Orders) (r *Record, left map[string]string, err error) {
	run, err := j.take(ctx, id)
	if err != nil {
		return nil, nil, err
	}
	defer run.Close()
	for _, name := range slices.Concat(o.Done, o.Run) {
		if !slices.ContainsFunc(run.Parts, func(p Part) bool { return p.Backend == name }) {
			return nil, nil, fmt.Errorf("DDL %d has no part on backend %q", id, name)
		}
	}
	s := &resuming{Run: run, ctx: ctx, orders: o, left: map[string]string{}, conns: make([]*backend.Conn, len(run.Parts))}
	defer s.release()
	var unsure []int
	for i := range run.Parts {
		known, err := s.judge(i)
		if err != nil {
			s.left[run.Parts[i].Backend] = err.Error()
		} else if !known {
			unsure = append(unsure, i)
		}
	}
	if run.Of.Exclusive && len(s.left) > 0 {
		return run.Record, s.left, nil
	}
	s.Execute(s.conns, func(int) {})
	s.compare(unsure)
	for _, p := range run.Parts {
		if p.State == Failed && s.left[p.Backend] == "" {
			s.left[p.Backend] = fmt.Sprintf("%d (%s): %s", p.Errno, p.SQLState, p.Message)
		}
	}
	if run.all(Done) {
		err = run.Finish()
	}
	return run.Record, s.left, errors.Join(err, run.lost)
}

// Abandon closes a record as it is.
func (j *Journal) Abandon(ctx context.Context, id uint64) (*Record, error) {
	run, err := j.take(ctx, id)
	if err != nil {
		return nil, err
	}
	defer run.Close()
	run.mu.Lock()
	defer run.mu.Unlock()
	run.Outcome = AbandonedNow
	run.end()
	return run.Record, run.lost
}

// take locks the tables of an open record.
func (j *Journal) take(ctx context.Context, id uint64) (*Run, error) {
	c, err := j.open(ctx)
	if err != nil {
		return nil, err
	}
	run := &Run{j: j, conn: c}
	for _, step := range []func() error{
		func() error { return run.load(id) },
		func() error { return lock(c, run.Of.Objects, 0) },
		func() error { return run.load(id) }, // as it is now that nobody else changes it
	} {
		if err := step(); err != nil {
			run.Close()
			return nil, err
		}
	}
	return run, nil
}

func (r *Run) load(id uint64) error {
	all, err := read(r.conn, fmt.Sprintf("id = %d", id))
	switch {
	case err != nil && !absent(err):
		return err
	case len(all) == 0:
		return fmt.Errorf("there is no DDL %d on backend %s", id, r.j.Home().Name())
	case all[0].Outcome != Open:
		return fmt.Errorf("DDL %d has ended already: %s", id, all[0].Outcome)
	}
	r.Record = all[0]
	return nil
}

// resuming is a Resume under way.
type resuming struct {
	*Run
	ctx    context.Context
	orders Orders
	left   map[string]string
	conns  []*backend.Conn // of the parts that are to run
}

func (s *resuming) release() {
	for _, c := range s.conns {
		if c != nil {
			c.End()
		}
	}
}

// judge finds out what a part needs, and gives it a connection if it is to run. known is false if definitions must be compared.
func (s *resuming) judge(i int) (known bool, err error) {
	p := &s.Parts[i]
	b := s.j.Backend(p.Backend)
	switch {
	case p.State == Done && !s.Of.Exclusive: // copies that were emptied one after the other would differ
		return true, nil
	case slices.Contains(s.orders.Done, p.Backend):
		s.done(i)
		return true, nil
	case b == nil:
		return true, fmt.Errorf("there is no such backend in the configuration")
	}
	if p.State == Running {
		if busy, err := executes(s.ctx, b, p.Connection); err != nil {
			return true, err
		} else if busy {
			return true, fmt.Errorf("it still runs there, on connection %d: wait for it, or KILL it", p.Connection)
		}
	}
	if p.State == Running && !s.Of.Again && !slices.Contains(s.orders.Run, p.Backend) {
		now, err := Snapshot(s.ctx, b, s.Of.Objects)
		if err != nil {
			return true, err
		}
		gone := !slices.ContainsFunc(now, func(definition string) bool { return definition != "" })
		switch {
		case gone && strings.HasPrefix(s.Of.What, "DROP ") && s.Of.What != "DROP INDEX":
			s.done(i)
			return true, nil
		case s.Of.Blind || !slices.Equal(now, p.Before):
			return false, nil
		}
	}
	s.conns[i], err = b.Alone(s.ctx, &s.Session)
	return true, err
}

func (s *resuming) done(i int) {
	s.note(i, func(p *Part) {
		p.State, p.Ended = Done, time.Now()
		p.Errno, p.SQLState, p.Message = 0, "", ""
	})
}

// compare looks whether backends of which nobody knows have what one has that is done; or, if there is none, whether all of them have
// the same, which is not what they had.
func (s *resuming) compare(unsure []int) {
	if len(unsure) == 0 {
		return
	}
	of := slices.IndexFunc(s.Parts, func(p Part) bool { return p.State == Done })
	if of < 0 && len(unsure) == len(s.Parts) && len(unsure) > 1 {
		of = unsure[0]
	}
	same := of >= 0 && !s.Of.Blind && !slices.ContainsFunc(s.Parts, func(p Part) bool { return p.SQL != nil })
	for _, i := range unsure {
		p := s.Parts[i]
		why := "its definitions are not what they were before, and not told to be those of a backend where it is done"
		if same {
			differences, err := Differences(s.ctx, s.Of.Objects, []*backend.Backend{s.j.Backend(s.Parts[of].Backend), s.j.Backend(p.Backend)})
			switch {
			case err != nil:
				why = err.Error()
			case len(differences) == 0:
				why = ""
			default:
				all := make([]string, len(differences))
				for i, d := range differences {
					all[i] = d.String()
				}
				why = strings.Join(all, "; ")
			}
		}
		if why != "" {
			s.left[p.Backend] = fmt.Sprintf("nobody knows whether it has run there (%s); look, and then say --done %s or --run %s", why, p.Backend, p.Backend)
		}
	}
	if len(s.left) > 0 && (of < 0 || s.Parts[of].State != Done) { // then none of them proves anything
		for _, i := range unsure {
			name := s.Parts[i].Backend
			s.left[name] = fmt.Sprintf("nobody knows whether it has run there; look, and then say --done %s or --run %s", name, name)
		}
		return
	}
	for _, i := range unsure {
		if s.left[s.Parts[i].Backend] == "" {
			s.done(i)
		}
	}
}

// executes reports whether a connection of the server runs a statement.
func executes(ctx context.Context, b *backend.Backend, connection uint64) (busy bool, err error) {
	err = b.Apart(ctx, func(c *backend.Conn) error {
		rows, err := c.Query(fmt.Sprintf("SELECT 1 FROM information_schema.processlist WHERE id = %d AND command <> 'Sleep'", connection))
		busy = len(rows.Values) > 0
		return err
	})
	return busy, err
}
