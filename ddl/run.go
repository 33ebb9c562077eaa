package ddl

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/xaproxy/xaproxy/backend"
	"github.com/xaproxy/xaproxy/router"
	"github.com/xaproxy/xaproxy/wire"
)

const (
	// lockSeconds is how long a statement waits for others about the same tables, as for a row on a server.
	lockSeconds = 50
	// exclusiveSeconds is how long it waits until nobody writes to a broadcast table: it may be in the way of who waits for it.
	exclusiveSeconds = 10
	// maxAnswer bounds the answer of one backend, in bytes.
	maxAnswer = 1 << 20
)

// Share is a part of a statement before it is recorded.
type Share struct {
	Backend *backend.Backend
	SQL     []byte // nil: the statement as it is
}

// Run is a statement whose tables are locked. It must be closed.
type Run struct {
	*Record
	j *Journal

	mu   sync.Mutex    // protects conn, and what Record has of Parts
	conn *backend.Conn // has the locks
	lost error         // why the journal could not be written
}

// Begin locks the tables of a statement and writes its record. Errors are *wire.Error or say which backend could not be reached;
// nothing has run then. using is told the connection on which it waits, until done.
func (j *Journal) Begin(ctx context.Context, r *Record, shares []Share, using func(*backend.Conn) (done func())) (*Run, error) {
	c, err := j.open(ctx)
	if err != nil {
		return nil, err
	}
	run := &Run{Record: r, j: j, conn: c}
	done := using(c)
	err = run.begin(ctx, shares)
	if done(); err != nil {
		run.Close()
		return nil, err
	}
	j.log.Info().Uint64("ddl", r.ID).Str("what", r.Of.What).Strs("objects", r.Objects).Int("backends", len(r.Parts)).Msg("ddl begins")
	return run, nil
}

func (r *Run) begin(ctx context.Context, shares []Share) error {
	if err := lock(r.conn, r.Of.Objects, lockSeconds); err != nil {
		return err
	}
	open, err := read(r.conn, "outcome = ''")
	if absent(err) {
		err = r.j.create(r.conn)
	}
	if err != nil {
		return r.j.explain(err)
	}
	for _, other := range open {
		if o, found := overlap(r.Of.Objects, other.Of.Objects); found {
			return wire.NewError(wire.CodeNotSupported, "DDL %d about %s is unfinished on %s; run xaproxy ddl resume %d first, or see xaproxy ddl status", other.ID, Name(o), other.on(Pending, Running, Failed), other.ID)
		}
	}
	r.Created = time.Now().Truncate(time.Microsecond)
	for _, o := range r.Of.Objects {
		r.Objects = append(r.Objects, Name(o))
	}
	r.Parts = make([]Part, len(shares))
	errs := make([]error, len(shares))
	each(len(shares), func(i int) {
		r.Parts[i] = Part{Backend: shares[i].Backend.Name(), State: Pending, SQL: shares[i].SQL}
		r.Parts[i].Before, errs[i] = Snapshot(ctx, shares[i].Backend, r.Of.Objects)
	})
	if err := errors.Join(errs...); err != nil {
		return err
	}
	return r.j.explain(r.insert(r.conn))
}

// Close gives the locks up. It says so to the server, which sees the end of a connection only some time later.
func (r *Run) Close() {
	if !r.conn.Broken() {
		_ = r.conn.Exec("DO RELEASE_ALL_LOCKS()")
	}
	r.conn.End()
}

// Answer is what a backend said: an OK or rows.
type Answer struct {
	Rows wire.Rows
	Err  error // a *wire.Error is the server's; anything else means that nobody knows
}

// Execute runs parts, each on its connection, at once; those without a connection are left out. ended is told of the end of each.
// Afterwards the connections may have other variables than before.
func (r *Run) Execute(conns []*backend.Conn, ended func(i int)) []Answer {
	answers := make([]Answer, len(conns))
	if err := r.prepare(conns); err != nil {
		for i := range answers {
			answers[i].Err = err
			if conns[i] != nil {
				r.ended(i, err)
				ended(i)
			}
		}
		return answers
	}
	each(len(conns), func(i int) {
		c := conns[i]
		if c == nil {
			return
		}
		r.note(i, func(p *Part) {
			p.State, p.Connection, p.Started, p.Ended = Running, c.ID, time.Now(), time.Time{}
			p.Errno, p.SQLState, p.Message = 0, "", ""
		})
		if answers[i].Err = r.lost; answers[i].Err != nil { // it must be known that it runs
			return
		}
		var rows []wire.Rows
		if rows, answers[i].Err = c.Batch(maxAnswer, string(r.text(i))); answers[i].Err == nil {
			answers[i].Rows = rows[0]
		}
		r.ended(i, answers[i].Err)
		ended(i)
	})
	if r.Of.Exclusive {
		each(len(conns), func(i int) {
			if c := conns[i]; c != nil && !c.Broken() && c.Exec("UNLOCK TABLES") != nil {
				c.Break()
			}
		})
	}
	return answers
}

