package proxy

import (
	"errors"
	"fmt"
	"slices"

	"github.com/xaproxy/xaproxy/backend"
	"github.com/xaproxy/xaproxy/router"
	"github.com/xaproxy/xaproxy/temptable"
	"github.com/xaproxy/xaproxy/wire"
)

// source is a backend that rows are fetched from.
type source struct {
	tables []*scratchTable
	tells  bool // they are of information_schema
	conn   *backend.Conn
	branch *txBranch    // in a transaction
	rows   *wire.Reader // that come, or have come last
	err    error        // what went wrong there
}

// load brings the rows. Backends are read in parallel, the tables of each one after the other. After an error the transaction may be
// over.
func (c *scratch) load(r *request) *wire.Error {
	if len(c.tables) == 0 {
		return nil
	}
	if err := c.conn.Exec("SET SESSION sql_mode = '" + temptable.Loading + "'"); err != nil {
		return clientError(err, false)
	}
	sources, err := c.sources()
	defer func() {
		for _, from := range sources {
			c.s.work.leaves(from.conn)
			if from.branch == nil {
				from.conn.Put()
			}
		}
	}()
	if err != nil {
		return clientError(err, false)
	}
	fetch := func(i int) {
		if err := c.fetch(sources[i], r); err != nil {
			sources[i].err = err
			c.fail(err)
		}
	}
	if c.plan.Write { // one after the other, so that row locks bring everybody into one order
		for i := range sources {
			if fetch(i); c.failed != nil {
				break
			}
		}
	} else {
		parallel(len(sources), fetch)
	}
	return c.loaded(sources)
}

// sources borrows a connection to each backend that rows come from: in a transaction its branch.
func (c *scratch) sources() (sources []*source, err error) {
	s := c.s
	for _, part := range c.plan.Parts {
		from := &source{}
		for _, t := range c.tables {
			if !t.Informs && slices.Contains(t.Backends, part.Backend) {
				from.tables = append(from.tables, t)
			}
		}
		if from.tables == nil {
			continue
		}
		b := s.gen.backends[part.Backend]
		if s.tx != nil {
			if from.branch, err = s.tx.branch(b, s.acquire); err != nil {
				return sources, err
			}
			from.conn, s.tx.last = from.branch.Conn(), from.branch
		} else if from.conn, err = s.acquire(b); err != nil {
			return sources, err
		}
		s.work.uses(from.conn)
		sources = append(sources, from)
	}
	return c.informants(sources)
}

// fetch brings the rows of one backend. An error is about that; other reasons to stop are in c.failed.
func (c *scratch) fetch(from *source, r *request) error {
	if from.tells {
		return c.informed(from, r)
	}
	for _, t := range from.tables {
		filters := slices.DeleteFunc(slices.Clone(t.Filters), func(f router.ScratchFilter) bool { return !t.def.Has(f.Names) })
		first := t.Limit > 0 && len(filters) == len(t.Filters) && t.def.Has(t.OrderNames) && !c.s.gen.mixed // servers of two kinds have orders of their own
		sql, params := temptable.Fetch(t.ScratchTable, t.columns, filters, first)
		one := &request{sql: sql}
		if len(params) > 0 {
			one = r.part(router.Part{SQL: sql, Params: params})
		}
		var err error
		if from.branch != nil {
			err = c.s.tx.begin(from.branch, &c.s.state, one, c.plan.Write)
		} else {
			err = one.send(from.conn, &c.s.state)
		}
		if err != nil {
			return err
		}
		if more, err := c.bring(from, t, temptable.NewBatch(t.quoted(0), t.columns), one.bound != nil); err != nil || !more {
			return err
		}
	}
	return nil
}

// bring loads the rows that a backend answers, and tells whether more are wanted. An error is about the backend.
func (c *scratch) bring(from *source, t *scratchTable, batch *temptable.Batch, inBinary bool) (more bool, _ error) {
	rows, err := from.conn.Read()
	if err != nil {
		return false, err
	}
	from.rows = rows
	for {
		row, err := rows.Next()
		if err != nil {
			return false, from.conn.Classify(err)
		}
		if row != nil {
			if err := batch.Add(row, inBinary); err != nil {
				c.fail(fmt.Errorf("table %s.%s: %w", t.Schema, t.Name, err))
				return false, nil
			}
		}
		if batch.Full() || row == nil && batch.Rows > 0 {
			if !c.insert(t, batch) {
				return false, nil
			}
			batch.Reset()
		}
		if row == nil {
			return true, nil
		}
	}
}

