package wire

import (
	"bytes"
	"errors"
	"io"
	"net"
	"testing"
	"testing/iotest"
)

// bufferConn is a net.Conn that reads from and writes to a buffer.
type bufferConn struct {
	net.Conn
	*bytes.Buffer
}

func (c bufferConn) Read(p []byte) (int, error)  { return c.Buffer.Read(p) }
func (c bufferConn) Write(p []byte) (int, error) { return c.Buffer.Write(p) }

// readerConn is a net.Conn that reads from a reader.
type readerConn struct {
	net.Conn
	io.Reader
}

func (c readerConn) Read(p []byte) (int, error) { return c.Reader.Read(p) }

// countConn counts writes.
type countConn struct {
	net.Conn
	writes int
	err    error
}

func (c *countConn) Write(p []byte) (int, error) {
	c.writes++
	return len(p), c.err
}

// TestPacketSizes writes and reads payloads around every limit of the buffers and of the protocol, whole and in pieces.
func TestPacketSizes(t *testing.T) {
	sizes := []int{
		0, 1, 250, minReadBuffer - headerSize, minReadBuffer, minReadBuffer + 1, writeBuffer - headerSize, writeBuffer - 1, writeBuffer,
		writeBuffer + 1, maxReadBuffer - 1, maxReadBuffer, maxReadBuffer + 1, growStep, 3 * growStep,
		maxChunk - 1, maxChunk, maxChunk + 1, 2 * maxChunk, 2*maxChunk + 5,
	}
	var stream bytes.Buffer
	w := NewConn(bufferConn{Buffer: &stream}, 0)
	w.SetSeq(250) // ids wrap
	for _, n := range sizes {
		if err := w.WritePacket(bytes.Repeat([]byte{byte(n)}, n)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	for name, r := range map[string]io.Reader{
		"whole": bytes.NewReader(stream.Bytes()), "halves": iotest.HalfReader(bytes.NewReader(stream.Bytes())),
		"data with error": iotest.DataErrReader(bytes.NewReader(stream.Bytes())),
	} {
		c := NewConn(readerConn{Reader: r}, 0)
		c.SetSeq(250)
		for _, n := range sizes {
			p, err := c.ReadPacket()
			if err != nil {
				t.Fatalf("%s: %d bytes: %v", name, n, err)
			}
			if len(p) != n || !bytes.Equal(p, bytes.Repeat([]byte{byte(n)}, n)) {
				t.Fatalf("%s: %d bytes: got %d", name, n, len(p))
			}
		}
		if _, err := c.ReadPacket(); err != io.EOF {
			t.Errorf("%s: at the end: %v", name, err)
		}
		if c.Seq() != w.Seq() || cap(c.big) > keepBig || len(c.rbuf) > maxReadBuffer {
			t.Errorf("%s: next id %d, want %d; %d and %d bytes kept", name, c.Seq(), w.Seq(), cap(c.big), len(c.rbuf))
		}
	}
}

// TestReadPacketErrors: what is cut, out of order or too large is a clear error, and a claimed length allocates nothing.
func TestReadPacketErrors(t *testing.T) {
	big := pack(0, make([]byte, maxChunk))
	for _, c := range []struct {
		name  string
		in    []byte
		check func(error) bool
	}{
		{"nothing", nil, func(err error) bool { return err == io.EOF }},
		{"half a header", []byte{1, 0}, func(err error) bool { return errors.Is(err, io.ErrUnexpectedEOF) }},
		{"no body", []byte{1, 0, 0, 0}, func(err error) bool { return errors.Is(err, io.ErrUnexpectedEOF) }},
		{"half a body", []byte{2, 0, 0, 0, 1}, func(err error) bool { return errors.Is(err, io.ErrUnexpectedEOF) }},
		{"claims 16 MB", append([]byte{0xff, 0xff, 0xff, 0}, make([]byte, 10_000)...), func(err error) bool { return errors.Is(err, io.ErrUnexpectedEOF) }},
		{"not continued", big[:len(big)-headerSize], func(err error) bool { return errors.Is(err, io.ErrUnexpectedEOF) }},
		{"out of order", []byte{1, 0, 0, 7, 1}, func(err error) bool { return errors.Is(err, ErrSequence) }},
		{"continued out of order", append(big[:len(big)-1:len(big)-1], 9), func(err error) bool { return errors.Is(err, ErrSequence) }},
		{"too large", append(big[:len(big)-headerSize:len(big)-headerSize], 2, 0, 0, 1, 0, 0), isTooLarge},
	} {
		hugeBuffers = spares{} // what is lent was not allocated for this packet
		conn := NewConn(readerConn{Reader: bytes.NewReader(c.in)}, maxChunk+1)
		_, err := conn.ReadPacket()
		if !c.check(err) {
			t.Errorf("%s: %v", c.name, err)
		}
		if cap(conn.big) > growStep+2*len(c.in) {
			t.Errorf("%s: %d bytes allocated for %d", c.name, cap(conn.big), len(c.in))
		}
	}
	for _, limit := range []int{99, 1 << 10} { // below and above the read buffer
		conn := NewConn(readerConn{Reader: bytes.NewReader(pack(0, make([]byte, 100*limit)))}, limit)
		if _, err := conn.ReadPacket(); !isTooLarge(err) {
			t.Errorf("limit %d: %v", limit, err)
		}
	}
	if command, arg, err := NewConn(readerConn{Reader: bytes.NewReader([]byte{0, 0, 0, 0})}, 0).ReadCommand(); command != ComSleep || len(arg) > 0 || err != nil {
		t.Errorf("an empty packet is %s %q, %v", command, arg, err)
	}
}

// isTooLarge: such an error must not look as if a server had said it, and its connection as if it could be used.
func isTooLarge(err error) bool {
	var said *Error
	return errors.Is(err, ErrTooLarge) && !errors.As(err, &said)
}

// TestSendCommand: the sequence id starts at 0, the parts become one packet, in one write and without allocation.
func TestSendCommand(t *testing.T) {
	var out bytes.Buffer
	c := NewConn(bufferConn{Buffer: &out}, 0)
	c.SetSeq(9)
	if err := c.SendCommand(ComQuery, []byte("SELECT "), nil, []byte("1")); err != nil {
		t.Fatal(err)
	}
	if got := out.String(); got != "\x09\x00\x00\x00\x03SELECT 1" || c.Seq() != 1 {
		t.Errorf("%q, next id %d", got, c.Seq())
	}
	out.Reset()
	parts := [][]byte{bytes.Repeat([]byte("a"), maxChunk-1), []byte("b"), bytes.Repeat([]byte("c"), maxChunk-1)}
	if err := c.SendCommand(ComQuery, parts...); err != nil {
		t.Fatal(err)
	}
	_, arg, err := NewConn(bufferConn{Buffer: &out}, 0).ReadCommand()
	if err != nil || !bytes.Equal(arg, bytes.Join(parts, nil)) || c.Seq() != 3 {
		t.Errorf("%d bytes, %v, next id %d", len(arg), err, c.Seq())
	}

	count := &countConn{}
	c = NewConn(count, 0)
	query, more := []byte("SELECT 1"), make([]byte, writeBuffer-100)
	if n := testing.AllocsPerRun(100, func() {
		if err := c.SendCommand(ComQuery, query, more); err != nil {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
	if count.writes != 101 {
		t.Errorf("%d writes for 101 commands", count.writes)
	}
	count.err = io.ErrClosedPipe
	for range 2 {
		if err := c.SendCommand(ComPing); !errors.Is(err, io.ErrClosedPipe) {
			t.Error(err)
		}
		count.err = nil // a write error stays
	}
}

// scriptConn is a cutConn with an address.
type scriptConn struct{ cutConn }

func (*scriptConn) RemoteAddr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 1} }

// TestLargePacketToClosedPeer: the peer is gone before the second piece of a packet. That is an error like any other.
func TestLargePacketToClosedPeer(t *testing.T) {
	near, far := net.Pipe()
	if err := far.Close(); err != nil {
		t.Fatal(err)
	}
	c := NewConn(near, 0)
	for range 2 {
		if err := c.SendCommand(ComQuery, make([]byte, maxChunk+10)); err == nil {
			t.Fatal("a packet went to a closed peer")
		}
	}
}
