package wire

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"
)

const (
	// DefaultHandshake is how long a login may take when Server.Handshake is 0.
	DefaultHandshake = 10 * time.Second

	maxLoginPacket = 128 << 10 // connection attributes are the longest part, up to 64 KiB
	rsaBits        = 2048
)

// serverCaps are offered to every client, besides SSL when there is a certificate. LongPassword stays set: without it
// MariaDB clients look for MariaDB's extended capabilities.
const serverCaps = LongPassword | FoundRows | LongFlag | ConnectWithDB | ODBC | LocalFiles | IgnoreSpace | Protocol41 | Interactive |
	Transactions | SecureConnection | MultiStatements | MultiResults | PSMultiResults | PluginAuth | ConnectAttrs |
	PluginAuthLenencClientData | SessionTrack | DeprecateEOF

// serverOptions are offered when Server.Offer has them. With QueryAttributes the argument of every COM_QUERY of a client that
// has it too goes through SplitQueryAttributes, and of every COM_STMT_EXECUTE through Execute.Parse.
// A client that has Compress or ZstdCompression speaks the compressed protocol after its login.
const serverOptions = QueryAttributes | Compress | ZstdCompression

// Server makes sessions out of connections that clients open. Its fields must not change once Accept has been called;
// Accept may be called by many goroutines at once.
type Server struct {
	Version    string          // the server version that clients see
	TLS        *tls.Config     // nil: TLS is not offered
	RequireTLS bool            // refuse logins in clear with error 3159, also from this machine
	Accounts   Accounts        // who may log in
	Collation  byte            // in the greeting, as the server's own; 0: utf8mb4_general_ci
	Native     bool            // the greeting proposes mysql_native_password, as MariaDB's does, and not caching_sha2_password
	Offer      Capability      // offered besides the usual ones; see serverOptions
	MaxPacket  int             // largest payload of a command, in bytes; 0 is DefaultMaxPacket
	Handshake  time.Duration   // how long a login may take; 0 is DefaultHandshake
	RSA        *rsa.PrivateKey // seals passwords on connections without TLS; made when first needed if nil

	keyOnce   sync.Once
	key       *rsa.PrivateKey
	publicKey []byte // PEM
	keyErr    error

	dummyOnce sync.Once
	dummy     *Account // what unknown users are compared with
}

// Login is what a client said when it logged in.
type Login struct {
	User      string
	Schema    string // "" is none
	Collation uint16 // id; the login carries its lower eight bits only
	Caps      Capability
	Attrs     map[string]string // connection attributes; nil without any
	TLS       bool
	ConnID    uint32
	// ClientCert: the client has shown a certificate that tls.Config.ClientCAs vouch for. Whether it must, and whether it is
	// verified, is up to tls.Config.ClientAuth.
	ClientCert bool

	salt   []byte // the last one that the client was sent
	secure bool   // nobody can listen: TLS or a unix socket
}

// Accept runs the login of a client: greeting, TLS, authentication. It does everything but send the final OK: the caller
// checks schema and limits and then calls WriteOK or WriteErr.
//
// On an error the client has been told where it can understand it (1043, 1045, 1251, 3159), the connection is closed, and
// the error says why; an *Error in it is what the client was told. The context and Handshake bound the whole login.
//
// Source: MySQL page_protocol_connection_phase.
func (s *Server) Accept(ctx context.Context, nc net.Conn, connID uint32) (*Conn, *Login, error) {
	timeout := s.Handshake
	if timeout <= 0 {
		timeout = DefaultHandshake
	}
	ctx, cancel := context.WithTimeoutCause(ctx, timeout, fmt.Errorf("no login within %v", timeout))
	defer cancel()
	stop := context.AfterFunc(ctx, func() {
		nc.SetDeadline(time.Unix(1, 0)) // fails only on a closed connection, where nobody waits
	})
	c := NewConn(nc, maxLoginPacket)
	l, err := s.login(ctx, c, connID)
	if !stop() {
		err = context.Cause(ctx)
	}
	if err != nil {
		c.Close() // the error at hand says more
		return nil, nil, fmt.Errorf("login of client %s: %w", nc.RemoteAddr(), err)
	}
	c.maxPacket = s.MaxPacket
	if c.maxPacket <= 0 {
		c.maxPacket = DefaultMaxPacket
	}
	return c, l, nil
}

// proposed is the authentication plugin in the greeting.
func (s *Server) proposed() string {
	if s.Native {
		return nativePassword
	}
	return cachingSHA2
}

