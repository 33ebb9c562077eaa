package integration

import (
	"context"
	"crypto/tls"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/xaproxy/xaproxy/config"
	"github.com/xaproxy/xaproxy/tests/proxytest"
	"github.com/xaproxy/xaproxy/tests/servers"
	"github.com/xaproxy/xaproxy/tests/servers/servertest"
	"github.com/xaproxy/xaproxy/wire"
)

// tlsProxy runs the program with these lines of [server] and these users.
func tlsProxy(t *testing.T, server, users []string) (*proxytest.Proxy, string) {
	t.Helper()
	s := servertest.Get(t, servers.MariaDB)
	schema := servertest.Database(t, s)
	return proxytest.Run(t, proxytest.Options{
		Backends: []proxytest.Backend{proxytest.On("one", s)}, Schemas: []config.Schema{{Name: schema, Backend: "one"}},
		Server: server, Users: users,
	}), schema
}

func (f files) lines() []string {
	return []string{fmt.Sprintf("tls_cert = %q\ntls_key = %q", f.cert, f.key)}
}

// enter logs in as the standard user, in TLS if there is a configuration for it, and says hello.
func enter(p *proxytest.Proxy, c *tls.Config) error {
	conn, _, err := (&wire.Dialer{Addr: p.Addr, User: proxytest.User, Password: proxytest.Password, TLS: c, Timeout: 20 * time.Second}).Dial(context.Background())
	if err != nil {
		return err
	}
	defer conn.Close()
	if err := conn.SendCommand(wire.ComPing); err != nil {
		return err
	}
	_, err = conn.ReadResult(0)
	return err
}

// TestTLSOfClients: TLS is optional, required, or required with a certificate, and is spoken from version 1.2 on.
func TestTLSOfClients(t *testing.T) {
	t.Parallel()
	ca, stranger := newAuthority(t), newAuthority(t)
	pair := ca.issue("127.0.0.1", time.Time{})
	with := func(version uint16, f ...files) *tls.Config {
		c := &tls.Config{RootCAs: ca.pool(), ServerName: "127.0.0.1", MinVersion: version, MaxVersion: version}
		for _, one := range f {
			c.Certificates = append(c.Certificates, one.pair)
		}
		return c
	}
	good, strange := ca.issue("client", time.Time{}), stranger.issue("client", time.Time{})
	expired := ca.issue("client", time.Now().Add(-time.Hour))
	clientCA := fmt.Sprintf("tls_client_ca = %q", ca.file)
	for mode, lines := range map[string][]string{
		"none":     nil,
		"optional": pair.lines(),
		"required": append(pair.lines(), "tls_required = true"),
		"verified": append(pair.lines(), clientCA),
		"mutual":   append(pair.lines(), clientCA, "tls_client_required = true"),
	} {
		t.Run(mode, func(t *testing.T) {
			p, _ := tlsProxy(t, lines, nil)
			offered, required, asked := mode != "none", mode == "required" || mode == "mutual", mode == "verified" || mode == "mutual"
			err := enter(p, nil)
			if required && errno(err) != 3159 || !required && err != nil {
				t.Errorf("in clear: %v", err)
			}
			for _, version := range []uint16{tls.VersionTLS10, tls.VersionTLS11, tls.VersionTLS12, tls.VersionTLS13} {
				for name, c := range map[string]struct {
					files []files
					taken bool
				}{
					"no certificate":       {nil, mode != "mutual"},
					"certificate":          {[]files{good}, true},
					"expired certificate":  {[]files{expired}, !asked},
					"stranger certificate": {[]files{strange}, !asked},
				} {
					err := enter(p, with(version, c.files...))
					if want := offered && version >= tls.VersionTLS12 && c.taken; (err == nil) != want {
						t.Errorf("%s with %s: %v", tls.VersionName(version), name, err)
					}
				}
			}
		})
	}
}

// TestTLSFilesChange replaces the files of a running proxy. Clients that are in stay in; files that are of no use change
// nothing, and are told of once.
func TestTLSFilesChange(t *testing.T) {
	t.Parallel()
	old, next := newAuthority(t), newAuthority(t)
	shown := old.issue("127.0.0.1", time.Time{})
	clients := t.TempDir() + "/clients.pem"
	copyFile(t, old.file, clients)
	p, _ := tlsProxy(t, append(shown.lines(), fmt.Sprintf("tls_client_ca = %q\ntls_client_required = true", clients)), nil)
	as := func(server, client *authority) *tls.Config {
		return &tls.Config{
			RootCAs: server.pool(), ServerName: "127.0.0.1", Certificates: []tls.Certificate{client.issue("client", time.Time{}).pair},
			ClientSessionCache: tls.NewLRUClientSessionCache(1),
		}
	}
	before := as(old, old) // it has a ticket to come back with
	check(t, enter(p, before))
	check(t, enter(p, before))
	conn, _, err := (&wire.Dialer{Addr: p.Addr, User: proxytest.User, Password: proxytest.Password, TLS: as(old, old), Timeout: time.Minute}).Dial(t.Context())
	check(t, err)
	in := &raw{t, conn, 0}
	defer in.Close()

	fresh := next.issue("127.0.0.1", time.Time{})
	copyFile(t, fresh.cert, shown.cert) // the key is still to come
	until(t, "the proxy has looked", func() bool {
		check(t, enter(p, as(old, old)))
		return len(p.Log.Grep("new TLS files cannot be used")) > 0
	})
	copyFile(t, fresh.key, shown.key)
	copyFile(t, next.file, clients)
	until(t, "the new certificate is shown, and clients of the new authority are let in", func() bool { return enter(p, as(next, next)) == nil })
	for name, c := range map[string]*tls.Config{"a client of the old authority": as(next, old), "one with a ticket": before} {
		c.RootCAs = next.pool()
		if err := enter(p, c); err == nil {
			t.Errorf("%s is let in", name)
		}
	}
	in.exec("DO 1")
	check(t, os.WriteFile(clients, []byte("rubbish"), 0o600))
	until(t, "the proxy has looked", func() bool {
		check(t, enter(p, as(next, next)))
		return len(p.Log.Grep("holds no certificate")) > 0
	})
	if told := p.Log.Grep("new TLS files cannot be used"); len(told) != 2 {
		t.Errorf("told %d times of two faults:\n%s", len(told), strings.Join(told, "\n"))
	}
	if bad := p.Log.Grep("PRIVATE KEY"); len(bad) > 0 {
		t.Errorf("a key is in the log: %s", bad)
	}
}

