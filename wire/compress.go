package wire

import (
	"bufio"
	"bytes"
	"compress/zlib"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"

	"github.com/klauspost/compress/zstd"
)

const (
	compressedHeader = 7        // compressed length, sequence id, length before compression or 0 for bytes as they are
	minCompress      = 50       // bytes; fewer go as they are, as servers and clients do
	maxCompress      = 64 << 10 // bytes compressed at once
	compressedBuffer = 1 << 10  // of a connection's compressed input; held also at rest
	maxZstdWindow    = 16 << 20 // bytes; packets have fewer before compression
	zstdLevel        = 3        // what a client asks of a server: the default of MySQL
)

// compressed is a connection whose bytes go in compressed packets. Their borders have nothing to do with those of the packets
// inside. Sequence ids of their own run through both directions, from 0 for each command.
//
// Input is decompressed as it is read, into the reader's buffer: what a packet claims to hold is never allocated, and more
// than it claims is an error.
//
// Source: MySQL page_protocol_basic_compression_packet, MariaDB KB "Compression".
type compressed struct {
	net.Conn
	zstd bool
	seq  byte

	in    *bufio.Reader
	chunk limited       // the compressed bytes of the current packet
	left  int           // bytes of the current packet that have not been read yet, after decompression
	from  io.Reader     // where they come from: nil outside of a packet
	zlib  io.ReadCloser // borrowed from zlibReaders during a packet
	zstds *zstd.Decoder // borrowed from zstdReaders during a packet
}

// Codecs are large: they are lent for one packet.
var (
	zlibReaders sync.Pool // io.ReadCloser, which is a zlib.Resetter
	zstdReaders sync.Pool // *zstd.Decoder
	zlibWriters = sync.Pool{New: func() any {
		w, err := zlib.NewWriterLevel(nil, zlib.BestSpeed)
		if err != nil {
			panic(err) // the level is right
		}
		return &zlibWriter{zip: w}
	}}
	compressBuffers = sync.Pool{New: func() any { return new([]byte) }}
	zstdWriter      = sync.OnceValue(func() *zstd.Encoder {
		w, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithWindowSize(maxCompress), zstd.WithEncoderCRC(false))
		if err != nil {
			panic(err) // the options are right
		}
		return w
	})
)

type zlibWriter struct {
	zip *zlib.Writer
	out bytes.Buffer
}

// startCompression puts the compressed protocol below the packets, with zlib or zstd by what was negotiated. Bytes that were
// read already are the first of it.
func (c *Conn) startCompression() {
	if c.z != nil || c.caps&(Compress|ZstdCompression) == 0 {
		return
	}
	below := c.nc
	if c.Buffered() {
		below = &resumedConn{Conn: c.nc, first: bytes.Clone(c.rbuf[c.r:c.w])}
		c.r, c.w = 0, 0
	}
	c.z = &compressed{Conn: below, zstd: !c.caps.Has(Compress), in: bufio.NewReaderSize(below, compressedBuffer)}
	c.z.chunk.r = c.z.in
	c.nc = c.z
}

// limited reads the rest of one compressed packet, byte by byte where the codec wants that.
type limited struct {
	r *bufio.Reader
	n int
}

func (l *limited) Read(p []byte) (int, error) {
	if l.n == 0 {
		return 0, io.EOF
	}
	n, err := l.r.Read(p[:min(len(p), l.n)])
	l.n -= n
	return n, unexpected(err)
}

func (l *limited) ReadByte() (byte, error) {
	if l.n == 0 {
		return 0, io.EOF
	}
	b, err := l.r.ReadByte()
	if err != nil {
		return 0, unexpected(err)
	}
	l.n--
	return b, nil
}

// Read returns bytes of the packets inside. The error is io.EOF only between two compressed packets.
func (z *compressed) Read(p []byte) (int, error) {
	for z.left == 0 {
		if err := z.next(); err != nil {
			return 0, err
		}
	}
	n, err := z.from.Read(p[:min(len(p), z.left)])
	z.left -= n
	if n == 0 && err == nil {
		err = io.ErrNoProgress
	}
	if z.left > 0 && err != nil {
		return n, malformedCompression(err)
	}
	if z.left == 0 {
		if err := z.finish(); err != nil {
			return 0, err
		}
	}
	return n, nil
}

