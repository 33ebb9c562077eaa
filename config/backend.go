package config

import (
	"crypto/x509"
	"os"
	"regexp"
	"time"
)

// Kinds of backend.
const (
	MySQL    = "mysql"
	MariaDB  = "mariadb"
	Postgres = "postgres"
)

// Backend is one database behind xaproxy: an entry of [[backends]]. Two backends may be on one server: their names keep
// their branches apart.
type Backend struct {
	// Name is 1 to 32 of a-z 0-9 _ -, unique. It is part of the XID of every branch on this backend, so it must not
	// change while branches are prepared. Required.
	Name string `toml:"name"`
	// Kind is mysql, mariadb or postgres. Required.
	Kind string `toml:"kind"`
	// Host is the server's name or IP address. Default "127.0.0.1".
	Host string `toml:"host"`
	// Port is the server's TCP port, 1 to 65535. Default 3306, for postgres 5432.
	Port int `toml:"port"`
	// Socket is the path of the server's Unix socket, used instead of Host and Port. Default "": TCP.
	Socket string `toml:"socket"`
	// User is the account that xaproxy uses on the server. Required.
	User string `toml:"user"`
	// Password is the plain password after Load, whether it was written as password, password_env or password_file.
	// Exactly one of the three is given.
	Password Secret `toml:"password"`
	// PasswordEnv names the environment variable with the password.
	PasswordEnv string `toml:"password_env"`
	// PasswordFile is the file with the password; one newline at its end does not count.
	PasswordFile string `toml:"password_file"`
	// Database is the PostgreSQL database that holds the schemas; required for postgres, not allowed for others.
	Database string `toml:"database"`
	// PoolSize is the largest number of connections to this backend, 1 to 10000. Default 32.
	PoolSize int `toml:"pool_size"`
	// PoolWait is how long a statement waits for a free connection, 1ms to 1h. Default 5s.
	PoolWait Duration `toml:"pool_wait"`
	// ConnectTimeout bounds connecting and logging in, 10ms to 5m. Default 3s.
	ConnectTimeout Duration `toml:"connect_timeout"`
	// MaxLifetime is the age at which an idle connection is replaced, 1s to 8760h. Default 1h.
	MaxLifetime Duration `toml:"max_lifetime"`
	// IdleCheck is the idle time after which a connection is pinged before use, 0s to 8760h; 0s pings always. Default 30s.
	IdleCheck Duration `toml:"idle_check"`
	// ProbeInterval is the pause between two looks whether the server answers, on a connection of their own, 100ms to 1h, or 0s: nobody looks. While it
	// does not, its statements are refused at once. Default 2s.
	ProbeInterval Duration `toml:"probe_interval"`
	// AnswerTimeout is how long a server may answer nobody before statements that wait for it are given up, 100ms to 24h, or 0s: they wait. It does not
	// bound statements of a server that answers others. Default 10s.
	AnswerTimeout Duration `toml:"answer_timeout"`
	// TLS is off, skip-verify (encrypted, any certificate) or verify (certificate and host name checked). Default off.
	TLS string `toml:"tls"`
	// TLSCA is the PEM file with the certificate authorities for tls = "verify". Default "": those of the system.
	TLSCA string `toml:"tls_ca"`
	// TLSCert is the PEM file with the certificate chain that xaproxy shows to the server. Default "": none. Given together
	// with TLSKey.
	TLSCert string `toml:"tls_cert"`
	// TLSKey is the PEM file with the certificate's private key. Default "".
	TLSKey string `toml:"tls_key"`
}

// DefaultBackend returns the defaults of a [[backends]] entry of the kind.
func DefaultBackend(kind string) Backend {
	b := Backend{Kind: kind}
	b.setDefaults()
	b.Port = defaultPort(kind)
	return b
}

func (b *Backend) setDefaults() {
	b.Host = "127.0.0.1"
	b.PoolSize = 32
	b.PoolWait = Duration(5 * time.Second)
	b.ConnectTimeout = Duration(3 * time.Second)
	b.MaxLifetime = Duration(time.Hour)
	b.IdleCheck = Duration(30 * time.Second)
	b.ProbeInterval = Duration(2 * time.Second)
	b.AnswerTimeout = Duration(10 * time.Second)
	b.TLS = "off"
}

func defaultPort(kind string) int {
	if kind == Postgres {
		return 5432
	}
	return 3306
}

// maxDecider is xa.MaxDecider.
const maxDecider = 25

// The name is the bqual of X/Open XA and goes into SQL text, so it is plain ASCII without quotes.
var backendName = regexp.MustCompile(`^[a-z0-9_-]{1,32}$`)

