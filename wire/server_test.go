package wire

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"
)

// knock lets a server accept one end of a connection and a script play the client at the other. It returns what Accept
// returned and what the script did.
func knock(t *testing.T, s *Server, client func(c *Conn) error) (acceptErr, scriptErr error) {
	t.Helper()
	near, far := tcpPair(t)
	done := make(chan error, 1)
	go func() {
		defer near.Close()
		done <- client(NewConn(near, 0))
	}()
	c, _, err := s.Accept(t.Context(), far, 1)
	if err == nil {
		err = c.WriteOK(OK{})
	}
	return err, <-done
}

// expectErr reads an ERR with the number and state.
func expectErr(c *Conn, errno uint16, state string) error {
	p, err := c.ReadPacket()
	if err != nil {
		return err
	}
	e, err := ParseErr(p, Protocol41)
	if err != nil {
		return err
	}
	if e.Errno != errno || e.State != state {
		return fmt.Errorf("got %w, want %d (%s)", e, errno, state)
	}
	return nil
}

// testLogin sends a login packet for what the greeting says and returns the greeting.
func (c *Conn) testLogin(change func(l *loginPacket)) error {
	p, err := c.ReadPacket()
	if err != nil {
		return err
	}
	g, err := parseGreeting(p)
	if err != nil {
		return err
	}
	l := &loginPacket{caps: usualCaps &^ SSL, collation: 45, user: "plain", plugin: cachingSHA2, auth: sha2Scramble(testPassword, g.salt)}
	change(l)
	return c.send(l.append(nil))
}

// TestServerRefuses: what does not fit the protocol or the rules gets an ERR that says so, and never a session.
func TestServerRefuses(t *testing.T) {
	request := func(change func(l *loginPacket)) func(c *Conn) error {
		return func(c *Conn) error {
			if err := c.testLogin(change); err != nil {
				return err
			}
			return expectErr(c, 1043, "08S01")
		}
	}
	raw := func(p []byte) func(c *Conn) error {
		return func(c *Conn) error {
			if _, err := c.ReadPacket(); err != nil {
				return err
			}
			if err := c.send(p); err != nil {
				return err
			}
			return expectErr(c, 1043, "08S01")
		}
	}
	for name, client := range map[string]func(c *Conn) error{
		"empty":          raw(nil),
		"short":          raw([]byte{1, 2, 3}),
		"garbage":        raw(bytes.Repeat([]byte{0xff}, 200)),
		"4.0 client":     request(func(l *loginPacket) { l.caps &^= Protocol41 }),
		"TLS unoffered":  request(func(l *loginPacket) { l.caps |= SSL; l.ssl = true }),
		"TLS only named": request(func(l *loginPacket) { l.caps |= SSL }),
		"TLS required": func(c *Conn) error {
			if err := c.testLogin(func(*loginPacket) {}); err != nil {
				return err
			}
			return expectErr(c, 3159, "HY000")
		},
		"no plugins": func(c *Conn) error {
			if err := c.testLogin(func(l *loginPacket) { l.caps &^= PluginAuth; l.user = "sha2" }); err != nil {
				return err
			}
			return expectErr(c, 1251, "08004")
		},
	} {
		s := &Server{Accounts: testAccounts(t), RequireTLS: name == "TLS required"}
		acceptErr, err := knock(t, s, client)
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		var told *Error
		if !errors.As(acceptErr, &told) {
			t.Errorf("%s: Accept: %v", name, acceptErr)
		}
	}
}

// TestServerOldClient: a client that knows no plugins speaks mysql_native_password.
func TestServerOldClient(t *testing.T) {
	for _, user := range []string{"native", "plain"} {
		acceptErr, err := knock(t, &Server{Accounts: testAccounts(t)}, func(c *Conn) error {
			p, err := c.ReadPacket()
			if err != nil {
				return err
			}
			g, err := parseGreeting(p)
			if err != nil {
				return err
			}
			l := loginPacket{caps: Protocol41 | SecureConnection, user: user, auth: nativeScramble(testPassword, g.salt)}
			if err := c.send(l.append(nil)); err != nil {
				return err
			}
			_, err = c.ReadResult(0)
			return err
		})
		if acceptErr != nil || err != nil {
			t.Error(user, acceptErr, err)
		}
	}
}

