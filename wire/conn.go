package wire

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"time"
)

const (
	headerSize = 4
	maxChunk   = 1<<24 - 1 // a packet of this length is continued by the next one

	// DefaultMaxPacket is the largest payload of a Conn made without a limit, in bytes. It is the default of MySQL's
	// max_allowed_packet.
	DefaultMaxPacket = 64 << 20

	minReadBuffer = 1 << 10  // to begin with, and at rest: most commands need no more
	maxReadBuffer = 32 << 10 // when reads fill the small one
	writeBuffer   = 16 << 10 // bytes written at once
	restBuffer    = 4 << 10  // largest write buffer at rest
	keepBig       = 128 << 10
	growStep      = 64 << 10
)

// Conn is one MySQL connection, in either role. One goroutine reads and one writes at a time, and they may differ;
// otherwise a Conn is not for concurrent use.
//
// Source: MySQL page_protocol_basic_packets.
type Conn struct {
	nc        net.Conn
	bottom    net.Conn // what nc was before TLS and compression
	patience  time.Duration
	caps      Capability
	maxPacket int
	seq       byte
	open      bool // the answer to the last command has not been read to its end
	inTrans   bool // it ended within a transaction, as its server says

	// Reading. Invariant: 0 <= r <= w <= len(rbuf); unread bytes are rbuf[r:w].
	rbuf []byte
	r, w int
	full bool   // the last read filled the buffer: the next may use a larger one
	big  []byte // the last packet, when it was larger than the read buffer
	lent loans
	z    *compressed // nc, once compression has begun

	// Writing.
	wbuf  []byte // complete bytes that wait for Flush
	chunk int    // bytes that the current chunk still lacks
	rest  int    // bytes of the current packet after this chunk
	last  bool   // no chunk follows the current one
	werr  error  // the first write error; every later write returns it

	scratch []byte // payloads being encoded

	received, sent uint64 // bytes since Traffic was asked last, inside of TLS and compression
}

// NewConn returns a connection before its handshake: no capabilities, sequence id 0. Payloads over maxPacket bytes are
// refused on reading; 0 means DefaultMaxPacket.
func NewConn(nc net.Conn, maxPacket int) *Conn {
	if maxPacket <= 0 {
		maxPacket = DefaultMaxPacket
	}
	bottom := Direct(nc)
	return &Conn{nc: bottom, bottom: bottom, maxPacket: maxPacket, rbuf: make([]byte, minReadBuffer)}
}

// Socket returns the connection that NewConn was given, below TLS and compression.
func (c *Conn) Socket() net.Conn { return plain(c.bottom) }

// NetConn returns the connection underneath: a *tls.Conn once TLS has begun.
func (c *Conn) NetConn() net.Conn {
	if c.z != nil {
		return plain(c.z.Conn)
	}
	return plain(c.nc)
}

// Caps returns the negotiated capabilities: none before the handshake.
func (c *Conn) Caps() Capability { return c.caps }

// Seq returns the sequence id of the next packet, in either direction.
func (c *Conn) Seq() byte { return c.seq }

// SetSeq sets the sequence id of the next packet, in either direction.
func (c *Conn) SetSeq(seq byte) { c.seq = seq }

// Answered reports whether the answer to the last command was read to its end, as ReadResult, ReadPrepared and Relay find it.
func (c *Conn) Answered() bool { return !c.open }

// InTransaction reports whether the last answer was an OK, or ended a result set, and said that a transaction is open. An ERR says nothing of that.
//
// Source: MySQL page_protocol_basic_ok_packet, SERVER_STATUS_IN_TRANS.
func (c *Conn) InTransaction() bool { return c.inTrans }

// Buffered reports whether bytes have been received and not read yet.
func (c *Conn) Buffered() bool { return c.r < c.w || c.z != nil && c.z.buffered() }

// SetDeadline sets the deadline of all reads and writes, as net.Conn does.
func (c *Conn) SetDeadline(t time.Time) error { return c.nc.SetDeadline(t) }

