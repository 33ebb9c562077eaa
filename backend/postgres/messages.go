package postgres

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"net"

	"github.com/lib/pq"
	"github.com/lib/pq/pqerror"
)

// readBuffer is how many bytes are read at once.
const readBuffer = 16 << 10

// maxMessage is the largest message, as PostgreSQL has it.
const maxMessage = 1 << 30

// messages reads PostgreSQL's messages. A driver in between would make a value of Go's of each column of each row, which costs five times the
// CPU time of everything else: docs/dependencies.md has the figures.
//
// Source: PostgreSQL manual, "Message Formats".
type messages struct {
	in   *bufio.Reader
	last int // bytes of the last message that are still in the buffer
}

func newMessages(r io.Reader) *messages { return &messages{in: bufio.NewReaderSize(r, readBuffer)} }

const messageHead = 5

// whole returns a message with its kind and length in front. It is valid until the next one.
func (m *messages) whole() ([]byte, error) {
	if _, err := m.in.Discard(m.last); err != nil {
		return nil, err
	}
	m.last = 0
	head, err := m.in.Peek(messageHead)
	if err != nil {
		return nil, err
	}
	size := 1 + int(binary.BigEndian.Uint32(head[1:]))
	switch {
	case size < messageHead || size > maxMessage:
		return nil, fmt.Errorf("a message of %d bytes, which PostgreSQL does not send", size)
	case size > readBuffer:
		var b bytes.Buffer // grows with what arrives
		_, err := io.CopyN(&b, m.in, int64(size))
		return b.Bytes(), err
	}
	m.last = size
	return m.in.Peek(size)
}

// next returns the kind of a message, and what is in it.
func (m *messages) next() (kind byte, body []byte, err error) {
	all, err := m.whole()
	if err != nil {
		return 0, nil, err
	}
	return all[0], all[messageHead:], nil
}

// loginConn is the connection as lib/pq has it, which logs in: it gets one message at a time, and so nothing of what comes after the last one of the
// login, which is for messages.
type loginConn struct {
	net.Conn
	in   *messages
	rest []byte
}

func (l *loginConn) Read(b []byte) (int, error) {
	if len(l.rest) == 0 {
		all, err := l.in.whole()
		if err != nil {
			return 0, err
		}
		l.rest = all
	}
	n := copy(b, l.rest)
	l.rest = l.rest[n:]
	return n, nil
}

// readError reads an ErrorResponse or a NoticeResponse.
//
// Source: PostgreSQL manual, "Error and Notice Message Fields".
func readError(body []byte) *pq.Error {
	e := &pq.Error{}
	for len(body) > 1 {
		kind := body[0]
		end := bytes.IndexByte(body[1:], 0)
		if end < 0 {
			break
		}
		text := string(body[1 : 1+end])
		body = body[end+2:]
		switch kind {
		case 'V': // as S, and never translated
			e.Severity = text
		case 'C':
			e.Code = pqerror.Code(text)
		case 'M':
			e.Message = text
		case 'D':
			e.Detail = text
		case 'H':
			e.Hint = text
		case 's':
			e.Schema = text
		case 't':
			e.Table = text
		case 'c':
			e.Column = text
		case 'n':
			e.Constraint = text
		}
	}
	return e
}
