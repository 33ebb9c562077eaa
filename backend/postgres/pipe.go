package postgres

import (
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"time"
)

// maxBuffered is how many bytes one direction of a pipe holds before its writer waits.
const maxBuffered = 64 << 10

// keptBuffered is the largest buffer that an empty direction keeps.
const keptBuffered = 4 << 10

// newPipe returns the two ends of a connection within this process. Unlike net.Pipe, a Write does not wait for a Read while there is room.
// gone is called once, when the near end is closed by its user. beyond is the socket to which the other end leads.
func newPipe(name string, beyond net.Conn, gone func()) (near, far *pipeEnd) {
	there, back := newStream(), newStream()
	near = &pipeEnd{name: pipeAddr(name), in: back, out: there, closed: gone, beyond: beyond}
	far = &pipeEnd{name: pipeAddr(name), in: there, out: back}
	return near, far
}

// pipeEnd is one end of a pipe. It is a net.Conn.
type pipeEnd struct {
	name    pipeAddr
	in, out *stream
	once    sync.Once
	closed  func()
	beyond  net.Conn
}

// SyscallConn is that of the socket beyond: who looks whether a connection at rest is still there finds out about that one.
func (p *pipeEnd) SyscallConn() (syscall.RawConn, error) {
	c, ok := p.beyond.(syscall.Conn)
	if !ok {
		return nil, errors.ErrUnsupported
	}
	return c.SyscallConn()
}

func (p *pipeEnd) Read(b []byte) (int, error)  { return p.in.read(b) }
func (p *pipeEnd) Write(b []byte) (int, error) { return p.out.write(b) }

// Close lets the other end read what is on its way, and then io.EOF.
func (p *pipeEnd) Close() error {
	p.once.Do(func() {
		p.out.end(false)
		p.in.end(true)
		if p.closed != nil {
			p.closed()
		}
	})
	return nil
}

func (p *pipeEnd) LocalAddr() net.Addr  { return p.name }
func (p *pipeEnd) RemoteAddr() net.Addr { return p.name }

func (p *pipeEnd) SetDeadline(t time.Time) error {
	p.in.readUntil.set(p.in, t)
	p.out.writeUntil.set(p.out, t)
	return nil
}

func (p *pipeEnd) SetReadDeadline(t time.Time) error {
	p.in.readUntil.set(p.in, t)
	return nil
}

func (p *pipeEnd) SetWriteDeadline(t time.Time) error {
	p.out.writeUntil.set(p.out, t)
	return nil
}

type pipeAddr string

func (pipeAddr) Network() string  { return "pipe" }
func (a pipeAddr) String() string { return string(a) }

// stream is one direction of a pipe.
type stream struct {
	mu   sync.Mutex // protects following fields
	cond sync.Cond
	buf  []byte
	at   int  // buf[:at] has been read
	over bool // nothing more will be written
	deaf bool // nobody will read

	readUntil, writeUntil deadline
}

func newStream() *stream {
	s := &stream{}
	s.cond.L = &s.mu
	return s
}

func (s *stream) read(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for {
		switch {
		case s.deaf:
			return 0, net.ErrClosed
		case s.readUntil.passed:
			return 0, os.ErrDeadlineExceeded
		case s.at < len(s.buf):
			n := copy(b, s.buf[s.at:])
			if s.at += n; s.at == len(s.buf) {
				s.buf, s.at = s.buf[:0], 0
				if cap(s.buf) > keptBuffered {
					s.buf = nil
				}
			}
			s.cond.Broadcast()
			return n, nil
		case s.over:
			return 0, io.EOF
		}
		s.cond.Wait()
	}
}

func (s *stream) write(b []byte) (n int, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for len(b) > 0 {
		room := maxBuffered - (len(s.buf) - s.at)
		switch {
		case s.over:
			return n, net.ErrClosed
		case s.deaf:
			return n, io.ErrClosedPipe
		case s.writeUntil.passed:
			return n, os.ErrDeadlineExceeded
		case room > 0:
			if s.at > 0 {
				s.buf, s.at = s.buf[:copy(s.buf, s.buf[s.at:])], 0
			}
			k := min(room, len(b))
			s.buf = append(s.buf, b[:k]...)
			b, n = b[k:], n+k
			s.cond.Broadcast()
			continue
		}
		s.cond.Wait()
	}
	return n, nil
}

// end closes the direction, from its reader's side or its writer's.
func (s *stream) end(reader bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if reader {
		s.deaf, s.buf, s.at = true, nil, 0
	} else {
		s.over = true
	}
	for _, d := range []*deadline{&s.readUntil, &s.writeUntil} {
		if d.timer != nil {
			d.timer.Stop()
		}
	}
	s.cond.Broadcast()
}

// deadline is that of the reads or the writes of a stream, whose lock protects it.
type deadline struct {
	timer  *time.Timer
	passed bool
	calls  uint64 // counts the calls of set, so that a timer of an earlier one changes nothing
}

func (d *deadline) set(s *stream, t time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	d.calls++
	if d.timer != nil {
		d.timer.Stop()
		d.timer = nil
	}
	d.passed = false
	if t.IsZero() {
		return
	}
	if left := time.Until(t); left > 0 {
		this := d.calls
		d.timer = time.AfterFunc(left, func() {
			s.mu.Lock()
			defer s.mu.Unlock()
			if d.calls == this {
				d.passed = true
				s.cond.Broadcast()
			}
		})
		return
	}
	d.passed = true
	s.cond.Broadcast()
}
