package chaos

import (
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
)

// Tap is a relay in front of a MySQL or MariaDB server, or of a proxy. It lets every byte through and tells a hook of
// each command and of each end of an answer, before and after it is forwarded. It is safe for concurrent use.
//
// The connections must not be encrypted. The hook is called in the goroutine that forwards, one per connection and
// direction, and may block: then nothing more passes there, as on a slow network.
type Tap struct {
	name     string
	target   atomic.Pointer[string]
	listener net.Listener
	hook     atomic.Pointer[func(Event) Verdict]
	postgres bool
	running  sync.WaitGroup

	mu     sync.Mutex // protects the following
	links  map[*link]struct{}
	closed bool
}

// NewTap listens on a loopback port in front of target, a host:port. Its name is that of its events.
func NewTap(name, target string) (*Tap, error) {
	t, err := listenTap(name, target)
	if err == nil {
		t.running.Go(t.accept)
	}
	return t, err
}

func listenTap(name, target string) (*Tap, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("tap %s: %w", name, err)
	}
	t := &Tap{name: name, listener: l, links: make(map[*link]struct{})}
	t.target.Store(&target)
	return t, nil
}

// Addr is the host:port that the tap listens on.
func (t *Tap) Addr() string { return t.listener.Addr().String() }

// SetHook has a function called for every event from now on. nil lets everything pass.
func (t *Tap) SetHook(hook func(Event) Verdict) {
	if hook == nil {
		t.hook.Store(nil)
		return
	}
	t.hook.Store(&hook)
}

// Redirect cuts every connection, and has another server answer from now on.
func (t *Tap) Redirect(target string) {
	t.Lead(target)
	t.CutAll()
}

// Lead has new connections lead to another server, and leaves those that are there alone.
func (t *Tap) Lead(target string) { t.target.Store(&target) }

// Silence has nothing pass on the present connections any more, as when the cable to the client's machine is cut: the server does not hear
// that the client is gone.
func (t *Tap) Silence() {
	t.mu.Lock()
	defer t.mu.Unlock()
	for l := range t.links {
		l.silent.Store(true)
	}
}

// CutAll closes every connection, with what is under way on it, and returns how many there were.
func (t *Tap) CutAll() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	for l := range t.links {
		l.cut()
	}
	return len(t.links)
}

// CutSome closes those connections for which pick returns true.
func (t *Tap) CutSome(pick func() bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for l := range t.links {
		if pick() {
			l.cut()
		}
	}
}

// Close cuts everything and returns when no goroutine of the tap is left. A hook that blocks must be let go before.
func (t *Tap) Close() error {
	t.mu.Lock()
	t.closed = true
	t.mu.Unlock()
	err := t.listener.Close()
	t.CutAll()
	t.running.Wait()
	return err
}

func (t *Tap) accept() {
	for {
		client, err := t.listener.Accept()
		if err != nil {
			return // the tap was closed: nothing else ends a listener on loopback
		}
		t.running.Go(func() { t.serve(client) })
	}
}

// serve relays one connection to its end.
func (t *Tap) serve(client net.Conn) {
	server, err := net.Dial("tcp", *t.target.Load())
	if err != nil {
		_ = client.Close() // the server is down, and so it looks
		return
	}
	l := &link{tap: t, client: client, server: server}
	t.mu.Lock()
	closed := t.closed
	t.links[l] = struct{}{}
	t.mu.Unlock()
	if closed {
		l.cut()
	}
	var both sync.WaitGroup
	requests, answers := l.requests, l.answers
	if t.postgres {
		requests, answers = l.pgRequests, l.pgAnswers
	}
	both.Go(func() { requests(); l.ended() })
	both.Go(func() { answers(); l.ended() })
	both.Wait()
	t.mu.Lock()
	delete(t.links, l)
	t.mu.Unlock()
}

func (t *Tap) tell(e Event) Verdict {
	if hook := t.hook.Load(); hook != nil {
		e.Tap = t.name
		return (*hook)(e)
	}
	return Pass
}

// link is one relayed connection.
type link struct {
	tap            *Tap
	client, server net.Conn
	silent         atomic.Bool

	mu      sync.Mutex // protects the following
	greeted bool       // the server's greeting has passed
	server4 uint32     // capabilities of the server
	client4 uint32     // capabilities of the client
	login   bool       // the client's first packet has passed
	opening string
	pending *request // whose answer is under way
}

