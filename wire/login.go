package wire

import "encoding/binary"

// sslRequestLength is the length of an SSLRequest: a login cut before the user name.
const sslRequestLength = 32

// loginPacket is a HandshakeResponse41, or an SSLRequest when ssl is set and nothing after collation counts.
type loginPacket struct {
	caps      Capability
	maxPacket uint32
	collation byte
	ssl       bool
	user      string
	auth      []byte
	schema    string
	plugin    string
	attrs     map[string]string
	zstdLevel byte // what the client wants of the server; this one has its own
}

// parseLogin reads a HandshakeResponse41 or an SSLRequest. The 4.0 form (without Protocol41) is refused.
//
// Source: MySQL page_protocol_connection_phase_packets_protocol_handshake_response and
// page_protocol_connection_phase_packets_protocol_ssl_request.
func parseLogin(p []byte) (*loginPacket, error) {
	c := cursor{rest: p}
	l := &loginPacket{caps: Capability(c.uint32()), maxPacket: c.uint32(), collation: c.uint8()}
	c.bytes(23) // filler; MariaDB clients keep extended capabilities in the last four when the server is MariaDB
	if c.bad || !l.caps.Has(Protocol41) {
		return nil, malformed("login")
	}
	if len(p) == sslRequestLength && l.caps.Has(SSL) {
		l.ssl = true
		return l, nil
	}
	l.user = string(c.nulBytes())
	switch {
	case l.caps.Has(PluginAuthLenencClientData):
		l.auth = append(l.auth, c.lenencBytes()...)
	case l.caps.Has(SecureConnection):
		l.auth = append(l.auth, c.bytes(int(c.uint8()))...)
	default:
		l.auth = append(l.auth, c.nulBytes()...)
	}
	if l.caps.Has(ConnectWithDB) && len(c.rest) > 0 {
		l.schema = string(c.nulOrRest())
	}
	if l.caps.Has(PluginAuth) && len(c.rest) > 0 {
		l.plugin = string(c.nulOrRest())
	}
	if l.caps.Has(ConnectAttrs) && len(c.rest) > 0 {
		l.attrs = readAttrs(&c)
	}
	if l.caps.Has(ZstdCompression) && len(c.rest) > 0 {
		l.zstdLevel = c.uint8()
	}
	if c.bad {
		return nil, malformed("login")
	}
	return l, nil
}

// readAttrs reads connection attributes: one length-encoded string that holds pairs of them.
func readAttrs(c *cursor) map[string]string {
	block := cursor{rest: c.lenencBytes()}
	attrs := map[string]string{}
	for len(block.rest) > 0 {
		k := string(block.lenencBytes())
		attrs[k] = string(block.lenencBytes())
	}
	c.bad = c.bad || block.bad
	return attrs
}

// appendAttrs appends what readAttrs reads.
func appendAttrs(dst []byte, attrs map[string]string) []byte {
	var block []byte
	for k, v := range attrs {
		block = AppendString(AppendString(block, k), v)
	}
	return AppendString(dst, block)
}

// append appends the payload; only the first 32 bytes of it when l.ssl is set.
//
// Source: as of parseLogin.
func (l *loginPacket) append(dst []byte) []byte {
	dst = binary.LittleEndian.AppendUint32(dst, uint32(l.caps))
	dst = binary.LittleEndian.AppendUint32(dst, l.maxPacket)
	dst = append(dst, l.collation)
	dst = append(dst, make([]byte, 23)...)
	if l.ssl {
		return dst
	}
	dst = append(append(dst, l.user...), 0)
	if l.caps.Has(PluginAuthLenencClientData) {
		dst = AppendString(dst, l.auth)
	} else {
		dst = append(dst, byte(len(l.auth)))
		dst = append(dst, l.auth...)
	}
	if l.caps.Has(ConnectWithDB) {
		dst = append(append(dst, l.schema...), 0)
	}
	if l.caps.Has(PluginAuth) {
		dst = append(append(dst, l.plugin...), 0)
	}
	if l.caps.Has(ConnectAttrs) {
		dst = appendAttrs(dst, l.attrs)
	}
	if l.caps.Has(ZstdCompression) {
		dst = append(dst, l.zstdLevel)
	}
	return dst
}