func (s *Server) login(ctx context.Context, c *Conn, connID uint32) (*Login, error) {
	salt := newSalt()
	g := Greeting{
		Version: s.Version, ConnID: connID, Caps: serverCaps | s.Offer&serverOptions, Status: StatusAutocommit,
		Collation: cmp.Or(s.Collation, defaultCollation), Plugin: s.proposed(), salt: salt,
	}
	if s.TLS != nil {
		g.Caps |= SSL
	}
	if err := c.send(g.append(nil)); err != nil {
		return nil, err
	}
	p, inTLS, err := s.readLogin(ctx, c, g.Caps)
	if err != nil {
		return nil, err
	}
	if s.RequireTLS && !inTLS {
		return nil, c.refuse(NewError(CodeTLSRequired, "connections without TLS are refused by this server: log in with TLS"))
	}
	l := &Login{
		User: p.user, Schema: p.schema, Collation: uint16(p.collation), Caps: c.caps, Attrs: p.attrs,
		TLS: inTLS, ConnID: connID, salt: salt, secure: inTLS,
	}
	if tc, ok := c.nc.(*tls.Conn); ok {
		l.ClientCert = len(tc.ConnectionState().VerifiedChains) > 0
	}
	if _, local := c.NetConn().(*net.UnixConn); local {
		l.secure = true
	}
	a := serverAuth{server: s, conn: c, user: p.user, plugin: p.plugin, proof: p.auth, salt: salt, secure: l.secure}
	if err := a.run(); err != nil {
		return nil, err
	}
	l.salt = a.salt
	return l, nil
}

// readLogin reads the login packet, in TLS if the client asks for it, and settles the capabilities.
func (s *Server) readLogin(ctx context.Context, c *Conn, offered Capability) (*loginPacket, bool, error) {
	p, err := c.readLogin()
	if err != nil {
		return nil, false, err
	}
	inTLS := p.ssl
	if inTLS {
		if s.TLS == nil {
			return nil, false, c.refuse(NewError(CodeHandshake, "bad handshake: TLS is not offered by this server"))
		}
		tc := tls.Server(&resumedConn{Conn: c.nc, first: append([]byte(nil), c.rbuf[c.r:c.w]...)}, s.TLS)
		c.r, c.w = 0, 0
		if err := tc.HandshakeContext(ctx); err != nil {
			return nil, false, fmt.Errorf("tls handshake: %w", err)
		}
		c.nc = tc
		if p, err = c.readLogin(); err != nil {
			return nil, false, err
		}
	}
	if p.ssl || p.caps.Has(SSL) != inTLS {
		return nil, false, c.refuse(NewError(CodeHandshake, "bad handshake: the login does not fit the TLS request"))
	}
	c.caps = p.caps & offered
	return p, inTLS, nil
}

// readLogin reads and decodes one login packet or SSLRequest. A client that sends something else is told so.
func (c *Conn) readLogin() (*loginPacket, error) {
	raw, err := c.ReadPacket()
	if err != nil {
		return nil, unexpected(err)
	}
	p, err := parseLogin(raw)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", c.refuse(NewError(CodeHandshake, "Bad handshake")), err)
	}
	return p, nil
}

// send writes one packet and flushes.
func (c *Conn) send(p []byte) error {
	if err := c.WritePacket(p); err != nil {
		return err
	}
	return c.Flush()
}

// refuse sends an ERR to the client and returns it, or why it could not be sent.
func (c *Conn) refuse(e *Error) error {
	if c.caps == 0 {
		c.caps = Protocol41 // the greeting is out: an ERR has its SQLSTATE
		defer func() { c.caps = 0 }()
	}
	if err := c.WriteErr(e); err != nil {
		return fmt.Errorf("%w (not told: %w)", e, err)
	}
	return e
}

// makeKey sets key and publicKey, or keyErr.
func (s *Server) makeKey() {
	if s.key = s.RSA; s.key == nil {
		if s.key, s.keyErr = rsa.GenerateKey(rand.Reader, rsaBits); s.keyErr != nil {
			return
		}
	}
	der, err := x509.MarshalPKIXPublicKey(&s.key.PublicKey)
	s.publicKey, s.keyErr = pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}), err
}

// account returns the account of a user, or one that stands in for it.
func (s *Server) account(user string) (account *Account, known bool) {
	if account, known = s.Accounts.Account(user); account != nil {
		return account, known
	}
	s.dummyOnce.Do(func() { s.dummy = NewAccount(rand.Text()) })
	return s.dummy, false
}

// serverAuth is the server's side of one authentication.
type serverAuth struct {
	server *Server
	conn   *Conn
	user   string
	plugin string // the client's
	proof  []byte
	salt   []byte
	secure bool // nobody can listen: TLS or a unix socket
	again  bool // COM_CHANGE_USER: ask for a proof whatever the client has sent along
}

