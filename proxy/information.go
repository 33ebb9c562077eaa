package proxy

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/xaproxy/xaproxy/backend"
	"github.com/xaproxy/xaproxy/gather"
	"github.com/xaproxy/xaproxy/router"
	"github.com/xaproxy/xaproxy/temptable"
	"github.com/xaproxy/xaproxy/wire"
)

// curbed tells whether the user may not see all of these schemas, nil being any.
func (s *session) curbed(about []string) bool {
	if len(s.user.schemas) == 0 {
		return false
	}
	return about == nil || slices.ContainsFunc(about, func(schema string) bool { return !s.user.sees(schema) })
}

// inform answers a SELECT about tables of information_schema that no backend alone can answer, outside of the transaction: on scratch tables with
// what each backend tells. The columns of the answer are those that the server gives the client's text.
func (s *session) inform(p *router.Plan, r *request) error {
	text, state, r := s.scratched(p, r)
	c := &scratch{s: s, plan: p, text: text, state: state}
	definitions, err := c.describe(r)
	if c.conn != nil {
		defer c.close()
	}
	if err == nil {
		err = c.copyInformation()
	}
	if err == nil {
		err = c.create()
	}
	if err != nil {
		return s.fail(clientError(err, false))
	}
	if e := c.load(r); e != nil {
		return s.fail(e)
	}
	if err := c.ready(); err != nil {
		return s.fail(clientError(err, false))
	}
	return c.answer(r, definitions)
}

// beside makes the tables of information_schema, for a statement whose other tables are there and empty yet. It returns what columns the statement
// has with those of the server itself.
func (c *scratch) beside(r *request) (definitions [][]byte, err error) {
	if err := c.ready(); err != nil {
		return nil, err
	}
	whole, _, err := c.splice(true)
	if err != nil {
		return nil, err
	}
	if definitions, err = c.columns(whole.text, r); err != nil {
		return nil, err
	}
	if err := c.copyInformation(); err != nil {
		return nil, err
	}
	return definitions, c.create()
}

// assign runs SELECT ... INTO and answers as to a SET.
func (s *session) assign(conn *backend.Conn, p *router.Plan, r *request) error {
	err := r.send(conn, &s.state)
	if err == nil {
		err = conn.Expect()
	}
	if err != nil {
		return s.fail(clientError(err, false))
	}
	if e := s.fetchVariables(conn, p.Variables); e != nil {
		return s.fail(e)
	}
	return s.ok(wire.OK{})
}

// describe borrows a connection where the tables can be brought together, to a server of the kind that the client was told if there is one, and
// asks for the columns of the client's text there.
func (c *scratch) describe(r *request) (definitions [][]byte, err error) {
	s := c.s
	kind, home := s.gen.backends[0].Flavour(), s.gen.home(s.state.Schema)
	all := slices.DeleteFunc(slices.Clone(s.gen.backends), (*backend.Backend).Translates)
	if len(all) == 0 {
		return nil, errNoScratch
	}
	candidates := slices.SortedStableFunc(slices.Values(all), func(a, b *backend.Backend) int {
		less := 0
		for _, good := range []func(*backend.Backend) bool{
			func(b *backend.Backend) bool { return b.Flavour() == kind },
			func(b *backend.Backend) bool { return b.Has(s.state.Schema) },
			func(b *backend.Backend) bool { return b == home },
		} {
			if less == 0 && good(a) != good(b) {
				if less = 1; good(a) {
					less = -1
				}
			}
		}
		return less
	})
	for _, b := range candidates {
		if c.conn, err = b.Get(s.ctx(), c.state, s); err == nil {
			break
		}
	}
	if err != nil {
		return nil, err
	}
	s.work.uses(c.conn)
	if err := c.conn.Ready(c.state); err != nil {
		return nil, err
	}
	return c.columns(c.text, r)
}

// columns are those of a text. MySQL, where it makes a table for a result, has other types in it than it tells before, and MariaDB in a UNION
// other decimals, so plain text is carried out, too.
func (c *scratch) columns(text string, r *request) ([][]byte, error) {
	if r.bound == nil && r.named == nil && c.plan.Pin != router.PinUserVariable && (c.conn.Backend().Flavour() == 0 || c.plan.Scratch.Beside) {
		if err := c.conn.SendQuery(nil, []byte(text)); err != nil {
			return nil, c.conn.Lost(err)
		}
		rows, err := c.conn.Read()
		if err != nil {
			return nil, err
		}
		return rows.Definitions, c.conn.Classify(gather.Drain(c.conn.Conn, rows, math.MaxInt))
	}
	if err := c.conn.SendCommand(wire.ComStmtPrepare, []byte(text)); err != nil {
		return nil, c.conn.Lost(err)
	}
	prepared, definitions, err := c.conn.ReadDescription()
	if err != nil {
		return nil, c.conn.Classify(err)
	}
	return definitions, c.conn.Keep(text, prepared.ID)
}

