package wire

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"reflect"
	"testing"
	"time"
)

// changeUserScript changes the user of a logged-in client and returns the packet that asked for another proof.
func changeUserScript(c *Conn, u *changeUser, password string) (asked []byte, err error) {
	if err := c.SendCommand(ComChangeUser, u.append(nil, c.caps)); err != nil {
		return nil, err
	}
	if asked, err = c.ReadPacket(); err != nil {
		return nil, err
	}
	asked = append([]byte(nil), asked...)
	if asked[0] != headerEOF {
		return asked, nil
	}
	a := clientAuth{conn: c, password: password, plugin: u.plugin}
	if _, local := c.NetConn().(*net.UnixConn); local {
		a.secure = true
	}
	if err := a.change(asked); err != nil {
		return asked, err
	}
	_, err = a.run()
	return asked, err
}

// TestChangeUser goes from every kind of account to every other, in clear and where nobody can listen: the client is asked
// with a salt of its own each time, or for mysql_native_password with the last one that it was sent, the new login is the
// client's, and a wrong password is 1045.
func TestChangeUser(t *testing.T) {
	for _, network := range []string{"tcp", "unix"} {
		s := &Server{Accounts: testAccounts(t)}
		addr := "127.0.0.1:0"
		if network == "unix" {
			addr = t.TempDir() + "/s"
		}
		addr, results := serve(t, network, addr, s)
		d := &Dialer{Network: network, Addr: addr, User: "plain", Password: testPassword, Schema: "a", Timeout: time.Minute, Caps: FoundRows}
		c, g, err := d.Dial(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		first := (<-results).login
		last, salts := string(g.salt), map[string]bool{string(g.salt): true}
		for _, user := range []string{"empty", "plain", "native", "sha2", "sha2", "empty", "plain"} {
			for _, plugin := range []string{cachingSHA2, nativePassword, "dialog", ""} {
				password := testPassword
				if user == "empty" {
					password = ""
				}
				asked, err := changeUserScript(c, &changeUser{user: user, schema: "b", collation: 300, plugin: plugin, auth: []byte("stale")}, password)
				if err != nil {
					t.Fatalf("%s/%s/%q: %v", network, user, plugin, err)
				}
				want := testAccounts(t)[user].plugin(plugin)
				named, salt, err := parseSwitchRequest(asked)
				fresh := !salts[string(salt)]
				if err != nil || named != want || fresh != (want != nativePassword) || !fresh && string(salt) != last {
					t.Errorf("%s/%s/%q: asked with %q (%v)", network, user, plugin, asked, err)
				}
				last, salts[string(salt)] = string(salt), true
				a := <-results
				if a.err != nil {
					t.Fatal(a.err)
				}
				l := a.login
				if l.User != user || l.Schema != "b" || l.Collation != 300 || l.Caps != first.Caps || l.ConnID != 7 || !l.Caps.Has(FoundRows) {
					t.Errorf("login %+v", l)
				}
			}
		}
		if first.User != "plain" || first.Schema != "a" || first.Collation != defaultCollation {
			t.Errorf("the first login has changed: %+v", first)
		}
		_, err = changeUserScript(c, &changeUser{user: "sha2", plugin: cachingSHA2}, "wrong")
		var refused, told *Error
		if !errors.As(err, &refused) || refused.Errno != 1045 || refused.State != "28000" {
			t.Errorf("%s: wrong password: %v", network, err)
		}
		if a := <-results; !errors.As(a.err, &told) || told.Errno != 1045 {
			t.Errorf("%s: the server's error: %v", network, a.err)
		}
	}
}

// TestChangeUserAfterSwitch: the last salt may be that of a switch in the login.
func TestChangeUserAfterSwitch(t *testing.T) {
	addr, results := serve(t, "tcp", "127.0.0.1:0", &Server{Accounts: testAccounts(t)})
	c, g, err := (&Dialer{Addr: addr, User: "native", Password: testPassword, Timeout: time.Minute}).Dial(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	salt := (<-results).login.salt
	asked, err := changeUserScript(c, &changeUser{user: "plain", plugin: nativePassword}, testPassword)
	if err != nil || bytes.Equal(salt, g.salt) || !bytes.Equal(asked, switchRequest(nil, nativePassword, salt)) {
		t.Errorf("asked with %q, login %q, greeting %q, %v", asked, salt, g.salt, err)
	}
}

// TestChangeUserMalformed: a command that cannot be read is answered with 1047, as by servers.
func TestChangeUserMalformed(t *testing.T) {
	for _, arg := range [][]byte{nil, []byte("user"), []byte("user\x00\x09short"), []byte("user\x00\x00schema\x00\x2d")} {
		var out bytes.Buffer
		c := NewConn(bufferConn{Buffer: &out}, 0)
		c.caps = testCaps | SecureConnection
		var told *Error
		if _, err := (&Server{}).ChangeUser(c, &Login{}, arg); !errors.As(err, &told) || told.Errno != 1047 {
			t.Errorf("%q: %v", arg, err)
		}
		if err := expectErr(NewConn(bufferConn{Buffer: &out}, 0), 1047, "08S01"); err != nil {
			t.Errorf("%q: %v", arg, err)
		}
	}
}

// TestChangeUserOldClient: a client without plugins proves itself with the salt of the greeting, which it keeps.
func TestChangeUserOldClient(t *testing.T) {
	addr, results := serve(t, "tcp", "127.0.0.1:0", &Server{Accounts: testAccounts(t)})
	for _, password := range []string{testPassword, "wrong"} {
		nc, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		defer nc.Close()
		c := NewConn(nc, 0)
		p, err := c.ReadPacket()
		if err != nil {
			t.Fatal(err)
		}
		g, err := parseGreeting(p)
		if err != nil {
			t.Fatal(err)
		}
		c.caps = Protocol41 | SecureConnection
		l := loginPacket{caps: c.caps, user: "native", auth: nativeScramble(testPassword, g.salt)}
		if err := c.send(l.append(nil)); err != nil {
			t.Fatal(err)
		}
		if _, err := c.ReadResult(0); err != nil || (<-results).err != nil {
			t.Fatal(err)
		}
		u := changeUser{user: "native", auth: nativeScramble(password, g.salt)}
		if err := c.SendCommand(ComChangeUser, u.append(nil, c.caps)); err != nil {
			t.Fatal(err)
		}
		_, err = c.ReadResult(0)
		if a := <-results; (err == nil) != (password == testPassword) || (a.err == nil) != (err == nil) {
			t.Errorf("%s: %v, server %v", password, err, a.err)
		}
		if err != nil {
			if _, err := c.ReadPacket(); !errors.Is(err, io.EOF) {
				t.Errorf("the connection is open after a failure: %v", err)
			}
		}
	}
}

func FuzzChangeUser(f *testing.F) {
	for _, caps := range []Capability{0, SecureConnection, SecureConnection | PluginAuth, SecureConnection | PluginAuth | ConnectAttrs} {
		u := changeUser{user: "u", auth: []byte("proof"), schema: "s", collation: 45, plugin: "p", attrs: map[string]string{"k": "v"}}
		f.Add(u.append(nil, caps), uint64(caps))
	}
	f.Fuzz(func(t *testing.T, p []byte, c uint64) {
		caps := Capability(c) & (SecureConnection | PluginAuth | ConnectAttrs)
		u, err := parseChangeUser(p, caps)
		if err != nil {
			return
		}
		again, err := parseChangeUser(u.append(nil, caps), caps)
		if u.attrs == nil && err == nil && len(again.attrs) == 0 {
			again.attrs = nil // a missing block of attributes is written as an empty one
		}
		if err != nil || fmt.Sprint(u) != fmt.Sprint(again) || !reflect.DeepEqual(u.attrs, again.attrs) {
			t.Fatalf("%+v became %+v (%v)", u, again, err)
		}
	})
}
