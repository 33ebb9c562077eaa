package config

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"reflect"
	"testing"
	"time"
)

func mustParse(t *testing.T, name, text string) *Config {
	t.Helper()
	c, err := Parse(name, []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// Every key of every section reaches its own field.
func TestParseFillsEveryField(t *testing.T) {
	t.Setenv("XAPROXY_TEST_SET", "from the environment")
	cert, key := writeCertificate(t)
	got := mustParse(t, "testdata/files/c.toml", `
[server]
listen = ":0"
version = "8.0.40-x"
tls_cert = "`+cert+`"
tls_key = "`+key+`"
tls_required = true
max_connections = 0x10
tls_client_ca = "`+cert+`"
tls_client_required = true
login_failures = 5
login_block = "10s"
max_packet = 1_048_576
handshake_timeout = "1s"
idle_timeout = "2s"
stall_timeout = "12s"
drain_timeout = "14s"
slow_statement = "15s"
slow_statements = 16
log_level = "debug"
log_format = "json"
[admin]
listen = "[::1]:0"
token_env = "XAPROXY_TEST_SET"
tls_cert = "`+cert+`"
tls_key = "`+key+`"
tls_client_ca = "`+cert+`"
[trace]
endpoint = "https://collector/traces"
one_in = 17
authorization_env = "XAPROXY_TEST_SET"
[[users]]
name = "a"
password = "plain"
schemas = ["shop"]
read_only = true
admin = true
scatter_writes = "deny"
max_connections = 3
max_execution_time = "11s"
max_scratch_rows = 12
max_scratch_bytes = "13KiB"
[[users]]
name = "b"
password_env = "XAPROXY_TEST_SET"
[[users]]
name = "c"
password_hash = "0x24412430303524010203040506070809FF0B0C0D0E0F10111213146162636465666768696A6B6C6D6E6F707172737475767778797A4142434445464748494A4B4C4D4E4F502E"
[[backends]]
name = "one"
kind = "postgres"
host = "db"
user = "u"
password_file = "password"
database = "d"
pool_size = 1
pool_wait = "3s"
connect_timeout = "4s"
max_lifetime = "5s"
idle_check = "0s"
probe_interval = "17s"
answer_timeout = "18s"
tls = "verify"
tls_ca = "`+cert+`"
tls_cert = "`+cert+`"
tls_key = "`+key+`"
[[backends]]
name = "two"
kind = "mariadb"
socket = "/s"
user = "u"
password = ""
[decision]
store = "file"
dir = "log"
segment_size = "1MiB"
retain = "6s"
prepare_timeout = "7s"
commit_wait = "8s"
in_doubt_grace = "10s"
early_answer = true
recovery_interval = "9s"
[[schemas]]
name = "shop"
backend = "two"
[[tables]]
schema = "shop"
name = "audit"
backend = "one"
[[tables]]
schema = "crm"
name = "t"
column = "id"
function = "modulo"
backends = ["two", "one"]
[[shard_maps]]
name = "m"
function = "hash"
slots = 7
[[shard_maps.shards]]
name = "x"
backend = "one"
holds = ["0", "2-6"]
[[shard_maps.shards]]
name = "y"
backend = "two"
holds = ["1"]
[[shard_maps]]
name = "n"
function = "list"
[[shard_maps.shards]]
name = "x"
backend = "one"
others = true
[[shard_maps]]
name = "o"
function = "consistent"
shards = [{ name = "x", backend = "one", weight = 9 }]
[[tables]]
schema = "crm"
name = "u"
columns = ["id", "day"]
shard_map = "m"
auto_increment = "id"
sequence = "few"
key_changes = "move"
[[tables]]
schema = "crm"
name = "by_email"
column = "email"
shard_map = "m"
lookup_of = "u"
[[sequences]]
name = "few"
backend = "two"
table = "numbers"
block = 5
[[sequences]]
name = "flakes"
kind = "snowflake"
node = 9
`)
	seconds := func(n int) Duration { return Duration(time.Duration(n) * time.Second) }
	two := DefaultBackend(MariaDB)
	two.Name, two.Socket, two.User = "two", "/s", "u"
	want := &Config{
		Server: Server{
			Listen: ":0", Version: "8.0.40-x", TLSCert: cert, TLSKey: key, TLSRequired: true, MaxConnections: 16, MaxPacket: MiB,
			TLSClientCA: cert, TLSClientRequired: true, LoginFailures: 5, LoginBlock: seconds(10),
			HandshakeTimeout: seconds(1), IdleTimeout: seconds(2), StallTimeout: seconds(12), DrainTimeout: seconds(14), SlowStatement: seconds(15), SlowStatements: 16, LogLevel: "debug", LogFormat: "json",
		},
		Admin: Admin{Listen: "[::1]:0", Token: "from the environment", TokenEnv: "XAPROXY_TEST_SET", TLSCert: cert, TLSKey: key, TLSClientCA: cert},
		Trace: Trace{Endpoint: "https://collector/traces", OneIn: 17, Authorization: "from the environment", AuthorizationEnv: "XAPROXY_TEST_SET"},
		Users: []User{
			{
				Name: "a", Password: "plain", Schemas: []string{"shop"}, ReadOnly: true, Admin: true, ScatterWrites: "deny", MaxConnections: 3, MaxExecutionTime: seconds(11),
				MaxScratchRows: 12, MaxScratchBytes: 13 * KiB,
			},
			{Name: "b", Password: "from the environment", PasswordEnv: "XAPROXY_TEST_SET", ScatterWrites: "where", MaxScratchRows: 1_000_000, MaxScratchBytes: 256 * MiB},
			{Name: "c", ScatterWrites: "where", MaxScratchRows: 1_000_000, MaxScratchBytes: 256 * MiB, PasswordHash: "$A$005$\x01\x02\x03\x04\x05\x06\x07\x08\x09\xff\x0b\x0c\x0d\x0e\x0f\x10\x11\x12\x13\x14abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOP."},
		},
		Backends: []Backend{
			{
				Name: "one", Kind: Postgres, Host: "db", Port: 5432, User: "u", Password: "s3cret", PasswordFile: "testdata/files/password",
				Database: "d", PoolSize: 1, PoolWait: seconds(3), ConnectTimeout: seconds(4), MaxLifetime: seconds(5), IdleCheck: 0, ProbeInterval: seconds(17), AnswerTimeout: seconds(18),
				TLS: "verify", TLSCA: cert, TLSCert: cert, TLSKey: key,
			},
			two,
		},
		Decision: Decision{
			Store: "file", Dir: "testdata/files/log", SegmentSize: MiB, Retain: seconds(6), PrepareTimeout: seconds(7),
			CommitWait: seconds(8), InDoubtGrace: seconds(10), EarlyAnswer: true, RecoveryInterval: seconds(9),
		},
		Schemas: []Schema{{"shop", "two"}},
		ShardMaps: []ShardMap{
			{Name: "m", Function: Hash, Slots: 7, Shards: []Shard{
				{Name: "x", Backend: "one", Holds: []string{"0", "2-6"}}, {Name: "y", Backend: "two", Holds: []string{"1"}},
			}},
			{Name: "n", Function: List, Shards: []Shard{{Name: "x", Backend: "one", Others: true}}},
			{Name: "o", Function: Consistent, Shards: []Shard{{Name: "x", Backend: "one", Weight: 9}}},
		},
		Tables: []Table{
			{Schema: "shop", Name: "audit", Backend: "one"},
			{Schema: "crm", Name: "t", Column: "id", Function: "modulo", Backends: []string{"two", "one"}},
			{Schema: "crm", Name: "u", Columns: []string{"id", "day"}, ShardMap: "m", AutoIncrement: "id", Sequence: "few", KeyChanges: "move"},
			{Schema: "crm", Name: "by_email", Column: "email", ShardMap: "m", LookupOf: "u"},
		},
		Sequences: []Sequence{
			{Name: "few", Kind: Blocks, Backend: "two", Table: "numbers", Block: 5},
			{Name: "flakes", Kind: Snowflake, Table: "xaproxy_sequence", Block: 1000, Node: 9},
		},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got\n%+v\nwant\n%+v", got, want)
	}
	// Secrets print as ***, so compare what a failure above could not show.
	for i := range want.Users {
		if got.Users[i].Password.Reveal() != want.Users[i].Password.Reveal() {
			t.Errorf("user %s has another password than want", want.Users[i].Name)
		}
	}
	if got.Tables[0].Sharded() || !got.Tables[1].Sharded() {
		t.Error("the second table is sharded, the first is not")
	}
}

// A test that only looks at given values would not see a key that no field test mentions.
func TestEveryFieldHasAKey(t *testing.T) {
	var walk func(reflect.Type)
	walk = func(typ reflect.Type) {
		for i, key := range keysOf(typ) {
			f := typ.Field(i)
			if key == "" || !f.IsExported() {
				t.Errorf("%s.%s has no toml key or is not exported", typ.Name(), f.Name)
			}
			ft := f.Type
			if ft.Kind() == reflect.Slice {
				ft = ft.Elem()
			}
			if ft.Kind() == reflect.Struct {
				walk(ft)
			}
		}
	}
	walk(reflect.TypeFor[Config]())
}

func TestAbsolutePathsStay(t *testing.T) {
	c := mustParse(t, "conf/c.toml", minimal+"[decision]\ndir = \"/var/lib/xaproxy\"\n")
	if c.Decision.Dir != "/var/lib/xaproxy" {
		t.Errorf("got %q", c.Decision.Dir)
	}
	c = mustParse(t, "conf/c.toml", minimal)
	if c.Decision.Dir != filepath.Join("conf", "xaproxy-log") {
		t.Errorf("got %q, want the default folder beside the file", c.Decision.Dir)
	}
}

func TestPasswordFileEndings(t *testing.T) {
	for file, want := range map[string]string{"password": "s3cret", "password-crlf": "s3cret", "two-newlines": "two\n"} {
		c := mustParse(t, "testdata/files/c.toml", "[[users]]\nname = \"a\"\npassword_file = \""+file+"\"\n"+minimal)
		if got := c.Users[0].Password.Reveal(); got != want {
			t.Errorf("%s: got %q, want %q", file, got, want)
		}
	}
}

func TestLookups(t *testing.T) {
	c := mustParse(t, "c.toml", minimal+"[[tables]]\nschema = \"CRM\"\nname = \"t\"\nbackend = \"two\"\n")
	for name, want := range map[string]int{"one": 0, "two": 1, "ONE": -1, "": -1} {
		if got := c.BackendIndex(name); got != want {
			t.Errorf("BackendIndex(%q) = %d, want %d", name, got, want)
		}
	}
	for name, want := range map[string]bool{"shop": true, "SHOP": true, "crm": true, "mysql": false} {
		if got := c.HasSchema(name); got != want {
			t.Errorf("HasSchema(%q) = %v, want %v", name, got, want)
		}
	}
}

func TestParseLeavesItsInputAlone(t *testing.T) {
	text := []byte(minimal)
	c, err := Parse("c.toml", text)
	if err != nil {
		t.Fatal(err)
	}
	if string(text) != minimal {
		t.Error("Parse changed the text")
	}
	clear(text)
	if c.Backends[0].Name != "one" {
		t.Error("the Config shares memory with the text")
	}
}

func TestListensOn(t *testing.T) {
	cases := []struct {
		listen, host string
		port         int
		want         bool
	}{
		{"127.0.0.1:3306", "127.0.0.1", 3306, true},
		{"127.0.0.1:3306", "localhost", 3306, true},
		{"127.0.0.1:3306", "127.0.0.1", 3307, false},
		{"127.0.0.1:3306", "10.0.0.1", 3306, false},
		{"10.0.0.1:3306", "127.0.0.1", 3306, false},
		{"10.0.0.1:3306", "10.0.0.1", 3306, true},
		{"0.0.0.0:3306", "127.0.0.1", 3306, true},
		{"[::]:3306", "::1", 3306, true},
		{":3306", "db.example", 3306, false},
	}
	for _, c := range cases {
		s := Server{Listen: c.listen}
		if got := s.listensOn(c.host, c.port); got != c.want {
			t.Errorf("listen %s, backend %s %d: got %v", c.listen, c.host, c.port, got)
		}
	}
}

// writeCertificate makes a self-signed certificate and returns the absolute paths of its two PEM files.
func writeCertificate(t *testing.T) (cert, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	cert, key = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	for path, block := range map[string]*pem.Block{
		cert: {Type: "CERTIFICATE", Bytes: der},
		key:  {Type: "PRIVATE KEY", Bytes: pkcs8},
	} {
		if err := os.WriteFile(path, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return cert, key
}
