package wire

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"strings"
	"testing"
	"time"
)

// TestClientCert: a login tells whether a verified certificate was shown, whatever the server asks for; one that is required
// and missing, or that nobody vouches for, is no login.
func TestClientCert(t *testing.T) {
	pool := clientTLS(t).RootCAs // the certificate vouches for itself
	for _, c := range []struct {
		name  string
		auth  tls.ClientAuthType
		cas   *x509.CertPool
		shown bool
		login bool
		cert  bool
	}{
		{"not asked", tls.NoClientCert, pool, true, true, false},
		{"verified", tls.VerifyClientCertIfGiven, pool, true, true, true},
		{"none", tls.VerifyClientCertIfGiven, pool, false, true, false},
		{"unverified", tls.RequireAnyClientCert, pool, true, true, false},
		{"required", tls.RequireAndVerifyClientCert, pool, true, true, true},
		{"missing", tls.RequireAndVerifyClientCert, pool, false, false, false},
		{"strange", tls.RequireAndVerifyClientCert, x509.NewCertPool(), true, false, false},
	} {
		inner := testTLS().Clone()
		inner.ClientAuth, inner.ClientCAs = c.auth, c.cas
		// As a server that reloads its certificates does: the configuration is chosen for each client.
		cfg := &tls.Config{GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) { return inner, nil }}
		addr, results := serve(t, "tcp", "127.0.0.1:0", &Server{Accounts: testAccounts(t), TLS: cfg})
		d := &Dialer{Addr: addr, User: "plain", Password: testPassword, TLS: clientTLS(t), Timeout: time.Minute}
		if c.shown {
			d.TLS.Certificates = testTLS().Certificates
		}
		conn, _, err := d.Dial(t.Context())
		if err == nil {
			conn.Close()
		}
		a := <-results
		if (err == nil) != c.login || (a.err == nil) != c.login {
			t.Errorf("%s: %v, server %v", c.name, err, a.err)
		} else if c.login && (!a.login.TLS || a.login.ClientCert != c.cert) {
			t.Errorf("%s: login %+v", c.name, a.login)
		}
	}
}

// TestPasswordWiped: after a full authentication where nobody can listen, the connection's buffer holds no password, and
// still the bytes that came behind it.
func TestPasswordWiped(t *testing.T) {
	for _, password := range []string{testPassword, "wrong but quite long", strings.Repeat("long", 10_000)} {
		before, behind := make([]byte, 200), []byte("behind")
		in := append(pack(2, before, append([]byte(password), 0)), behind...)
		// The first read ends within the password, which then moves to the front of the buffer.
		c := NewConn(&scriptConn{cutConn{in: in, cuts: []byte{213, 255}}}, 0)
		c.caps, c.seq = testCaps, 2
		if _, err := c.ReadPacket(); err != nil {
			t.Fatal(err)
		}
		c.seq-- // verify sends a packet in between
		a := serverAuth{server: &Server{}, conn: c, user: "sha2", plugin: cachingSHA2, proof: make([]byte, 32), salt: newSalt(), secure: true}
		right, err := a.verify(mustHash(t, testCrypt), true)
		if err != nil || right != (password == testPassword) {
			t.Fatal(right, err)
		}
		if bytes.Contains(c.rbuf, []byte(password[:4])) || bytes.Contains(c.big[:cap(c.big)], []byte(password[:4])) {
			t.Errorf("%.20q remains in the buffers", password)
		}
		for c.w-c.r < len(behind) {
			if err := c.fill(); err != nil {
				t.Fatal(err)
			}
		}
		if !bytes.Equal(c.rbuf[c.r:c.w], behind) {
			t.Errorf("behind the password: %q", c.rbuf[c.r:c.w])
		}
	}
	s := &Server{}
	s.makeKey()
	salt := newSalt()
	sealed, err := encryptPassword(testPassword, salt, s.publicKey)
	if err != nil {
		t.Fatal(err)
	}
	a := serverAuth{server: s, salt: salt}
	s.keyOnce.Do(func() {})
	plain, err := a.password(sealed)
	if err != nil || string(plain) != testPassword {
		t.Fatal(string(plain), err)
	}
	if mustHash(t, testCrypt).verifyPassword(plain, true); string(plain) != testPassword {
		t.Error("verifying changes the password")
	}
}