// request is a command whose answer can be read.
type request struct {
	Event
	answer answer
}

// cut closes both sides. It may be called more than once; whatever closing says, the connection is gone.
func (l *link) cut() {
	_ = l.client.Close()
	_ = l.server.Close()
}

// pass sends on what has come from the other side, unless nothing passes any more.
func (l *link) pass(to net.Conn, data []byte) error {
	if l.silent.Load() {
		return nil
	}
	_, err := to.Write(data)
	return err
}

// ended is cut, unless nobody may notice.
func (l *link) ended() {
	if l.silent.Load() {
		_ = l.client.Close()
		return
	}
	l.cut()
}

// requests forwards what the client sends, until one side ends or the hook cuts the connection.
func (l *link) requests() {
	var buf []byte
	for {
		packet, err := readPacket(l.client, buf)
		if err != nil {
			return
		}
		buf = packet
		if l.request(packet) == Cut {
			return
		}
		if err := l.pass(l.server, packet); err != nil {
			return
		}
	}
}

// request looks at a packet of the client. Only commands have the sequence number 0: in the handshake the server begins.
func (l *link) request(packet []byte) Verdict {
	payload := packet[headerSize:]
	if packet[3] != 0 {
		l.mu.Lock()
		defer l.mu.Unlock()
		if !l.login && len(payload) >= 4 {
			l.login, l.client4 = true, le32(payload)
		}
		return Pass
	}
	var e Event
	e.Step, e.Point = Other, Asked
	query := len(payload) > 0 && payload[0] == comQuery
	if query {
		e.Text = string(payload[1:])
		e.Step = stepOf(e.Text)
	}
	l.mu.Lock()
	if e.Step == Start {
		l.opening = e.Text
	}
	e.Opening = l.opening
	l.mu.Unlock()
	verdict := l.tap.tell(e)
	l.mu.Lock()
	defer l.mu.Unlock()
	// The answers to other commands have other forms; they pass unseen.
	l.pending = nil
	if query {
		l.pending = &request{Event: e, answer: answer{deprecateEOF: l.client4&l.server4&clientDeprecateEOF != 0}}
	}
	return verdict
}

// answers forwards what the server sends, until one side ends or the hook cuts the connection.
func (l *link) answers() {
	var buf []byte
	for {
		packet, err := readPacket(l.server, buf)
		if err != nil {
			return
		}
		buf = packet
		ended := l.answer(packet[headerSize:])
		if ended != nil {
			ended.Point = Answered
			switch l.tap.tell(*ended) {
			case Cut:
				return
			case Spoil:
				packet = append([]byte{byte(len(spoilt)), 0, 0, packet[3]}, spoilt...)
			}
		}
		if err := l.pass(l.client, packet); err != nil {
			return
		}
		if ended != nil {
			ended.Point = Told
			if l.tap.tell(*ended) == Cut {
				return
			}
		}
	}
}

// answer looks at a packet of the server, and returns the request if its answer ends with it.
func (l *link) answer(payload []byte) *Event {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.greeted {
		l.greeted, l.server4 = true, greetingCapabilities(payload)
		return nil
	}
	if l.pending == nil || !l.pending.answer.ends(payload) {
		return nil
	}
	e := l.pending.Event
	e.Failed = l.pending.answer.failed
	l.pending = nil
	return &e
}

const headerSize = 4

// readPacket reads one packet with its header into buf, which it grows as needed.
//
// https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_basic_packets.html
func readPacket(r io.Reader, buf []byte) ([]byte, error) {
	if cap(buf) < headerSize {
		buf = make([]byte, headerSize, 4096)
	}
	buf = buf[:headerSize]
	if _, err := io.ReadFull(r, buf); err != nil {
		return nil, err
	}
	size := headerSize + (int(buf[0]) | int(buf[1])<<8 | int(buf[2])<<16)
	if cap(buf) < size {
		buf = append(make([]byte, 0, size), buf...)
	}
	buf = buf[:size]
	if _, err := io.ReadFull(r, buf[headerSize:]); err != nil {
		return nil, errors.Join(io.ErrUnexpectedEOF, err)
	}
	return buf, nil
}