// SetPatience bounds how long the peer may keep this side waiting within an exchange: until it takes the next bytes that it is
// sent, or sends the next bytes of a file. After that writes and ReadFileChunk fail. 0 is no bound.
//
// NB: where it has to wait it uses the connection's deadlines, and clears them afterwards.
func (c *Conn) SetPatience(d time.Duration) {
	c.patience = d
	c.hurry(false)
}

// hurry says whether the peer is expected to send something now.
func (c *Conn) hurry(reading bool) {
	s, ok := c.bottom.(*socket)
	if !ok {
		return
	}
	read := time.Duration(0)
	if reading {
		read = c.patience
	}
	s.setPatience(read, c.patience)
}

// Traffic returns how many bytes were received and sent since it was asked last, or since the login; they are counted inside of TLS and compression.
func (c *Conn) Traffic() (received, sent uint64) {
	received, sent = c.received, c.sent
	c.received, c.sent = 0, 0
	return received, sent
}

// Close closes the connection underneath without sending anything. Unflushed bytes are lost.
func (c *Conn) Close() error { return c.nc.Close() }

// ReadPacket returns the payload of the next packet, joined when it was split at 16 MB - 1. The bytes are valid, and may
// be changed, until the next read.
//
// The error is io.EOF when the peer closed between two packets; it wraps io.ErrUnexpectedEOF when it closed within one
// and ErrSequence when a packet is out of order, or ErrTooLarge when the payload is larger than the limit. After any error the
// connection must be closed.
func (c *Conn) ReadPacket() ([]byte, error) {
	n, err := c.readHeader()
	if err != nil {
		return nil, err
	}
	if n == maxChunk || n > maxReadBuffer {
		return c.readBig(n)
	}
	if n > c.maxPacket {
		return nil, c.tooLarge()
	}
	if err := c.need(n); err != nil {
		return nil, fmt.Errorf("read packet body: %w", unexpected(err))
	}
	p := c.rbuf[c.r : c.r+n : c.r+n]
	c.r += n
	return p, nil
}

// ReadCommand starts a new exchange and reads its first packet: sequence id 0, the command, and its argument, which is
// valid until the next read. An empty packet is COM_SLEEP, which is no client's to send, as on servers. Errors are those of
// ReadPacket.
//
// While it waits, the connection holds no more than small buffers; larger ones are lent from pools. It waits few frames
// below its caller: see proxy, TestIdleSessionStack.
func (c *Conn) ReadCommand() (Command, []byte, error) {
	c.giveBack()
	c.restart()
	if c.z != nil && !c.Buffered() {
		_, _ = c.z.in.Peek(1) // an error will come again; waiting is done here because it takes less stack
	}
	p, err := c.ReadPacket()
	if err != nil {
		return 0, nil, err
	}
	if len(p) == 0 {
		return ComSleep, nil, nil
	}
	return Command(p[0]), p[1:], nil
}

// restart begins a new exchange.
func (c *Conn) restart() {
	c.seq = 0
	if c.z != nil {
		c.z.seq = 0
	}
}

// inOrder checks the sequence id of the peer's next packet. In compressed packets those of the packets inside do not count:
// MySQL sets them to the id of the compressed one whenever it flushes.
func (c *Conn) inOrder(seq byte) error {
	if seq != c.seq {
		if c.z == nil {
			return fmt.Errorf("%w: got sequence id %d, expected %d", ErrSequence, seq, c.seq)
		}
		c.seq = seq
	}
	return nil
}

// readHeader consumes a packet header and returns the length of what follows.
func (c *Conn) readHeader() (int, error) {
	if cap(c.big) > keepBig {
		c.giveBackBig()
	}
	if err := c.need(headerSize); err != nil {
		if c.r < c.w {
			err = unexpected(err)
		}
		if errors.Is(err, io.EOF) {
			return 0, io.EOF
		}
		return 0, fmt.Errorf("read packet header: %w", err)
	}
	h := c.rbuf[c.r : c.r+headerSize]
	if err := c.inOrder(h[3]); err != nil {
		return 0, err
	}
	c.seq++
	c.r += headerSize
	return chunkLength(h), nil
}