func (b *Backend) complete(at section) {
	if !at.has("port") {
		b.Port = defaultPort(b.Kind)
	}
	b.PasswordFile = at.path(b.PasswordFile)
	b.TLSCA = at.path(b.TLSCA)
	b.TLSCert = at.path(b.TLSCert)
	b.TLSKey = at.path(b.TLSKey)
	b.Password = at.password(b.Password, b.PasswordEnv, b.PasswordFile, "password", "password_env", "password_file")
}

func (b *Backend) validate(at section, c *Config) {
	if !at.has("name") {
		at.missing("name", "every backend has a name that tables and schemas refer to")
	} else if !backendName.MatchString(b.Name) {
		at.wrong("name", "%q is not a backend name; use 1 to 32 of the characters a-z 0-9 _ -", b.Name)
	} else if len(b.Name) > maxDecider && c.Decision.Store == ParticipantStore {
		at.wrong("name", "is longer than the %d characters for which the participant store (decision.store) has room in the name of a transaction", maxDecider)
	}
	if !at.has("kind") {
		at.missing("kind", `say which server this is: "mysql", "mariadb" or "postgres"`)
	} else {
		at.oneOf("kind", b.Kind, MySQL, MariaDB, Postgres)
	}
	b.validateAddress(at, c)
	at.text("user", b.User, 128)
	switch {
	case b.Kind == Postgres && b.Database == "":
		at.missing("database", "a postgres backend needs the name of the database that holds the schemas")
	case b.Kind != Postgres && b.Database != "":
		at.wrong("database", "is only for postgres; schemas of mysql and mariadb are named by [[schemas]] and [[tables]]")
	}
	within(at, "pool_size", b.PoolSize, 1, 10_000)
	within(at, "pool_wait", b.PoolWait, Duration(time.Millisecond), Duration(time.Hour))
	within(at, "connect_timeout", b.ConnectTimeout, Duration(10*time.Millisecond), Duration(5*time.Minute))
	within(at, "max_lifetime", b.MaxLifetime, Duration(time.Second), Duration(year))
	within(at, "idle_check", b.IdleCheck, 0, Duration(year))
	if b.ProbeInterval != 0 {
		within(at, "probe_interval", b.ProbeInterval, Duration(100*time.Millisecond), Duration(time.Hour))
	}
	if b.AnswerTimeout != 0 {
		within(at, "answer_timeout", b.AnswerTimeout, Duration(100*time.Millisecond), Duration(24*time.Hour))
	}
	at.oneOf("tls", b.TLS, "off", "skip-verify", "verify")
	if b.TLSCA != "" {
		b.validateCA(at)
	}
	validatePair(at, b.TLSCert, b.TLSKey)
	if b.TLSCert != "" && b.TLS == "off" {
		at.wrong("tls_cert", `has no effect with tls = "off"; write tls = "verify" or "skip-verify", or take tls_cert and tls_key out`)
	}
}

func (b *Backend) validateAddress(at section, c *Config) {
	if b.Socket != "" {
		for _, key := range []string{"host", "port"} {
			if at.has(key) {
				at.wrong(key, "socket is given too; keep either socket or host and port")
			}
		}
		return
	}
	if b.Host == "" {
		at.wrong("host", `is empty; write a host name or an IP address such as "127.0.0.1"`)
	}
	within(at, "port", b.Port, 1, maxPort)
	if c.Server.listensOn(b.Host, b.Port) {
		at.wrong("port", "%s port %d is where xaproxy itself listens (server.listen); it would connect to itself", b.Host, b.Port)
	}
}

func (b *Backend) validateCA(at section) {
	if b.TLS != "verify" {
		at.wrong("tls_ca", `has no effect with tls = %q; write tls = "verify" or take tls_ca out`, b.TLS)
		return
	}
	pem, err := os.ReadFile(b.TLSCA)
	if err != nil {
		at.wrong("tls_ca", "cannot be read: %v", err)
	} else if !x509.NewCertPool().AppendCertsFromPEM(pem) {
		at.wrong("tls_ca", "%s holds no certificate in PEM form", b.TLSCA)
	}
}

// sameServer reports whether a table of one name would be the same table on both backends.
func (b *Backend) sameServer(o *Backend) bool {
	if b.Socket != "" || o.Socket != "" {
		return b.Socket == o.Socket && b.Database == o.Database
	}
	sameHost := b.Host == o.Host || isLoopback(b.Host) && isLoopback(o.Host)
	return sameHost && b.Port == o.Port && b.Database == o.Database
}
