package sim

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"time"

	"github.com/xaproxy/xaproxy/participant"
	"github.com/xaproxy/xaproxy/recovery"
	"github.com/xaproxy/xaproxy/xa"
)

// conn is a connection of a process to a server.
type conn struct {
	p       *process
	server  *server
	session *session // nil until the server has accepted it
	id      uint64   // of the session, as the server said
	cut     bool     // for the process: it uses the connection no more
	silent  bool     // nobody has told the server of that: it learns of it by a KILL, or when the process is gone
	busy    bool
	admin   bool
}

// packet is one command on its way: statements that the server runs one after the other, up to the first error.
type packet struct {
	call
	conn    *conn
	stmts   []stmt
	values  []any // of the statements that were carried out
	refused *xa.ServerError
	ran     bool // the server has nothing more to do with it
	lost    bool // the process does not wait for it any more; the server may carry it out all the same
}

// call is something that a goroutine waits for until the scheduler lets it happen.
type call struct {
	p    *process
	key  string
	step int
	at   time.Time
	done chan struct{}
	err  error

	ready func() bool // nil: always
	run   func()
}

var (
	errLost    = errors.New("connection reset by peer")
	errRefused = errors.New("connection refused")
	errBroken  = errors.New("connection was lost before")
)

// finish lets the goroutine go on. Must be called with w.mu held.
func (c *call) finish(err error) {
	select {
	case <-c.done:
	default:
		c.err = err
		close(c.done)
	}
}

// newCall notes what a goroutine is about to wait for. Must be called with w.mu held.
func (p *process) newCall(key string) call {
	return call{p: p, key: p.name + " " + key, step: p.w.step, at: time.Now(), done: make(chan struct{})}
}

// wait returns when the call has happened, the process is dead, or the context has ended; then it reports false and gave is run under w.mu.
func (c *call) wait(ctx context.Context, gave func()) error {
	select {
	case <-c.done:
		return c.err
	case <-ctx.Done():
	}
	select {
	case <-c.done: // both, and select would choose by chance
		return c.err
	default:
	}
	h := fnv.New64a()
	h.Write([]byte(c.key))
	time.Sleep(time.Duration(h.Sum64() % 1e6)) // so that no two give up at one moment
	w := c.p.w
	w.mu.Lock()
	defer w.mu.Unlock()
	select {
	case <-c.done:
		return c.err
	default:
	}
	c.err = ctx.Err()
	close(c.done)
	gave()
	return c.err
}

// pause waits until the scheduler lets the process go on; run, if not nil, is what happens then.
func (p *process) pauseUntil(ctx context.Context, key string, ready func() bool, run func() error) error {
	w := p.w
	w.mu.Lock()
	if p.dead.Load() {
		w.mu.Unlock()
		return errDead
	}
	c := p.newCall(key)
	c.ready = ready
	c.run = func() {
		var err error
		if run != nil {
			err = run()
		}
		c.finish(err)
	}
	w.calls = append(w.calls, &c)
	w.mu.Unlock()
	return c.wait(ctx, func() { w.dropCall(&c) })
}

func (p *process) pause(key string, ready func() bool) error {
	return p.pauseUntil(context.Background(), key, ready, nil)
}

// dial connects to a server.
func (p *process) dial(ctx context.Context, s *server, key string) (*conn, error) {
	c := &conn{p: p, server: s}
	err := p.pauseUntil(ctx, "connect "+s.name+" for "+key, func() bool { return !s.frozen }, c.accept)
	if err != nil {
		return nil, fmt.Errorf("backend %s: %w", s.name, err)
	}
	return c, nil
}

// accept makes the session of a connection.
func (c *conn) accept() error {
	if !c.server.up {
		return errRefused
	}
	c.session = c.server.connect()
	if c.id = c.session.id; c.admin {
		c.session.wait = adminLockWait
	}
	c.p.w.conns = append(c.p.w.conns, c)
	return nil
}

// send sends statements in one packet and waits for the answers. A *xa.ServerError is that of statement number len(values).
func (c *conn) send(ctx context.Context, key string, stmts ...stmt) (values []any, err error) {
	w := c.p.w
	w.mu.Lock()
	switch {
	case c.p.dead.Load():
		w.mu.Unlock()
		return nil, errDead
	case c.cut:
		w.mu.Unlock()
		return nil, errBroken
	case c.busy:
		panic(key + ": two commands at a time")
	}
	c.busy = true
	pk := &packet{call: c.p.newCall(c.server.name + " " + key), conn: c, stmts: stmts}
	w.packets = append(w.packets, pk)
	w.mu.Unlock()
	if err := pk.wait(ctx, func() { w.lose(pk, ctx.Err(), true) }); err != nil {
		return nil, err
	}
	if pk.refused != nil {
		return pk.values, pk.refused
	}
	return pk.values, nil
}