// chunkLength decodes the length in a packet header.
func chunkLength(h []byte) int { return int(binary.LittleEndian.Uint32(h) & maxChunk) }

// readBig reads a packet whose first chunk has n bytes into a buffer of its own. The buffer grows with the bytes that
// arrive, not with the length that the peer claims.
func (c *Conn) readBig(n int) ([]byte, error) {
	c.borrowBig()
	c.big = c.big[:0]
	for {
		if len(c.big)+n > c.maxPacket {
			return nil, c.tooLarge()
		}
		more := 0
		if n == maxChunk { // at least one chunk follows, most often a small one
			more = maxChunk / 4
		}
		if err := c.readInto(n, more); err != nil {
			return nil, fmt.Errorf("read packet body: %w", unexpected(err))
		}
		if n < maxChunk {
			return c.big, nil
		}
		var err error
		if n, err = c.continued(); err != nil {
			return nil, err
		}
	}
}

// continued reads the header of a chunk that continues a packet.
func (c *Conn) continued() (int, error) {
	big := c.big
	c.big = nil // keep readHeader from dropping it
	n, err := c.readHeader()
	c.big = big
	if err != nil {
		return 0, unexpected(err)
	}
	return n, nil
}

// readInto appends the next n bytes of the stream to c.big. If it has to grow to hold them, it gets room for more.
func (c *Conn) readInto(n, more int) error {
	k := min(n, c.w-c.r)
	c.big = append(c.big, c.rbuf[c.r:c.r+k]...)
	c.r += k
	for n -= k; n > 0; {
		have := len(c.big)
		if have == cap(c.big) {
			c.grow(n + more)
		}
		k, err := c.nc.Read(c.big[have:min(cap(c.big), have+n)])
		c.big = c.big[:have+k]
		c.received += uint64(k)
		n -= k
		if err != nil && n > 0 {
			return err
		}
	}
	return nil
}

func (c *Conn) tooLarge() error {
	return fmt.Errorf("%w: more than %d bytes", ErrTooLarge, c.maxPacket)
}

// need reads until n bytes are in the read buffer; n is at most maxReadBuffer.
func (c *Conn) need(n int) error {
	for c.w-c.r < n {
		if n > len(c.rbuf) {
			c.borrowRead()
		}
		if err := c.fill(); err != nil {
			return err
		}
	}
	return nil
}

// fill reads once, after moving the unread bytes to the front of the read buffer. The buffer must not be full of
// unread bytes. On an error the unread bytes stay.
func (c *Conn) fill() error {
	if c.full && len(c.rbuf) < maxReadBuffer {
		c.borrowRead()
	} else if c.r > 0 {
		c.w = copy(c.rbuf, c.rbuf[c.r:c.w])
		c.r = 0
	}
	n, err := c.nc.Read(c.rbuf[c.w:])
	c.w += n
	c.received += uint64(n)
	c.full = c.w == len(c.rbuf)
	if n > 0 {
		return nil // an error will come again
	}
	if err == nil {
		return io.ErrNoProgress
	}
	return err
}

// swap moves the unread bytes into buf, which must hold them, and returns the old read buffer.
func (c *Conn) swap(buf []byte) []byte {
	old := c.rbuf
	c.w = copy(buf, old[c.r:c.w])
	c.r, c.rbuf, c.full = 0, buf, false
	return old
}

// wipe overwrites what the read buffer holds of bytes that have been read.
func (c *Conn) wipe() {
	clear(c.rbuf[:c.r])
	clear(c.rbuf[c.w:])
}