// copyInformation makes empty temporary tables like those of information_schema.
func (c *scratch) copyInformation() error {
	b := c.conn.Backend()
	if err := c.unlogged(); err != nil {
		return err
	}
	in, err := c.informationIn()
	if err != nil {
		return err
	}
	c.cuts = c.plan.Scratch.Cuts
	statements, first := defining(b.Flavour()), len(c.tables)
	for i := range c.plan.Scratch.Tables {
		of := &c.plan.Scratch.Tables[i]
		if !of.Informs {
			continue
		}
		t := &scratchTable{ScratchTable: of, in: in, moved: true, made: 1, names: []string{fmt.Sprintf("%s#%s", of.Schema, of.Name)}}
		c.tables = append(c.tables, t)
		all := t.names
		if slices.ContainsFunc(of.Shares, func(share router.ScratchShare) bool { return share.Sum }) {
			t.more = t.names[0] + "#+"
			all = append(slices.Clip(all), t.more)
		}
		for _, name := range all {
			statements = append(statements, fmt.Sprintf("CREATE TEMPORARY TABLE %s.%s AS SELECT * FROM information_schema.%s WHERE FALSE", backend.Quote(in), backend.Quote(name), backend.Quote(of.Name)))
		}
	}
	made := c.tables[first:]
	for _, t := range made {
		statements = append(statements, "SHOW CREATE TABLE "+t.quoted(0))
	}
	answers, err := c.conn.Batch(maxDefinition, statements...)
	if err != nil {
		return c.explain(err)
	}
	for i, t := range made {
		if err := c.defined(t, c.conn, answers[len(answers)-len(made)+i]); err != nil {
			return err
		}
		t.def.Named()
		names := c.plan.Scratch.Names
		if t.more != "" && names != nil {
			names = slices.Sorted(slices.Values(append([]string{"table_name", "table_schema"}, names...)))
		}
		t.columns = t.def.Needed(names, t.All)
	}
	return nil
}

// informationIn is a schema in which temporary tables can be made: the current one, or any that the configuration has there.
func (c *scratch) informationIn() (string, error) {
	s, b := c.s, c.conn.Backend()
	if in := s.state.Schema; s.gen.cfg.HasSchema(in) && b.Has(in) {
		return in, nil
	}
	question := "SELECT SCHEMA_NAME FROM information_schema.SCHEMATA WHERE LOWER(SCHEMA_NAME) IN (''"
	for name := range s.gen.cfg.SchemasOn(b.Name()) {
		question += fmt.Sprintf(", _utf8mb4 x'%x'", name)
	}
	rows, err := c.conn.Ask(question + ") ORDER BY 1 LIMIT 1")
	switch {
	case err != nil:
		return "", err
	case len(rows.Values) == 0:
		return "", wire.NewError(wire.CodeNotSupported, "backend %s has none of its schemas, in which the rows of information_schema could be brought together", b.Name())
	}
	return string(rows.Values[0][0]), nil
}

// addedUp are the statements that add up what several backends tell of the same table.
func (t *scratchTable) addedUp() []string {
	var sums, adds []string
	for _, c := range t.columns {
		if name := backend.Quote(c.Name); t.more != "" && slices.Contains(router.Summed, strings.ToLower(c.Name)) {
			sums = append(sums, fmt.Sprintf("SUM(%s) AS %[1]s", name))
			adds = append(adds, fmt.Sprintf("a.%s = a.%[1]s + b.%[1]s", name))
		}
	}
	if sums == nil {
		return nil
	}
	return []string{fmt.Sprintf("UPDATE %s a JOIN (SELECT TABLE_SCHEMA, TABLE_NAME, %s FROM %s.%s GROUP BY TABLE_SCHEMA, TABLE_NAME) b USING (TABLE_SCHEMA, TABLE_NAME) SET %s",
		t.quoted(0), strings.Join(sums, ", "), backend.Quote(t.in), backend.Quote(t.more), strings.Join(adds, ", "))}
}

// informants borrows, beside others, a connection to each backend that tells of schemas.
func (c *scratch) informants(sources []*source) (_ []*source, err error) {
	if !c.plan.Scratch.Informs {
		return sources, nil
	}
	for _, b := range c.s.gen.backends {
		from := &source{tells: true}
		for _, t := range c.tables {
			if t.Informs && slices.ContainsFunc(t.Shares, func(share router.ScratchShare) bool { return c.gives(b, t, &share) }) {
				from.tables = append(from.tables, t)
			}
		}
		if from.tables == nil {
			continue
		}
		if from.conn, err = c.s.acquire(b); err != nil {
			return sources, err
		}
		c.s.work.uses(from.conn)
		sources = append(sources, from)
	}
	return sources, nil
}

