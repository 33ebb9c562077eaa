package wire

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"time"
)

// maxAuthRounds bounds the packets of one authentication, so that a server cannot keep a client in it for ever.
const maxAuthRounds = 16

// Dialer logs in to a MySQL or MariaDB server. It may be used by several goroutines at once as long as nobody changes it.
type Dialer struct {
	Network  string // "tcp" or "unix"; "" is "tcp"
	Addr     string // "host:port", or the path of a socket
	User     string
	Password string
	Schema   string // "" is none

	TLS       *tls.Config       // nil is no TLS; otherwise a server without TLS is an error
	Collation uint16            // of the connection, below 256; 0 is 45, utf8mb4_general_ci, which every server knows
	Caps      Capability        // wanted besides the usual ones; what the server lacks is left out, see Conn.Caps
	Omit      Capability        // not asked for although they are usual, such as DeprecateEOF
	MaxPacket int               // largest payload accepted, in bytes; 0 is DefaultMaxPacket
	Attrs     map[string]string // connection attributes
	Timeout   time.Duration     // of the whole Dial, login included; 0 is none besides the context's

	// Connect, if there is one, opens the connection in place of Network and Addr.
	Connect func(context.Context) (net.Conn, error)
}

// usualCaps are asked for whenever the server has them.
const usualCaps = LongPassword | LongFlag | Protocol41 | Transactions | SecureConnection | MultiStatements |
	MultiResults | PSMultiResults | PluginAuth | PluginAuthLenencClientData | DeprecateEOF

// requiredCaps are those without which no login is tried.
const requiredCaps = Protocol41 | SecureConnection

const defaultCollation = 45

// Dial connects and logs in. The context and Timeout bound all of it and nothing after it.
//
// An ERR of the server, also one that comes instead of a greeting (1040, 1129), is returned as an *Error. Other errors
// name the server and wrap their cause. No error holds the password.
//
// On a connection without TLS, caching_sha2_password may need the password itself: it is then sent sealed with the RSA
// key that the server shows, which keeps it from listeners, not from somebody who can alter packets. Use TLS where that
// matters.
func (d *Dialer) Dial(ctx context.Context) (*Conn, *Greeting, error) {
	if d.Timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, d.Timeout)
		defer cancel()
	}
	network := d.Network
	if network == "" {
		network = "tcp"
	}
	connect := d.Connect
	if connect == nil {
		connect = func(ctx context.Context) (net.Conn, error) {
			var nd net.Dialer
			return nd.DialContext(ctx, network, d.Addr)
		}
	}
	nc, err := connect(ctx)
	if err != nil {
		return nil, nil, fmt.Errorf("connect to mysql server: %w", err)
	}
	stop := context.AfterFunc(ctx, func() {
		nc.SetDeadline(time.Unix(1, 0)) // fails only on a closed connection, where nobody waits
	})
	c, g, err := d.login(ctx, nc, network == "unix")
	if !stop() {
		err = context.Cause(ctx)
	}
	if err == nil {
		return c, g, nil
	}
	nc.Close() // the error at hand says more
	var refused *Error
	if errors.As(err, &refused) {
		return nil, nil, refused
	}
	return nil, nil, fmt.Errorf("log in to mysql server at %s: %w", d.Addr, err)
}

// login runs the connection phase on a fresh connection.
//
// Source: MySQL page_protocol_connection_phase.
func (d *Dialer) login(ctx context.Context, nc net.Conn, local bool) (*Conn, *Greeting, error) {
	c := NewConn(nc, d.MaxPacket)
	p, err := c.ReadPacket()
	if err != nil {
		return nil, nil, unexpected(err)
	}
	if len(p) > 0 && p[0] == headerErr {
		return nil, nil, c.readErr(p)
	}
	g, err := parseGreeting(p)
	if err != nil {
		return nil, nil, err
	}
	if !g.Caps.Has(requiredCaps) {
		return nil, nil, errors.New("the server is older than MySQL 4.1")
	}
	l := d.packet(g)
	if d.TLS != nil {
		if err := d.startTLS(ctx, c, g, l); err != nil {
			return nil, nil, err
		}
	}
	c.caps = l.caps
	a := clientAuth{conn: c, password: d.Password, plugin: l.plugin, salt: g.salt, secure: local || d.TLS != nil}
	if l.auth, err = a.proof(); err != nil {
		return nil, nil, err
	}
	if err := c.WritePacket(l.append(nil)); err != nil {
		return nil, nil, err
	}
	o, err := a.run()
	if err != nil {
		return nil, nil, err
	}
	g.Status = o.Status
	c.startCompression()
	return c, g, nil
}

