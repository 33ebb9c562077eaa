package fidelity

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
)

// packet is one packet of a reply: the payload, joined when it was split, and the sequence id of its last piece.
type packet struct {
	seq     byte
	payload []byte
	ok, row bool // it is an OK or EOF; a row
}

// first is the first byte, or one that no packet begins with.
func (p packet) first() byte {
	if len(p.payload) == 0 {
		return 0x80
	}
	return p.payload[0]
}

// framing reads and writes packets. It is written anew here, so that a mistake of package wire cannot hide itself.
//
// Source: MySQL page_protocol_basic_packets.
type framing struct {
	net.Conn
	in    *bufio.Reader
	seq   byte        // of the next packet that is written
	below *compressed // below, once compression has begun
}

const (
	headerSize = 4
	longest    = 1<<24 - 1 // bytes of a piece; a packet of this length or more has another one
)

func newFraming(nc net.Conn) *framing { return &framing{Conn: nc, in: bufio.NewReaderSize(nc, 64<<10)} }

// compress puts the compressed protocol below the packets.
func (f *framing) compress(codec codec) {
	f.below = &compressed{Conn: f.Conn, in: f.in, codec: codec}
	f.Conn, f.in = f.below, bufio.NewReaderSize(f.below, 64<<10)
}

// restart begins a new exchange.
func (f *framing) restart() {
	f.seq = 0
	if f.below != nil {
		f.below.seq = 0
	}
}

// read reads one packet. The error is io.EOF when the peer closed between two of them.
func (f *framing) read() (packet, error) {
	var p packet
	for first := true; ; first = false {
		var h [headerSize]byte
		if _, err := io.ReadFull(f.in, h[:]); err != nil {
			if !first && err == io.EOF {
				err = io.ErrUnexpectedEOF
			}
			return packet{}, err
		}
		if !first && h[3] != p.seq+1 {
			return packet{}, fmt.Errorf("piece %d of a packet follows piece %d", h[3], p.seq)
		}
		p.seq = h[3]
		n, from := int(h[0])|int(h[1])<<8|int(h[2])<<16, len(p.payload)
		p.payload = append(p.payload, make([]byte, n)...)
		if _, err := io.ReadFull(f.in, p.payload[from:]); err != nil {
			return packet{}, errors.Join(err, io.ErrUnexpectedEOF)
		}
		if n < longest {
			f.seq = p.seq + 1
			return p, nil
		}
	}
}

// write writes one packet.
func (f *framing) write(payload []byte) error {
	for {
		n := min(len(payload), longest)
		out := append([]byte{byte(n), byte(n >> 8), byte(n >> 16), f.seq}, payload[:n]...)
		f.seq++
		if _, err := f.Write(out); err != nil || n < longest {
			return err
		}
		payload = payload[n:]
	}
}
