package postgres

import (
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/xaproxy/xaproxy/backend/postgres/dialect"
)

// tablesLast is how long a table's definition is believed: it may be changed by others than xaproxy.
const tablesLast = 5 * time.Second

// maxTables bounds the definitions that are kept.
const maxTables = 10_000

// tables are the definitions of tables that the sessions of a Dialer share. It is safe for concurrent use.
type tables struct {
	mu    sync.Mutex // protects following fields
	known map[[2]string]knownTable
}

type knownTable struct {
	table *dialect.Table // nil: there is none
	until time.Time
}

func (t *tables) get(key [2]string) (*dialect.Table, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	k, ok := t.known[key]
	return k.table, ok && time.Now().Before(k.until)
}

func (t *tables) put(key [2]string, table *dialect.Table) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.known == nil || len(t.known) >= maxTables {
		t.known = make(map[[2]string]knownTable)
	}
	t.known[key] = knownTable{table, time.Now().Add(tablesLast)}
}

// clear forgets all, because a definition has changed.
func (t *tables) clear() {
	t.mu.Lock()
	t.known = nil
	t.mu.Unlock()
}

// catalog is what a translation asks for tables. With an error a table is missing, and the error kept.
type catalog struct {
	s    *session
	used *use
	err  error
}

// Table is dialect.Catalog.
func (c *catalog) Table(schema, name string) (*dialect.Table, bool) {
	key := [2]string{schema, name}
	t, known := c.s.dialer.tables.get(key)
	if !known {
		var err error
		if t, err = c.s.lookUp(schema, name); err != nil {
			c.err = err
			return nil, false
		}
		c.s.dialer.tables.put(key, t)
	}
	c.used.tables = append(c.used.tables, usedTable{key, t})
	return t, t != nil
}

// lookUp asks PostgreSQL for a table; nil if there is none.
func (s *session) lookUp(schema, name string) (*dialect.Table, error) {
	found, err := s.ask(strings.NewReplacer("$1", quote(schema), "$2", quote(name)).Replace(dialect.TableQuery))
	if err != nil || len(found) == 0 {
		return nil, err
	}
	answer, ok := found[0][0].([]byte)
	if !ok {
		return nil, fmt.Errorf("the definition of %s.%s came as %T", schema, name, found[0][0])
	}
	return dialect.ReadTable(schema, name, answer)
}
