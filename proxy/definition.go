package proxy

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/xaproxy/xaproxy/backend"
	"github.com/xaproxy/xaproxy/temptable"
	"github.com/xaproxy/xaproxy/wire"
)

// definition is what a sharded table looks like, as the first of its backends has said.
type definition struct {
	mu    sync.Mutex // protects following fields
	table *temptable.Table
	bound string // why its rows cannot be taken out and put back elsewhere; "": they can
	asked time.Time
}

// definition returns what a sharded table looks like, as it was columnsLast ago or later.
func (s *session) definition(schema, table string) (*temptable.Table, string, error) {
	of := s.srv.columns[strings.ToLower(schema+"."+table)]
	d := &of.definition
	d.mu.Lock()
	def, bound, asked := d.table, d.bound, d.asked
	d.mu.Unlock()
	now := time.Now()
	if def != nil && now.Sub(asked) < columnsLast {
		return def, bound, nil
	}
	err := of.backend.Apart(s.ctx(), func(conn *backend.Conn) (err error) {
		def, bound, err = define(conn, schema, table)
		return err
	})
	if err != nil {
		return nil, "", err
	}
	d.mu.Lock()
	d.table, d.bound, d.asked = def, bound, now
	d.mu.Unlock()
	return def, bound, nil
}

// forget says that it may have changed.
func (d *definition) forget() {
	d.mu.Lock()
	d.table = nil
	d.mu.Unlock()
}

// define asks for the definition of a table.
func define(conn *backend.Conn, schema, table string) (def *temptable.Table, bound string, _ error) {
	answers, err := conn.Batch(maxDefinition,
		"SET NAMES utf8mb4", "SET SESSION sql_quote_show_create = 1",
		"SHOW CREATE TABLE "+backend.Quote(schema)+"."+backend.Quote(table),
		fmt.Sprintf("SELECT TRIGGER_NAME FROM information_schema.TRIGGERS WHERE EVENT_OBJECT_SCHEMA = %s AND EVENT_OBJECT_TABLE = %s LIMIT 1", systemText(schema), systemText(table)),
		fmt.Sprintf("SELECT CONSTRAINT_NAME FROM information_schema.REFERENTIAL_CONSTRAINTS WHERE CONSTRAINT_SCHEMA = %[1]s AND TABLE_NAME = %[2]s"+
			" OR UNIQUE_CONSTRAINT_SCHEMA = %[1]s AND REFERENCED_TABLE_NAME = %[2]s LIMIT 1", systemText(schema), systemText(table)),
	)
	if err != nil {
		return nil, "", err
	}
	shown, triggers, keys := answers[2].Values, answers[3].Values, answers[4].Values
	if len(shown) != 1 || len(shown[0]) != 2 {
		return nil, "", errors.New("it is not a table")
	}
	if def, err = temptable.ParseTable(string(shown[0][1])); err != nil {
		return nil, "", wire.NewError(wire.CodeNotSupported, "the definition of %s.%s is not understood: %v", schema, table, err)
	}
	switch {
	case len(triggers) > 0:
		bound = fmt.Sprintf("the table has trigger %s, which may do something else for a row that goes or comes than for one that changes", triggers[0][0])
	case len(keys) > 0:
		bound = fmt.Sprintf("foreign key %s refers to other rows of its shard", keys[0][0])
	}
	return def, bound, nil
}