// gives tells whether the rows of a share are to come from the backend.
func (c *scratch) gives(b *backend.Backend, t *scratchTable, share *router.ScratchShare) bool {
	at := share.Backend
	if at == router.AnyBackend {
		at = c.conn.Backend().Index
	}
	return at == b.Index && c.s.user.sees(share.Schema) && (!share.Sum || t.addedUp() != nil)
}

// informed brings what a backend tells.
func (c *scratch) informed(from *source, r *request) error {
	for _, t := range from.tables {
		columns, err := c.columnsAt(from.conn, t)
		var said *wire.Error
		if errors.As(err, &said) && !from.conn.Backend().Translates() {
			continue // it has no such table
		} else if err != nil {
			return err
		}
		filters := slices.DeleteFunc(slices.Clone(t.Filters), func(f router.ScratchFilter) bool {
			return !t.def.Has(f.Names) || slices.ContainsFunc(columns, func(c temptable.Column) bool { return c.IsAbsent() && f.Mentions(strings.ToLower(c.Name)) })
		})
		for i := range t.Shares {
			share := &t.Shares[i]
			if !c.gives(from.conn.Backend(), t, share) {
				continue
			}
			where, to := share.Where, t.quoted(0)
			if share.WhereMySQL != "" && from.conn.Backend().Flavour() == 0 {
				where = share.WhereMySQL
			}
			if share.Sum {
				to = backend.Quote(t.in) + "." + backend.Quote(t.more)
			}
			sql, params := temptable.Fetch(t.ScratchTable, columns, append(slices.Clip(filters), router.ScratchFilter{SQL: []byte(where)}), false)
			one := &request{sql: sql}
			if len(params) > 0 {
				one = r.part(router.Part{SQL: sql, Params: params})
			}
			if err := one.send(from.conn, &c.s.state); err != nil {
				return err
			}
			if more, err := c.bring(from, t, temptable.NewBatch(to, columns), one.bound != nil); err != nil || !more {
				return err
			}
		}
	}
	return nil
}

// columnsAt are the columns to be loaded, as the server on another connection has them.
func (c *scratch) columnsAt(conn *backend.Conn, t *scratchTable) ([]temptable.Column, error) {
	if conn.Backend().Facts().Version == c.conn.Backend().Facts().Version {
		return t.columns, nil
	}
	if err := conn.Ready(&c.s.state); err != nil {
		return nil, err
	}
	there, err := conn.Ask("SELECT * FROM information_schema." + backend.Quote(t.Name) + " WHERE FALSE")
	if err != nil {
		return nil, err
	}
	columns := slices.Clone(t.columns)
	for i, column := range columns {
		if !slices.ContainsFunc(there.Columns, func(have wire.Column) bool { return strings.EqualFold(have.Name, column.Name) }) {
			columns[i] = column.Absent()
		}
	}
	return columns, nil
}

// underColumns relays rows under other definitions of their columns than those that they come with, if the client can read them so.
func (s *session) underColumns(conn *backend.Conn, definitions [][]byte, inBinary bool) error {
	rows, err := conn.Read()
	if err != nil {
		return s.fail(clientError(err, false))
	}
	for i, d := range definitions {
		column, err := wire.ParseColumn(d)
		if err != nil || len(definitions) != len(rows.Columns) {
			conn.Break()
			return s.fail(clientError(wire.ErrShape, false))
		}
		if came := rows.Columns[i]; inBinary && !wire.SameBinary([]wire.Column{column}, []wire.Column{came}) {
			column.Type, column.Length, column.Flags, column.Decimals = came.Type, came.Length, came.Flags, came.Decimals
			definitions[i] = column.Append(nil)
		}
	}
	s.relayStatus()
	if err := s.conn.WriteColumns(definitions, s.relay.SetStatus); err != nil {
		conn.Break()
		return err
	}
	w := s.conn.WriteRows()
	n := uint64(0)
	row, err := rows.Next()
	var gone error
	for ; row != nil && gone == nil; row, err = rows.Next() {
		gone = w.Write(row)
		n++
	}
	if e := w.End(); gone == nil {
		gone = e
	}
	if gone != nil {
		conn.Break()
		return gone
	}
	if err != nil {
		return s.fail(clientError(conn.Classify(err), false))
	}
	s.past.rowCount, s.past.foundRows = -1, n
	s.collect(rows.End.Warnings, conn)
	s.track.hears(rows.End)
	return s.endRows(rows.End)
}
