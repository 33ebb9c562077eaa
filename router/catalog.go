package router

import (
	"fmt"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/xaproxy/xaproxy/config"
)

// catalog is the configuration as a statement's names see it. Names are lower case: schemas and tables whose names differ
// only in case are one.
type catalog struct {
	backends  []string
	schemas   map[string]*schema
	temporary map[string]int                      // backends of the session's temporary tables, schema.table, which hide others
	views     *atomic.Pointer[map[string]bool]    // schema.view: those that read rows of several backends
	routines  *atomic.Pointer[map[string]routine] // schema.function
	missed    *atomic.Bool                        // a plan has depended on the key of a table that was not there
}

// schema is a schema that the configuration names in [[schemas]] or [[tables]].
type schema struct {
	name    string // as the configuration has it first
	backend int    // of tables without an entry, -1 when only tables with an entry exist
	tables  map[string]*table
	names   []string // of tables, in the order of the configuration
}

// table is a table with an entry of its own.
type table struct {
	name     string // schema.table
	schema   string // as the configuration has it, and so base
	base     string
	backend  int       // of a table that is on one backend, else -1
	copies   []int     // of a broadcast table: the backends that have it whole, in order, at least two
	mixed    bool      // one of these is PostgreSQL
	columns  []string  // the shard key, lower case
	sharding *sharding // of a sharded table; tables have the same one if their keys are spread in the same way
	moves    bool      // an UPDATE may change the shard key
	lookups  []*table  // its lookup tables
	auto     string    // its AUTO_INCREMENT column, if that has a sequence, lower case

	holds  atomic.Pointer[held] // what the columns of the key do; nil: nobody knows
	missed atomic.Bool          // a plan has depended on them, and they were not there
	some   *atomic.Bool         // of the catalog: some table was missed
}

func (t *table) sharded() bool { return t.backend < 0 && t.copies == nil }

// whole tells whether all rows of the table are on the backend.
func (t *table) whole(backend int) bool {
	return backend >= 0 && (t.backend == backend || slices.Contains(t.copies, backend))
}

// key names the shard key for a message.
func (t *table) key() string { return strings.Join(t.columns, ", ") }

// together tells whether equal keys of the two tables are on the same backend.
func (t *table) together(u *table) bool {
	return t.sharding == u.sharding && len(t.columns) == len(u.columns)
}

// joins tells whether rows of the two tables with equal values in a column of their keys have the same key there.
func (t *table) joins(u *table, column int) bool {
	return t.together(u) && t.known(column).agrees(u.known(column))
}

func newCatalog(cfg *config.Config) (*catalog, error) {
	c := &catalog{schemas: map[string]*schema{}, views: &atomic.Pointer[map[string]bool]{}, routines: &atomic.Pointer[map[string]routine]{}, missed: &atomic.Bool{}}
	for i := range cfg.Backends {
		c.backends = append(c.backends, cfg.Backends[i].Name)
	}
	if len(c.backends) == 0 {
		return nil, fmt.Errorf("no backend is configured")
	}
	backend := func(name, of string) (int, error) {
		if i := cfg.BackendIndex(name); i >= 0 {
			return i, nil
		}
		return 0, fmt.Errorf("%s: backend %q is not configured", of, name)
	}
	for _, s := range cfg.Schemas {
		name := strings.ToLower(s.Name)
		if c.schemas[name] != nil {
			return nil, fmt.Errorf("schema %s is configured twice", name)
		}
		at, err := backend(s.Backend, "schema "+name)
		if err != nil {
			return nil, err
		}
		c.schemas[name] = &schema{name: s.Name, backend: at, tables: map[string]*table{}}
	}
	maps := map[string]*sharding{}
	for i := range cfg.Tables {
		in, name := strings.ToLower(cfg.Tables[i].Schema), strings.ToLower(cfg.Tables[i].Name)
		s := c.schemas[in]
		if s == nil {
			s = &schema{name: cfg.Tables[i].Schema, backend: -1, tables: map[string]*table{}}
			c.schemas[in] = s
		}
		if s.tables[name] != nil {
			return nil, fmt.Errorf("table %s.%s is configured twice", in, name)
		}
		t := &table{name: in + "." + name, schema: cfg.Tables[i].Schema, base: cfg.Tables[i].Name, backend: -1, some: c.missed}
		if err := t.fill(cfg, &cfg.Tables[i], maps, backend); err != nil {
			return nil, fmt.Errorf("table %s: %w", t.name, err)
		}
		s.tables[name] = t
		s.names = append(s.names, name)
	}
	for i := range cfg.Tables {
		if of := cfg.Tables[i].LookupOf; of != "" {
			in := c.schemas[strings.ToLower(cfg.Tables[i].Schema)].tables
			if t := in[strings.ToLower(of)]; t != nil && t.sharded() { // on one backend there is nothing to look up
				t.lookups = append(t.lookups, in[strings.ToLower(cfg.Tables[i].Name)])
			}
		}
	}
	return c, nil
}

