// Package config turns one TOML file into validated structs: defaults, units, secrets and every mistake with its place.
//
// Load and Parse either return a Config that is complete and consistent, or Mistakes: all of them at once, sorted by
// position, each with line and column, the path of the key and what to write instead. A caller never has to check a
// value again. The package opens no sockets; it reads the configuration file, password files and TLS files, nothing else.
//
// A key's path names array entries by what the user called them, backends[orders-2].pool_size or
// tables[shop.orders].column; an entry without a name is counted from zero: backends[1].name.
package config

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Config is the whole configuration file. It does not change after Load and is safe for concurrent reading.
type Config struct {
	// Server is the side that clients see.
	Server Server `toml:"server"`
	// Admin is the side that monitoring sees.
	Admin Admin `toml:"admin"`
	// Trace is where spans go.
	Trace Trace `toml:"trace"`
	// Users are the accounts that clients log in with; at least one. They exist in xaproxy only.
	Users []User `toml:"users"`
	// Backends are the databases behind xaproxy; at least one.
	Backends []Backend `toml:"backends"`
	// Decision says where commit decisions are kept and how long the steps of a commit may take.
	Decision Decision `toml:"decision"`
	// Schemas give whole schemas to a backend.
	Schemas []Schema `toml:"schemas"`
	// ShardMaps say how rows are spread over backends.
	ShardMaps []ShardMap `toml:"shard_maps"`
	// Sequences say where the values of AUTO_INCREMENT columns of sharded tables come from.
	Sequences []Sequence `toml:"sequences"`
	// Tables are the exceptions to Schemas: single tables on another backend, and sharded tables.
	Tables []Table `toml:"tables"`
}

// Default returns a Config with the default of every key outside of [[...]] entries. DefaultBackend has those of a
// [[backends]] entry; users, schemas and tables have no defaults.
func Default() Config {
	return Config{Server: defaultServer(), Admin: defaultAdmin(), Trace: defaultTrace(), Decision: defaultDecision()}
}

// Load reads, completes and validates the file at path. The error is Mistakes when the file could be read.
//
// Relative paths in the file (password_file, token_file, authorization_file, tls_cert, tls_key, tls_ca, decision.dir) are relative to the file's folder
// and are joined with it in the result.
func Load(path string) (*Config, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read configuration: %w", err)
	}
	defer clear(data) // there are passwords in it
	return Parse(path, data)
}

// Parse is Load for text that is already in memory; name is the file's path for messages and relative paths. The text
// is not changed and not kept.
func Parse(name string, data []byte) (*Config, error) {
	r := &report{file: name, data: data}
	root := parseTree(data, r)
	c := Default()
	d := decoder{report: r, dir: filepath.Dir(name), sections: map[string][]section{}}
	d.root(root, &c)
	if !r.torn {
		checkTOML(root, r)
		c.check(&d)
	}
	if ms := r.sorted(); len(ms) > 0 {
		return nil, ms
	}
	return &c, nil
}

