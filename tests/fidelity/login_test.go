package fidelity

import (
	"bytes"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/xaproxy/xaproxy/wire"
)

// login is who logs in, and how.
type login struct {
	user, password, schema string
	caps                   wire.Capability // wanted; what the server lacks is left out
	collation              byte
	plugin                 string // that the client speaks; "" is the one that the server greets with
	attrs                  []string
	tls                    bool
	raw                    []byte // sent instead of the login packet
}

// usual are the capabilities that clients have unless they say otherwise.
const usual = wire.LongPassword | wire.LongFlag | wire.Protocol41 | wire.Transactions | wire.SecureConnection | wire.MultiResults |
	wire.PSMultiResults | wire.PluginAuth | wire.PluginAuthLenencClientData | wire.DeprecateEOF

// capabilities are those that scripts may ask for or leave out.
var capabilities = map[string]wire.Capability{
	"LongPassword": wire.LongPassword, "FoundRows": wire.FoundRows, "LongFlag": wire.LongFlag, "Compress": wire.Compress,
	"LocalFiles": wire.LocalFiles, "IgnoreSpace": wire.IgnoreSpace, "Protocol41": wire.Protocol41, "Interactive": wire.Interactive,
	"Transactions": wire.Transactions, "SecureConnection": wire.SecureConnection, "MultiStatements": wire.MultiStatements,
	"MultiResults": wire.MultiResults, "PSMultiResults": wire.PSMultiResults, "PluginAuth": wire.PluginAuth,
	"LenencAuth": wire.PluginAuthLenencClientData, "SessionTrack": wire.SessionTrack, "DeprecateEOF": wire.DeprecateEOF,
	"OptionalMetadata": wire.OptionalResultsetMetadata, "Zstd": wire.ZstdCompression, "QueryAttributes": wire.QueryAttributes,
	"ConnectAttrs": wire.ConnectAttrs,
}

// parseLogin reads the words of options:
//
//	+Cap -Cap    capabilities of the table above
//	user=U password=P schema=S plugin=P collation=N
//	noschema tls attrs
//	raw=HEX      what is sent instead of the login packet
func parseLogin(at endpoint, options []string) (login, error) {
	l := login{user: at.user, password: at.password, schema: at.schema, caps: usual, collation: 45}
	for _, o := range options {
		key, value, _ := strings.Cut(o, "=")
		var err error
		switch name := strings.TrimLeft(o, "+-"); {
		case capabilities[name] != 0 && o[0] == '+':
			l.caps |= capabilities[name]
		case capabilities[name] != 0 && o[0] == '-':
			l.caps &^= capabilities[name]
		case key == "user":
			l.user = value
		case key == "password":
			l.password = value
		case key == "schema":
			l.schema = value
		case key == "plugin":
			l.plugin = value
		case key == "collation":
			_, err = fmt.Sscanf(value, "%d", &l.collation)
		case key == "raw":
			l.raw, err = hex.DecodeString(value)
		case o == "noschema":
			l.schema = ""
		case o == "tls":
			l.tls = true
		case o == "attrs":
			l.caps |= wire.ConnectAttrs
			l.attrs = []string{"_client_name", "fidelity", "program_name", "stories", "", strings.Repeat("x", 300)}
		default:
			err = errors.New("unknown")
		}
		if err != nil {
			return login{}, fmt.Errorf("option %q: %w", o, err)
		}
	}
	if l.schema != "" {
		l.caps |= wire.ConnectWithDB
	}
	return l, nil
}

// dial logs in. The client is nil if nobody let it; the exchange says why. In the exchange are all packets that came, with
// what is made of random numbers blanked.
func dial(at endpoint, l login) (*client, *exchange) {
	x := &exchange{}
	nc, err := net.DialTimeout("tcp", at.addr, stepTimeout)
	if err != nil {
		x.end = err.Error()
		return nil, x
	}
	c := &client{framing: newFraming(nc), at: at, ids: map[string]uint32{}}
	err = c.SetDeadline(time.Now().Add(stepTimeout))
	if err == nil {
		err = c.logIn(l, x)
	}
	if err == nil && x.last().ok {
		return c, x
	}
	_ = c.Close() // it is of no use
	x.ended(err)
	return nil, x
}