// TestServerDeadline: a client that says nothing, or stops in the middle, holds a connection only so long; so does the
// context.
func TestServerDeadline(t *testing.T) {
	silent := func(c *Conn) error {
		_, err := io.Copy(io.Discard, c.nc)
		return err
	}
	half := func(c *Conn) error {
		if _, err := c.nc.Write([]byte{200, 0, 0, 1, 1, 2, 3}); err != nil {
			return err
		}
		return silent(c)
	}
	for name, client := range map[string]func(c *Conn) error{"silent": silent, "half": half} {
		acceptErr, _ := knock(t, &Server{Accounts: testAccounts(t), Handshake: time.Millisecond}, client)
		if acceptErr == nil || !strings.Contains(acceptErr.Error(), "no login within 1ms") {
			t.Errorf("%s: %v", name, acceptErr)
		}
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	stopped := errors.New("stopped")
	near, far := tcpPair(t)
	go func() {
		NewConn(near, 0).ReadPacket() // the greeting: Accept is waiting for the login then
		cancel(stopped)
	}()
	if _, _, err := (&Server{Accounts: testAccounts(t)}).Accept(ctx, far, 1); !errors.Is(err, stopped) {
		t.Errorf("context: %v", err)
	}
	if _, err := far.Write([]byte{0}); !errors.Is(err, net.ErrClosed) {
		t.Errorf("the connection is open after a failed login: %v", err)
	}
}

// transcript is the shape of a refused login: headers and lengths of what the server sent after the login packet.
func transcript(t *testing.T, s *Server, user, plugin string) string {
	var b strings.Builder
	_, err := knock(t, s, func(c *Conn) error {
		if err := c.testLogin(func(l *loginPacket) {
			l.user, l.plugin, l.auth = user, plugin, bytes.Repeat([]byte{1}, 32)
		}); err != nil {
			return err
		}
		for {
			p, err := c.ReadPacket()
			if err != nil {
				return err
			}
			fmt.Fprintf(&b, "%d:%x ", len(p), p[:2])
			switch {
			case p[0] == headerErr:
				return nil
			case p[0] == headerMore && p[1] == sha2FullAuth:
				err = c.send([]byte{sha2RequestKey})
			default: // a switch, or the key
				err = c.send(bytes.Repeat([]byte{2}, rsaBits/8))
			}
			if err != nil {
				return err
			}
		}
	})
	if err != nil {
		t.Error(err)
	}
	return b.String()
}

// decoys is an Accounts that gives unknown users the steps of one that is known.
type decoys struct {
	accountMap
	like string
}

func (d decoys) Account(user string) (*Account, bool) {
	a, ok := d.accountMap[user]
	if !ok {
		a = d.accountMap[d.like]
	}
	return a, ok
}

// TestServerUnknownUser: the steps of a refused login do not tell whether the user exists; a decoy's password is no key.
func TestServerUnknownUser(t *testing.T) {
	for _, plugin := range []string{cachingSHA2, nativePassword, "dialog", ""} {
		known := transcript(t, &Server{Accounts: testAccounts(t)}, "plain", plugin)
		if unknown := transcript(t, &Server{Accounts: testAccounts(t)}, "nobdy", plugin); known != unknown {
			t.Errorf("%q: known user %s, unknown user %s", plugin, known, unknown)
		}
		for _, like := range []string{"sha2", "native"} {
			s := &Server{Accounts: decoys{testAccounts(t), like}}
			if a, b := transcript(t, s, like, plugin), transcript(t, s, "nobody"[:len(like)], plugin); a != b {
				t.Errorf("%q: %s %s, unknown user %s", plugin, like, a, b)
			}
		}
	}
	addr, _ := serve(t, "tcp", "127.0.0.1:0", &Server{Accounts: decoys{testAccounts(t), "sha2"}})
	for _, user := range []string{"sha2", "nobody"} {
		d := Dialer{Addr: addr, User: user, Password: testPassword, Timeout: time.Minute}
		for range 2 {
			if _, _, err := d.Dial(t.Context()); (err == nil) != (user == "sha2") {
				t.Errorf("%s: %v", user, err)
			}
		}
	}
}

// TestAccountCache: the full authentication is needed once, and a wrong password does not fill the cache.
func TestAccountCache(t *testing.T) {
	a := mustHash(t, testCrypt)
	salt := newSalt()
	if a.verifyPassword([]byte("wrong"), true) || a.verifyPassword(bytes.Repeat([]byte("x"), maxPassword+1), true) {
		t.Error("a wrong password was accepted")
	}
	if _, known := a.verifySHA2(sha2Scramble(testPassword, salt), salt); known {
		t.Error("known before the first full authentication")
	}
	if !a.verifyPassword([]byte(testPassword), true) {
		t.Error("the password was refused")
	}
	if right, known := a.verifySHA2(sha2Scramble(testPassword, salt), salt); !right || !known {
		t.Error("not known after a full authentication")
	}
	if right, _ := a.verifySHA2(sha2Scramble("wrong", salt), salt); right {
		t.Error("a wrong password was accepted on the fast path")
	}
	if right, _ := a.verifySHA2(nil, salt); right {
		t.Error("an empty proof was accepted")
	}
	long := strings.Repeat("x", maxPassword+1)
	if mustHash(t, testCrypt[:cryptHeader+cryptSaltLength]+crypt256(long, testCrypt[cryptHeader:][:cryptSaltLength], 5000)).verifyPassword([]byte(long), true) {
		t.Error("a password over the limit was hashed")
	}
	for _, a := range []*Account{NewAccount(testPassword), NewAccount("")} {
		if a.verifyNative(make([]byte, 20), salt) || a.verifyNative(make([]byte, 19), salt) {
			t.Error("a wrong native proof was accepted")
		}
	}
}

// TestServerFastPath: clients want to hear that the scramble was right before they read the OK.
func TestServerFastPath(t *testing.T) {
	acceptErr, err := knock(t, &Server{Accounts: testAccounts(t)}, func(c *Conn) error {
		if err := c.testLogin(func(*loginPacket) {}); err != nil {
			return err
		}
		for _, want := range [][]byte{{headerMore, sha2FastOK}, OK{}.Append(nil, 0)} {
			if p, err := c.ReadPacket(); err != nil || !bytes.Equal(p, want) {
				return fmt.Errorf("got %x, %w, want %x", p, err, want)
			}
		}
		return nil
	})
	if acceptErr != nil || err != nil {
		t.Error(acceptErr, err)
	}
}

// TestServerAsksOtherPlugins: a client that does not speak the plugin of the greeting names its own and sends no proof, as
// MySQL's library does. It is asked for one.
func TestServerAsksOtherPlugins(t *testing.T) {
	for _, native := range []bool{false, true} {
		plugin := nativePassword
		if native {
			plugin = cachingSHA2
		}
		acceptErr, err := knock(t, &Server{Accounts: testAccounts(t), Native: native}, func(c *Conn) error {
			if err := c.testLogin(func(l *loginPacket) { l.plugin, l.auth = plugin, nil }); err != nil {
				return err
			}
			a := clientAuth{conn: c, password: testPassword, plugin: plugin}
			_, err := a.run()
			return err
		})
		if acceptErr != nil || err != nil {
			t.Errorf("%s: %v, %v", plugin, acceptErr, err)
		}
	}
}
