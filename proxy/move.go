package proxy

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"

	"github.com/xaproxy/xaproxy/backend"
	"github.com/xaproxy/xaproxy/router"
	"github.com/xaproxy/xaproxy/temptable"
	"github.com/xaproxy/xaproxy/wire"
)

// move brings the rows that have the key of another backend there.
func (c *changing) move() *wire.Error {
	for _, from := range c.sources {
		for _, to := range slices.Sorted(maps.Keys(from.leaves)) {
			if e := c.moveTo(from.branch, to, from.leaves[to]); e != nil {
				return e
			}
		}
	}
	return nil
}

// moveTo brings rows of one backend to another one.
func (c *changing) moveTo(from *txBranch, to int, l *leaving) *wire.Error {
	home, e := c.join(to)
	if e != nil {
		return e
	}
	for _, br := range []*txBranch{from, home} {
		if e := c.load(br); e != nil {
			return e
		}
	}
	moved, e := c.copyRows(from, home, c.condition(l.keys))
	switch {
	case e != nil:
		return e
	case moved != l.rows:
		return c.differs()
	}
	conn := from.Conn()
	if err := conn.SendQuery(nil, []byte("DELETE FROM "+c.table()+" WHERE "+c.condition(l.keys))); err != nil {
		return c.lose(from, conn.Lost(err))
	}
	ok, err := conn.Result()
	switch {
	case err != nil:
		return c.ended(from, err)
	case ok.Affected != l.rows:
		return c.differs()
	}
	return nil
}

// join is the branch on a backend that gets rows: it is behind the savepoint, too.
func (c *changing) join(to int) (*txBranch, *wire.Error) {
	br, err := c.tx.branch(c.gen.backends[to], c.acquire)
	if err != nil {
		return nil, clientError(err, false)
	}
	if slices.Contains(c.touched, br) {
		return br, nil
	}
	c.work.uses(br.Conn())
	c.touched = append(c.touched, br)
	if err := c.tx.begin(br, &c.state, &request{sql: []byte("DO 0")}, true, c.lead...); err != nil {
		return nil, c.lose(br, err)
	}
	if err := br.Conn().Expect(); err != nil {
		return nil, c.ended(br, err)
	}
	return br, nil
}

// copyRows inserts the rows of one branch that meet the condition on another one. Only a batch of them is ever here.
func (c *changing) copyRows(from, to *txBranch, condition string) (rows uint64, failed *wire.Error) {
	columns := c.def.Stored()
	of := &router.ScratchTable{Schema: c.of.Schema, Name: c.of.Table, Lock: " FOR UPDATE"}
	sql, _ := temptable.Fetch(of, columns, []router.ScratchFilter{{SQL: []byte(condition)}}, false)
	conn := from.Conn()
	if err := conn.SendQuery(nil, sql); err != nil {
		return 0, c.lose(from, conn.Lost(err))
	}
	answer, err := conn.Read()
	if err != nil {
		return 0, c.ended(from, err)
	}
	batch := temptable.NewBatch(c.table(), columns)
	for {
		row, err := answer.Next()
		if err != nil {
			if err = conn.Classify(err); c.tx == nil {
				return rows, failed
			}
			return rows, c.ended(from, err)
		}
		if row != nil && failed == nil { // after an error the rest is read all the same: the branch goes on
			if err := batch.Add(row, false); err != nil {
				failed = wire.NewError(wire.CodeUnknown, "a row of %s.%s cannot be moved: %v", c.of.Schema, c.of.Table, err)
			}
		}
		if failed == nil && (batch.Full() || row == nil && batch.Rows > 0) {
			rows += uint64(batch.Rows)
			if failed = c.send(to, batch); failed != nil && c.tx == nil {
				conn.Break()
				return rows, failed
			}
			batch.Reset()
		}
		if row == nil {
			return rows, failed
		}
	}
}

// send sends a batch.
func (c *changing) send(to *txBranch, batch *temptable.Batch) *wire.Error {
	if e := c.spend(batch.Rows, len(batch.SQL())); e != nil {
		return e
	}
	conn := to.Conn()
	if limit := c.loading[to]; uint64(len(batch.SQL())) >= limit {
		return wire.NewError(wire.CodeNotSupported, "a row of %s.%s would move to backend %s in a statement of %d bytes, and max_allowed_packet there is %d; make that larger",
			c.of.Schema, c.of.Table, conn.Backend().Name(), len(batch.SQL()), limit)
	}
	if err := conn.SendQuery(nil, batch.SQL()); err != nil {
		return c.lose(to, conn.Lost(err))
	}
	ok, err := conn.Result()
	switch {
	case err != nil:
		return c.ended(to, err)
	case ok.Warnings > 0:
		rows, err := conn.Ask(backend.Warnings)
		if err != nil {
			return c.lose(to, err)
		}
		why := "it has a warning"
		for _, line := range rows.Values {
			why = string(line[len(line)-1])
		}
		return wire.NewError(wire.CodeNotSupported, "a row of %s.%s cannot move to backend %s, which would change it: %s; correct the value, such as '' in an ENUM, or compare the table's definitions",
			c.of.Schema, c.of.Table, conn.Backend().Name(), why)
	}
	return nil
}

// load makes the session of a branch one in which a Batch means what it says, until settle.
func (c *changing) load(br *txBranch) *wire.Error {
	if _, done := c.loading[br]; done {
		return nil
	}
	c.loading[br] = 0
	mode := temptable.Loading
	if br.Conn().Backend().Translates() { // it stores no value as another one
		mode += ",STRICT_TRANS_TABLES"
	}
	answers, err := br.Conn().Batch(maxAnswer,
		"SET @`xaproxy mode` = @@sql_mode, @`xaproxy zone` = @@time_zone",
		"SET NAMES utf8mb4",
		"SET SESSION sql_mode = '"+mode+"', time_zone = '+00:00'",
		"SELECT @@max_allowed_packet")
	if err != nil {
		return c.ended(br, err)
	}
	limit, err := strconv.ParseUint(string(answers[3].Values[0][0]), 10, 64)
	if err != nil {
		return c.lose(br, br.Conn().Lost(err))
	}
	c.loading[br] = limit
	return nil
}

// unload takes load back.
func (c *changing) unload(br *txBranch) error {
	conn := br.Conn()
	if conn.Broken() {
		return errors.New("connection was lost before")
	}
	if _, err := conn.Batch(maxAnswer, "SET SESSION sql_mode = @`xaproxy mode`, time_zone = @`xaproxy zone`", "SET @`xaproxy mode` = NULL, @`xaproxy zone` = NULL"); err != nil {
		return fmt.Errorf("backend %s: bring the session back: %v", conn.Backend().Name(), err)
	}
	if err := conn.Restore(&c.state); err != nil {
		return fmt.Errorf("backend %s: bring the session back: %v", conn.Backend().Name(), err)
	}
	return nil
}
