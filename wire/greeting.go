package wire

import "encoding/binary"

// saltLength is the length of the scramble that a password is mixed with, in bytes.
const saltLength = 20

// protocolVersion is the only handshake version spoken here.
const protocolVersion = 10

// Greeting is the first packet of a server.
type Greeting struct {
	Version   string // such as "9.7.0" or "5.5.5-10.11.6-MariaDB-1"
	ConnID    uint32 // what KILL takes
	Caps      Capability
	Status    Status // after Dial: that of the OK which ended the login
	Collation byte   // the server's default
	Plugin    string // the authentication plugin that the server assumes

	salt []byte
}

// parseGreeting reads a greeting. MariaDB's extended capabilities are not looked at.
//
// Source: MySQL page_protocol_connection_phase_packets_protocol_handshake_v10, MariaDB KB "Connection".
func parseGreeting(p []byte) (*Greeting, error) {
	c := cursor{rest: p}
	if c.uint8() != protocolVersion {
		return nil, malformed("greeting: not protocol version 10")
	}
	g := &Greeting{Version: string(c.nulBytes()), ConnID: c.uint32(), Plugin: nativePassword}
	g.salt = append(g.salt, c.bytes(8)...)
	c.bytes(1) // filler
	g.Caps = Capability(c.uint16())
	if c.bad {
		return nil, malformed("greeting")
	}
	if len(c.rest) == 0 {
		return g, nil
	}
	g.Collation = c.uint8()
	g.Status = Status(c.uint16())
	g.Caps |= Capability(c.uint16()) << 16
	n := max(13, int(c.uint8())-8)
	c.bytes(10) // reserved; MariaDB keeps its extended capabilities in the last four
	if g.Caps.Has(SecureConnection) {
		second := c.bytes(min(n, len(c.rest)))
		g.salt = append(g.salt, second[:min(len(second), saltLength-8)]...)
	}
	if g.Caps.Has(PluginAuth) {
		g.Plugin = string(c.nulOrRest())
	}
	if c.bad {
		return nil, malformed("greeting")
	}
	return g, nil
}

// append appends the payload of the greeting; salt must have 20 bytes and no zero byte.
//
// Source: MySQL page_protocol_connection_phase_packets_protocol_handshake_v10.
func (g *Greeting) append(dst []byte) []byte {
	dst = append(dst, protocolVersion)
	dst = append(append(dst, g.Version...), 0)
	dst = binary.LittleEndian.AppendUint32(dst, g.ConnID)
	dst = append(append(dst, g.salt[:8]...), 0)
	dst = binary.LittleEndian.AppendUint16(dst, uint16(g.Caps))
	dst = append(dst, g.Collation)
	dst = binary.LittleEndian.AppendUint16(dst, uint16(g.Status))
	dst = binary.LittleEndian.AppendUint16(dst, uint16(g.Caps>>16))
	dst = append(dst, saltLength+1)
	dst = append(dst, make([]byte, 10)...)
	dst = append(append(dst, g.salt[8:]...), 0)
	return append(append(dst, g.Plugin...), 0)
}