// close ends the use of a connection.
func (c *conn) close() {
	c.p.w.mu.Lock()
	defer c.p.w.mu.Unlock()
	c.cut = true
}

// lose makes the process give up the connection of a packet. The server may not have noticed. Must be called with w.mu held.
func (w *world) lose(pk *packet, err error, timeout bool) {
	pk.lost, pk.conn.cut = true, true
	pk.conn.silent = timeout && w.halfOpen && !pk.conn.admin
	w.wakes = append(w.wakes, wake{&pk.call, fmt.Errorf("backend %s: %w", pk.conn.server.name, err)})
}

// wake is what one goroutine is to be told.
type wake struct {
	*call
	err error
}

// admin is the administrative side of a server: a recovery.Server and a participant.Server, as backend.Admin is. Each request has a
// session of its own.
type admin struct {
	p  *process
	s  *server
	as string // who asks
}

var (
	_ recovery.Server    = admin{}
	_ participant.Server = admin{}
)

// adminLockWait is how long statements of admin wait for locks.
const adminLockWait = 3 * time.Second

func (a admin) ask(ctx context.Context, st stmt) (any, error) {
	key := a.as + " " + st.String()
	if name, ok := ctx.Value(asker{}).(string); ok {
		key += " for " + name
	}
	if st.id != 0 {
		key += fmt.Sprint(st.id)
	}
	c := &conn{p: a.p, server: a.s, admin: true} // its session begins and ends with the request
	values, err := c.send(ctx, key, st)
	if err != nil {
		return nil, fmt.Errorf("backend %s: %s: %w", a.s.name, st.verb, err)
	}
	return values[0], nil
}

func (a admin) Name() string { return a.s.name }

func (a admin) Prepared(ctx context.Context) ([]recovery.Listed, error) {
	v, err := a.ask(ctx, stmt{verb: "XA RECOVER"})
	list, _ := v.([]recovery.Listed)
	return list, err
}

func (a admin) Commit(ctx context.Context, x xa.XID) error {
	_, err := a.ask(ctx, stmt{verb: "XA COMMIT", xid: x.String()})
	return err
}

func (a admin) Rollback(ctx context.Context, x xa.XID) error {
	_, err := a.ask(ctx, stmt{verb: "XA ROLLBACK", xid: x.String()})
	return err
}

func (a admin) KillConn(ctx context.Context, id uint64) error {
	_, err := a.ask(ctx, stmt{verb: "KILL", id: id})
	return err
}

func (a admin) Holder(ctx context.Context, x xa.XID) (uint64, error) {
	v, err := a.ask(ctx, stmt{verb: "HOLDER", xid: x.String()})
	id, _ := v.(uint64)
	return id, err
}

func (a admin) Identity(ctx context.Context) (string, error) {
	v, err := a.ask(ctx, stmt{verb: "IDENTITY"})
	identity, _ := v.(string)
	return identity, err
}

func (a admin) Started(ctx context.Context) (time.Time, error) {
	asked := time.Now()
	v, err := a.ask(ctx, stmt{verb: "UPTIME"})
	seconds, _ := v.(int64)
	return asked.Add(-time.Duration(seconds+1) * time.Second), err
}

func (a admin) Translates() bool { return a.s.flavour == postgres }

func (a admin) Exec(ctx context.Context, statement string) (int64, error) {
	v, err := a.ask(ctx, stmt{verb: "SQL", sql: statement})
	n, _ := v.(int64)
	return n, err
}

func (a admin) Each(ctx context.Context, query string, row func(scan func(...any) error) error) error {
	v, err := a.ask(ctx, stmt{verb: "SQL", sql: query})
	if err != nil {
		return err
	}
	return scanAll(v, row)
}

// scanAll hands the rows of a query's value over.
func scanAll(v any, row func(scan func(...any) error) error) error {
	for _, r := range v.([][]any) {
		if err := row(func(to ...any) error {
			for i := range to {
				switch p := to[i].(type) {
				case *string:
					*p = r[i].(string)
				case *int64:
					*p = r[i].(int64)
				case *int:
					*p = int(r[i].(int64))
				default:
					panic(fmt.Sprintf("scan into %T", p))
				}
			}
			return nil
		}); err != nil {
			return err
		}
	}
	return nil
}
