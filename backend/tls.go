package backend

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"
	"sync"

	"github.com/xaproxy/xaproxy/config"
)

// tlsConfig returns how to encrypt connections to a backend, or nil for tls = "off". warn is told of files that cannot be
// used any more.
func tlsConfig(c config.Backend, warn func(error)) (*tls.Config, error) {
	t := &tls.Config{MinVersion: tls.VersionTLS12}
	switch c.TLS {
	case "off":
		return nil, nil
	case "skip-verify":
		t.InsecureSkipVerify = true
	default:
		t.ServerName = c.Host
	}
	if c.TLSCA != "" {
		pem, err := os.ReadFile(c.TLSCA)
		if err != nil {
			return nil, fmt.Errorf("backend %s: tls_ca: %w", c.Name, err)
		}
		t.RootCAs = x509.NewCertPool()
		if !t.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("backend %s: tls_ca: %s holds no certificate", c.Name, c.TLSCA)
		}
	}
	if c.TLSCert != "" {
		own := &ownCertificate{cert: c.TLSCert, key: c.TLSKey}
		if _, err := own.read(); err != nil {
			return nil, fmt.Errorf("backend %s: tls_cert: %w", c.Name, err)
		}
		t.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			pair, err := own.read()
			if err != nil {
				warn(fmt.Errorf("backend %s: tls_cert: %w; the former certificate is shown", c.Name, err))
			}
			return pair, nil
		}
	}
	return t, nil
}

// ownCertificate is what a server is shown that asks for a certificate. Its files are read for each new connection, of which
// there are few. It is safe for concurrent use.
type ownCertificate struct {
	cert, key string

	mu   sync.Mutex       // protects last
	last *tls.Certificate // that could be used
}

// read returns the certificate. With an error it is the former one, nil if there was none.
func (o *ownCertificate) read() (*tls.Certificate, error) {
	pair, err := tls.LoadX509KeyPair(o.cert, o.key)
	o.mu.Lock()
	defer o.mu.Unlock()
	if err == nil {
		o.last = &pair
	}
	return o.last, err
}