// unexpected turns the end of the stream, where it must not end, into io.ErrUnexpectedEOF.
func unexpected(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// WritePacket writes one packet to the write buffer, and what does not fit there to the peer; it splits at 16 MB - 1.
// The payload is not kept. It takes the next sequence ids. After an error every later write returns the same error.
func (c *Conn) WritePacket(payload []byte) error {
	c.begin(len(payload))
	c.put(payload)
	return c.werr
}

// SendCommand starts a new exchange: it sets the sequence id to 0, writes one packet made of the command and the
// concatenated arguments, and flushes. Small commands take one Write call and no allocation.
func (c *Conn) SendCommand(cmd Command, arg ...[]byte) error {
	n := 1
	for _, a := range arg {
		n += len(a)
	}
	c.restart()
	c.open = cmd != ComStmtClose && cmd != ComStmtSendLongData && cmd != ComQuit
	c.begin(n)
	c.scratch = append(c.scratch[:0], byte(cmd))
	c.put(c.scratch)
	for _, a := range arg {
		c.put(a)
	}
	return c.Flush()
}

// Several says that the next command will have more than one answer, and that the first one does not matter before the second one is
// there. Servers send each by itself, and a read that finds but one of them is for nothing.
func (c *Conn) Several() {
	if s, ok := c.nc.(*socket); ok {
		s.several()
	}
}

// Flush sends what WritePacket has buffered.
func (c *Conn) Flush() error {
	if c.werr == nil && len(c.wbuf) > 0 {
		c.write(c.wbuf)
	}
	c.wbuf = c.wbuf[:0] // after an error, too: nothing of it will ever be sent
	return c.werr
}

// begin opens a packet of n bytes, which are to come through put.
func (c *Conn) begin(n int) {
	c.rest = n
	c.header()
}

// header opens the next chunk of the current packet.
func (c *Conn) header() {
	c.chunk = min(c.rest, maxChunk)
	c.rest -= c.chunk
	c.last = c.chunk < maxChunk
	if len(c.wbuf)+headerSize > writeBuffer {
		c.Flush() // the error stays in werr
	}
	c.borrowWrite(headerSize)
	c.wbuf = append(c.wbuf, byte(c.chunk), byte(c.chunk>>8), byte(c.chunk>>16), c.seq)
	c.seq++
}

// put takes the next bytes of the current packet.
func (c *Conn) put(b []byte) {
	for {
		n := min(len(b), c.chunk)
		c.buffer(b[:n])
		b = b[n:]
		c.chunk -= n
		if c.chunk > 0 || c.last {
			return
		}
		c.header()
	}
}

// buffer appends bytes to the write buffer. Whenever it is full it goes out; what is larger than the buffer goes out
// without being copied, after a first part that fills the buffer up.
func (c *Conn) buffer(b []byte) {
	if room := writeBuffer - len(c.wbuf); len(b) > room {
		c.borrowWrite(room)
		c.wbuf = append(c.wbuf, b[:room]...)
		b = b[room:]
		if c.Flush() != nil {
			return
		}
		if len(b) >= writeBuffer {
			c.write(b)
			return
		}
	}
	c.borrowWrite(len(b))
	c.wbuf = append(c.wbuf, b...)
}

// write sends bytes at once and remembers the first error.
func (c *Conn) write(b []byte) {
	if c.werr != nil {
		return
	}
	n, err := c.nc.Write(b)
	c.sent += uint64(n)
	if err != nil {
		c.werr = fmt.Errorf("write packet: %w", err)
	}
}

// passOn sends bytes that are packets already, after what waits in the write buffer, in one write where possible.
func (c *Conn) passOn(b []byte) error {
	if len(c.wbuf) > 0 && len(c.wbuf)+len(b) <= writeBuffer {
		c.borrowWrite(len(b))
		c.wbuf = append(c.wbuf, b...)
		return c.Flush()
	}
	if c.Flush() == nil {
		c.write(b)
	}
	return c.werr
}
