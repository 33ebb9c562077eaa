package config

import "strings"

// Sequence says where the values of AUTO_INCREMENT columns of sharded tables come from: an entry of [[sequences]]. Each table
// counts for itself.
type Sequence struct {
	// Name is 1 to 64 characters, unique. Required.
	Name string `toml:"name"`
	// Kind is how values are made: Blocks or Snowflake. Default: Blocks.
	Kind string `toml:"kind"`
	// Backend is the name of the [[backends]] entry that has the table of blocks. Default "": that of the first shard.
	Backend string `toml:"backend"`
	// Table is the name of the table of blocks, in the schema of the table that is numbered. Default: xaproxy_sequence.
	Table string `toml:"table"`
	// Block is how many values are taken from there at a time, 1 to 1000000. Default: 1000.
	Block int `toml:"block"`
	// Node is the number of this proxy among all that use Snowflake for the same tables, 0 to 255.
	Node int `toml:"node"`
}

// Kinds of sequences.
const (
	Blocks    = "blocks"
	Snowflake = "snowflake"
)

const (
	maxBlock = 1_000_000
	maxNode  = 255
)

// DefaultSequence returns what a table with an AUTO_INCREMENT column has that names no [[sequences]] entry.
func DefaultSequence() Sequence {
	return Sequence{Kind: Blocks, Table: "xaproxy_sequence", Block: 1000}
}

func (s *Sequence) setDefaults() { *s = DefaultSequence() }

func (s *Sequence) validate(at section, c *Config) {
	at.text("name", s.Name, maxIdentifier)
	at.oneOf("kind", s.Kind, Blocks, Snowflake)
	if at.has("backend") {
		at.backend("backend", -1, s.Backend, c)
	}
	at.identifier("table", s.Table)
	within(at, "block", s.Block, 1, maxBlock)
	within(at, "node", s.Node, 0, maxNode)
	for _, key := range []string{"backend", "table", "block"} {
		if s.Kind == Snowflake && at.has(key) {
			at.wrong(key, "is for kind %q, and this is %q, which keeps nothing on backends", Blocks, Snowflake)
		}
	}
	switch {
	case s.Kind == Blocks && at.has("node"):
		at.wrong("node", "is for kind %q, and this is %q", Snowflake, Blocks)
	case s.Kind == Snowflake && !at.has("node"):
		at.missing("node", "write 0 to %d, for each proxy another number", maxNode)
	}
}

// Numbering returns the sequence of a table's AUTO_INCREMENT column, nil if it is not configured.
func (t *Table) Numbering(c *Config) *Sequence {
	if t.Sequence == "" {
		s := DefaultSequence()
		return &s
	}
	for i := range c.Sequences {
		if c.Sequences[i].Name == t.Sequence {
			return &c.Sequences[i]
		}
	}
	return nil
}

// validateNumbering checks the keys of a sharded table about its AUTO_INCREMENT column.
func (t *Table) validateNumbering(at section, c *Config) {
	if at.has("auto_increment") {
		at.identifier("auto_increment", t.AutoIncrement)
	}
	if !at.has("sequence") {
		return
	}
	if !at.has("auto_increment") {
		at.wrong("sequence", "is for tables with auto_increment; name that column, or take the key out")
	}
	if t.Numbering(c) == nil || t.Sequence == "" {
		names := make([]string, len(c.Sequences))
		for i := range c.Sequences {
			names[i] = c.Sequences[i].Name
		}
		known := "there are none: add a [[sequences]] entry"
		if len(names) > 0 {
			known = "the [[sequences]] are " + strings.Join(names, ", ")
		}
		at.wrong("sequence", "there is no sequence %q; %s", t.Sequence, known)
	}
}
