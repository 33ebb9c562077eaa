package config

import "strings"

// Schema gives a schema to a backend: an entry of [[schemas]]. All its tables that have no [[tables]] entry live there.
type Schema struct {
	// Name is the schema's name, 1 to 64 characters; two names that differ only in case are one. Required.
	Name string `toml:"name"`
	// Backend is the name of a [[backends]] entry. Required.
	Backend string `toml:"backend"`
}

// Table is a table that lives elsewhere than the rest of its schema, or on several backends: an entry of [[tables]].
// Either Backend is given, or all of Backends, Column and Function.
type Table struct {
	// Schema is the schema's name; it need not have a [[schemas]] entry. Required.
	Schema string `toml:"schema"`
	// Name is the table's name, without the schema; two names that differ only in case are one. Required.
	Name string `toml:"name"`
	// Backend is the name of the one backend of an unsharded table.
	Backend string `toml:"backend"`
	// Column is the column whose value chooses the shard of a row.
	Column string `toml:"column"`
	// Function turns the column's value into a shard: hash (any type) or modulo (integers).
	Function string `toml:"function"`
	// Backends are the names of the backends of a sharded table in shard order. The order is part of the data: changing
	// it moves every row to another shard.
	Backends []string `toml:"backends"`
}

// Sharded reports whether the table's rows are spread over Backends.
func (t *Table) Sharded() bool { return len(t.Backends) > 0 }

const maxIdentifier = 64 // characters, https://dev.mysql.com/doc/refman/8.4/en/identifier-length.html

func (s *Schema) validate(at section, c *Config) {
	at.identifier("name", s.Name)
	if !at.has("backend") {
		at.missing("backend", "name the backend that holds the schema")
		return
	}
	at.backend("backend", -1, s.Backend, c)
}

func (t *Table) validate(at section, c *Config) {
	at.identifier("schema", t.Schema)
	at.identifier("name", t.Name)
	switch sharded := at.has("backends") || at.has("column") || at.has("function"); {
	case sharded && at.has("backend"):
		at.wrong("backend", "is for a table on one backend, but backends, column or function are given too; keep backend alone or remove it")
	case sharded:
		t.validateSharding(at, c)
	case at.has("backend"):
		at.backend("backend", -1, t.Backend, c)
	default:
		at.missing("backend", "name the table's backend; a sharded table has backends, column and function instead")
	}
}

func (t *Table) validateSharding(at section, c *Config) {
	if !at.has("column") {
		at.missing("column", "a sharded table needs the column whose value chooses the shard")
	} else {
		at.identifier("column", t.Column)
	}
	if !at.has("function") {
		at.missing("function", `a sharded table needs "hash" (any type) or "modulo" (integers)`)
	} else {
		at.oneOf("function", t.Function, "hash", "modulo")
	}
	if len(t.Backends) == 0 {
		at.missing("backends", "a sharded table needs the list of its backends in shard order")
	}
	for i, name := range t.Backends {
		at.backend("backends", i, name, c)
		t.validateShard(at, c, i)
	}
}

// validateShard refuses two shards that are one table: every row would be found twice.
func (t *Table) validateShard(at section, c *Config, i int) {
	own := c.BackendIndex(t.Backends[i])
	for _, before := range t.Backends[:i] {
		if before == t.Backends[i] {
			at.wrongItem("backends", i, "backend %q is listed twice; each shard needs a backend of its own", before)
			return
		}
		other := c.BackendIndex(before)
		if own >= 0 && other >= 0 && c.Backends[own].sameServer(&c.Backends[other]) {
			at.wrongItem("backends", i, "backends %q and %q are the same server, so both shards would be one table; use different servers",
				before, t.Backends[i])
			return
		}
	}
}

// key identifies the table among all tables; empty when a part is missing.
func (t *Table) key() string {
	if t.Schema == "" || t.Name == "" {
		return ""
	}
	return fold(t.Schema) + "." + fold(t.Name)
}

// fold makes names comparable: schemas and tables that differ only in case are the same to xaproxy, because servers
// disagree about it (lower_case_table_names).
func fold(name string) string { return strings.ToLower(name) }
