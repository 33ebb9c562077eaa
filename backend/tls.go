package backend

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"

	"github.com/xaproxy/xaproxy/config"
)

// tlsConfig returns how to encrypt connections to a backend, or nil for tls = "off".
func tlsConfig(c config.Backend) (*tls.Config, error) {
	switch c.TLS {
	case "off":
		return nil, nil
	case "skip-verify":
		return &tls.Config{MinVersion: tls.VersionTLS12, InsecureSkipVerify: true}, nil
	}
	t := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: c.Host}
	if c.TLSCA == "" {
		return t, nil
	}
	pem, err := os.ReadFile(c.TLSCA)
	if err != nil {
		return nil, fmt.Errorf("backend %s: tls_ca: %w", c.Name, err)
	}
	t.RootCAs = x509.NewCertPool()
	if !t.RootCAs.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("backend %s: tls_ca: %s holds no certificate", c.Name, c.TLSCA)
	}
	return t, nil
}
