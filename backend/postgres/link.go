package postgres

import (
	"errors"
	"io"
	"iter"
	"net"
	"os"
	"sync"
	"syscall"
	"time"
)

// maxBuffered is how many bytes one direction of a link holds before its writer waits.
const maxBuffered = 64 << 10

// keptBuffered is the largest buffer that an empty direction keeps.
const keptBuffered = 4 << 10

// leave is how long PostgreSQL may take to hear that a session ends.
const leave = time.Second

// link is the MySQL connection to a session of PostgreSQL, within this process: a net.Conn on whose other end the session speaks.
//
// The session has no goroutine that runs beside those of its user. It is a coroutine, which a Write or a Read of the link lets go on, so that a
// statement and its answer wake up nobody: a Write until the session waits for PostgreSQL's answer, so that several backends can be asked before one
// is waited for; a Read until there is something to read.
//
// As of a net.Conn, methods may be called by several goroutines at once.
type link struct {
	name   linkAddr
	socket *patientConn

	mu          sync.Mutex // protects following fields
	cond        sync.Cond  // anything of the following has changed
	resume      func() (waiting, bool)
	running     *deadline // of the call that lets the session go on now; nil: nobody does
	waits       waiting   // what for, when nobody does
	closed      bool
	there, back buffer // to the session, and from it
	reads       deadline
	writes      deadline

	// The session has these while it goes on.
	pause func(waiting) bool
	sends bool // it is a Write that lets it go on, and does not wait for PostgreSQL
}

// waiting is what a session that does not go on waits for.
type waiting uint8

const (
	forStart  waiting = iota
	forInput          // of the client
	forRoom           // in the buffer of its answers
	forAnswer         // of PostgreSQL's, before it has looked for it
	forTime           // PostgreSQL has not answered, or not taken what it was sent, within the deadline
	forever           // it has ended
)

// newLink returns the near end of a link. session speaks on the far one until it returns, and uses the socket.
func newLink(name string, socket *patientConn, session func(far net.Conn)) *link {
	l := &link{name: linkAddr(name), socket: socket}
	l.cond.L = &l.mu
	l.resume, _ = iter.Pull(func(yield func(waiting) bool) {
		l.pause = yield
		session(farEnd{l})
	})
	socket.link = l
	return l
}

// goOn lets the session go on until it waits. The caller has l.mu, which others may have meanwhile, and has seen that nobody else does.
func (l *link) goOn(until *deadline, sends bool) {
	l.running, l.sends = until, sends
	for {
		l.socket.within(until.at)
		l.mu.Unlock()
		w, ok := l.resume()
		l.mu.Lock()
		if l.waits = w; !ok {
			l.waits = forever
		}
		if !l.closed || l.waits == forever {
			break
		}
		_ = l.socket.Close() // so that it finds out
	}
	l.running = nil
	l.cond.Broadcast()
}

// pauses reports whether the session must not wait for PostgreSQL before it has paused: the client has not been told to read, or can read what there is.
func (l *link) pauses() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.sends || l.running == &l.reads && l.back.len() > 0
}

// wait waits for a change. The caller has l.mu.
func (l *link) wait(until *deadline) {
	if !until.at.IsZero() {
		timer := time.AfterFunc(time.Until(until.at), func() {
			l.mu.Lock()
			defer l.mu.Unlock()
			l.cond.Broadcast()
		})
		defer timer.Stop()
	}
	l.cond.Wait()
}

// Read lets the session go on until there is something to read.
func (l *link) Read(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for {
		idle := l.running == nil
		switch {
		case l.closed:
			return 0, net.ErrClosed
		case l.reads.passed():
			return 0, os.ErrDeadlineExceeded
		case l.back.len() > 0:
			return l.back.read(b), nil
		case idle && l.waits == forever:
			return 0, io.EOF
		case idle && (l.waits != forInput || l.there.len() > 0):
			l.goOn(&l.reads, false)
		default: // for a Write, or for who lets it go on
			l.wait(&l.reads)
		}
	}
}

// Write gives the session b, and lets it go on until it waits for PostgreSQL.
func (l *link) Write(b []byte) (n int, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for given := false; ; given = true {
		idle := l.running == nil
		switch {
		case l.closed:
			return n, net.ErrClosed
		case idle && l.waits == forever && (!given || len(b) > 0):
			return n, io.ErrClosedPipe
		}
		k := l.there.write(b)
		b, n = b[k:], n+k
		switch {
		case idle && l.waits <= forInput && l.there.len() > 0:
			l.goOn(&l.writes, true)
		case len(b) == 0:
			return n, nil
		case l.writes.passed():
			return n, os.ErrDeadlineExceeded
		case idle && l.waits != forRoom: // it has to take something before there is room
			l.goOn(&l.writes, false)
		default:
			l.wait(&l.writes)
		}
	}
}

// Close ends the session, whatever it waits for. One that waits for its client takes its leave of PostgreSQL.
func (l *link) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return nil
	}
	l.closed = true
	if l.waits != forInput || l.running != nil {
		_ = l.socket.Close() // nobody waits for what PostgreSQL still says
	}
	if l.running == nil && l.waits != forever {
		l.goOn(&deadline{time.Now().Add(leave)}, false)
	}
	l.there, l.back = buffer{}, buffer{}
	l.cond.Broadcast()
	return nil
}

// Beneath is the socket that reads of the link wait for.
func (l *link) Beneath() net.Conn { return l.socket.Conn }