// next reads the header of a compressed packet.
func (z *compressed) next() error {
	h, err := z.in.Peek(compressedHeader)
	if err != nil {
		if len(h) > 0 {
			err = unexpected(err)
		}
		return err
	}
	if h[3] != z.seq {
		return fmt.Errorf("%w: got compressed sequence id %d, expected %d", ErrSequence, h[3], z.seq)
	}
	z.seq++
	z.chunk.n = chunkLength(h)
	z.left = int(h[4]) | int(h[5])<<8 | int(h[6])<<16
	if _, err := z.in.Discard(compressedHeader); err != nil {
		return err
	}
	if z.left == 0 {
		z.left, z.from = z.chunk.n, &z.chunk
		return nil
	}
	if z.zstd {
		err = z.openZstd()
	} else {
		err = z.openZlib()
	}
	if err != nil {
		return malformedCompression(err)
	}
	return nil
}

func (z *compressed) openZlib() error {
	if r, ok := zlibReaders.Get().(io.ReadCloser); ok {
		z.zlib, z.from = r, r
		return r.(zlib.Resetter).Reset(&z.chunk, nil)
	}
	r, err := zlib.NewReader(&z.chunk)
	z.zlib, z.from = r, r
	return err
}

func (z *compressed) openZstd() error {
	if r, ok := zstdReaders.Get().(*zstd.Decoder); ok {
		z.zstds, z.from = r, r
		return r.Reset(&z.chunk)
	}
	r, err := zstd.NewReader(&z.chunk, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(maxZstdWindow))
	z.zstds, z.from = r, r
	return err
}

// finish checks that the packet holds nothing behind the bytes that it claimed, and gives the codec back.
func (z *compressed) finish() error {
	if z.from != &z.chunk {
		var more [1]byte
		if n, err := io.ReadFull(z.from, more[:]); n > 0 {
			return malformedCompression(errors.New("more bytes than claimed"))
		} else if err != io.EOF {
			return malformedCompression(err)
		}
	}
	if z.chunk.n > 0 {
		return malformedCompression(errors.New("bytes behind the end"))
	}
	if z.zlib != nil {
		zlibReaders.Put(z.zlib)
	}
	if z.zstds != nil {
		if err := z.zstds.Reset(nil); err != nil { // forget the connection
			return malformedCompression(err)
		}
		zstdReaders.Put(z.zstds)
	}
	z.zlib, z.zstds, z.from = nil, nil, nil
	return nil
}

func malformedCompression(err error) error {
	if err == io.EOF {
		err = errors.New("fewer bytes than claimed")
	}
	return fmt.Errorf("compressed packet: %w: %w", errMalformed, err)
}

// buffered reports whether bytes have been received and not read yet.
func (z *compressed) buffered() bool { return z.left > 0 || z.in.Buffered() > 0 }

// Write compresses p, in parts.
func (z *compressed) Write(p []byte) (written int, err error) {
	buf := compressBuffers.Get().(*[]byte)
	defer compressBuffers.Put(buf)
	for len(p) > 0 {
		part := p[:min(len(p), maxCompress)]
		*buf, err = z.pack((*buf)[:0], part)
		if err != nil {
			return written, err
		}
		if _, err = z.Conn.Write(*buf); err != nil {
			return written, err
		}
		written += len(part)
		p = p[len(part):]
	}
	return written, nil
}

// pack appends one compressed packet that holds p.
func (z *compressed) pack(dst, p []byte) ([]byte, error) {
	dst = append(dst, make([]byte, compressedHeader)...)
	if len(p) >= minCompress {
		var err error
		if z.zstd {
			dst = zstdWriter().EncodeAll(p, dst)
		} else if dst, err = appendZlib(dst, p); err != nil {
			return dst, err
		}
	}
	size, before := len(dst)-compressedHeader, len(p)
	if size == 0 || size >= len(p) {
		dst, size, before = append(dst[:compressedHeader], p...), len(p), 0
	}
	copy(dst, []byte{byte(size), byte(size >> 8), byte(size >> 16), z.seq, byte(before), byte(before >> 8), byte(before >> 16)})
	z.seq++
	return dst, nil
}

func appendZlib(dst, p []byte) ([]byte, error) {
	w := zlibWriters.Get().(*zlibWriter)
	defer zlibWriters.Put(w)
	w.out.Reset()
	w.zip.Reset(&w.out)
	_, err := w.zip.Write(p)
	if err := errors.Join(err, w.zip.Close()); err != nil {
		return dst, fmt.Errorf("compress: %w", err)
	}
	return append(dst, w.out.Bytes()...), nil
}
