package main

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/xaproxy/xaproxy/config"
)

// authority signs certificates for tests.
type authority struct {
	t    *testing.T
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	n    int64
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	a := &authority{t: t}
	a.cert, a.key = a.make("ca", nil, nil)
	return a
}

func (a *authority) make(name string, parent *x509.Certificate, signer *ecdsa.PrivateKey) (*x509.Certificate, *ecdsa.PrivateKey) {
	a.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		a.t.Fatal(err)
	}
	a.n++
	template := &x509.Certificate{
		SerialNumber: big.NewInt(a.n), Subject: pkix.Name{CommonName: name}, NotBefore: time.Now().Add(-time.Hour),
		NotAfter: time.Now().Add(time.Hour), IsCA: parent == nil, BasicConstraintsValid: true,
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	if parent == nil {
		parent, signer = template, key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, signer)
	if err != nil {
		a.t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		a.t.Fatal(err)
	}
	return cert, key
}

// write puts a certificate of the authority, and its key, into files.
func (a *authority) write(dir, name string) (certFile, keyFile string) {
	a.t.Helper()
	cert, key := a.make(name, a.cert, a.key)
	der, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		a.t.Fatal(err)
	}
	certFile, keyFile = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	save(a.t, certFile, "CERTIFICATE", cert.Raw)
	save(a.t, keyFile, "EC PRIVATE KEY", der)
	return certFile, keyFile
}

func save(t *testing.T, file, kind string, der []byte) {
	t.Helper()
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
}

// shake connects to a server with the configuration and returns the name that it shows.
func shake(t *testing.T, server, client *tls.Config) (string, error) {
	t.Helper()
	a, b := net.Pipe()
	defer a.Close()
	defer b.Close()
	done := make(chan error, 1)
	go func() { done <- tls.Server(a, server).Handshake() }()
	c := tls.Client(b, client)
	if err := c.Handshake(); err != nil {
		return "", err
	}
	if err := <-done; err != nil {
		return "", err
	}
	return c.ConnectionState().PeerCertificates[0].Subject.CommonName, nil
}

func TestCertificatesAreReloaded(t *testing.T) {
	ca, dir := newAuthority(t), t.TempDir()
	var c config.Server
	c.TLSCert, c.TLSKey = ca.write(dir, "first")
	roots := x509.NewCertPool()
	roots.AddCert(ca.cert)
	client := &tls.Config{RootCAs: roots, ServerName: "127.0.0.1", MinVersion: tls.VersionTLS12}

	var log bytes.Buffer
	s := &certificates{c: c, log: zerolog.New(&log)}
	if err := s.load(); err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	shows := func(want string) {
		t.Helper()
		now = now.Add(2 * reloadInterval)
		if got, err := shake(t, s.latest(now), client); err != nil || got != want {
			t.Errorf("clients are shown %q, %v; want %q", got, err, want)
		}
	}
	touch := func(file string, later time.Duration) {
		t.Helper()
		at := time.Now().Add(later)
		if err := os.Chtimes(file, at, at); err != nil {
			t.Fatal(err)
		}
	}
	shows("first")
	ca.write(dir, "second")
	touch(c.TLSCert, time.Minute)
	shows("second")
	if err := os.WriteFile(c.TLSCert, []byte("rubbish"), 0o600); err != nil {
		t.Fatal(err)
	}
	touch(c.TLSCert, 2*time.Minute)
	shows("second") // what cannot be used changes nothing
	ca.write(dir, "third")
	touch(c.TLSCert, 3*time.Minute)
	shows("third")
	other := t.TempDir()
	ca.write(other, "fourth")
	for _, name := range []string{"cert.pem", "key.pem"} { // files that were made earlier take the place of the present ones
		touch(filepath.Join(other, name), -time.Hour)
		if err := os.Rename(filepath.Join(other, name), filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	shows("fourth")
	ca.write(other, "fifth")
	if err := os.Rename(filepath.Join(other, "cert.pem"), c.TLSCert); err != nil {
		t.Fatal(err)
	}
	shows("fourth") // the key is still to come
	if err := os.Rename(filepath.Join(other, "key.pem"), c.TLSKey); err != nil {
		t.Fatal(err)
	}
	shows("fifth")
	if err := os.Remove(c.TLSKey); err != nil {
		t.Fatal(err)
	}
	shows("fifth")
	log.Reset()
	shows("fifth")
	if log.Len() > 0 {
		t.Errorf("told again of a fault that is known: %s", log.String())
	}

	if _, err := shake(t, s.current, &tls.Config{RootCAs: roots, ServerName: "127.0.0.1", MaxVersion: tls.VersionTLS11}); err == nil {
		t.Error("TLS 1.1 is spoken")
	}
}

func TestClientCertificates(t *testing.T) {
	ca, stranger := newAuthority(t), newAuthority(t)
	caFile := filepath.Join(t.TempDir(), "ca.pem")
	save(t, caFile, "CERTIFICATE", ca.cert.Raw)
	var c config.Server
	c.TLSCert, c.TLSKey = ca.write(t.TempDir(), "server")
	c.TLSClientCA = caFile
	roots := x509.NewCertPool()
	roots.AddCert(ca.cert)
	with := func(a *authority) *tls.Config {
		client := &tls.Config{RootCAs: roots, ServerName: "127.0.0.1", MaxVersion: tls.VersionTLS12} // 1.3 tells the client later
		if a != nil {
			pair, err := tls.LoadX509KeyPair(a.write(t.TempDir(), "client"))
			if err != nil {
				t.Fatal(err)
			}
			client.Certificates = []tls.Certificate{pair}
		}
		return client
	}
	for _, required := range []bool{false, true} {
		c.TLSClientRequired = required
		server, err := serverTLS(c, zerolog.Nop())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := shake(t, server, with(ca)); err != nil {
			t.Errorf("required %v: a good certificate: %v", required, err)
		}
		if _, err := shake(t, server, with(nil)); (err != nil) != required {
			t.Errorf("required %v: no certificate: %v", required, err)
		}
		if _, err := shake(t, server, with(stranger)); err == nil {
			t.Errorf("required %v: a stranger's certificate is accepted", required)
		}
	}
}