// logIn runs the connection phase.
//
// Source: MySQL page_protocol_connection_phase.
func (c *client) logIn(l login, x *exchange) error {
	p, err := c.next(x)
	if err != nil || p[0] == isErr {
		return err
	}
	g, err := parseGreeting(p)
	if err != nil {
		return err
	}
	g.blank(x.last().payload)
	c.id = g.id
	c.caps = l.caps & g.caps
	switch {
	case !c.caps.Has(wire.PluginAuth):
		l.plugin = "mysql_native_password"
	case l.plugin == "":
		l.plugin = g.plugin
	}
	c.plugin = l.plugin
	if c.caps.Has(wire.ZstdCompression) {
		c.caps &^= wire.Compress
	}
	if l.tls {
		c.caps |= wire.SSL
		if err := c.startTLS(l); err != nil {
			return err
		}
	}
	x.caps = c.caps
	out := l.raw
	if out == nil {
		out = c.loginPacket(l, scramble(l.plugin, l.password, g.salt))
	}
	if err := c.write(out); err != nil {
		return err
	}
	if err := c.authenticate(l.password, g.salt, l.tls, x); err != nil || !x.last().ok {
		return err
	}
	switch {
	case c.caps.Has(wire.ZstdCompression):
		codec, err := newZstd()
		if err != nil {
			return err
		}
		c.compress(codec)
	case c.caps.Has(wire.Compress):
		c.compress(zlibCodec{})
	}
	return nil
}

// greeting is what a client needs of the first packet.
type greeting struct {
	id     uint32
	salt   string
	caps   wire.Capability
	plugin string
	at     int // of the connection's id, behind the version
}

const saltLength = 20

// parseGreeting reads a greeting with an authentication plugin.
//
// Source: MySQL page_protocol_connection_phase_packets_protocol_handshake_v10.
func parseGreeting(p []byte) (greeting, error) {
	end := bytes.IndexByte(p, 0)
	if len(p) < 45 || end < 0 || p[0] != 10 || len(p) < end+1+44 {
		return greeting{}, fmt.Errorf("not a greeting: %q", p)
	}
	g := greeting{at: end + 1}
	f := p[g.at:]
	g.id = binary.LittleEndian.Uint32(f)
	g.salt = string(f[4:12]) + string(f[31:43])
	g.caps = wire.Capability(binary.LittleEndian.Uint16(f[13:])) | wire.Capability(binary.LittleEndian.Uint16(f[18:]))<<16
	g.plugin = string(bytes.TrimSuffix(f[44:], []byte{0}))
	return g, nil
}

// blank clears what is another number in each greeting.
func (g greeting) blank(p []byte) {
	clear(p[g.at : g.at+12])
	clear(p[g.at+31 : g.at+43])
}

// startTLS asks for TLS and begins it.
//
// Source: MySQL page_protocol_connection_phase_packets_protocol_ssl_request.
func (c *client) startTLS(l login) error {
	if err := c.write(c.loginHead(l)); err != nil {
		return err
	}
	tc := tls.Client(c.Conn, &tls.Config{InsecureSkipVerify: true})
	if err := tc.Handshake(); err != nil {
		return err
	}
	seq := c.seq
	c.framing = newFraming(tc)
	c.seq = seq
	return nil
}

func (c *client) loginHead(l login) []byte {
	p := binary.LittleEndian.AppendUint32(nil, uint32(c.caps))
	p = binary.LittleEndian.AppendUint32(p, 1<<24)
	return append(append(p, l.collation), make([]byte, 23)...)
}

