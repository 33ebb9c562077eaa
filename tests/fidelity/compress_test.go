package fidelity

import (
	"bufio"
	"bytes"
	"compress/zlib"
	"fmt"
	"io"
	"net"

	"github.com/klauspost/compress/zstd"
)

// codec compresses and decompresses.
type codec interface {
	pack(p []byte) ([]byte, error)
	unpack(p []byte) ([]byte, error)
}

// compressed is a connection in the compressed protocol, in the plainest way. Its sequence ids are checked here: a reply
// whose ids are out of order is an error.
//
// Source: MySQL page_protocol_basic_compression_packet.
type compressed struct {
	net.Conn
	in    *bufio.Reader
	codec codec
	seq   byte
	rest  []byte // read, decompressed and not yet asked for
}

const compressedHeader = 7

func (c *compressed) Read(p []byte) (int, error) {
	for len(c.rest) == 0 {
		var h [compressedHeader]byte
		if _, err := io.ReadFull(c.in, h[:]); err != nil {
			return 0, err
		}
		if h[3] != c.seq {
			return 0, fmt.Errorf("compressed packet %d instead of %d", h[3], c.seq)
		}
		c.seq++
		small := make([]byte, int(h[0])|int(h[1])<<8|int(h[2])<<16)
		if _, err := io.ReadFull(c.in, small); err != nil {
			return 0, err
		}
		c.rest = small
		if size := int(h[4]) | int(h[5])<<8 | int(h[6])<<16; size > 0 {
			var err error
			if c.rest, err = c.codec.unpack(small); err != nil || len(c.rest) != size {
				return 0, fmt.Errorf("compressed packet of %d bytes, said to be %d: %w", len(c.rest), size, err)
			}
		}
	}
	n := copy(p, c.rest)
	c.rest = c.rest[n:]
	return n, nil
}

func (c *compressed) Write(p []byte) (int, error) {
	for rest := p; len(rest) > 0; {
		part := rest[:min(len(rest), 1<<20)]
		rest = rest[len(part):]
		small, size := part, 0
		if len(part) >= 50 {
			var err error
			if small, err = c.codec.pack(part); err != nil {
				return 0, err
			}
			size = len(part)
		}
		n := len(small)
		h := []byte{byte(n), byte(n >> 8), byte(n >> 16), c.seq, byte(size), byte(size >> 8), byte(size >> 16)}
		c.seq++
		if _, err := c.Conn.Write(append(h, small...)); err != nil {
			return 0, err
		}
	}
	return len(p), nil
}

type zlibCodec struct{}

func (zlibCodec) pack(p []byte) ([]byte, error) {
	var b bytes.Buffer
	w := zlib.NewWriter(&b)
	if _, err := w.Write(p); err != nil {
		return nil, err
	}
	err := w.Close()
	return b.Bytes(), err
}

func (zlibCodec) unpack(p []byte) ([]byte, error) {
	r, err := zlib.NewReader(bytes.NewReader(p))
	if err != nil {
		return nil, err
	}
	return io.ReadAll(r)
}

type zstdCodec struct {
	*zstd.Encoder
	*zstd.Decoder
}

func newZstd() (codec, error) {
	e, err := zstd.NewWriter(nil)
	if err != nil {
		return nil, err
	}
	d, err := zstd.NewReader(nil)
	return zstdCodec{e, d}, err
}

func (z zstdCodec) pack(p []byte) ([]byte, error)   { return z.EncodeAll(p, nil), nil }
func (z zstdCodec) unpack(p []byte) ([]byte, error) { return z.DecodeAll(p, nil) }
