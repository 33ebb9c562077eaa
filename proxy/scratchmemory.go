package proxy

import (
	"errors"
	"fmt"
	"slices"
	"strconv"

	"github.com/xaproxy/xaproxy/temptable"
	"github.com/xaproxy/xaproxy/wire"
)

// errnoFull is ER_RECORD_FILE_FULL.
const errnoFull = 1114

// orderless tells whether the temporary tables may have their rows in any order. A table that is not loaded could have any columns.
func (c *scratch) orderless() bool {
	sc := c.plan.Scratch
	return sc.Orderless != nil && len(c.tables) == len(sc.Tables) &&
		!slices.ContainsFunc(c.tables, func(t *scratchTable) bool { return t.Informs || !t.def.Orderless(sc.Orderless) })
}

// spills tells whether an INSERT has left rows of its batch in memory.
func (t *scratchTable) spills(err error) bool {
	var said *wire.Error
	return t.engine == temptable.Memory && errors.As(err, &said) && (said.Errno == errnoFull || said.Errno == errnoDuplicate)
}

// spill brings what is in memory to disk after the batch has failed, and leaves in the batch what is not there.
func (c *scratch) spill(t *scratchTable, batch *temptable.Batch) error {
	answers, err := c.conn.Batch(maxAnswer, "SELECT COUNT(*) FROM "+t.quoted(0)+" LIMIT 1") // whatever sql_select_limit is
	if err != nil {
		return err
	}
	there := -1
	if rows := answers[0].Values; len(rows) == 1 && len(rows[0]) == 1 {
		if n, err := strconv.Atoi(string(rows[0][0])); err == nil {
			there = n - t.loaded
		}
	}
	if there < 0 || there >= batch.Rows {
		return fmt.Errorf("table %s.%s: %d of %d rows are loaded after an error", t.Schema, t.Name, there, batch.Rows)
	}
	batch.Skip(there)
	t.loaded += there
	t.engine = temptable.Disk
	var alter []string
	for i := range t.names {
		alter = append(alter, "ALTER TABLE "+t.quoted(i)+" ENGINE="+temptable.Disk.String())
	}
	_, err = c.conn.Batch(maxAnswer, alter...)
	return err
}
