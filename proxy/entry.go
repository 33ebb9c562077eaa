package proxy

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/xaproxy/xaproxy/backend"
	"github.com/xaproxy/xaproxy/router"
	"github.com/xaproxy/xaproxy/temptable"
	"github.com/xaproxy/xaproxy/wire"
)

// lookupEntry is an entry of a lookup table that goes or comes: its values, and the shard key of its row.
type lookupEntry struct {
	lookup int // of Change.Lookups
	on     int // its backend
	comes  bool
	values [][]byte
}

// defineLookups finds out which keys the lookup tables stand for, and whether they can.
func (c *changing) defineLookups(def shape) *wire.Error {
	if len(c.of.Lookups) > 0 && def.trigger != "" {
		return wire.NewError(wire.CodeNotSupported, "table %s.%s has trigger %s, so that its lookup tables cannot follow its rows; drop the trigger, or lookup_of", c.of.Schema, c.of.Table, def.trigger)
	}
	for i := range c.of.Lookups {
		l := &c.of.Lookups[i]
		var names []string
		for _, n := range l.Columns {
			names = append(names, c.columns[n].Name)
		}
		as, err := c.definition(l.Schema, l.Table)
		if err != nil {
			return clientError(err, false)
		}
		if _, ok := as.table.Unique(names); !ok {
			return wire.NewError(wire.CodeNotSupported, "lookup table %s.%s has no unique key of %s alone; give it one, on all of its backends", l.Schema, l.Table, strings.Join(names, ", "))
		}
		name, ok := c.def.Unique(names)
		if !ok {
			name = names[0]
		}
		c.unique = append(c.unique, name)
	}
	return nil
}

// list notes what becomes of the entries of a row; before is nil of one that comes, after of one that goes.
func (c *changing) list(from *changed, before, after [][]byte) *wire.Error {
	for i := range c.of.Lookups {
		l := &c.of.Lookups[i]
		entry := func(row [][]byte) (values [][]byte) {
			if row == nil {
				return nil
			}
			for _, n := range l.Columns {
				if values = append(values, row[n]); row[n] == nil {
					return nil
				}
			}
			return append(values, row[:c.of.Key]...)
		}
		old, comes := entry(before), entry(after)
		if equal(old, comes) {
			continue
		}
		if e := c.spend(1, len(fmt.Sprint(old, comes))); e != nil {
			return e
		}
		if old != nil {
			if on, err := l.Place(old[:len(l.Columns)]); err == nil { // otherwise there can be no entry
				from.entries = append(from.entries, lookupEntry{i, on, false, old})
			}
		}
		if comes != nil {
			on, err := l.Place(comes[:len(l.Columns)])
			if err != nil {
				return clientError(err, false)
			}
			from.entries = append(from.entries, lookupEntry{i, on, true, comes})
		}
	}
	return nil
}

// writeEntries brings the lookup tables up to date: what goes first, because another row may get its value.
func (c *changing) writeEntries() *wire.Error {
	var all []lookupEntry
	for _, from := range c.sources {
		all = append(all, from.entries...)
	}
	rank := map[bool]int{true: 1}
	order := func(a, b lookupEntry) int {
		return cmp.Or(rank[a.comes]-rank[b.comes], a.on-b.on, a.lookup-b.lookup)
	}
	slices.SortStableFunc(all, order)
	for len(all) > 0 {
		n := 1
		for n < len(all) && n < maxEntries && order(all[n], all[0]) == 0 {
			n++
		}
		br, e := c.join(all[0].on)
		if e == nil {
			e = c.load(br)
		}
		if e == nil {
			e = c.write(br, all[:n])
		}
		if e != nil {
			return e
		}
		all = all[n:]
	}
	return nil
}

// entryColumns are the columns of a lookup table's own shard key.
func (c *changing) entryColumns(l *router.Entries) (columns []temptable.Column) {
	for _, n := range l.Columns {
		columns = append(columns, c.columns[n])
	}
	return columns
}

// maxEntries is how many entries one statement writes.
const maxEntries = 500

