package integration

import (
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
)

// authority signs certificates.
type authority struct {
	t    testing.TB
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	file string // its certificate
	n    int64
}

func newAuthority(t testing.TB) *authority {
	t.Helper()
	a := &authority{t: t}
	a.cert, a.key = a.sign(&x509.Certificate{Subject: pkix.Name{CommonName: "authority"}, IsCA: true}, nil)
	a.file = filepath.Join(t.TempDir(), "ca.pem")
	a.save(a.file, "CERTIFICATE", a.cert.Raw)
	return a
}

// sign makes a certificate of the template, by itself without an authority.
func (a *authority) sign(template *x509.Certificate, by *authority) (*x509.Certificate, *ecdsa.PrivateKey) {
	a.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	check(a.t, err)
	a.n++
	template.SerialNumber, template.BasicConstraintsValid = big.NewInt(a.n), true
	template.NotBefore = time.Now().Add(-48 * time.Hour)
	if template.NotAfter.IsZero() {
		template.NotAfter = time.Now().Add(time.Hour)
	}
	parent, signer := template, key
	if by != nil {
		parent, signer = by.cert, by.key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, signer)
	check(a.t, err)
	cert, err := x509.ParseCertificate(der)
	check(a.t, err)
	return cert, key
}

// files are a certificate and its key, in files and as a pair.
type files struct {
	cert, key string
	pair      tls.Certificate
}

// issue makes a certificate for a name or an address, which ends then; zero: in an hour.
func (a *authority) issue(name string, ends time.Time) files {
	a.t.Helper()
	template := &x509.Certificate{Subject: pkix.Name{CommonName: name}, NotAfter: ends}
	if ip := net.ParseIP(name); ip != nil {
		template.IPAddresses = []net.IP{ip}
	} else {
		template.DNSNames = []string{name}
	}
	cert, key := a.sign(template, a)
	der, err := x509.MarshalPKCS8PrivateKey(key)
	check(a.t, err)
	dir := a.t.TempDir()
	f := files{cert: filepath.Join(dir, "cert.pem"), key: filepath.Join(dir, "key.pem")}
	a.save(f.cert, "CERTIFICATE", cert.Raw)
	a.save(f.key, "PRIVATE KEY", der)
	f.pair, err = tls.LoadX509KeyPair(f.cert, f.key)
	check(a.t, err)
	return f
}

func (a *authority) save(file, kind string, der []byte) {
	a.t.Helper()
	check(a.t, os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600))
}

// pool trusts the authority.
func (a *authority) pool() *x509.CertPool {
	p := x509.NewCertPool()
	p.AddCert(a.cert)
	return p
}

// serverArgs are the arguments with which a server shows a certificate and takes those of clients that the authority signed.
func (a *authority) serverArgs(f files) []string {
	return []string{"--ssl-ca=" + a.file, "--ssl-cert=" + f.cert, "--ssl-key=" + f.key}
}
