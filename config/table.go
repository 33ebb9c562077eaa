package config

import (
	"slices"
	"strings"
)

// Schema gives a schema to a backend: an entry of [[schemas]]. All its tables that have no [[tables]] entry live there.
type Schema struct {
	// Name is the schema's name, 1 to 64 characters; two names that differ only in case are one. Required.
	Name string `toml:"name"`
	// Backend is the name of a [[backends]] entry. Required.
	Backend string `toml:"backend"`
}

// Table is a table that lives elsewhere than the rest of its schema, or on several backends: an entry of [[tables]].
// Backend is given for a table on one backend, Broadcast for one that is whole on several; Column or Columns for a sharded one,
// with either ShardMap, or Function and Backends.
type Table struct {
	// Schema is the schema's name; it need not have a [[schemas]] entry. Required.
	Schema string `toml:"schema"`
	// Name is the table's name, without the schema; two names that differ only in case are one. Required.
	Name string `toml:"name"`
	// Backend is the name of the one backend of an unsharded table.
	Backend string `toml:"backend"`
	// Broadcast says that each of Backends has the whole table: every write goes to all of them, a read to any. Backends are two
	// or more then, each of its own; given none, they are all of [[backends]] but those of kind postgres. Default false.
	Broadcast bool `toml:"broadcast"`
	// Column is the column whose value chooses the shard of a row.
	Column string `toml:"column"`
	// Columns are the columns whose values choose together, 2 to 8 of them; instead of Column.
	Columns []string `toml:"columns"`
	// ShardMap is the name of a [[shard_maps]] entry. Tables that have the same one keep rows with equal keys on the same
	// backend, so they can be joined there.
	ShardMap string `toml:"shard_map"`
	// Function and Backends are a shard map of one shard for each backend, for tables that need no more: hash, modulo or crc32
	// over the number of backends. The order is part of the data: changing it moves every row to another shard.
	Function string   `toml:"function"`
	Backends []string `toml:"backends"`
	// AutoIncrement is the AUTO_INCREMENT column of a sharded table, whose values are to be unique over all shards. Default "": there is
	// none, or each backend counts for itself.
	AutoIncrement string `toml:"auto_increment"`
	// Sequence is the name of the [[sequences]] entry that says where these values come from. Default "": blocks, as by default there.
	Sequence string `toml:"sequence"`
	// KeyChanges is what becomes of an UPDATE that changes the shard key of rows: "deny" refuses it, "move" brings the rows to their
	// new shard within the transaction. Of sharded tables only. Default "deny".
	KeyChanges string `toml:"key_changes"`
	// LookupOf is the name of a sharded table of the same schema, of which this sharded table is a lookup table: for each value of its
	// own shard key, columns of that table too, it says what the shard key of the only row with this value is. Default "": it is none.
	LookupOf string `toml:"lookup_of"`
}

// What Table.KeyChanges may be; "" is Deny.
const (
	KeyChangesDeny = "deny"
	KeyChangesMove = "move"
)

// Sharded reports whether the table's rows are spread over several backends.
func (t *Table) Sharded() bool { return !t.Broadcast && (len(t.Backends) > 0 || t.ShardMap != "") }

// Copies returns the backends of a broadcast table, in the order of c.Backends, those of kind postgres behind the others.
func (t *Table) Copies(c *Config) (names []string) {
	var translated []string
	for i := range c.Backends {
		switch b := &c.Backends[i]; {
		case b.Kind == Postgres && slices.Contains(t.Backends, b.Name):
			translated = append(translated, b.Name)
		case b.Kind != Postgres && (len(t.Backends) == 0 || slices.Contains(t.Backends, b.Name)):
			names = append(names, b.Name)
		}
	}
	return append(names, translated...)
}

// Key returns the columns that choose the shard, in their order; none for a table that is not sharded.
func (t *Table) Key() []string {
	if t.Column != "" {
		return []string{t.Column}
	}
	return t.Columns
}