// write writes entries of one lookup table that all go or all come. Of those that go some need not be there: nobody has entered them.
func (c *changing) write(br *txBranch, all []lookupEntry) *wire.Error {
	l := &c.of.Lookups[all[0].lookup]
	columns := append(c.entryColumns(l), c.key...)
	var b strings.Builder
	table := backend.Quote(l.Schema) + "." + backend.Quote(l.Table)
	row := func(open, before, between string, values [][]byte) {
		b.WriteString(open)
		for i, v := range values {
			if i > 0 {
				b.WriteString(between)
			}
			b.WriteString(fmt.Sprintf(before, backend.Quote(columns[i].Name)))
			b.Write(columns[i].Compared(v))
		}
		b.WriteByte(')')
	}
	if !all[0].comes {
		b.WriteString("DELETE FROM " + table + " WHERE ")
		for i, one := range all {
			row(map[bool]string{true: "(", false: " OR ("}[i == 0], "%s=", " AND ", one.values)
		}
		if err := br.Conn().Exec(b.String()); err != nil {
			return c.ended(br, err)
		}
		return nil
	}
	b.WriteString("INSERT INTO " + table + " (")
	for i, column := range columns {
		b.WriteString(map[bool]string{true: "", false: ","}[i == 0] + backend.Quote(column.Name))
	}
	b.WriteString(") VALUES ")
	for i, one := range all {
		row(map[bool]string{true: "(", false: ",("}[i == 0], "%.0s", ",", one.values)
	}
	if err := br.Conn().SendQuery(nil, []byte(b.String())); err != nil {
		return c.lose(br, br.Conn().Lost(err))
	}
	ok, err := br.Conn().Result()
	return c.checked(br, all[0].lookup, ok, err, uint64(len(all)))
}

// checked looks at how entries were written. A duplicate is one of the table, whose unique key the lookup table stands for. A value that
// does not fit would be looked for elsewhere than where it is.
func (c *changing) checked(br *txBranch, lookup int, ok wire.OK, err error, rows uint64) *wire.Error {
	l := &c.of.Lookups[lookup]
	switch {
	case err != nil:
		e := c.ended(br, err)
		if text, _, found := strings.Cut(e.Message, " for key "); found && e.Errno == errnoDuplicate {
			key := c.unique[lookup]
			if !c.srv.style.mariadb {
				key = c.of.Table + "." + key
			}
			e = &wire.Error{Errno: e.Errno, State: e.State, Message: text + " for key '" + key + "'"}
		}
		return e
	case ok.Warnings > 0 || ok.Affected != rows:
		return c.unfit(l)
	}
	return nil
}

// unfit is the error of a value that would be looked for elsewhere than where it is.
func (c *changing) unfit(l *router.Entries) *wire.Error {
	return wire.NewError(wire.CodeNotSupported, "a value does not fit into lookup table %s.%s as it is; write it as the column has it", l.Schema, l.Table)
}

// insert runs an INSERT and writes its entries.
func (c *changing) insert(p *router.Plan, r *request) (ok wire.OK, e *wire.Error) {
	id, err := c.lastInsertID(c.mine)
	if err != nil {
		return ok, clientError(err, false)
	}
	if ok, e = c.writes(p, r, c.lead...); e != nil {
		return ok, e
	}
	if c.touched, err = c.branches(p); err != nil {
		return ok, clientError(err, false)
	}
	if e = c.insertEntries(r); e != nil {
		c.past.inserted(id) // as if the rows had never been there
	}
	return ok, e
}

// insertEntries writes the entries of an INSERT, whose literals the client's text has.
func (c *changing) insertEntries(r *request) *wire.Error {
	for i := range c.of.Lookups {
		l := &c.of.Lookups[i]
		for n, part := range l.Insert {
			br, e := c.join(part.Backend)
			if e != nil {
				return e
			}
			err := c.tx.begin(br, &c.state, r.share(part), true)
			if err != nil {
				return c.unsent(br, err)
			}
			ok, err := br.Conn().Result()
			if e := c.checked(br, i, ok, err, l.Rows[n]); e != nil {
				return e
			}
		}
	}
	return nil
}
