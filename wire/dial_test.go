package wire

import (
	"bytes"
	"context"
	"errors"
	"net"
	"slices"
	"strings"
	"testing"
	"time"
)

// dialScript dials a server that a script plays.
func dialScript(t *testing.T, d Dialer, server func(c *Conn) error) error {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	done := make(chan error, 1)
	go func() {
		nc, err := ln.Accept()
		if err == nil {
			err = server(NewConn(nc, 0))
			nc.Close()
		}
		done <- err
	}()
	d.Addr = ln.Addr().String()
	if d.Timeout == 0 {
		d.Timeout = time.Minute
	}
	c, _, err := d.Dial(t.Context())
	if err == nil {
		c.Close()
	}
	if scriptErr := <-done; scriptErr != nil {
		t.Errorf("script: %v", scriptErr)
	}
	return err
}

func testGreeting() *Greeting {
	return &Greeting{Version: "x", ConnID: 1, Caps: serverCaps, Plugin: cachingSHA2, salt: newSalt()}
}

// after sends a greeting, reads the login and then sends packets, reading an answer after each but the last.
func after(g *Greeting, packets ...[]byte) func(c *Conn) error {
	return func(c *Conn) error {
		if err := c.send(g.append(nil)); err != nil {
			return err
		}
		for _, p := range packets {
			if _, err := c.ReadPacket(); err != nil {
				return err
			}
			if err := c.send(p); err != nil {
				return err
			}
		}
		return nil
	}
}

