package integration

import (
	"context"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/xaproxy/xaproxy/backend"
	"github.com/xaproxy/xaproxy/config"
	"github.com/xaproxy/xaproxy/tests/servers"
	"github.com/xaproxy/xaproxy/tests/servers/servertest"
)

// alone is a configuration with one backend.
func alone(b config.Backend) *config.Config {
	c := config.Default()
	c.Backends = []config.Backend{b}
	return &c
}

// reach opens a connection of the pool's and one of the administrative kind to a backend, and returns the cipher of the former
// and what went wrong with either.
func reach(t *testing.T, b *backend.Backend) (cipher string, pooled, administrative error) {
	t.Helper()
	b.Ready(backend.Facts{})
	c, pooled := b.Get(context.Background(), &backend.Session{}, nil)
	if pooled == nil {
		r, err := c.Query("SHOW SESSION STATUS LIKE 'Ssl_cipher'")
		check(t, err)
		cipher = string(r.Values[0][1])
		c.Break()
		c.Put()
	}
	a, err := backend.NewAdmin(b.Config)
	check(t, err)
	_, administrative = a.Identity(t.Context())
	check(t, a.Close())
	return cipher, pooled, administrative
}

// TestTLSToBackends connects to real servers whose certificate is good, of another authority, for another name, and expired,
// with and without a certificate of our own. What must not be connected to is not, by no kind of connection, and the error says
// why and never has the password.
func TestTLSToBackends(t *testing.T) {
	t.Parallel()
	ca, stranger := newAuthority(t), newAuthority(t)
	good, expired := ca.issue("127.0.0.1", time.Time{}), ca.issue("127.0.0.1", time.Now().Add(-time.Hour))
	first, second, strange := ca.issue("first", time.Time{}), ca.issue("second", time.Time{}), stranger.issue("first", time.Time{})
	for kind, reload := range map[servers.Kind]string{servers.MariaDB: "FLUSH SSL", servers.MySQL: "ALTER INSTANCE RELOAD TLS"} {
		inUse := ca.issue("127.0.0.1", time.Time{})
		server := ownServer(t, kind, ca.serverArgs(inUse)...)
		show := func(f files) {
			copyFile(t, f.cert, inUse.cert)
			copyFile(t, f.key, inUse.key)
			admin(t, server, reload)
		}
		const password = "backend-secret"
		admin(t, server,
			"CREATE USER plain IDENTIFIED BY '"+password+"'",
			"CREATE USER encrypted IDENTIFIED BY '"+password+"' REQUIRE SSL",
			"CREATE USER certified IDENTIFIED BY '"+password+"' REQUIRE X509",
			"CREATE USER second IDENTIFIED BY '"+password+"' REQUIRE SUBJECT '/CN=second'")
		with := func(user string, change func(*config.Backend)) config.Backend {
			b := config.DefaultBackend(config.MySQL)
			b.Name, b.Host, b.Port, b.User, b.Password = "b", "127.0.0.1", server.Port, user, password
			if change != nil {
				change(&b)
			}
			return b
		}
		verify := func(ca *authority) func(*config.Backend) {
			return func(b *config.Backend) { b.TLS, b.TLSCA = "verify", ca.file }
		}
		own := func(f files) func(*config.Backend) {
			return func(b *config.Backend) { b.TLS, b.TLSCA, b.TLSCert, b.TLSKey = "verify", ca.file, f.cert, f.key }
		}
		for _, c := range []struct {
			name    string
			backend config.Backend
			server  files
			fails   []string // one of these is in the error; none: it must work
		}{
			{"off", with("plain", nil), good, nil},
			{"off, the account wants TLS", with("encrypted", nil), good, []string{"1045", "Access denied"}},
			{"right authority", with("encrypted", verify(ca)), good, nil},
			{"another authority", with("encrypted", verify(stranger)), good, []string{"unknown authority"}},
			{"those of the system", with("encrypted", func(b *config.Backend) { b.TLS = "verify" }), good, []string{"unknown authority"}},
			{"another name", with("encrypted", func(b *config.Backend) { verify(ca)(b); b.Host = "localhost" }), good, []string{"localhost"}},
			{"expired", with("encrypted", verify(ca)), expired, []string{"expired"}},
			{"expired, not verified", with("encrypted", func(b *config.Backend) { b.TLS = "skip-verify" }), expired, nil},
			{"certificate of ours", with("certified", own(first)), good, nil},
			{"certificate of ours, not verified", with("certified", func(b *config.Backend) { own(first)(b); b.TLS, b.TLSCA = "skip-verify", "" }), good, nil},
			{"no certificate of ours", with("certified", verify(ca)), good, []string{"1045", "Access denied"}},
			{"certificate of another authority", with("certified", own(strange)), good, []string{"1045", "Access denied", "unknown certificate", "bad certificate", "broken pipe", "reset by peer", "EOF", "invalid connection", "bad connection"}},
		} {
			if kind == servers.MySQL && c.server.cert == expired.cert {
				continue // it refuses to load such a certificate
			}
			t.Run(string(kind)+"/"+c.name, func(t *testing.T) {
				show(c.server)
				b, err := backend.Open(alone(c.backend), 0)
				check(t, err)
				defer b.Close()
				cipher, pooled, administrative := reach(t, b)
				for what, err := range map[string]error{"pool": pooled, "administrative": administrative} {
					if (err != nil) != (c.fails != nil) || err != nil && !containsAny(err.Error(), c.fails) {
						t.Errorf("%s: %v", what, err)
					}
					if err != nil && strings.Contains(err.Error(), password) {
						t.Errorf("%s: the password is in the error: %v", what, err)
					}
				}
				if pooled == nil && (cipher != "") != (c.backend.TLS != "off") {
					t.Errorf("cipher %q", cipher)
				}
			})
		}
		t.Run(string(kind)+"/certificate of ours changes", func(t *testing.T) {
			shown := ca.issue("first", time.Time{})
			b, err := backend.Open(alone(with("second", own(shown))), 0)
			check(t, err)
			defer b.Close()
			var warned []string
			b.Warn = func(err error) { warned = append(warned, err.Error()) }
			if _, pooled, _ := reach(t, b); pooled == nil {
				t.Error("another subject is taken")
			}
			copyFile(t, second.cert, shown.cert)
			copyFile(t, second.key, shown.key)
			if _, pooled, administrative := reach(t, b); pooled != nil || administrative != nil {
				t.Errorf("with the new certificate: %v, %v", pooled, administrative)
			}
			check(t, os.WriteFile(shown.key, []byte("rubbish"), 0o600))
			b.Ready(backend.Facts{})
			c, err := b.Get(context.Background(), &backend.Session{}, nil)
			check(t, err) // the former one is shown
			c.Put()
			if len(warned) != 1 || !strings.Contains(warned[0], "backend b: tls_cert") {
				t.Errorf("warned of %q", warned)
			}
			if _, err := backend.Open(alone(b.Config), 0); err == nil || !strings.Contains(err.Error(), "backend b: tls_cert") {
				t.Errorf("opened with a broken key: %v", err)
			}
		})
	}
}

// TestTLSOfServerWithout asks for TLS where there is none: nothing secret is sent.
func TestTLSOfServerWithout(t *testing.T) {
	t.Parallel()
	server := servertest.Get(t, servers.MariaDB)
	b := config.DefaultBackend(config.MariaDB)
	b.Name, b.Port, b.User, b.Password, b.TLS = "b", server.Port, server.User, config.Secret(server.Password), "skip-verify"
	open, err := backend.Open(alone(b), 0)
	check(t, err)
	defer open.Close()
	_, pooled, administrative := reach(t, open)
	if pooled == nil || !strings.Contains(pooled.Error(), "the server does not offer it") || administrative == nil {
		t.Errorf("%v, %v", pooled, administrative)
	}
}

func copyFile(t testing.TB, from, to string) {
	t.Helper()
	data, err := os.ReadFile(from)
	check(t, err)
	check(t, os.WriteFile(to, data, 0o600))
}

func containsAny(s string, texts []string) bool {
	for _, x := range texts {
		if strings.Contains(s, x) {
			return true
		}
	}
	return false
}
