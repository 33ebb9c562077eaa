package wire

import (
	"io"
	"net"
	"time"
)

// Recording is an answer that is kept in memory in place of being sent: what is written to Conn as to a client can be read from Conn as
// from a server, once.
type Recording struct {
	*Conn
	tape tape
}

// NewRecording returns an empty recording with the capabilities of the client that the answer is made for. Of an answer of more than
// limit bytes nothing is kept, 0 being no limit: see Overrun.
func NewRecording(caps Capability, limit int64) *Recording {
	r := &Recording{tape: tape{limit: limit}}
	r.Conn = NewConn(&r.tape, 0)
	r.Conn.caps = caps
	return r
}

// Size is how many bytes have been written.
func (r *Recording) Size() int64 { return r.tape.size }

// Overrun tells that the answer is larger than the limit, so that it cannot be read.
func (r *Recording) Overrun() bool { return r.tape.limit > 0 && r.tape.size > r.tape.limit }

// Rewind ends the writing and begins the reading.
func (r *Recording) Rewind() error {
	err := r.Flush()
	r.SetSeq(0)
	return err
}

// tape is the bytes of a recording.
type tape struct {
	chunks [][]byte
	size   int64
	limit  int64
}

// tapeChunk is how many bytes lie in one piece, if they come in smaller ones.
const tapeChunk = 64 << 10

func (t *tape) Write(p []byte) (int, error) {
	if t.size += int64(len(p)); t.limit > 0 && t.size > t.limit {
		t.chunks = nil
		return len(p), nil // the server's answer must be read to its end all the same
	}
	if n := len(t.chunks); n > 0 && len(t.chunks[n-1])+len(p) <= cap(t.chunks[n-1]) {
		t.chunks[n-1] = append(t.chunks[n-1], p...)
		return len(p), nil
	}
	t.chunks = append(t.chunks, append(make([]byte, 0, max(len(p), min(tapeChunk, 2*int(t.size)))), p...))
	return len(p), nil
}

func (t *tape) Read(p []byte) (int, error) {
	if len(t.chunks) == 0 {
		return 0, io.EOF
	}
	n := copy(p, t.chunks[0])
	if t.chunks[0] = t.chunks[0][n:]; len(t.chunks[0]) == 0 {
		t.chunks[0] = nil
		t.chunks = t.chunks[1:]
	}
	return n, nil
}

func (*tape) Close() error                     { return nil }
func (*tape) LocalAddr() net.Addr              { return nil }
func (*tape) RemoteAddr() net.Addr             { return nil }
func (*tape) SetDeadline(time.Time) error      { return nil }
func (*tape) SetReadDeadline(time.Time) error  { return nil }
func (*tape) SetWriteDeadline(time.Time) error { return nil }
