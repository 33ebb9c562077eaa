package config

import (
	"crypto/tls"
	"crypto/x509"
	"net"
	"os"
	"strconv"
	"time"
)

// Server is the side that clients see: section [server].
type Server struct {
	// Listen is the TCP address for clients, host:port. An empty host means all interfaces, port 0 any free port.
	// Default "127.0.0.1:3307".
	Listen string `toml:"listen"`
	// Version is the server version told to clients. Default "": that of the first backend.
	Version string `toml:"version"`
	// TLSCert is the PEM file with the certificate chain for clients. Default "": no TLS. Given together with TLSKey.
	TLSCert string `toml:"tls_cert"`
	// TLSKey is the PEM file with the certificate's private key. Default "".
	TLSKey string `toml:"tls_key"`
	// TLSRequired refuses clients that do not use TLS. Default false.
	TLSRequired bool `toml:"tls_required"`
	// TLSClientCA is the PEM file with the certificate authorities of clients. With it, a client that shows a certificate
	// must show one of theirs. Default "": clients are not asked.
	TLSClientCA string `toml:"tls_client_ca"`
	// TLSClientRequired refuses clients that show no certificate of TLSClientCA. Default false.
	TLSClientRequired bool `toml:"tls_client_required"`
	// MaxConnections is the number of clients that are logged in at one time, 1 to 100000; as many more may be about to log in.
	// Default 1000.
	MaxConnections int `toml:"max_connections"`
	// MaxPacket is the largest packet from or to a client, in bytes, 16KiB to 1GiB. Default 64MiB.
	MaxPacket Size `toml:"max_packet"`
	// HandshakeTimeout is how long a client may take to log in, 100ms to 10m. Default 10s.
	HandshakeTimeout Duration `toml:"handshake_timeout"`
	// LoginFailures is how often in a row logins from one address may fail, with a wrong user or password, before it is blocked for LoginBlock, 0 to
	// 1000000; 0: never. Default 100.
	LoginFailures int `toml:"login_failures"`
	// LoginBlock is how long an address is blocked, 1s to 24h. Default 1m.
	LoginBlock Duration `toml:"login_block"`
	// IdleTimeout is how long a client may be silent before it is disconnected, 1s to 8760h. Default 8h.
	IdleTimeout Duration `toml:"idle_timeout"`
	// StallTimeout is how long a client may keep a statement waiting, by not taking what it is sent or not sending what it
	// has begun to, before it is disconnected, 100ms to 24h. A larger net_write_timeout that it sets itself counts instead.
	// Default 1m.
	StallTimeout Duration `toml:"stall_timeout"`
	// DrainTimeout is how long open transactions may go on after SIGTERM, before their connections are closed, 0s to 1h. Default 10s.
	DrainTimeout Duration `toml:"drain_timeout"`
	// SlowStatement is how long a statement may take, to the whole of its answer, before it is logged and kept among SlowStatements, without its values;
	// 1ms to 24h, or 0s: none is. Default 1s.
	SlowStatement Duration `toml:"slow_statement"`
	// SlowStatements is how many slow statements, the last ones, are kept in memory to be shown, 0 to 10000. Default 200.
	SlowStatements int `toml:"slow_statements"`
	// LogLevel is the least severe level that is logged: debug, info, warn or error. Default info.
	LogLevel string `toml:"log_level"`
	// LogFormat is console, json or auto: console on a terminal, json elsewhere. Default auto.
	LogFormat string `toml:"log_format"`
}

func defaultServer() Server {
	return Server{
		Listen:           "127.0.0.1:3307",
		MaxConnections:   1000,
		MaxPacket:        64 * MiB,
		HandshakeTimeout: Duration(10 * time.Second),
		LoginFailures:    100,
		LoginBlock:       Duration(time.Minute),
		IdleTimeout:      Duration(8 * time.Hour),
		StallTimeout:     Duration(time.Minute),
		DrainTimeout:     Duration(10 * time.Second),
		SlowStatement:    Duration(time.Second),
		SlowStatements:   200,
		LogLevel:         "info",
		LogFormat:        "auto",
	}
}

