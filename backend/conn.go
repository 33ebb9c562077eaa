package backend

import (
	"errors"
	"fmt"
	"strings"
	"syscall"
	"time"

	"github.com/xaproxy/xaproxy/wire"
)

// Conn is a raw connection to a backend. It has one user at a time.
type Conn struct {
	*wire.Conn
	ID uint64 // the server's connection id

	greeted  byte     // the collation in the server's greeting
	b        *Backend // of its user, or the last one
	pool     *pool
	facts    *Facts  // of the server that it leads to; nil before the start checks
	started  string  // when the server was started: startedColumn; "" where nobody asks
	state    Session // what the server's session is known to be
	lead     []byte  // scratch space of Begin
	born     time.Time
	used     time.Duration // since born, when it was last given back
	lends    uint64        // how often it was lent
	queued   time.Duration // that its user has waited for it; see Queued
	prepared statements
	named    statements // by name, within SQL; the ids are of the connection's own
	lastName uint32     // the last of these ids
	debts    []*Debt    // what its last user may still ask about
	owed     []*Debt    // claimed for a waiter of the pool, who pays
	branch   bool       // an XA branch lives on it
	held     bool       // its session keeps it: Put does nothing
	soiled   bool       // what its session left must be reset before it serves another one
	broken   bool       // it must be closed
}

// Backend returns the backend that the connection leads to, as its user has got it. Only who has borrowed it may ask.
func (c *Conn) Backend() *Backend { return c.b }

// Begin sends one statement, with its query attributes if there are any, and makes the connection ready to read its answer. In front of the statement and in the
// same packet travel the statements that the connection lacks to be in the state s, and then those of lead (XA START,
// SAVEPOINT ...). A server stops at the first error, so the statement runs only if all of them succeeded; this is what
// makes XA START safe without a round trip of its own.
//
// An error means that the statement did not run: a *wire.Error is what the server said to one of the leading
// statements, anything else means that the connection broke. The connection is closed on the next Put in both cases.
func (c *Conn) Begin(s *Session, attrs, sql []byte, lead ...string) error {
	if c.state == *s && len(lead) == 0 {
		if err := c.SendQuery(attrs, sql); err != nil {
			return c.Lost(err)
		}
		return nil
	}
	n, err := c.compose(s, lead)
	if err != nil {
		return err
	}
	if n > 0 {
		c.Several()
	}
	if err := c.SendQuery(attrs, c.lead, sql); err != nil {
		return c.Lost(err)
	}
	return c.led(n, s)
}

// Ready is Begin without a statement: it makes the connection ready for a command that is not text. It costs a round
// trip if the connection lacks anything, and nothing if it does not.
func (c *Conn) Ready(s *Session, lead ...string) error {
	if c.state == *s && len(lead) == 0 {
		return nil
	}
	n, err := c.compose(s, lead)
	if err != nil || n == 0 {
		return err
	}
	if err := c.SendQuery(nil, c.lead[:len(c.lead)-1]); err != nil {
		return c.Lost(err)
	}
	return c.led(n, s)
}

// compose writes into c.lead what the connection lacks to be in the state s, and lead, and returns how many statements
// that is, each followed by a semicolon.
func (c *Conn) compose(s *Session, lead []string) (n int, err error) {
	want, have := s.Set[c.b.Flavour()], c.state.Set[c.b.Flavour()]
	set := want.SQL
	if strings.HasPrefix(set, have.SQL) {
		set, n = set[len(have.SQL):], want.N-have.N
	} else if n = want.N; !c.branch && !c.held { // something was set that s has not
		if err := c.reset(); err != nil {
			return 0, err
		}
	}
	c.lead = c.lead[:0]
	if c.state.Schema != s.Schema && c.b.has(s.Schema) {
		c.lead = append(append(append(c.lead, "USE "...), Quote(s.Schema)...), ';')
		n++
	}
	c.lead = append(c.lead, set...)
	for _, l := range lead {
		c.lead = append(append(c.lead, l...), ';')
	}
	return n + len(lead), nil
}

// led reads the answers to n leading statements, which bring the connection to the state s.
func (c *Conn) led(n int, s *Session) error {
	for range n {
		if err := c.Expect(); err != nil {
			c.broken = true
			return err
		}
	}
	c.state = *s
	return nil
}

// Exec runs a statement of our own that answers with an OK.
func (c *Conn) Exec(sql string) error {
	_, err := c.Query(sql)
	return err
}

// Query runs a statement of our own with a small result.
func (c *Conn) Query(sql string) (wire.Rows, error) { return c.query(sql, maxOwnResult) }

// query is Query for a result of at most so many bytes.
func (c *Conn) query(sql string, limit int) (wire.Rows, error) {
	if err := c.SendQuery(nil, []byte(sql)); err != nil {
		return wire.Rows{}, c.Lost(err)
	}
	rows, err := c.ReadResult(limit)
	return rows, c.classify(err)
}

