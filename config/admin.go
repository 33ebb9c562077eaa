package config

import (
	"crypto/x509"
	"net"
	"os"
	"strconv"
)

// AdminOff is the Listen of an Admin that there is none of.
const AdminOff = "off"

// Admin is the side that monitoring and administrators see: section [admin].
type Admin struct {
	// Listen is the TCP address of health checks and metrics, host:port, or off. Port 0 is any free port. Default "127.0.0.1:9307".
	Listen string `toml:"listen"`
	// Token is the bearer token after Load, whether it was written as token, token_env or token_file; at most one of the three is given.
	// Default "": none is asked for. An address that is not of the machine alone needs a token or TLSClientCA.
	Token Secret `toml:"token"`
	// TokenEnv names the environment variable with the token.
	TokenEnv string `toml:"token_env"`
	// TokenFile is the file with the token; one newline at its end does not count.
	TokenFile string `toml:"token_file"`
	// TLSCert is the PEM file with the certificate chain of the listener. Default "": no TLS. Given together with TLSKey.
	TLSCert string `toml:"tls_cert"`
	// TLSKey is the PEM file with the certificate's private key. Default "".
	TLSKey string `toml:"tls_key"`
	// TLSClientCA is the PEM file with the certificate authorities of those who may ask without a token. Default "".
	TLSClientCA string `toml:"tls_client_ca"`
}

func defaultAdmin() Admin { return Admin{Listen: "127.0.0.1:9307"} }

// Open reports whether who can connect may ask for everything.
func (a *Admin) Open() bool { return a.Token == "" && a.TLSClientCA == "" }

func (a *Admin) complete(at section) {
	a.TokenFile, a.TLSCert, a.TLSKey, a.TLSClientCA = at.path(a.TokenFile), at.path(a.TLSCert), at.path(a.TLSKey), at.path(a.TLSClientCA)
	if at.has("token") || at.has("token_env") || at.has("token_file") {
		a.Token = at.password(a.Token, a.TokenEnv, a.TokenFile, "token", "token_env", "token_file")
	}
}

const minToken = 16

func (a *Admin) validate(at section, s *Server) {
	if a.Token != "" && len(a.Token.Reveal()) < minToken {
		at.wrong("token", "has fewer than %d characters; take a random one, such as that of: openssl rand -hex 32", minToken)
	}
	validatePair(at, a.TLSCert, a.TLSKey)
	if a.TLSClientCA != "" {
		if pem, err := os.ReadFile(a.TLSClientCA); err != nil {
			at.wrong("tls_client_ca", "cannot be read: %v", err)
		} else if !x509.NewCertPool().AppendCertsFromPEM(pem) {
			at.wrong("tls_client_ca", "%s holds no certificate in PEM form", a.TLSClientCA)
		}
		if a.TLSCert == "" {
			at.wrong("tls_client_ca", "has no effect without TLS; give tls_cert and tls_key too")
		}
	}
	if a.Listen == AdminOff {
		return
	}
	host, port, err := net.SplitHostPort(a.Listen)
	n, errPort := strconv.Atoi(port)
	switch {
	case err != nil:
		at.wrong("listen", `%q is not an address; write host:port such as "127.0.0.1:9307", or "off"`, a.Listen)
	case errPort != nil || n < 0 || n > maxPort:
		at.wrong("listen", "port %q is not a number from 0 to %d (0: any free port)", port, maxPort)
	case n != 0 && (host == "" && s.listensOn("127.0.0.1", n) || s.listensOn(host, n)):
		at.wrong("listen", "%s is where clients connect (server.listen); write another port", a.Listen)
	case a.Open() && !isLoopback(host):
		at.wrong("listen", "%s can be reached from other machines, by anybody; give token_file (or tls_client_ca), or listen on 127.0.0.1", a.Listen)
	}
}