func (s *Server) complete(at section) {
	s.TLSCert = at.path(s.TLSCert)
	s.TLSKey = at.path(s.TLSKey)
	s.TLSClientCA = at.path(s.TLSClientCA)
}

func (s *Server) validate(at section) {
	if _, port, err := net.SplitHostPort(s.Listen); err != nil {
		at.wrong("listen", `%q is not an address; write host:port such as "127.0.0.1:3307", or ":3307" for all interfaces`, s.Listen)
	} else if n, err := strconv.Atoi(port); err != nil || n < 0 || n > maxPort {
		at.wrong("listen", "port %q is not a number from 0 to %d (0: any free port)", port, maxPort)
	}
	validatePair(at, s.TLSCert, s.TLSKey)
	if s.TLSRequired && s.TLSCert == "" && s.TLSKey == "" {
		at.wrong("tls_required", "TLS is required but there is no certificate; give tls_cert and tls_key, or take tls_required out")
	}
	if s.TLSClientCA != "" {
		if pem, err := os.ReadFile(s.TLSClientCA); err != nil {
			at.wrong("tls_client_ca", "cannot be read: %v", err)
		} else if !x509.NewCertPool().AppendCertsFromPEM(pem) {
			at.wrong("tls_client_ca", "%s holds no certificate in PEM form", s.TLSClientCA)
		}
		if s.TLSCert == "" {
			at.wrong("tls_client_ca", "has no effect without TLS; give tls_cert and tls_key too")
		}
	} else if s.TLSClientRequired {
		at.wrong("tls_client_required", "there is nothing to check certificates with; give tls_client_ca, or take it out")
	}
	within(at, "login_failures", s.LoginFailures, 0, 1_000_000)
	within(at, "login_block", s.LoginBlock, Duration(time.Second), Duration(24*time.Hour))
	within(at, "max_connections", s.MaxConnections, 1, 100_000)
	within(at, "max_packet", s.MaxPacket, 16*KiB, GiB)
	within(at, "handshake_timeout", s.HandshakeTimeout, Duration(100*time.Millisecond), Duration(10*time.Minute))
	within(at, "idle_timeout", s.IdleTimeout, Duration(time.Second), Duration(year))
	within(at, "stall_timeout", s.StallTimeout, Duration(100*time.Millisecond), Duration(24*time.Hour))
	within(at, "drain_timeout", s.DrainTimeout, 0, Duration(time.Hour))
	if s.SlowStatement != 0 {
		within(at, "slow_statement", s.SlowStatement, Duration(time.Millisecond), Duration(24*time.Hour))
	}
	within(at, "slow_statements", s.SlowStatements, 0, 10_000)
	at.oneOf("log_level", s.LogLevel, "debug", "info", "warn", "error")
	at.oneOf("log_format", s.LogFormat, "auto", "console", "json")
}

// validatePair looks at the certificate and the key of a section.
func validatePair(at section, cert, key string) {
	switch {
	case cert == "" && key == "":
	case cert == "":
		at.wrong("tls_key", "is given without tls_cert; give both files, or none of them")
	case key == "":
		at.wrong("tls_cert", "is given without tls_key; give both files, or none of them")
	default:
		if _, err := tls.LoadX509KeyPair(cert, key); err != nil {
			at.wrong("tls_cert", "certificate and key cannot be used: %v; both must be PEM files that belong together", err)
		}
	}
}

const (
	maxPort = 65535
	year    = 365 * 24 * time.Hour
)

// listensOn reports whether a connection to host and port would, as far as the texts tell, end at xaproxy itself.
func (s *Server) listensOn(host string, port int) bool {
	own, ownPort, err := net.SplitHostPort(s.Listen)
	if err != nil || ownPort != strconv.Itoa(port) {
		return false
	}
	all := own == "" || own == "0.0.0.0" || own == "::"
	return own == host || isLoopback(host) && (all || isLoopback(own))
}

// isLoopback treats the addresses 127.0.0.1 and ::1 as one, since localhost can be either.
func isLoopback(host string) bool {
	return host == "localhost" || host == "127.0.0.1" || host == "::1"
}