// packet prepares the login packet; the proof is still missing.
func (d *Dialer) packet(g *Greeting) *loginPacket {
	want := (usualCaps&^d.Omit | d.Caps) &^ SSL &^ ConnectWithDB &^ ConnectAttrs
	if d.Schema != "" {
		want |= ConnectWithDB
	}
	if len(d.Attrs) > 0 {
		want |= ConnectAttrs
	}
	l := &loginPacket{
		caps: want & g.Caps, maxPacket: maxChunk + 1, collation: byte(d.Collation), user: d.User,
		schema: d.Schema, plugin: g.Plugin, attrs: d.Attrs,
	}
	if l.caps.Has(ZstdCompression) {
		l.caps &^= Compress
		l.zstdLevel = zstdLevel
	}
	if l.collation == 0 {
		l.collation = defaultCollation
	}
	if l.plugin != cachingSHA2 {
		l.plugin = nativePassword // if the account has another one, the server asks for a switch
	}
	return l
}

// startTLS sends the SSLRequest and shakes hands.
//
// Source: MySQL page_protocol_connection_phase_packets_protocol_ssl_request.
func (d *Dialer) startTLS(ctx context.Context, c *Conn, g *Greeting, l *loginPacket) error {
	if !g.Caps.Has(SSL) {
		return errors.New("TLS is required, but the server does not offer it")
	}
	if c.Buffered() {
		return errors.New("the server sent data in clear after its greeting, where TLS begins")
	}
	l.caps |= SSL
	request := *l
	request.ssl = true
	if err := c.WritePacket(request.append(nil)); err != nil {
		return err
	}
	if err := c.Flush(); err != nil {
		return err
	}
	cfg := d.TLS
	if cfg.ServerName == "" && !cfg.InsecureSkipVerify {
		cfg = cfg.Clone()
		cfg.ServerName = d.Addr
		if host, _, err := net.SplitHostPort(d.Addr); err == nil {
			cfg.ServerName = host
		}
	}
	tc := tls.Client(c.nc, cfg)
	if err := tc.HandshakeContext(ctx); err != nil {
		return fmt.Errorf("tls handshake: %w", err)
	}
	c.nc = tc
	return nil
}

// clientAuth is the client's side of one authentication.
type clientAuth struct {
	conn     *Conn
	password string
	plugin   string
	salt     []byte
	secure   bool // nobody can listen: TLS or a unix socket
}

// proof returns what the current plugin sends first.
func (a *clientAuth) proof() ([]byte, error) {
	if len(a.salt) != saltLength {
		return nil, malformed("authentication: salt")
	}
	switch a.plugin {
	case nativePassword:
		return nativeScramble(a.password, a.salt), nil
	case cachingSHA2:
		return sha2Scramble(a.password, a.salt), nil
	}
	return nil, fmt.Errorf("the server asks for authentication plugin %q; only %s and %s are spoken here",
		a.plugin, nativePassword, cachingSHA2)
}

// run answers the server until its final OK.
func (a *clientAuth) run() (OK, error) {
	for range maxAuthRounds {
		if err := a.conn.Flush(); err != nil {
			return OK{}, err
		}
		p, err := a.conn.ReadPacket()
		if err != nil {
			return OK{}, unexpected(err)
		}
		if len(p) == 0 {
			return OK{}, malformed("authentication packet")
		}
		switch p[0] {
		case headerOK:
			return ParseOK(p, a.conn.caps)
		case headerErr:
			return OK{}, a.conn.readErr(p)
		case headerEOF:
			err = a.change(p)
		case headerMore:
			err = a.more(p[1:])
		default:
			err = malformed("authentication packet")
		}
		if err != nil {
			return OK{}, err
		}
	}
	return OK{}, fmt.Errorf("no end of authentication after %d packets", maxAuthRounds)
}

// change answers an authentication switch request.
//
// Source: MySQL page_protocol_connection_phase_packets_protocol_auth_switch_request.
func (a *clientAuth) change(p []byte) error {
	if len(p) == 1 {
		return errors.New("the server asks for the password hash of MySQL before 4.1, which is not spoken here")
	}
	var err error
	if a.plugin, a.salt, err = parseSwitchRequest(p); err != nil {
		return err
	}
	proof, err := a.proof()
	if err != nil {
		return err
	}
	return a.conn.WritePacket(proof)
}

// more answers the "more data" packets of caching_sha2_password.
//
// Source: MySQL page_caching_sha2_authentication_exchanges.
func (a *clientAuth) more(data []byte) error {
	if a.plugin != cachingSHA2 || len(data) == 0 {
		return malformed("authentication packet: more data")
	}
	switch data[0] {
	case sha2FastOK:
		return nil
	case sha2FullAuth:
		if a.secure {
			return a.conn.WritePacket(append([]byte(a.password), 0))
		}
		return a.conn.WritePacket([]byte{sha2RequestKey})
	}
	if a.secure {
		return malformed("authentication packet: more data")
	}
	sealed, err := encryptPassword(a.password, a.salt, data)
	if err != nil {
		return err
	}
	return a.conn.WritePacket(sealed)
}