// fill places the table. maps are the shard maps of the tables before it, by what they are.
func (t *table) fill(cfg *config.Config, from *config.Table, maps map[string]*sharding, backend func(name, of string) (int, error)) (err error) {
	if from.Broadcast {
		for _, name := range from.Copies(cfg) {
			t.copies = append(t.copies, cfg.BackendIndex(name))
			t.mixed = cfg.Backends[cfg.BackendIndex(name)].Kind == config.Postgres // they are the last
		}
		switch len(t.copies) {
		case 0:
			return fmt.Errorf("no backend can have it")
		case 1:
			t.backend, t.copies = t.copies[0], nil
		}
		return nil
	}
	if !from.Sharded() {
		t.backend, err = backend(from.Backend, "the table")
		return err
	}
	of := from.Map(cfg)
	if of == nil {
		return fmt.Errorf("shard map %q is not configured", from.ShardMap)
	}
	id := fmt.Sprintf("%#v", *of)
	if maps[id] == nil {
		if maps[id], err = newSharding(of, func(name string) (int, error) { return backend(name, "a shard") }); err != nil {
			return err
		}
	}
	t.sharding, t.auto, t.moves = maps[id], strings.ToLower(from.AutoIncrement), from.KeyChanges == config.KeyChangesMove
	for _, c := range from.Key() {
		t.columns = append(t.columns, strings.ToLower(c))
	}
	if len(t.columns) == 0 {
		return fmt.Errorf("it is sharded by no column")
	}
	if only := t.sharding.backends[0]; !slices.ContainsFunc(t.sharding.backends, func(b int) bool { return b != only }) {
		t.backend = only // nothing to choose
	}
	return nil
}

// place is where a table is.
type place struct {
	system    bool   // in a system schema
	temporary bool   // one of the session's
	backend   int    // of an unsharded table, -1 if it is a broadcast one
	table     *table // a sharded one
	copied    *table // a broadcast one
}

// resolve finds a table; both names are as the statement has them, in may be empty when the statement has no qualifier.
func (c *catalog) resolve(in, name, current string, at int) (place, string, *reason) {
	if in == "" {
		in = current
	}
	if in == "" {
		return place{}, "", noSchema(at)
	}
	in, name = strings.ToLower(in), strings.ToLower(name)
	switch {
	case in == "performance_schema" && public[name]:
		return place{system: true}, informationSchema, nil
	case config.SystemSchema(in):
		return place{system: true}, in, nil
	}
	s := c.schemas[in]
	if s == nil {
		return place{}, in, c.unknown(in, at)
	}
	if at, hidden := c.temporary[in+"."+name]; hidden {
		return place{temporary: true, backend: at}, in, nil
	}
	t := s.tables[name]
	switch {
	case t != nil && t.sharded():
		return place{table: t}, in, nil
	case t != nil && t.copies != nil:
		return place{backend: -1, copied: t}, in, nil
	case t != nil:
		return place{backend: t.backend}, in, nil
	case s.backend >= 0:
		return place{backend: s.backend}, in, nil
	}
	return place{}, in, &reason{
		errno: 1146, text: fmt.Sprintf("table '%s.%s' doesn't exist for xaproxy", in, name),
		do: "add a [[tables]] entry for it, or a [[schemas]] entry for its schema", at: at,
	}
}

// noSchema is the reason to refuse a name without a schema.
func noSchema(at int) *reason {
	return &reason{errno: 1046, text: "no database selected", do: "qualify the table with its schema or USE one", at: at}
}

func (c *catalog) unknown(schema string, at int) *reason {
	return &reason{errno: 1049, text: fmt.Sprintf("unknown database '%s'", schema), do: "name it in [[schemas]] or [[tables]] of the configuration", at: at, unknown: strings.ToLower(schema)}
}

// whole is the backend that holds everything of the schema, or -1.
func (c *catalog) whole(name string) int {
	s := c.schemas[name]
	if s == nil {
		return -1
	}
	for _, t := range s.tables {
		if t.backend != s.backend {
			return -1
		}
	}
	return s.backend
}

// first is a backend that knows the schema: its own, or the first one of its tables.
func (c *catalog) first(name string) int {
	s := c.schemas[name]
	if s.backend >= 0 {
		return s.backend
	}
	return s.tables[s.names[0]].first()
}

// first is the table's backend, or the first of them.
func (t *table) first() int {
	switch {
	case t.sharded():
		return t.sharding.backends[0]
	case t.copies != nil:
		return t.copies[0]
	}
	return t.backend
}