// run asks the client until its password is known to be right or wrong. Unknown users go through the same steps.
func (a *serverAuth) run() error {
	account, known := a.server.account(a.user)
	preferred := a.plugin
	if !a.conn.caps.Has(PluginAuth) {
		preferred = nativePassword // clients before plugins speak nothing else
	}
	// A client that was proposed a plugin which it does not have names one of its own, and waits to be asked.
	unasked := len(a.proof) == 0 && a.plugin != a.server.proposed()
	if want := account.plugin(preferred); a.again || unasked || a.plugin != want {
		if err := a.change(want); err != nil {
			return err
		}
	}
	right, err := a.verify(account, known)
	if err != nil {
		return err
	}
	if !right {
		return a.deny()
	}
	return nil
}

// change makes the client authenticate with another plugin and a new salt.
//
// Source: MySQL page_protocol_connection_phase_packets_protocol_auth_switch_request.
func (a *serverAuth) change(plugin string) error {
	if !a.conn.caps.Has(PluginAuth) {
		if plugin == nativePassword && a.plugin == "" {
			a.plugin = plugin
			return nil
		}
		return a.conn.refuse(NewError(CodeAuthProtocol,
			"the account needs authentication plugin %s, which the client does not support: use a newer client", plugin))
	}
	if !a.again || plugin != nativePassword {
		a.salt = newSalt()
	}
	a.plugin = plugin
	if err := a.conn.send(switchRequest(nil, plugin, a.salt)); err != nil {
		return err
	}
	p, err := a.read()
	a.proof = append([]byte(nil), p...)
	return err
}

// read reads an answer of the client.
func (a *serverAuth) read() ([]byte, error) {
	p, err := a.conn.ReadPacket()
	return p, unexpected(err)
}

// verify checks the proof, and asks for the password itself where only that can tell. Nothing is right for an account that is not
// known: the password of the one that stands in must not be found out by way of it.
//
// Source: MySQL page_caching_sha2_authentication_exchanges.
func (a *serverAuth) verify(account *Account, known bool) (bool, error) {
	if a.plugin == nativePassword {
		return account.verifyNative(a.proof, a.salt) && known, nil
	}
	if len(a.proof) == 0 || len(a.proof) == 1 && a.proof[0] == 0 {
		a.proof = nil
		return account.empty && known, nil // no "more data" packets around an empty password
	}
	if right, sure := account.verifySHA2(a.proof, a.salt); sure {
		if !right || !known {
			return false, nil
		}
		return true, a.conn.WritePacket([]byte{headerMore, sha2FastOK}) // goes out with the final OK
	}
	if err := a.conn.send([]byte{headerMore, sha2FullAuth}); err != nil {
		return false, err
	}
	p, err := a.read()
	if err != nil {
		return false, err
	}
	password, err := a.password(p)
	if err != nil {
		return false, errors.Join(a.deny(), err)
	}
	right := account.verifyPassword(password, known)
	clear(password)
	a.conn.wipe()
	return right, nil
}

// password returns the password itself, which p holds: in clear where nobody can listen, otherwise sealed with the RSA
// key, which the client may ask for first. The caller wipes it.
func (a *serverAuth) password(p []byte) ([]byte, error) {
	if a.secure {
		return cString(p)
	}
	a.server.keyOnce.Do(a.server.makeKey)
	if a.server.keyErr != nil {
		return nil, fmt.Errorf("make an RSA key: %w", a.server.keyErr)
	}
	if len(p) == 1 && p[0] == sha2RequestKey {
		if err := a.conn.send(append([]byte{headerMore}, a.server.publicKey...)); err != nil {
			return nil, err
		}
		var err error
		if p, err = a.read(); err != nil {
			return nil, err
		}
	}
	return decryptPassword(p, a.salt, a.server.key)
}

// deny tells the client that user or password are wrong, and returns that error.
func (a *serverAuth) deny() error {
	host := "localhost"
	if h, _, err := net.SplitHostPort(a.conn.nc.RemoteAddr().String()); err == nil {
		host = h
	}
	using := "NO"
	if len(a.proof) > 0 {
		using = "YES"
	}
	return a.conn.refuse(NewError(CodeAccessDenied, "Access denied for user '%.128s'@'%s' (using password: %s)", a.user, host, using))
}

// resumedConn is a connection of which some bytes have been read already.
type resumedConn struct {
	net.Conn
	first []byte
}

// Read returns the bytes that were read already, then those of the connection.
func (r *resumedConn) Read(p []byte) (int, error) {
	if len(r.first) == 0 {
		return r.Conn.Read(p)
	}
	n := copy(p, r.first)
	if r.first = r.first[n:]; len(r.first) == 0 {
		r.first = nil // let go of the array, too
	}
	return n, nil
}