func (l *link) LocalAddr() net.Addr  { return l.name }
func (l *link) RemoteAddr() net.Addr { return l.name }

func (l *link) SetDeadline(t time.Time) error      { return l.until(t, &l.reads, &l.writes) }
func (l *link) SetReadDeadline(t time.Time) error  { return l.until(t, &l.reads) }
func (l *link) SetWriteDeadline(t time.Time) error { return l.until(t, &l.writes) }

// until sets deadlines, also of calls that wait already.
func (l *link) until(t time.Time, these ...*deadline) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, d := range these {
		if d.at = t; d == l.running {
			l.socket.within(t)
		}
	}
	l.cond.Broadcast()
	return nil
}

// SyscallConn is that of the socket beyond: who looks whether a connection at rest is still there finds out about that one.
func (l *link) SyscallConn() (syscall.RawConn, error) {
	c, ok := l.socket.plain.(syscall.Conn)
	if !ok {
		return nil, errors.ErrUnsupported
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.running == nil {
		l.socket.set(time.Time{}) // one that has passed would make it look closed
	}
	return c.SyscallConn()
}

// deadline is that of reads or of writes.
type deadline struct{ at time.Time }

func (d *deadline) passed() bool { return !d.at.IsZero() && time.Until(d.at) <= 0 }

type linkAddr string

func (linkAddr) Network() string  { return "pipe" }
func (a linkAddr) String() string { return string(a) }

// farEnd is the session's end of a link.
type farEnd struct{ l *link }

// Read waits for what the client writes; io.EOF when it has closed the link.
func (f farEnd) Read(b []byte) (int, error) {
	for {
		f.l.mu.Lock()
		n, closed := f.l.there.read(b), f.l.closed
		f.l.cond.Broadcast() // a Write may wait for room while a Read lets the session go on
		f.l.mu.Unlock()
		switch {
		case n > 0:
			return n, nil
		case closed:
			return 0, io.EOF
		}
		f.l.pause(forInput)
	}
}

// Write waits until the client has read enough.
func (f farEnd) Write(b []byte) (n int, err error) {
	for {
		f.l.mu.Lock()
		k, closed := f.l.back.write(b), f.l.closed
		f.l.cond.Broadcast() // a Read may wait while a Write lets the session go on
		f.l.mu.Unlock()
		b, n = b[k:], n+k
		switch {
		case closed:
			return n, io.ErrClosedPipe
		case len(b) == 0:
			return n, nil
		}
		f.l.pause(forRoom)
	}
}

func (f farEnd) Close() error         { return nil } // the session's end says it
func (f farEnd) LocalAddr() net.Addr  { return f.l.name }
func (f farEnd) RemoteAddr() net.Addr { return f.l.name }

// Deadlines are the client's: the session waits as long as it does.
func (farEnd) SetDeadline(time.Time) error      { return nil }
func (farEnd) SetReadDeadline(time.Time) error  { return nil }
func (farEnd) SetWriteDeadline(time.Time) error { return nil }

// buffer is one direction of a link.
type buffer struct {
	bytes []byte
	at    int // bytes[:at] has been read
}

func (b *buffer) len() int { return len(b.bytes) - b.at }

func (b *buffer) read(to []byte) int {
	n := copy(to, b.bytes[b.at:])
	if b.at += n; b.at == len(b.bytes) {
		b.bytes, b.at = b.bytes[:0], 0
		if cap(b.bytes) > keptBuffered {
			b.bytes = nil
		}
	}
	return n
}

// write takes as much as there is room for.
func (b *buffer) write(from []byte) int {
	n := min(len(from), maxBuffered-b.len())
	if n > 0 && b.at > 0 && len(b.bytes)+n > cap(b.bytes) {
		b.bytes, b.at = b.bytes[:copy(b.bytes, b.bytes[b.at:])], 0
	}
	b.bytes = append(b.bytes, from[:n]...)
	return n
}

// patientConn is the socket of a session. Once the session is on a link, a deadline does not make a call fail: the session pauses, and then goes on with
// it. So a client can look for an answer later.
type patientConn struct {
	net.Conn
	plain net.Conn  // without raw system calls
	until time.Time // its deadline
	link  *link     // nil: there is none
}

func (p *patientConn) Read(b []byte) (int, error) {
	if p.link != nil && p.link.pauses() {
		p.link.pause(forAnswer)
	}
	for {
		n, err := p.Conn.Read(b)
		if n > 0 || p.link == nil || !errors.Is(err, os.ErrDeadlineExceeded) {
			return n, err
		}
		p.link.pause(forTime)
	}
}

func (p *patientConn) Write(b []byte) (n int, err error) {
	for {
		k, err := p.Conn.Write(b[n:])
		if n += k; err == nil || p.link == nil || !errors.Is(err, os.ErrDeadlineExceeded) {
			return n, err
		}
		p.link.pause(forTime)
	}
}

// within sets the deadline, for the link. One that is earlier and has not passed stays: when it does, the link sees that there is time left. So the deadlines
// of the questions to a branch, and none in between, are set once for many of them.
func (p *patientConn) within(t time.Time) {
	if p.until.IsZero() || !t.IsZero() && t.Before(p.until) || time.Until(p.until) <= 0 {
		p.set(t)
	}
}

func (p *patientConn) set(t time.Time) {
	if t != p.until {
		p.until = t
		_ = p.SetDeadline(t) // a closed socket says so when it is used
	}
}