// TestDialErrors: a server that refuses or misbehaves is a clear error without the password.
func TestDialErrors(t *testing.T) {
	old := testGreeting()
	old.Caps &^= Protocol41
	short := switchRequest(nil, cachingSHA2, []byte("short"))
	none := switchRequest(nil, nativePassword, nil)
	ed25519 := switchRequest(nil, "client_ed25519", newSalt())
	refusal := (&Error{1045, "28000", "no"}).Append(nil, Protocol41)
	more := []byte{headerMore, sha2FullAuth}
	rounds := make([][]byte, maxAuthRounds)
	for i := range rounds {
		rounds[i] = switchRequest(nil, cachingSHA2, newSalt())
	}
	for _, c := range []struct {
		name   string
		server func(c *Conn) error
		want   string
	}{
		{"too many connections", func(c *Conn) error { return c.WriteErr(&Error{1040, "08004", "Too many"}) }, "1040 (HY000): Too many"},
		{"host blocked", func(c *Conn) error { c.caps = Protocol41; return c.WriteErr(&Error{1129, "HY000", "blocked"}) }, "1129 (HY000): blocked"},
		{"nothing", func(*Conn) error { return nil }, "unexpected EOF"},
		{"not mysql", func(c *Conn) error { _, err := c.nc.Write([]byte("SSH-2.0-OpenSSH_9.2\r\n")); return err }, "packets out of order"},
		{"empty greeting", func(c *Conn) error { return c.send(nil) }, "greeting"},
		{"protocol 9", func(c *Conn) error { return c.send([]byte("\x09x\x00")) }, "greeting: not protocol version 10"},
		{"short greeting", func(c *Conn) error { return c.send(testGreeting().append(nil)[:15]) }, "greeting: malformed"},
		{"old server", after(old), "older than MySQL 4.1"},
		{"refused", after(testGreeting(), refusal), "1045 (28000): no"},
		{"empty packet", after(testGreeting(), nil), "authentication packet: malformed"},
		{"strange packet", after(testGreeting(), []byte{0x42}), "authentication packet: malformed"},
		{"old password", after(testGreeting(), []byte{headerEOF}), "before 4.1"},
		{"unknown plugin", after(testGreeting(), ed25519), `authentication plugin "client_ed25519"`},
		{"short salt", after(testGreeting(), short), "salt: malformed"},
		{"no salt", after(testGreeting(), none), "salt: malformed"},
		{"switch without end", after(testGreeting(), []byte("\xfex")), "switch request: malformed"},
		{"no key", after(testGreeting(), more, []byte("\x01no key")), "public key is not PEM"},
		{"bad key", after(testGreeting(), more, []byte("\x01-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n")), "the server's public key"},
		{"endless", after(testGreeting(), rounds...), "no end of authentication"},
		{"native more", after(testGreeting(), switchRequest(nil, nativePassword, newSalt()), more), "more data: malformed"},
		{"gone", after(testGreeting(), more), "unexpected EOF"},
	} {
		err := dialScript(t, Dialer{User: "u", Password: testPassword}, func(conn *Conn) error {
			err := c.server(conn)
			if err == nil && slices.Contains([]string{"endless", "no key", "gone"}, c.name) {
				conn.ReadPacket() // the client may still be writing
			}
			return err
		})
		if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), testPassword) {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

// TestDialTLSRequired: no password leaves for a server without TLS, or with data in clear behind its greeting.
func TestDialTLSRequired(t *testing.T) {
	silent := func(c *Conn) error {
		if p, err := c.ReadPacket(); err == nil {
			return errors.New("the client said " + string(p))
		}
		return nil
	}
	offered := testGreeting()
	offered.Caps |= SSL
	for want, server := range map[string]func(c *Conn) error{
		"does not offer it": func(c *Conn) error {
			if err := c.send(testGreeting().append(nil)); err != nil {
				return err
			}
			return silent(c)
		},
		"data in clear": func(c *Conn) error {
			if err := c.WritePacket(offered.append(nil)); err != nil {
				return err
			}
			if err := c.send(OK{}.Append(nil, 0)); err != nil {
				return err
			}
			return silent(c)
		},
	} {
		err := dialScript(t, Dialer{User: "u", Password: testPassword, TLS: clientTLS(t)}, server)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
	}
	addr, _ := serve(t, "tcp", "127.0.0.1:0", &Server{Accounts: testAccounts(t), TLS: testTLS()})
	cfg := clientTLS(t)
	cfg.RootCAs = nil
	if _, _, err := (&Dialer{Addr: addr, User: "plain", TLS: cfg}).Dial(t.Context()); err == nil || !strings.Contains(err.Error(), "tls handshake") {
		t.Errorf("unknown authority: %v", err)
	}
}

// TestDialBounds: the context and the timeout end a login at any point.
func TestDialBounds(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	go func() {
		nc, err := ln.Accept()
		if err != nil {
			return
		}
		defer nc.Close()
		c := NewConn(nc, 0)
		if c.send(testGreeting().append(nil)) == nil {
			c.ReadPacket() // the login: the client is waiting for an answer then
			cancel()
			c.ReadPacket() // until the client closes
		}
	}()
	d := Dialer{Addr: ln.Addr().String(), User: "u", Password: testPassword}
	if _, _, err := d.Dial(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("context: %v", err)
	}
	d.Timeout = time.Millisecond
	if _, _, err := d.Dial(t.Context()); !errors.Is(err, context.DeadlineExceeded) && !isTimeout(err) {
		t.Errorf("timeout: %v", err)
	}
}

func isTimeout(err error) bool {
	var ne net.Error
	return errors.As(err, &ne) && ne.Timeout()
}

// TestSealedPassword: the password on the wire is neither clear nor the same twice.
func TestSealedPassword(t *testing.T) {
	s := &Server{}
	s.makeKey()
	salt := newSalt()
	a, err := encryptPassword(testPassword, salt, s.publicKey)
	if err != nil {
		t.Fatal(err)
	}
	b, err := encryptPassword(testPassword, salt, s.publicKey)
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Equal(a, b) || bytes.Contains(a, []byte(testPassword)) {
		t.Error("the password is not sealed")
	}
	if got, err := decryptPassword(a, salt, s.key); err != nil || string(got) != testPassword {
		t.Errorf("%q, %v", got, err)
	}
	if got, err := decryptPassword(a, newSalt(), s.key); err == nil && string(got) == testPassword {
		t.Error("the salt does not matter")
	}
}