// fail ends the loading.
func (c *scratch) fail(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.failed == nil {
		c.failed = err
	}
}

// errnoDuplicate is ER_DUP_ENTRY.
const errnoDuplicate = 1062

// insert loads rows, and tells whether more are wanted.
func (c *scratch) insert(t *scratchTable, batch *temptable.Batch) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.failed != nil {
		return false
	}
	c.rows += int64(batch.Rows)
	c.bytes += int64(len(batch.SQL()))
	if c.failed = c.overBudget(t); c.failed != nil {
		return false
	}
	err := c.run(batch.SQL())
	if t.spills(err) {
		if err = c.spill(t, batch); err == nil {
			err = c.run(batch.SQL())
		}
	}
	var said *wire.Error
	if errors.As(err, &said) && said.Errno == errnoDuplicate && t.unique { // what is unique on each backend need not be on all
		if err = c.loosen(t); err == nil {
			err = c.run(batch.SQL())
		}
	}
	t.loaded += batch.Rows
	c.failed = c.explain(err)
	return err == nil
}

// overBudget says why no more rows may be loaded.
func (c *scratch) overBudget(t *scratchTable) error {
	u := c.s.user
	for _, limit := range []struct {
		have, may int64
		name      string
	}{{c.rows, u.rows, "max_scratch_rows"}, {c.bytes, u.bytes, "max_scratch_bytes"}} {
		if limit.may > 0 && limit.have > limit.may {
			return wire.NewError(wire.CodeTooBigSelect,
				"the SELECT would bring more rows to one backend than %s = %d of user '%s' allows: %d rows, %d bytes, not all of %s.%s yet; add conditions on that table alone, name fewer columns, or change the setting",
				limit.name, limit.may, c.s.login.User, c.rows, c.bytes, t.Schema, t.Name)
		}
	}
	return nil
}

// run runs a statement without a result.
func (c *scratch) run(sql []byte) error {
	if err := c.conn.SendQuery(nil, sql); err != nil {
		return c.conn.Lost(err)
	}
	return c.conn.Expect()
}

// loosen makes the temporary table anew, with keys that need not be unique.
func (c *scratch) loosen(t *scratchTable) error {
	t.unique = false
	old, made := t.quoted(0), backend.Quote(t.in)+"."+backend.Quote("xaproxy#loose")
	statements := []string{
		"SET SESSION sql_mode = ''",
		t.def.Create(made, t.columns, false, t.engine),
		"SET SESSION sql_mode = '" + temptable.Loading + "'",
		fmt.Sprintf("INSERT INTO %s (%s) SELECT %[2]s FROM %[3]s", made, t.columnList(), old),
		"DROP TEMPORARY TABLE " + old,
		"ALTER TABLE " + made + " RENAME TO " + old,
	}
	for i := range t.names[1:] {
		statements = append(statements, "DROP TEMPORARY TABLE "+t.quoted(i+1), t.def.Create(t.quoted(i+1), t.columns, false, t.engine))
	}
	_, err := c.conn.Batch(maxAnswer, statements...)
	return err
}

// loaded looks at how the loading has ended.
func (c *scratch) loaded(sources []*source) *wire.Error {
	s := c.s
	for _, from := range sources {
		if !from.conn.Answered() && !from.conn.Broken() {
			if err := from.interrupt(); err != nil {
				from.err = err
			}
		}
	}
	for _, from := range sources {
		var said *wire.Error
		switch {
		case from.err == nil || from.branch == nil:
		case !errors.As(from.err, &said), endsTransaction(said, from.conn.Backend().Facts().RollbackOnTimeout):
			return s.lose(from.branch, from.err)
		}
	}
	if c.failed != nil {
		return clientError(c.failed, false)
	}
	return nil
}

// interrupt ends an answer whose rows are not wanted any more, so that the transaction can go on.
func (from *source) interrupt() error {
	if from.branch == nil || from.rows == nil {
		from.conn.Break()
		return nil
	}
	if err := from.conn.Backend().KillQuery(background, from.conn.ID); err != nil {
		return from.conn.Lost(err)
	}
	for row, err := from.rows.Next(); row != nil || err != nil; row, err = from.rows.Next() {
		var said *wire.Error
		if errors.As(err, &said) {
			return nil
		} else if err != nil {
			return from.conn.Lost(err)
		}
	}
	return nil
}