// check completes every section and validates it, first by itself and then with the others.
func (c *Config) check(d *decoder) {
	server := d.section("server")
	c.Server.complete(server)
	c.Server.validate(server)
	admin := d.section("admin")
	c.Admin.complete(admin)
	c.Admin.validate(admin, &c.Server)
	trace := d.section("trace")
	c.Trace.complete(trace)
	c.Trace.validate(trace)
	decision := d.section("decision")
	c.Decision.complete(decision)
	c.Decision.validate(decision, c)
	for i, at := range d.sections["backends"] {
		c.Backends[i].complete(at)
		c.Backends[i].validate(at, c)
	}
	for i, at := range d.sections["users"] {
		c.Users[i].complete(at)
		c.Users[i].validate(at, c)
	}
	for i, at := range d.sections["schemas"] {
		c.Schemas[i].validate(at, c)
	}
	shards := d.sections["shards"]
	for i, at := range d.sections["shard_maps"] {
		n := len(c.ShardMaps[i].Shards)
		c.ShardMaps[i].validate(at, shards[:n], c)
		shards = shards[n:]
	}
	for i, at := range d.sections["sequences"] {
		c.Sequences[i].validate(at, c)
	}
	for i, at := range d.sections["tables"] {
		c.Tables[i].validate(at, c)
	}

	whole := d.whole()
	if len(c.Backends) == 0 {
		whole.missing("backends", "xaproxy needs at least one database behind it; add a [[backends]] entry")
	}
	if len(c.Users) == 0 {
		whole.missing("users", "nobody could log in; add a [[users]] entry")
	}
	if len(c.Schemas) == 0 && len(c.Tables) == 0 {
		whole.missing("schemas", "no statement could be routed; add a [[schemas]] entry that gives a schema to a backend")
	}
	unique(d.sections["backends"], "backend", func(i int) string { return c.Backends[i].Name })
	unique(d.sections["users"], "user", func(i int) string { return c.Users[i].Name })
	unique(d.sections["schemas"], "schema", func(i int) string { return fold(c.Schemas[i].Name) })
	unique(d.sections["shard_maps"], "shard map", func(i int) string { return c.ShardMaps[i].Name })
	unique(d.sections["sequences"], "sequence", func(i int) string { return c.Sequences[i].Name })
	unique(d.sections["tables"], "table", func(i int) string { return c.Tables[i].key() })
}

// BackendIndex returns the index in Backends of the backend called name, or -1.
func (c *Config) BackendIndex(name string) int {
	for i := range c.Backends {
		if c.Backends[i].Name == name {
			return i
		}
	}
	return -1
}

// ShardMap returns the shard map called name, or nil.
func (c *Config) ShardMap(name string) *ShardMap {
	for i := range c.ShardMaps {
		if c.ShardMaps[i].Name == name {
			return &c.ShardMaps[i]
		}
	}
	return nil
}

// shardMaps lists the shard maps for a message.
func (c *Config) shardMaps() string {
	names := make([]string, len(c.ShardMaps))
	for i := range c.ShardMaps {
		names[i] = c.ShardMaps[i].Name
	}
	if len(names) == 0 {
		return "there are none: add a [[shard_maps]] entry"
	}
	return "the [[shard_maps]] are " + strings.Join(names, ", ")
}

// SchemasOn returns, in lower case, the schemas that have tables on a backend: those that a [[schemas]] or [[tables]] entry puts
// there.
func (c *Config) SchemasOn(backend string) map[string]bool {
	on := make(map[string]bool)
	for i := range c.Schemas {
		if c.Schemas[i].Backend == backend {
			on[fold(c.Schemas[i].Name)] = true
		}
	}
	for i := range c.Tables {
		if t := &c.Tables[i]; t.Backend == backend || t.Sharded() && t.Map(c).on(backend) || t.Broadcast && slices.Contains(t.Copies(c), backend) {
			on[fold(c.Tables[i].Schema)] = true
		}
	}
	return on
}

// SystemSchema reports whether every server has the schema, given in lower case.
func SystemSchema(lower string) bool {
	switch lower {
	case "mysql", "performance_schema", "sys", "information_schema":
		return true
	}
	return false
}

// HasSchema reports whether a [[schemas]] or [[tables]] entry configures the schema. Case does not matter.
func (c *Config) HasSchema(name string) bool {
	name = fold(name)
	for i := range c.Schemas {
		if fold(c.Schemas[i].Name) == name {
			return true
		}
	}
	for i := range c.Tables {
		if fold(c.Tables[i].Schema) == name {
			return true
		}
	}
	return false
}

// allBackendsNamed reports whether references to backends can be judged at all: when a name is missing, that is the
// mistake, and every table that means it would only repeat it.
func (c *Config) allBackendsNamed() bool {
	for i := range c.Backends {
		if c.Backends[i].Name == "" {
			return false
		}
	}
	return len(c.Backends) > 0
}

// AsMistakes returns the mistakes in err, or nil when err is something else (a file that cannot be read).
func AsMistakes(err error) Mistakes {
	var ms Mistakes
	if errors.As(err, &ms) {
		return ms
	}
	return nil
}
