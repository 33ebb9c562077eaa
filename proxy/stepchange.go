package proxy

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	"github.com/xaproxy/xaproxy/backend"
	"github.com/xaproxy/xaproxy/router"
	"github.com/xaproxy/xaproxy/wire"
)

// stepChange is an UPDATE or DELETE of rows that a query has found, as it runs.
type stepChange struct {
	*stepping
	targets []*changedTable
	values  *literals
	first   int // the column of the first value
}

// changedTable is one of its tables.
type changedTable struct {
	*router.StepTable
	keys    []string // columns that say which row is meant: those of the shard key first
	at      int      // the first of them among the columns found
	seen    map[string]bool
	batches []*changeBatch // by backend, in the order of StepTable.Backends
}

// changeBatch is the rows of one backend that are changed by its next statement.
type changeBatch struct {
	set  []byte // what they are set to
	rows int
	keys []byte // the condition that they meet
}

// change carries out UPDATE or DELETE: the query locks the rows and says which they are, and what they are set to if that is not to be
// known where they are. Rows that are set to the same are changed by one statement on each backend.
func (st *stepping) change() *wire.Error {
	c := &stepChange{stepping: st}
	var columns []string
	var into []wire.Column
	for i := range st.plan.Steps.Targets {
		t, set, e := c.target(&st.plan.Steps.Targets[i], i == 0)
		if e != nil {
			return e
		}
		t.at = len(columns)
		for _, k := range t.keys {
			columns = append(columns, backend.Quote(t.Alias)+"."+backend.Quote(k))
		}
		c.targets, into = append(c.targets, t), append(into, set...)
	}
	c.first = len(columns)
	rows, e := st.find(st.plan.Steps.Find(columns), st)
	if e != nil {
		return e
	}
	if e := st.looked(); e != nil {
		return e
	}
	to := append(slices.Clone(rows.Columns[:c.first]), into...)
	if c.values, e = st.newLiterals(rows.Columns, to, st.under); e != nil {
		return e
	}
	for i := range c.first {
		if rows.Columns[i].Type == wire.TypeFloat {
			return wire.NewError(wire.CodeNotSupported, "column %s of the primary key is a FLOAT, whose rows cannot be named by literals", rows.Columns[i].Name)
		}
	}
	for {
		row, e := st.next(rows)
		if e != nil {
			return e
		}
		if row == nil {
			break
		}
		if err := c.values.read(row); err != nil {
			return clientError(err, false)
		}
		for _, t := range c.targets {
			if e := c.add(t); e != nil {
				return e
			}
		}
	}
	for _, t := range c.targets {
		if e := c.flush(t); e != nil {
			return e
		}
	}
	return nil
}

// target finds out what says which row of a table is meant, and which columns are set to values that are read, in the order of these.
func (c *stepChange) target(t *router.StepTable, first bool) (*changedTable, []wire.Column, *wire.Error) {
	name := backend.Quote(t.Schema) + "." + backend.Quote(t.Name)
	var set []string
	for _, a := range t.Set {
		if a.Expr == nil {
			set = append(set, a.Column)
		}
	}
	questions := []string{"SHOW KEYS FROM " + name}
	if len(set) > 0 {
		questions = append(questions, fmt.Sprintf("SELECT %s FROM %s LIMIT 0", names(set), name))
	}
	answers, e := c.ask(t, questions...)
	if e != nil {
		return nil, nil, e
	}
	identity := identity(answers[0])
	if identity == nil {
		return nil, nil, wire.NewError(wire.CodeNotSupported, "the rows of %s.%s must be found before they are changed, and it has no primary key to name them by; give it one, or name the shard key's value in WHERE", t.Schema, t.Name)
	}
	one := &changedTable{StepTable: t, keys: slices.Clone(t.Key), seen: map[string]bool{}, batches: make([]*changeBatch, len(t.Backends))}
	for _, k := range identity {
		if !slices.ContainsFunc(one.keys, func(have string) bool { return strings.EqualFold(have, k) }) {
			one.keys = append(one.keys, k)
		}
	}
	for i := range one.batches {
		one.batches[i] = &changeBatch{}
	}
	if len(set) == 0 {
		return one, nil, nil
	}
	return one, answers[1].Columns, nil
}

// identity is the columns of the primary key as SHOW KEYS has them, or of the first unique key without NULL.
func identity(keys wire.Rows) (columns []string) {
	at := map[string]int{}
	for i, c := range keys.Columns {
		at[strings.ToLower(c.Name)] = i
	}
	of := func(row [][]byte, name string) string {
		i, ok := at[name]
		if !ok || i >= len(row) {
			return ""
		}
		return string(row[i])
	}
	found, unfit := "", map[string]bool{}
	for _, row := range keys.Values {
		if of(row, "non_unique") != "0" || of(row, "null") == "YES" || of(row, "sub_part") != "" || of(row, "column_name") == "" {
			unfit[of(row, "key_name")] = true
		}
	}
	for _, row := range keys.Values { // the primary key is the first one
		name := of(row, "key_name")
		if unfit[name] || found != "" && name != found {
			continue
		}
		found = name
		columns = append(columns, of(row, "column_name"))
	}
	return columns
}