// prepare brings the connections to what the statement needs of all of them.
func (r *Run) prepare(conns []*backend.Conn) error {
	for i, c := range conns {
		if c == nil {
			continue
		}
		set := strings.ReplaceAll(r.Session.Set[c.Backend().Flavour()].SQL, "`timestamp` = DEFAULT", "")
		if r.Of.Alike && !strings.Contains(set, "`timestamp` = ") {
			if err := c.Exec(fmt.Sprintf("SET timestamp = %d.%06d", r.Created.Unix(), r.Created.Nanosecond()/1000)); err != nil {
				return err
			}
		}
		if r.Of.Alike && c.Backend().Cuts(r.backends(), "") {
			if err := c.Exec(backend.RoundFractions); err != nil {
				return err
			}
		}
		if !r.Of.Exclusive {
			continue
		}
		// In the order of the backends, as writers of broadcast tables come.
		for _, sql := range []string{fmt.Sprintf("SET lock_wait_timeout = %d", exclusiveSeconds), "LOCK TABLES " + quoted(r.Of.Objects) + " WRITE"} {
			if err := c.Exec(sql); err != nil {
				for _, before := range conns[:i] {
					if before != nil && before.Exec("UNLOCK TABLES") != nil {
						before.Break()
					}
				}
				return err
			}
		}
	}
	return nil
}

// backends are those of the parts.
func (r *Run) backends() (all []*backend.Backend) {
	for _, b := range r.j.backends {
		if slices.ContainsFunc(r.Parts, func(p Part) bool { return p.Backend == b.Name() }) {
			all = append(all, b)
		}
	}
	return all
}

func quoted(objects []router.Object) string {
	names := make([]string, len(objects))
	for i, o := range objects {
		names[i] = backend.Quote(o.Schema) + "." + backend.Quote(o.Name)
	}
	return strings.Join(names, " WRITE, ")
}

// ended notes how a part ended.
func (r *Run) ended(i int, err error) {
	var said *wire.Error
	r.note(i, func(p *Part) {
		p.Ended = time.Now()
		switch {
		case err == nil:
			p.State = Done
		case errors.As(err, &said):
			p.State, p.Errno, p.SQLState, p.Message = Failed, said.Errno, said.State, said.Message
		default: // nobody knows
			p.Ended, p.Message = time.Time{}, err.Error()
		}
	})
	p := r.Parts[i]
	log := r.j.log.Info()
	if err != nil {
		log = r.j.log.Warn().AnErr("cause", err)
	}
	log.Uint64("ddl", r.ID).Str("backend", p.Backend).Str("state", string(p.State)).Dur("took", time.Since(p.Started)).Msg("ddl on a backend")
}

// note changes a part and writes it.
func (r *Run) note(i int, change func(*Part)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	change(&r.Parts[i])
	r.write(r.update(i))
}

// write changes the journal, over another connection if the one with the locks is lost. r.mu is held.
func (r *Run) write(sql string) {
	if !r.conn.Broken() {
		if err := r.conn.Exec(sql); err == nil {
			return
		}
	}
	ctx, stop := context.WithTimeout(context.Background(), exclusiveSeconds*time.Second)
	defer stop()
	if err := r.j.Home().Apart(ctx, func(c *backend.Conn) error { return c.Exec(sql) }); err != nil {
		r.lost = fmt.Errorf("write the record of DDL %d: %w", r.ID, err)
	}
}

// Finish closes the record if nothing is left to be done: all parts are done, or all have failed. An error says that it could not be
// written.
func (r *Run) Finish() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case r.all(Done):
		r.Outcome = Complete
	case r.all(Failed):
		r.Outcome = NothingDone
	}
	r.end()
	return r.lost
}

// end writes the outcome, if there is one. r.mu is held.
func (r *Run) end() {
	if r.Outcome != Open {
		r.Ended = time.Now()
		r.write(r.Record.close())
	}
	log := r.j.log.Info()
	if r.Outcome != Complete {
		log = r.j.log.Warn()
	}
	log.Uint64("ddl", r.ID).Str("outcome", string(r.Outcome)).Str("done", r.on(Done)).Str("not_done", r.on(Pending, Running, Failed)).
		Dur("took", time.Since(r.Created)).AnErr("cause", r.lost).Msg("ddl ends")
}

// Progress says how far the parts have come, for people.
func (r *Run) Progress() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	states := make([]string, len(r.Parts))
	for i, p := range r.Parts {
		states[i] = p.Backend + " " + string(p.State)
		if !p.Started.IsZero() && !p.Ended.IsZero() {
			states[i] += " after " + p.Ended.Sub(p.Started).Round(time.Second).String()
		}
	}
	return fmt.Sprintf("ddl %d: %s", r.ID, strings.Join(states, ", "))
}

// Failure is the error for the client, nil if all parts are done.
func (r *Run) Failure() *wire.Error {
	i := slices.IndexFunc(r.Parts, func(p Part) bool { return p.State == Failed })
	unknown := r.on(Running, Pending)
	if unknown != "" && i >= 0 {
		unknown += ", failed on " + r.on(Failed)
	}
	switch {
	case r.all(Done):
		return nil
	case unknown != "":
		return wire.NewError(wire.CodeInDoubt, "nobody knows whether the statement has run on %s%s; run xaproxy ddl resume %d", unknown, r.others(), r.ID)
	case r.all(Failed):
		p := r.Parts[i]
		return &wire.Error{Errno: p.Errno, State: p.SQLState, Message: p.Message}
	}
	p := r.Parts[i]
	return &wire.Error{Errno: p.Errno, State: p.SQLState, Message: fmt.Sprintf("%s (failed on %s%s); correct the cause, then run xaproxy ddl resume %d", p.Message, r.on(Failed), r.others(), r.ID)}
}

func (r *Run) others() string {
	if done := r.on(Done); done != "" {
		return ", done on " + done
	}
	return ""
}

// each runs f(0) to f(n-1) at once and waits for all.
func each(n int, f func(int)) {
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() { f(i) })
	}
	wg.Wait()
}
