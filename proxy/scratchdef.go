package proxy

import (
	"errors"
	"slices"

	"github.com/xaproxy/xaproxy/backend"
	"github.com/xaproxy/xaproxy/temptable"
	"github.com/xaproxy/xaproxy/wire"
)

// maxDefinition bounds the answer to SHOW CREATE TABLE, in bytes.
const maxDefinition = 4 << 20

// defining brings a session to a state in which definitions mean the same on every server; kept is what ready brings back.
func defining(flavour int) []string {
	access := accessVariable(flavour)
	return []string{
		"SET @`xaproxy mode` = @@sql_mode, @`xaproxy zone` = @@time_zone, @`xaproxy access` = @@" + access,
		"SET NAMES utf8mb4",
		"SET SESSION sql_mode = '', time_zone = '+00:00', sql_quote_show_create = 1, " + access + " = 0",
	}
}

// accessVariable is the name of transaction_read_only, which MariaDB before 11.1 has under its old one only.
func accessVariable(flavour int) string {
	if flavour == 1 {
		return "tx_read_only"
	}
	return "transaction_read_only"
}

// define reads the definitions of the tables that have to be loaded.
func (c *scratch) define() error {
	if err := c.conn.Ready(c.state); err != nil {
		return err
	}
	if err := c.unlogged(); err != nil {
		return err
	}
	here := c.conn.Backend()
	var found []*scratchTable
	var shown []string
	for i := range c.plan.Scratch.Tables {
		t := &c.plan.Scratch.Tables[i]
		if t.Informs || t.Server {
			continue // later, or never
		}
		if c.s.tx == nil && t.Whole && !t.Temporary && t.Backends[0] == here.Index {
			continue // it is there
		}
		one := &scratchTable{ScratchTable: t, unique: true}
		c.tables = append(c.tables, one)
		if !t.Temporary && slices.Contains(t.Backends, here.Index) {
			found, shown = append(found, one), append(shown, one.show())
		}
	}
	answers, err := c.conn.Batch(maxDefinition, append(defining(here.Flavour()), shown...)...)
	if err != nil {
		return err
	}
	for i, t := range found {
		if err := c.defined(t, c.conn, answers[len(answers)-len(found)+i]); err != nil {
			return err
		}
	}
	for _, t := range c.tables {
		if t.def == nil {
			if err := c.ask(t); err != nil {
				return err
			}
		}
	}
	return nil
}

// unlogged keeps the temporary tables out of the server's log.
func (c *scratch) unlogged() error {
	if b := c.conn.Backend(); b.Flavour() == 0 || !b.Facts().LogBin {
		return nil
	}
	// Only some accounts may. Rows of temporary tables are in the log otherwise, unless its format is ROW.
	var said *wire.Error
	if err := c.conn.Exec("SET SESSION sql_log_bin = 0"); err != nil && !errors.As(err, &said) {
		return err
	}
	return nil
}

func (t *scratchTable) show() string {
	return "SHOW CREATE TABLE " + backend.Quote(t.Schema) + "." + backend.Quote(t.Name)
}

// ask asks one of the table's backends for its definition, one of the same kind if there is one.
func (c *scratch) ask(t *scratchTable) error {
	s := c.s
	of := s.gen.backends[t.Backends[0]]
	for _, i := range t.Backends {
		if b := s.gen.backends[i]; b.Flavour() == c.conn.Backend().Flavour() {
			of = b
			break
		}
	}
	if t.Temporary {
		conn, release, err := s.aside(of)
		if err != nil {
			return err
		}
		defer release()
		answers, err := conn.Batch(maxDefinition, t.show())
		if err != nil {
			return err
		}
		return c.defined(t, conn, answers[0])
	}
	state := &backend.Session{Caps: s.state.Caps, Collation: s.state.Collation}
	conn, err := of.Get(s.ctx(), state, s)
	if err != nil {
		return err
	}
	s.work.uses(conn)
	defer conn.Put()
	defer s.work.leaves(conn)
	conn.Soil()
	answers, err := conn.Batch(maxDefinition, append(defining(of.Flavour()), t.show())...)
	if err != nil {
		return err
	}
	return c.defined(t, conn, answers[len(answers)-1])
}

// defined notes the definition of a table, as its backend has shown it on the connection. That of a view is the one of a table with its rows.
func (c *scratch) defined(t *scratchTable, conn *backend.Conn, answer wire.Rows) error {
	if len(answer.Columns) == 4 {
		of, made := backend.Quote(t.Schema)+"."+backend.Quote(t.Name), backend.Quote(t.Schema)+"."+backend.Quote("xaproxy#view")
		answers, err := conn.Batch(maxDefinition, "CREATE TEMPORARY TABLE "+made+" AS SELECT * FROM "+of+" LIMIT 0", "SHOW CREATE TABLE "+made, "DROP TEMPORARY TABLE "+made)
		if err != nil {
			return err
		}
		answer = answers[1]
	}
	if len(answer.Columns) != 2 || len(answer.Values) != 1 {
		return wire.NewError(wire.CodeNotSupported, "backend %s does not show the definition of %s.%s", conn.Backend().Name(), t.Schema, t.Name)
	}
	def, err := temptable.ParseTable(string(answer.Values[0][1]))
	if err != nil {
		return wire.NewError(wire.CodeNotSupported, "the definition of %s.%s is not understood: %v", t.Schema, t.Name, err)
	}
	t.def, t.columns = def, def.Needed(c.plan.Scratch.Names, t.All)
	return nil
}
