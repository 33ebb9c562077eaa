package main

import (
	"bufio"
	"encoding/binary"
	"io"
)

// messages reads PostgreSQL's messages without a copy.
//
// Source: PostgreSQL manual, "Message Formats".
type messages struct {
	in   *bufio.Reader
	big  []byte // one that is larger than the buffer
	last int
}

func newMessages(r io.Reader) *messages { return &messages{in: bufio.NewReaderSize(r, 16<<10)} }

// next returns a message, valid until the next one.
func (m *messages) next() (kind byte, body []byte, err error) {
	if _, err := m.in.Discard(m.last); err != nil {
		return 0, nil, err
	}
	m.last = 0
	head, err := m.in.Peek(5)
	if err != nil {
		return 0, nil, err
	}
	kind, size := head[0], 1+int(binary.BigEndian.Uint32(head[1:]))
	if size > m.in.Size() {
		m.big = make([]byte, size)
		_, err := io.ReadFull(m.in, m.big)
		return kind, m.big[5:], err
	}
	all, err := m.in.Peek(size)
	m.last = size
	return kind, all[min(5, len(all)):], err
}

func appendQuery(dst []byte, sql string) []byte {
	dst = append(dst, 'Q')
	dst = binary.BigEndian.AppendUint32(dst, uint32(4+len(sql)+1))
	return append(append(dst, sql...), 0)
}