// Batch runs statements of our own in one packet, and returns their results, each of at most limit bytes, up to the first error.
func (c *Conn) Batch(limit int, statements ...string) ([]wire.Rows, error) {
	if err := c.SendQuery(nil, []byte(strings.Join(statements, ";"))); err != nil {
		return nil, c.Lost(err)
	}
	var all []wire.Rows
	for range statements {
		rows, err := c.ReadResult(limit)
		if err != nil {
			return all, c.classify(err)
		}
		all = append(all, rows)
	}
	return all, nil
}

// Restore sets again what the login and s set of character sets, and the variables of s, after the caller has set others.
func (c *Conn) Restore(s *Session) error {
	c.b.mu.Lock()
	names := c.b.names[c.state.Collation]
	c.b.mu.Unlock()
	set := s.Set[c.b.Flavour()]
	if err := c.SendQuery(nil, []byte(strings.TrimSuffix(names+";"+set.SQL, ";"))); err != nil {
		return c.Lost(err)
	}
	for range 1 + set.N {
		if err := c.Expect(); err != nil {
			c.broken = true
			return err
		}
	}
	return nil
}

// Read reads the answer to a statement of our own whose rows are not kept: next is called until it returns nil or an error.
func (c *Conn) Read() (*wire.Reader, error) {
	r, err := c.ReadColumns()
	return r, c.classify(err)
}

// Classify marks the connection as broken unless err is nil or the server's own answer, as all methods do with theirs.
func (c *Conn) Classify(err error) error { return c.classify(err) }

// maxOwnResult bounds in bytes the answers to statements of our own: variables, identities.
const maxOwnResult = 64 << 10

// Expect reads the answer to a statement of our own: nil for OK, a *wire.Error for the server's error.
func (c *Conn) Expect() error {
	_, err := c.ReadResult(maxOwnResult)
	return c.classify(err)
}

// classify marks the connection as broken unless err is nil or the server's own answer.
func (c *Conn) classify(err error) error {
	if err == nil {
		return nil
	}
	var answered *wire.Error // it takes an allocation
	if errors.As(err, &answered) {
		return err
	}
	return c.Lost(err)
}

// Lost marks the connection as broken and says which it was.
func (c *Conn) Lost(err error) error {
	c.broken = true
	if h := c.b.health.Load(); h != nil && h.Cause != nil {
		return fmt.Errorf("backend %s answers nobody since %s: connection lost: %w", c.b.Config.Name, h.since(), err)
	}
	return fmt.Errorf("backend %s: connection lost: %w", c.b.Config.Name, err)
}

// Result reads the answer to a statement of the client that answers with an OK, to be merged with others.
func (c *Conn) Result() (wire.OK, error) {
	rows, err := c.ReadResult(maxOwnResult)
	return rows.OK, c.classify(err)
}

// Queued returns once how long its user has waited until the connection was there.
func (c *Conn) Queued() time.Duration {
	queued := c.queued
	c.queued = 0
	return queued
}

// Lends tells one loan of the connection from another.
func (c *Conn) Lends() uint64 { return c.lends }

// Reclaim borrows the connection again after Put, if it has served nobody else since the loan with that number.
func (c *Conn) Reclaim(lends uint64) bool {
	return c.pool.reclaim(c, func(c *Conn) bool { return c.lends == lends })
}

// Break marks the connection as unusable: Put closes it.
func (c *Conn) Break() { c.broken = true }

// Hold keeps the connection out of the pool: Put has no effect until LetGo.
func (c *Conn) Hold() { c.held = true }

// LetGo ends Hold. The next Put resets everything that its user left in the session, and closes the connection where
// that fails.
func (c *Conn) LetGo() { c.held, c.soiled = false, true }

// Soil says that the session may have been left in a state that nobody knows: it is reset before it serves another one.
func (c *Conn) Soil() { c.soiled = true }

// InBranch reports whether an XA branch lives on the connection: it comes back when the branch is released.
func (c *Conn) InBranch() bool { return c.branch }

// Broken reports whether the connection must be closed.
func (c *Conn) Broken() bool { return c.broken }

// Abort closes the connection under the hands of its user, who finds out. It may be called from any goroutine.
func (c *Conn) Abort() { _ = c.Socket().Close() } // closed by whomever

// Became notes that the session was brought to s by statements that the caller sent itself.
func (c *Conn) Became(s *Session) { c.state = *s }

// Put gives the connection back: kept if it is clean, closed if it is not. It is not if its last answer was not read to the end,
// whatever the reason.
func (c *Conn) Put() {
	if c.held {
		return
	}
	if c.soiled && !c.broken {
		c.soiled = false
		if c.branch || c.reset() != nil {
			c.broken = true
		}
	}
	if c.broken || c.Buffered() || !c.Answered() {
		c.pool.discard(c)
		return
	}
	c.pool.put(c)
}