// Map returns the shard map of a sharded table of a valid configuration.
func (t *Table) Map(c *Config) *ShardMap {
	if t.ShardMap != "" {
		return c.ShardMap(t.ShardMap)
	}
	m := &ShardMap{Function: t.Function}
	for _, b := range t.Backends {
		m.Shards = append(m.Shards, Shard{Name: b, Backend: b})
	}
	return m
}

const maxIdentifier = 64 // characters, https://dev.mysql.com/doc/refman/8.4/en/identifier-length.html

// reserved is the schema in which xaproxy shows itself. On backends it has the records of the participant store, which are no client's.
const reserved = "xaproxy"

func (at section) unreserved(key, schema string) {
	if fold(schema) == reserved {
		at.wrong(key, "%q is the schema in which xaproxy shows itself; give the other one another name", schema)
	}
}

func (s *Schema) validate(at section, c *Config) {
	at.identifier("name", s.Name)
	at.unreserved("name", s.Name)
	if !at.has("backend") {
		at.missing("backend", "name the backend that holds the schema")
		return
	}
	at.backend("backend", -1, s.Backend, c)
}

func (t *Table) validate(at section, c *Config) {
	at.identifier("schema", t.Schema)
	at.unreserved("schema", t.Schema)
	at.identifier("name", t.Name)
	sharded := ""
	for _, key := range []string{"shard_map", "backends", "column", "columns", "function"} {
		if sharded == "" && at.has(key) {
			sharded = key
		}
	}
	switch {
	case t.Broadcast:
		t.validateBroadcast(at, c)
	case sharded != "" && at.has("backend"):
		at.wrong("backend", "is for a table on one backend, but %s is given too; keep one of the two", sharded)
	case sharded != "":
		t.validateKey(at)
		t.validateSharding(at, c)
		t.validateNumbering(at, c)
		t.validateLookup(at, c)
		if at.has("key_changes") {
			at.oneOf("key_changes", t.KeyChanges, KeyChangesDeny, KeyChangesMove)
		}
	case at.has("lookup_of"):
		at.wrong("lookup_of", "is for sharded tables; add column and shard_map, or function and backends")
	case at.has("key_changes"):
		at.wrong("key_changes", "is for sharded tables; an UPDATE of any other one moves no rows")
	case at.has("auto_increment"):
		at.wrong("auto_increment", "is for sharded tables; the backend numbers the rows of a table that is on it alone")
	case at.has("backend"):
		at.backend("backend", -1, t.Backend, c)
	default:
		at.missing("backend", "name the table's backend; a sharded table has shard_map and column instead, one that is on all backends broadcast = true")
	}
}

func (t *Table) validateBroadcast(at section, c *Config) {
	for _, key := range []string{"backend", "shard_map", "column", "columns", "function", "key_changes", "lookup_of"} {
		if at.has(key) {
			at.wrong(key, "a broadcast table is whole on each of its backends; take it out, or broadcast")
		}
	}
	for i, name := range t.Backends {
		at.backend("backends", i, name, c)
		if slices.Contains(t.Backends[:i], name) {
			at.wrongItem("backends", i, "backend %q is listed twice", name)
		}
	}
	copies := t.Copies(c)
	for i, name := range copies {
		key := "broadcast"
		if at.has("backends") {
			key = "backends"
		}
		if before := c.sameServer(name, copies[:i]); before != "" {
			at.wrong(key, "backends %q and %q are the same server, where every write would be done twice; name one of the two", before, name)
		}
	}
	if len(copies) == 0 && len(t.Backends) == 0 {
		at.missing("backends", "all backends are of kind postgres; name those that have the table")
	}
}

// maxKeyColumns is how many columns may choose a shard together.
const maxKeyColumns = 8

