package postgres

import (
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"github.com/lib/pq"

	"github.com/xaproxy/xaproxy/wire"
)

// Dialer logs in to one PostgreSQL database. It may be used by several goroutines at once as long as nobody changes it.
type Dialer struct {
	Network, Addr            string // "tcp" and "host:port", or "unix" and the path of a socket
	User, Password, Database string
	TLS                      *tls.Config // nil is no TLS; otherwise a server without TLS is an error
	MaxPacket                int         // largest statement, in bytes; 0 is wire.DefaultMaxPacket
	Timeout                  time.Duration
	// Warn is told what an administrator should see to, and may be called by several goroutines at once; nil: nobody wants to know.
	Warn func(error)

	tables       tables
	translations translationCache
}

func (d *Dialer) warn(err error) {
	if d.Warn != nil {
		d.Warn(err)
	}
}

// Dial logs in and returns a connection on which a MySQL server speaks, which takes any user without a password. The context and
// Timeout bound all of it and nothing after it.
func (d *Dialer) Dial(ctx context.Context) (net.Conn, error) {
	s, socket, err := d.open(ctx)
	if err != nil {
		return nil, err
	}
	if err := s.introduce(); err != nil {
		s.goodbye()
		return nil, refused(err)
	}
	return newLink("postgres:"+d.Addr, socket.patient, func(far net.Conn) { s.serve(far) }), nil
}

// open logs in.
func (d *Dialer) open(ctx context.Context) (*session, *socketDialer, error) {
	if d.Timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, d.Timeout)
		defer cancel()
	}
	socket := &socketDialer{d: d}
	left := time.Duration(0)
	if deadline, ok := ctx.Deadline(); ok {
		left = max(time.Until(deadline), time.Millisecond)
	}
	connector, err := pq.NewConnectorConfig(pq.Config{
		Host: "postgres", Port: 5432, // socket knows better
		User: d.User, Password: d.Password, Database: d.Database, SSLMode: pq.SSLModeDisable, // socket has done that
		ApplicationName: "xaproxy", ClientEncoding: "UTF8", Datestyle: "ISO, MDY", ConnectTimeout: left,
		Runtime: map[string]string{
			"standard_conforming_strings": "on", "bytea_output": "hex", "intervalstyle": "postgres", "extra_float_digits": "1",
		},
	})
	if err != nil {
		return nil, nil, fmt.Errorf("connect to postgres server: %w", err)
	}
	connector.Dialer(socket)
	conn, err := connector.Connect(ctx)
	if err != nil {
		return nil, nil, refused(err)
	}
	return &session{dialer: d, conn: conn, socket: socket.conn, in: socket.in}, socket, nil
}

// refused says what PostgreSQL said to a login, which is not the client's.
func refused(err error) error {
	var e *pq.Error
	if !errors.As(err, &e) {
		return fmt.Errorf("connect to postgres server: %w", err)
	}
	if e.Code == "3D000" {
		return fmt.Errorf("connect to postgres server: %s; create it, or correct the key database", e.Message)
	}
	return fmt.Errorf("connect to postgres server: %w", translate(e))
}

// login is what the facade does for a client of the MySQL protocol; every password is right.
func (d *Dialer) login(version string, collation byte) *wire.Server {
	return &wire.Server{Version: version, Accounts: anybody{}, Collation: collation, MaxPacket: d.MaxPacket, Handshake: d.Timeout}
}

type anybody struct{}

var noPassword = wire.NewAccount("")

func (anybody) Account(string) (*wire.Account, bool) { return noPassword, true }

// socketDialer opens the socket of a connection and, where that is asked for, encrypts it. It is used for one connection.
type socketDialer struct {
	d       *Dialer
	conn    net.Conn
	patient *patientConn // below TLS
	in      *messages    // that come on conn
}

// DialContext is pq.DialerContext.
func (s *socketDialer) DialContext(ctx context.Context, _, _ string) (net.Conn, error) {
	var nd net.Dialer
	c, err := nd.DialContext(ctx, s.d.Network, s.d.Addr)
	if err != nil {
		return nil, err
	}
	s.patient = &patientConn{Conn: wire.Direct(c), plain: c}
	s.conn = s.patient
	if s.d.TLS != nil {
		if s.conn, err = startTLS(ctx, s.patient, s.d.TLS); err != nil {
			_ = c.Close() // the error at hand says more
			return nil, err
		}
	}
	s.in = newMessages(s.conn)
	return &loginConn{Conn: s.conn, in: s.in}, nil
}

// Dial is pq.Dialer, which is not used beside DialContext.
func (s *socketDialer) Dial(network, address string) (net.Conn, error) {
	return s.DialContext(context.Background(), network, address)
}

// DialTimeout is pq.Dialer, which is not used beside DialContext.
func (s *socketDialer) DialTimeout(network, address string, timeout time.Duration) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	return s.DialContext(ctx, network, address)
}

// sslRequest is the code in place of a protocol version that asks for TLS.
//
// Source: PostgreSQL manual, "Message Formats", SSLRequest.
const sslRequest = 80877103

func startTLS(ctx context.Context, c net.Conn, config *tls.Config) (net.Conn, error) {
	if deadline, ok := ctx.Deadline(); ok {
		if err := c.SetDeadline(deadline); err != nil {
			return nil, err
		}
	}
	request := binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(nil, 8), sslRequest)
	if _, err := c.Write(request); err != nil {
		return nil, err
	}
	var answer [1]byte
	if _, err := io.ReadFull(c, answer[:]); err != nil {
		return nil, err
	}
	if answer[0] != 'S' {
		return nil, errors.New("the server does not offer TLS, which the configuration requires")
	}
	encrypted := tls.Client(c, config)
	if err := encrypted.HandshakeContext(ctx); err != nil {
		return nil, fmt.Errorf("tls handshake: %w", err)
	}
	return encrypted, c.SetDeadline(time.Time{})
}
