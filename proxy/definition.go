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
	shape shape
	asked time.Time
}

// shape is the columns and keys of a table, and what else hangs on its rows.
type shape struct {
	table   *temptable.Table // nil: nobody has asked yet, or it may have changed
	trigger string           // the name of one, "": there is none
	foreign string           // the name of a foreign key to or from it
}

// immovable is why its rows cannot be taken out and put back elsewhere; "": they can.
func (d *shape) immovable() string {
	switch {
	case d.trigger != "":
		return fmt.Sprintf("the table has trigger %s, which may do something else for a row that goes or comes than for one that changes", d.trigger)
	case d.foreign != "":
		return fmt.Sprintf("foreign key %s refers to other rows of its shard", d.foreign)
	}
	return ""
}

// definition returns what a sharded table looks like, as it was columnsLast ago or later.
func (s *session) definition(schema, table string) (shape, error) {
	of := s.gen.columns[strings.ToLower(schema+"."+table)]
	d := &of.definition
	d.mu.Lock()
	known, asked := d.shape, d.asked
	d.mu.Unlock()
	now := time.Now()
	if known.table != nil && now.Sub(asked) < columnsLast {
		return known, nil
	}
	err := of.backend.Apart(s.ctx(), func(conn *backend.Conn) (err error) {
		known, err = define(conn, schema, table)
		return err
	})
	if err != nil {
		return shape{}, err
	}
	d.mu.Lock()
	d.shape, d.asked = known, now
	d.mu.Unlock()
	return known, nil
}

// forget says that it may have changed.
func (d *definition) forget() {
	d.mu.Lock()
	d.shape = shape{}
	d.mu.Unlock()
}

// define asks for the definition of a table.
func define(conn *backend.Conn, schema, table string) (d shape, _ error) {
	answers, err := conn.Batch(maxDefinition,
		"SET NAMES utf8mb4", "SET SESSION sql_quote_show_create = 1",
		"SHOW CREATE TABLE "+backend.Quote(schema)+"."+backend.Quote(table),
		fmt.Sprintf("SELECT TRIGGER_NAME FROM information_schema.TRIGGERS WHERE EVENT_OBJECT_SCHEMA = %s AND EVENT_OBJECT_TABLE = %s LIMIT 1", systemText(schema), systemText(table)),
		fmt.Sprintf("SELECT CONSTRAINT_NAME FROM information_schema.REFERENTIAL_CONSTRAINTS WHERE CONSTRAINT_SCHEMA = %[1]s AND TABLE_NAME = %[2]s"+
			" OR UNIQUE_CONSTRAINT_SCHEMA = %[1]s AND REFERENCED_TABLE_NAME = %[2]s LIMIT 1", systemText(schema), systemText(table)),
	)
	if err != nil {
		return d, err
	}
	shown, triggers, keys := answers[2].Values, answers[3].Values, answers[4].Values
	if len(shown) != 1 || len(shown[0]) != 2 {
		return d, errors.New("it is not a table")
	}
	if d.table, err = temptable.ParseTable(string(shown[0][1])); err != nil {
		return d, wire.NewError(wire.CodeNotSupported, "the definition of %s.%s is not understood: %v", schema, table, err)
	}
	if len(triggers) > 0 {
		d.trigger = string(triggers[0][0])
	}
	if len(keys) > 0 {
		d.foreign = string(keys[0][0])
	}
	return d, nil
}
