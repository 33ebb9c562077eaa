package config

import (
	"encoding/hex"
	"regexp"
	"strings"
)

// User is an account that clients log in with: an entry of [[users]]. Exactly one of the four password forms is given.
type User struct {
	// Name is the account's name, 1 to 32 characters, unique. Required.
	Name string `toml:"name"`
	// Password is the plain password after Load, whether it was written as password, password_env or password_file. It
	// is empty when PasswordHash is given.
	Password Secret `toml:"password"`
	// PasswordEnv names the environment variable with the password.
	PasswordEnv string `toml:"password_env"`
	// PasswordFile is the file with the password; one newline at its end does not count.
	PasswordFile string `toml:"password_file"`
	// PasswordHash is a stored hash as in mysql.user: "*" and 40 hex digits (mysql_native_password), or "$A$005$" with
	// 20 bytes of salt and 43 characters of digest (caching_sha2_password). In the file the latter may be 0x and the hex
	// of the whole; here it is always the text itself.
	PasswordHash Secret `toml:"password_hash"`
	// Schemas are the schemas that the account may use. Default: all configured ones.
	Schemas []string `toml:"schemas"`
	// ReadOnly refuses every statement that may change rows or take locks. Default false.
	ReadOnly bool `toml:"read_only"`
	// Admin may use the schema xaproxy, which shows all sessions, statements and settings, and say XAPROXY RELOAD, PAUSE, KILL and the
	// like (docs/schema.md). Default false.
	Admin bool `toml:"admin"`
	// ScatterWrites says which UPDATE and DELETE may run on all shards of a table, because their WHERE limits no shard key:
	// deny (none), where (those that have a WHERE) or allow (all). Default where.
	ScatterWrites string `toml:"scatter_writes"`
	// MaxConnections is the number of client connections of this account at one time, 0 to 100000; 0: no limit but
	// the server's. Default 0.
	MaxConnections int `toml:"max_connections"`
	// MaxExecutionTime is how long one statement may run before it is killed on the backends, 0s to 8760h; 0s: no
	// limit. Default 0s.
	MaxExecutionTime Duration `toml:"max_execution_time"`
	// MaxScratchRows is how many rows one SELECT may bring together on one backend, because its tables are on several, 0 to
	// 1000000000; 0: any number. Default 1000000.
	MaxScratchRows int `toml:"max_scratch_rows"`
	// MaxScratchBytes is how many bytes these rows may have, 0 to 1024GiB; 0: any number. Default 256MiB.
	MaxScratchBytes Size `toml:"max_scratch_bytes"`
}

// Forms of mysql.user.authentication_string.
// https://dev.mysql.com/doc/refman/8.4/en/native-pluggable-authentication.html
// https://dev.mysql.com/doc/refman/8.4/en/caching-sha2-pluggable-authentication.html
var (
	nativeHash = regexp.MustCompile(`^\*[0-9A-Fa-f]{40}$`)
	sha2Hash   = regexp.MustCompile(`(?s)^\$A\$[0-9A-Fa-f]{3}\$.{20}[./0-9A-Za-z]{43}$`)
)

func (u *User) setDefaults() {
	u.ScatterWrites, u.MaxScratchRows, u.MaxScratchBytes = "where", 1_000_000, 256*MiB
}

func (u *User) complete(at section) {
	u.PasswordFile = at.path(u.PasswordFile)
	u.Password = at.password(u.Password, u.PasswordEnv, u.PasswordFile, "password", "password_env", "password_file", "password_hash")
	if digits, ok := strings.CutPrefix(u.PasswordHash.Reveal(), "0x"); ok {
		if raw, err := hex.DecodeString(digits); err == nil {
			u.PasswordHash = Secret(raw)
		}
	}
}

func (u *User) validate(at section, c *Config) {
	at.text("name", u.Name, 32)
	if at.has("password_hash") && !validHash(u.PasswordHash.Reveal()) {
		at.wrong("password_hash", `is neither "*" and 40 hex digits (mysql_native_password) nor "$A$005$" with 63 more bytes `+
			"(caching_sha2_password; when its salt is not printable, write 0x and the output of SELECT HEX(authentication_string))")
	}
	at.oneOf("scatter_writes", u.ScatterWrites, "deny", "where", "allow")
	within(at, "max_connections", u.MaxConnections, 0, 100_000)
	within(at, "max_execution_time", u.MaxExecutionTime, 0, Duration(year))
	within(at, "max_scratch_rows", u.MaxScratchRows, 0, 1_000_000_000)
	within(at, "max_scratch_bytes", u.MaxScratchBytes, 0, 1024*GiB)
	seen := map[string]bool{}
	for i, s := range u.Schemas {
		switch {
		case seen[fold(s)]:
			at.wrongItem("schemas", i, "schema %q is listed twice; remove one", s)
		case !c.HasSchema(s):
			at.wrongItem("schemas", i, "schema %q is not configured; add a [[schemas]] entry for it or take it out", s)
		}
		seen[fold(s)] = true
	}
}

// validHash matches bytes, not characters: the salt need not be UTF-8, so each byte is made one rune.
func validHash(h string) bool {
	latin := make([]rune, len(h))
	for i := range len(h) {
		latin[i] = rune(h[i])
	}
	return nativeHash.MatchString(h) || sha2Hash.MatchString(string(latin))
}