// close closes the connection, once. The pool accounts for it.
func (c *Conn) close() {
	c.lose()
	c.b.mu.Lock()
	delete(c.b.conns, c.ID)
	c.b.mu.Unlock()
	_ = c.Conn.Close() // nothing is buffered for writing, and nobody waits for what the server still says
}

// reset takes back everything that was set in the session, within connect_timeout: nobody may be there to interrupt it. It
// would roll an active branch back without a word and corrupt a prepared one on MariaDB, so it must not be called while a
// branch exists on the connection.
func (c *Conn) reset() error {
	c.settle()
	return c.within(c.resetSession)
}

// within runs what must not wait for the server for longer than connect_timeout. After that the connection is broken.
func (c *Conn) within(f func() error) error {
	if err := c.SetDeadline(time.Now().Add(c.b.Config.ConnectTimeout.Std())); err != nil {
		return c.Lost(err)
	}
	if err := f(); err != nil {
		return err
	}
	if err := c.SetDeadline(time.Time{}); err != nil {
		return c.Lost(err)
	}
	return nil
}

func (c *Conn) resetSession() error {
	if err := c.SendCommand(wire.ComResetConnection); err != nil {
		return c.Lost(err)
	}
	if err := c.Expect(); err != nil {
		c.broken = true
		return err
	}
	c.b.mu.Lock()
	names := c.b.names[c.state.Collation]
	c.b.mu.Unlock()
	c.state.Set = [2]Set{}
	c.prepared.clear() // the server has closed them
	c.named.clear()
	if err := c.Exec(names + ", " + autocommit); err != nil { // a reset goes back to the server's character set, not to the handshake's
		c.broken = true
		return err
	}
	if !c.b.has(c.state.Schema) { // it was never this session's
		return nil
	}
	// The schema stays, but @@character_set_database and @@collation_database are no longer its own: LOAD DATA goes by them.
	if err := c.Exec("USE " + Quote(c.state.Schema)); err != nil {
		c.broken = true
		return err
	}
	return nil
}

// autocommit is set wherever a session begins: the server's default may be another one, and MySQL says in its status flags that it is on
// though it is off then.
const autocommit = "autocommit = 1"

// begin finishes the login. A client that names no collation gets the server's own, as it does from a server; our login has
// to name one.
func (c *Conn) begin() error {
	first := "SET " + autocommit
	if c.state.Collation == 0 {
		first = "SET NAMES DEFAULT, " + autocommit
	}
	if err := c.within(func() error { return c.Exec(first) }); err != nil {
		return err
	}
	return c.learnNames()
}

// learnNames asks the server, once per collation id and backend, what a handshake with that id amounts to.
func (c *Conn) learnNames() error {
	id := c.state.Collation
	c.b.mu.Lock()
	_, known := c.b.names[id]
	c.b.mu.Unlock()
	if known {
		return nil
	}
	var rows wire.Rows
	err := c.within(func() (err error) {
		rows, err = c.Query("SELECT @@character_set_client, @@collation_connection")
		return err
	})
	if err != nil {
		return err
	}
	if len(rows.Values) != 1 || len(rows.Values[0]) != 2 {
		return fmt.Errorf("unexpected answer to a question about character sets")
	}
	c.b.mu.Lock()
	c.b.names[id] = fmt.Sprintf("SET NAMES %s COLLATE %s", rows.Values[0][0], rows.Values[0][1])
	c.b.mu.Unlock()
	return nil
}

// quiet is how long a connection may be idle before it is looked at: a server that was stopped closes its
// connections, and the first client to come after that should not pay for it.
const quiet = 10 * time.Millisecond

// usable reports whether a free connection can be lent.
func (c *Conn) usable(lifetime time.Duration) bool {
	age := time.Since(c.born)
	idle := age - c.used
	switch {
	case age > lifetime, c.facts != c.b.facts.Load():
		return false
	case idle >= c.b.Config.IdleCheck.Std():
		return c.ping()
	case idle >= quiet:
		return !c.closedByPeer()
	}
	return true
}

// ping asks the server for a sign of life, within connect_timeout.
func (c *Conn) ping() bool {
	return c.within(func() error {
		if err := c.SendCommand(wire.ComPing); err != nil {
			return err
		}
		return c.Expect()
	}) == nil
}

// closedByPeer looks at the socket without waiting. A connection at rest has nothing to read, so anything there,
// be it the end of the stream, a farewell error or that of TLS, means that the server has given it up.
func (c *Conn) closedByPeer() bool {
	sc, ok := c.Socket().(syscall.Conn)
	if !ok {
		return false // found out when it is used
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return true
	}
	closed := true
	err = raw.Read(func(fd uintptr) bool {
		var b [1]byte
		_, _, err := syscall.Recvfrom(int(fd), b[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
		closed = err != syscall.EAGAIN && err != syscall.EWOULDBLOCK
		return true
	})
	return closed || err != nil
}
