package wire

import "encoding/binary"

// AppendInt appends v as a length-encoded integer.
//
// Source: MySQL page_protocol_basic_dt_integers.
func AppendInt(dst []byte, v uint64) []byte {
	switch {
	case v < 0xfb:
		return append(dst, byte(v))
	case v <= 0xffff:
		return append(dst, 0xfc, byte(v), byte(v>>8))
	case v <= 0xffffff:
		return append(dst, 0xfd, byte(v), byte(v>>8), byte(v>>16))
	}
	return binary.LittleEndian.AppendUint64(append(dst, 0xfe), v)
}

// AppendString appends s as a length-encoded string.
//
// Source: MySQL page_protocol_basic_dt_strings.
func AppendString[S ~string | ~[]byte](dst []byte, s S) []byte {
	return append(AppendInt(dst, uint64(len(s))), s...)
}

// ReadInt reads a length-encoded integer and returns how many bytes it took: 0 when p is cut short or starts with 0xFB
// (NULL) or 0xFF, which start no integer.
func ReadInt(p []byte) (v uint64, n int) {
	if len(p) == 0 {
		return 0, 0
	}
	switch first := p[0]; first {
	case 0xfc:
		if len(p) >= 3 {
			return uint64(binary.LittleEndian.Uint16(p[1:])), 3
		}
	case 0xfd:
		if len(p) >= 4 {
			return uint64(p[1]) | uint64(p[2])<<8 | uint64(p[3])<<16, 4
		}
	case 0xfe:
		if len(p) >= 9 {
			return binary.LittleEndian.Uint64(p[1:]), 9
		}
	case 0xfb, 0xff:
	default:
		return uint64(first), 1
	}
	return 0, 0
}

// cursor reads the fields of one packet from left to right. A read past the end yields zero values and sets bad, so that
// a decoder checks once, at its end.
type cursor struct {
	rest []byte
	bad  bool
}

// bytes returns the next n bytes, without copying.
func (c *cursor) bytes(n int) []byte {
	if n < 0 || n > len(c.rest) {
		c.rest, c.bad = nil, true
		return nil
	}
	b := c.rest[:n:n]
	c.rest = c.rest[n:]
	return b
}

func (c *cursor) uint8() byte {
	if b := c.bytes(1); b != nil {
		return b[0]
	}
	return 0
}

func (c *cursor) uint16() uint16 {
	if b := c.bytes(2); b != nil {
		return binary.LittleEndian.Uint16(b)
	}
	return 0
}

func (c *cursor) uint32() uint32 {
	if b := c.bytes(4); b != nil {
		return binary.LittleEndian.Uint32(b)
	}
	return 0
}

// lenenc reads a length-encoded integer.
func (c *cursor) lenenc() uint64 {
	v, n := ReadInt(c.rest)
	if n == 0 {
		c.rest, c.bad = nil, true
		return 0
	}
	c.rest = c.rest[n:]
	return v
}

// lenencBytes reads a length-encoded string, without copying.
func (c *cursor) lenencBytes() []byte {
	n := c.lenenc()
	if n > uint64(len(c.rest)) {
		c.rest, c.bad = nil, true
		return nil
	}
	return c.bytes(int(n))
}

// nulBytes reads up to the next zero byte, which is consumed and not returned.
func (c *cursor) nulBytes() []byte {
	for i, b := range c.rest {
		if b == 0 {
			s := c.rest[:i:i]
			c.rest = c.rest[i+1:]
			return s
		}
	}
	c.rest, c.bad = nil, true
	return nil
}

// nulOrRest reads up to the next zero byte or, when there is none, to the end: several servers and clients leave out the
// last terminator of a packet.
func (c *cursor) nulOrRest() []byte {
	for i, b := range c.rest {
		if b == 0 {
			s := c.rest[:i:i]
			c.rest = c.rest[i+1:]
			return s
		}
	}
	s := c.rest
	c.rest = nil
	return s
}