// loginPacket is a HandshakeResponse41.
//
// Source: MySQL page_protocol_connection_phase_packets_protocol_handshake_response.
func (c *client) loginPacket(l login, proof []byte) []byte {
	p := append(append(c.loginHead(l), l.user...), 0)
	switch {
	case c.caps.Has(wire.PluginAuthLenencClientData):
		p = wire.AppendString(p, proof)
	case c.caps.Has(wire.SecureConnection):
		p = append(append(p, byte(len(proof))), proof...)
	default:
		p = append(append(p, proof...), 0)
	}
	if c.caps.Has(wire.ConnectWithDB) {
		p = append(append(p, l.schema...), 0)
	}
	if c.caps.Has(wire.PluginAuth) {
		p = append(append(p, l.plugin...), 0)
	}
	if c.caps.Has(wire.ConnectAttrs) {
		var attrs []byte
		for _, s := range l.attrs {
			attrs = wire.AppendString(attrs, s)
		}
		p = wire.AppendString(p, attrs)
	}
	if c.caps.Has(wire.ZstdCompression) {
		p = append(p, 3)
	}
	return p
}

// authenticate answers what the server asks until it says OK or ERR.
//
// Source: MySQL page_protocol_connection_phase_packets_protocol_auth_switch_request, page_caching_sha2_authentication_exchanges.
func (c *client) authenticate(password, salt string, secret bool, x *exchange) error {
	for {
		p, err := c.next(x)
		if err != nil {
			return err
		}
		var answer []byte
		switch {
		case p[0] == isOK || p[0] == isErr:
			x.last().ok = p[0] == isOK
			return nil
		case p[0] == isEOF:
			var plugin string
			plugin, salt, _ = strings.Cut(string(p[1:]), "\x00")
			salt = strings.TrimSuffix(salt, "\x00")
			clear(x.last().payload[len(plugin)+2:])
			c.plugin = plugin
			answer = scramble(plugin, password, salt)
		case string(p) == "\x01\x03": // caching_sha2_password: the proof was right
			continue
		case string(p) == "\x01\x04" && secret:
			answer = append([]byte(password), 0)
		case string(p) == "\x01\x04":
			answer = []byte{2}
		case p[0] == 1:
			if answer, err = seal(password, salt, p[1:]); err != nil {
				return err
			}
			x.last().payload = []byte("a public key")
		default:
			return fmt.Errorf("asked for something unknown: %x", p)
		}
		if err := c.write(answer); err != nil {
			return err
		}
	}
}

// scramble proves the password.
//
// Source: MySQL page_protocol_connection_phase_authentication_methods_native_password_authentication,
// page_caching_sha2_authentication_exchanges.
func scramble(plugin, password, salt string) []byte {
	if password == "" {
		return nil
	}
	var first, proof []byte
	if plugin == "mysql_native_password" {
		a := sha1.Sum([]byte(password))
		b := sha1.Sum(a[:])
		m := sha1.Sum(append([]byte(salt), b[:]...))
		first, proof = a[:], m[:]
	} else {
		a := sha256.Sum256([]byte(password))
		b := sha256.Sum256(a[:])
		m := sha256.Sum256(append(b[:], salt...))
		first, proof = a[:], m[:]
	}
	for i := range proof {
		proof[i] ^= first[i]
	}
	return proof
}

// seal encrypts the password with the server's key.
//
// Source: MySQL page_caching_sha2_authentication_exchanges.
func seal(password, salt string, key []byte) ([]byte, error) {
	block, _ := pem.Decode(key)
	if block == nil {
		return nil, errors.New("no public key")
	}
	public, err := x509.ParsePKIXPublicKey(block.Bytes)
	if err != nil {
		return nil, err
	}
	rsaKey, ok := public.(*rsa.PublicKey)
	if !ok {
		return nil, errors.New("not an RSA key")
	}
	text := append([]byte(password), 0)
	for i := range text {
		text[i] ^= salt[i%saltLength]
	}
	return rsa.EncryptOAEP(sha1.New(), rand.Reader, rsaKey, text, nil)
}