// add adds the table's row of the present row to a batch.
func (c *stepChange) add(t *changedTable) *wire.Error {
	var key []byte
	var e *wire.Error
	for i, k := range t.keys {
		if c.values.row.Null(t.at + i) { // of an outer join
			return nil
		}
		key = append(append(key, map[bool]string{true: "(", false: " AND "}[i == 0]...), c.column(t, k)+" = "...)
		if key, e = c.values.append(key, t.at+i); e != nil {
			return e
		}
	}
	key = append(key, ')')
	if len(c.targets) > 1 || !c.single() {
		if t.seen[string(key)] {
			return nil
		}
		t.seen[string(key)] = true
	}
	at := t.Backends[0]
	if len(t.Key) > 0 {
		values := make([]router.Value, len(t.Key))
		for i := range values {
			values[i] = c.values.value(t.at + i)
		}
		var err error
		if at, err = c.router.Locate(t.Schema, t.Name, values); err != nil {
			return clientError(err, false)
		}
	}
	set, e := c.set(t)
	if e != nil {
		return e
	}
	b := t.batches[slices.Index(t.Backends, at)]
	if t.Planned && !c.plan.Steps.Delete && slices.ContainsFunc(t.batches, func(b *changeBatch) bool {
		return b.rows > 0 && (len(c.plan.Steps.Order) > 0 || !bytes.Equal(b.set, set))
	}) { // a row may get what another one has given up
		if e := c.flush(t); e != nil {
			return e
		}
	}
	if b.rows > 0 && (!bytes.Equal(b.set, set) || b.rows == stepRows/2 || len(b.keys) > stepBytes) {
		if e := c.flush(t); e != nil {
			return e
		}
	}
	if b.rows++; b.rows > 1 {
		b.keys = append(b.keys, " OR "...)
	}
	b.set, b.keys = set, append(b.keys, key...)
	return nil
}

// single tells whether no row of the query can be found twice: it is of one table.
func (c *stepChange) single() bool { return len(c.targets) == 1 && c.plan.Steps.Single }

// column is a column in a condition. In DELETE the table has no alias.
func (c *stepChange) column(t *changedTable, name string) string {
	if c.plan.Steps.Delete {
		return backend.Quote(name)
	}
	return backend.Quote(t.Alias) + "." + backend.Quote(name)
}

// set is the assignments for the present row.
func (c *stepChange) set(t *changedTable) (set []byte, e *wire.Error) {
	for i, a := range t.Set {
		if i > 0 {
			set = append(set, ", "...)
		}
		set = append(set, a.Text...)
		if a.Expr != nil {
			set = append(set, a.Expr...)
		} else if set, e = c.values.append(set, c.first+a.Value); e != nil {
			return nil, e
		}
	}
	return set, nil
}

// flush changes the rows of a table's batches.
func (c *stepChange) flush(t *changedTable) *wire.Error {
	p := &router.Plan{Verb: router.Route, Write: true, Variables: c.plan.Variables, Schemas: c.plan.Schemas, Merge: router.MergeOK}
	wanted := 0
	ignore := map[bool]string{true: "IGNORE "}[c.plan.Steps.Ignore]
	for i, b := range t.batches {
		if b.rows == 0 {
			continue
		}
		name := backend.Quote(t.Schema) + "." + backend.Quote(t.Name)
		order := c.plan.Steps.Order
		if t.Planned { // it is a single row
			order = nil
		}
		var sql []byte
		if c.plan.Steps.Delete {
			sql = fmt.Appendf(nil, "DELETE %sFROM %s WHERE %s", ignore, name, b.keys)
		} else {
			sql = fmt.Appendf(nil, "UPDATE %s%s AS %s SET %s WHERE %s%s", ignore, name, backend.Quote(t.Alias), b.set, b.keys, order)
		}
		n := b.rows
		*b = changeBatch{keys: b.keys[:0]}
		if t.Planned {
			sql, plan, _, err := c.planned(sql)
			if err != nil {
				return clientError(err, false)
			}
			if plan.Merge == router.MergeSteps {
				return wire.NewError(wire.CodeNotSupported, "what is assigned to a row of %s.%s, which may move or has lookup tables, is made of other rows; read these first", t.Schema, t.Name)
			}
			if e := c.changed(t, plan, sql, n); e != nil {
				return e
			}
			continue
		}
		p.Parts = append(p.Parts, router.Part{Backend: t.Backends[i], SQL: sql})
		wanted += n
	}
	if len(p.Parts) == 0 {
		return nil
	}
	if len(p.Parts) == 1 {
		p.Merge = router.MergeNone
	}
	return c.changed(t, p, p.Parts[0].SQL, wanted)
}

// changed runs a statement that changes so many rows.
func (c *stepChange) changed(t *changedTable, p *router.Plan, sql []byte, wanted int) *wire.Error {
	if !c.plan.Steps.Delete {
		p = c.matching(p, &request{sql: sql})
	}
	rec, e := c.record(p, &request{sql: sql}, 0)
	if e != nil {
		return e
	}
	before := uint64(0)
	if len(c.oks) > 0 {
		before = matched(c.oks[0])
	}
	if e := c.written(rec, numbers{}); e != nil {
		return e
	}
	if n := matched(c.oks[0]) - before; n != uint64(wanted) && !c.plan.Steps.Ignore {
		return wire.NewError(wire.CodeUnknown, "%d rows of %s.%s were found, and %d of them are on the backends that their shard keys say; look for rows that were written past xaproxy", wanted, t.Schema, t.Name, n)
	}
	return nil
}

// matched is how many rows an UPDATE has found, or a DELETE has deleted.
func matched(ok wire.OK) (n uint64) {
	if _, err := fmt.Sscanf(ok.Info, "Rows matched: %d", &n); err != nil {
		return ok.Affected
	}
	return n
}
