package proxy

import (
	"fmt"

	"github.com/xaproxy/xaproxy/backend"
	"github.com/xaproxy/xaproxy/router"
	"github.com/xaproxy/xaproxy/wire"
)

// limits of one statement that writes what was read
const (
	stepRows  = 1000
	stepBytes = 512 << 10
)

// insert carries out INSERT or REPLACE ... SELECT: the rows become those of VALUES, in batches that are planned like a client's statement.
func (st *stepping) insert() *wire.Error {
	steps := st.plan.Steps
	t := steps.Table
	columns := "*"
	if t.Columns != nil {
		columns = names(t.Columns)
	}
	answers, e := st.ask(t, fmt.Sprintf("SELECT %s FROM %s.%s LIMIT 0", columns, backend.Quote(t.Schema), backend.Quote(t.Name)))
	if e != nil {
		return e
	}
	rows, e := st.find(steps.Query, st)
	if e != nil && e.Errno == errnoBadField && steps.Row { // a server takes columns of the same row
		return wire.NewError(wire.CodeNotSupported, "the values of the row are computed first, and one names a column (%s); write its value", e.Message)
	}
	if e != nil {
		return e
	}
	if e := st.looked(); e != nil {
		return e
	}
	into := answers[0].Columns
	if len(into) != len(rows.Columns) {
		return &wire.Error{Errno: errnoValueCount, State: "21S01", Message: "Column count doesn't match value count at row 1"}
	}
	values, e := st.newLiterals(rows.Columns, into, st.under)
	if e != nil {
		return e
	}
	head := append(append([]byte{}, steps.Head...), "VALUES "...)
	sql, n := head, 0
	for {
		row, e := st.next(rows)
		if e != nil {
			return e
		}
		if n == stepRows || n > 0 && (len(sql) > stepBytes || row == nil) {
			if e := st.write(append(sql, steps.Tail...)); e != nil {
				return e
			}
			sql, n = head[:len(head):len(head)], 0
		}
		if row == nil {
			return nil
		}
		if err := values.read(row); err != nil {
			return clientError(err, false)
		}
		if n++; n > 1 {
			sql = append(sql, ", "...)
		}
		for i := range into {
			sql = append(sql, map[bool]string{true: "(", false: ", "}[i == 0]...)
			if sql, e = values.append(sql, i); e != nil {
				return e
			}
		}
		sql = append(sql, ')')
	}
}

// write plans and runs a statement with rows that were read.
func (st *stepping) write(sql []byte) *wire.Error {
	sql, plan, n, err := st.planned(sql)
	if err != nil {
		return clientError(err, false)
	}
	if plan.Merge == router.MergeSteps && plan.Steps.Change != nil {
		return st.eachRow(plan, n)
	}
	if plan.Merge == router.MergeSteps {
		return wire.NewError(wire.CodeUnknown, "a statement made of rows would run in steps: this is a mistake in xaproxy")
	}
	rec, e := st.record(plan, &request{sql: sql, numbers: n}, 0)
	if e != nil {
		return e
	}
	e = st.written(rec, n)
	if e != nil && e.Errno == errnoBadField && len(st.plan.Steps.Tail) > 0 {
		return wire.NewError(wire.CodeNotSupported, "the rows of the query come from several backends, and ON DUPLICATE KEY UPDATE names a column of it (%s); write VALUES(column) of the table", e.Message)
	}
	return e
}