func (t *Table) validateKey(at section) {
	switch {
	case at.has("column") && at.has("columns"):
		at.wrong("columns", "column is given too; keep column for one column, or columns for several")
	case at.has("columns"):
		if len(t.Columns) < 2 || len(t.Columns) > maxKeyColumns {
			at.wrong("columns", "has %d columns; write 2 to %d, or column for a single one", len(t.Columns), maxKeyColumns)
		}
		for i, name := range t.Columns {
			if slices.ContainsFunc(t.Columns[:i], func(s string) bool { return fold(s) == fold(name) }) {
				at.wrongItem("columns", i, "column %q is listed twice", name)
			} else if name == "" {
				at.wrongItem("columns", i, "is empty; write the name of a column")
			}
		}
	case !at.has("column"):
		at.missing("column", "a sharded table needs the column whose value chooses the shard")
	default:
		at.identifier("column", t.Column)
	}
}

func (t *Table) validateLookup(at section, c *Config) {
	if !at.has("lookup_of") {
		return
	}
	i := slices.IndexFunc(c.Tables, func(o Table) bool { return fold(o.Schema) == fold(t.Schema) && fold(o.Name) == fold(t.LookupOf) })
	switch {
	case i < 0 || !c.Tables[i].Sharded():
		at.wrong("lookup_of", "there is no sharded table %q in schema %q; name one of [[tables]]", t.LookupOf, t.Schema)
	case c.Tables[i].key() == t.key():
		at.wrong("lookup_of", "is the table itself; name the table whose rows are to be found")
	case c.Tables[i].LookupOf != "":
		at.wrong("lookup_of", "table %q is a lookup table itself; name the table whose rows are to be found", t.LookupOf)
	case at.has("auto_increment"):
		at.wrong("auto_increment", "a lookup table gets its rows from %q; take it out", t.LookupOf)
	}
	if i < 0 {
		return
	}
	for _, own := range t.Key() {
		if slices.ContainsFunc(c.Tables[i].Key(), func(s string) bool { return fold(s) == fold(own) }) {
			at.wrong("lookup_of", "column %q is of the shard key of %q, whose rows it finds by itself; look another one up", own, t.LookupOf)
		}
	}
}

func (t *Table) validateSharding(at section, c *Config) {
	if at.has("shard_map") {
		for _, key := range []string{"function", "backends"} {
			if at.has(key) {
				at.wrong(key, "the table's shard_map says it; take one of the two out")
			}
		}
		m := c.ShardMap(t.ShardMap)
		switch {
		case t.ShardMap == "":
			at.missing("shard_map", "name a [[shard_maps]] entry")
		case m == nil:
			at.wrong("shard_map", "there is no shard map %q; %s", t.ShardMap, c.shardMaps())
		case len(t.Columns) > 0 && !m.hashes():
			at.wrong("columns", "function %s of shard map %q takes one column; several are for hash, crc32 and consistent", m.Function, m.Name)
		}
		return
	}
	if !at.has("function") {
		at.missing("function", `a sharded table needs a shard_map, or "hash" (any type), "modulo" (integers) or "crc32" with backends`)
	} else {
		at.oneOf("function", t.Function, "hash", "modulo", "crc32")
		if t.Function == "modulo" && len(t.Columns) > 0 {
			at.wrong("columns", "function modulo takes one column; several are for hash and crc32")
		}
	}
	if len(t.Backends) == 0 {
		at.missing("backends", "a sharded table needs the list of its backends in shard order")
	}
	for i, name := range t.Backends {
		at.backend("backends", i, name, c)
		if slices.Contains(t.Backends[:i], name) {
			at.wrongItem("backends", i, "backend %q is listed twice; each shard needs a backend of its own here, several may share one in a [[shard_maps]] entry", name)
		} else if before := c.sameServer(name, t.Backends[:i]); before != "" {
			at.wrongItem("backends", i, "backends %q and %q are the same server, so both shards would be one table; use different servers", before, name)
		}
	}
}

// sameServer returns the first of the backends that is the server of another one called name, so that every row of a table on
// both would be found twice; "" if there is none.
func (c *Config) sameServer(name string, backends []string) string {
	own := c.BackendIndex(name)
	for _, before := range backends {
		other := c.BackendIndex(before)
		if own >= 0 && other >= 0 && own != other && c.Backends[own].sameServer(&c.Backends[other]) {
			return before
		}
	}
	return ""
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