// TestTLSOfCommandLineClients logs the clients of MySQL and MariaDB in, with all kinds of accounts: in clear, where
// caching_sha2_password needs the server's key once, and in TLS of both versions, with the host name verified, and with a
// certificate. What a stored hash needs to know is known after one full authentication.
func TestTLSOfCommandLineClients(t *testing.T) {
	t.Parallel()
	const password = "p4ss-w0rd"
	ca := newAuthority(t)
	pair, own := ca.issue("127.0.0.1", time.Time{}), ca.issue("client", time.Time{})
	my := servertest.Get(t, servers.MySQL)
	users := []string{fmt.Sprintf("name = \"plain\"\npassword = %q", password), fmt.Sprintf("name = \"native\"\npassword_hash = %q", nativeHash(t, password))}
	for i := range 4 {
		users = append(users, fmt.Sprintf("name = \"sha2-%d\"\npassword_hash = %q", i, storedHash(t, my, password)))
	}
	p, schema := tlsProxy(t, append(pair.lines(), fmt.Sprintf("tls_client_ca = %q", ca.file)), users)
	clients := map[string]commandLine{}
	for _, c := range commandLines(t) {
		clients[c.name] = c
	}
	verify := map[string][]string{
		"mysql":   {"--ssl-mode=VERIFY_IDENTITY", "--ssl-ca=" + ca.file},
		"mariadb": {"--ssl", "--ssl-ca=" + ca.file, "--ssl-verify-server-cert"},
	}
	certificate := []string{"--ssl-cert=" + own.cert, "--ssl-key=" + own.key}
	login := func(client, user string, options ...string) string {
		out, _ := clients[client].run(t, "SELECT 40 + 2 AS answer", p.Addr, user, password, schema, options...) // an error is in the output
		return out
	}
	fine := func(what, out string) {
		t.Helper()
		if !strings.Contains(out, "42") {
			t.Errorf("%s: %s", what, out)
		}
	}
	for name := range clients {
		for _, user := range []string{"plain", "native"} {
			if name == "mysql" && user == "native" {
				continue // it cannot speak mysql_native_password
			}
			fine(name+" "+user+" in clear", login(name, user, clients[name].plain...))
			for _, version := range []string{"TLSv1.2", "TLSv1.3"} {
				fine(name+" "+user+" "+version, login(name, user, append(verify[name], "--tls-version="+version)...))
			}
			fine(name+" "+user+" with a certificate", login(name, user, append(verify[name], certificate...)...))
		}
	}
	// The server's certificate is for an address; by a name, the client must refuse it.
	for name := range clients {
		elsewhere := strings.Replace(p.Addr, "127.0.0.1", "localhost", 1)
		out, _ := clients[name].run(t, "SELECT 40 + 2", elsewhere, "plain", password, schema, verify[name]...)
		if strings.Contains(out, "42") {
			t.Errorf("%s takes the certificate for another name: %s", name, out)
		}
	}
	// Without TLS and without the key, MySQL's client does not send the password. It need not, once it is known.
	clear := []string{"--ssl-mode=DISABLED"}
	for user, full := range map[string][]string{"sha2-0": {"mysql", "--ssl-mode=DISABLED", "--get-server-public-key"}, "sha2-1": append([]string{"mysql"}, verify["mysql"]...), "sha2-2": append([]string{"mariadb"}, verify["mariadb"]...), "sha2-3": {"mariadb", "--skip-ssl"}} {
		if out := login("mysql", user, clear...); !strings.Contains(out, "requires secure connection") {
			t.Errorf("%s, at first without a key: %s", user, out)
		}
		wrong, _ := clients[full[0]].run(t, "SELECT 40 + 2", p.Addr, user, "wrong", schema, full[1:]...)
		if !strings.Contains(wrong, "1045 (28000)") {
			t.Errorf("%s, a wrong password: %s", user, wrong)
		}
		if out := login("mysql", user, clear...); !strings.Contains(out, "requires secure connection") {
			t.Errorf("%s, after a wrong password: %s", user, out)
		}
		fine(user+" "+strings.Join(full, " "), login(full[0], user, full[1:]...))
		fine(user+" by the fast path", login("mysql", user, clear...))
		fine(user+" by the fast path", login("mariadb", user, "--skip-ssl"))
	}
}
