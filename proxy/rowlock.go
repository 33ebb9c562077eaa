package proxy

import (
	"bytes"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/xaproxy/xaproxy/backend"
	"github.com/xaproxy/xaproxy/router"
	"github.com/xaproxy/xaproxy/temptable"
	"github.com/xaproxy/xaproxy/wire"
)

// held is a row that is locked.
type held struct {
	on       int // its backend
	values   [][]byte
	identity [][]byte
	first    int // the first of the unique keys by which it is in the way of the new row, len(keys) if it is not
}

// claim is an entry with a value of the new row: that of the row with it, or else one that has been made for the new row.
type claim struct {
	on    int // the backend of the entry's row
	entry lookupEntry
	where string // the condition of rows with the value
}

// claim locks the entries with the values of a row. Those that are not there are made, and not only looked for: two clients could both
// lock the gap where one belongs, and then wait for each other.
func (w *rowwise) claim(row *router.StepRow) (all []claim, _ *wire.Error) {
	for i := range w.steps.Change.Lookups {
		l := &w.steps.Change.Lookups[i]
		var columns, values, where, keep []string
		unset := false
		for _, k := range l.Columns {
			name := w.of.columns[k].Name
			value, e := w.value(row, name)
			if e != nil {
				return nil, e
			}
			unset = unset || value == ""
			columns, values = append(columns, backend.Quote(name)), append(values, value)
			where = append(where, backend.Quote(name)+" = "+value)
		}
		if unset {
			continue
		}
		for _, key := range w.of.key {
			at := slices.IndexFunc(w.steps.Table.Columns, func(c string) bool { return strings.EqualFold(c, key.Name) })
			name := backend.Quote(key.Name)
			columns, values, keep = append(columns, name), append(values, string(row.Values[at])), append(keep, name+" = "+name)
		}
		table := backend.Quote(l.Schema) + "." + backend.Quote(l.Table)
		if e := w.run(fmt.Sprintf("INSERT INTO %s (%s) VALUES (%s) ON DUPLICATE KEY UPDATE %s", table, strings.Join(columns, ", "), strings.Join(values, ", "), strings.Join(keep, ", "))); e != nil {
			if _, severe := strictly[fmt.Sprint(e.Errno)]; severe && w.steps.Ignore { // a server would only warn of it
				return nil, w.of.unfit(l)
			}
			return nil, e
		}
		asked := slices.Concat(w.of.entryColumns(l), w.of.key)
		found, e := w.look(fmt.Sprintf("SELECT %s FROM %s WHERE %s FOR UPDATE", strings.Join(asBytes(asked), ", "), table, strings.Join(where, " AND ")), len(asked))
		if e != nil {
			return nil, e
		}
		if len(found) != 1 {
			return nil, w.of.unfit(l)
		}
		one := claim{entry: lookupEntry{lookup: i, values: found[0]}, where: strings.Join(where, " AND ")}
		var err error
		if one.entry.on, err = l.Place(found[0][:len(l.Columns)]); err == nil {
			one.on, err = w.steps.Change.Place(found[0][len(l.Columns):])
		}
		if err != nil {
			return nil, clientError(err, false)
		}
		all = append(all, one)
	}
	return all, nil
}

// run runs a statement of the proxy's own, inside of the transaction.
func (w *rowwise) run(sql string) *wire.Error {
	plan, err := w.router.Plan([]byte(sql), w.state.Schema, w.mode)
	if err != nil {
		return clientError(err, false)
	}
	rec, e := w.record(plan, &request{sql: []byte(sql)}, 0)
	if e != nil {
		return e
	}
	defer w.past.next()
	if _, err := rec.ReadResult(maxAnswer); err != nil {
		return clientError(err, false)
	}
	return nil
}

// conditions are those of the rows that have the values of the row in each unique key, "" for a key of which it has NULL or a new number.
func (w *rowwise) conditions(row *router.StepRow) (all []string, _ *wire.Error) {
	for _, key := range w.keys {
		condition := ""
		for i, name := range key {
			value, e := w.value(row, name)
			if e != nil {
				return nil, e
			}
			if value == "" {
				condition = ""
				break
			}
			condition += map[bool]string{true: "", false: " AND "}[i == 0] + backend.Quote(name) + " = " + value
		}
		all = append(all, condition)
	}
	return all, nil
}

// value is what the row has in a column, as it is written; "" if that is equal to nothing.
func (w *rowwise) value(row *router.StepRow, name string) (string, *wire.Error) {
	i := slices.IndexFunc(w.steps.Table.Columns, func(c string) bool { return strings.EqualFold(c, name) })
	c, _ := w.of.def.Column(name)
	switch {
	case i < 0 || i < len(row.Values) && bytes.EqualFold(row.Values[i], []byte("DEFAULT")):
		if !c.Unset() {
			return "", wire.NewError(wire.CodeNotSupported, "the row gives no value to %s, which is in a unique key of %s.%s and has a default; write the value, because %s has lookup table %s",
				name, w.steps.Change.Schema, w.steps.Change.Table, w.steps.Change.Table, w.steps.Change.Lookups[0].Table)
		}
		return "", nil
	case i >= len(row.Values):
		return "", &wire.Error{Errno: errnoValueCount, State: "21S01", Message: "Column count doesn't match value count at row 1"}
	case row.Values[i] == nil:
		return "", wire.NewError(wire.CodeNotSupported, "the value of %s, which is in a unique key of %s.%s, is not a literal; compute it first, because %s has lookup table %s",
			name, w.steps.Change.Schema, w.steps.Change.Table, w.steps.Change.Table, w.steps.Change.Lookups[0].Table)
	case bytes.EqualFold(row.Values[i], []byte("NULL")), c.Numbered() && zero(row.Values[i]), i == w.auto && w.taken(row).count > 0:
		return "", nil
	}
	return string(row.Values[i]), nil
}

// zero tells whether a literal may stand for a number that the server chooses.
func zero(literal []byte) bool {
	f, err := strconv.ParseFloat(strings.Trim(string(literal), "'\""), 64)
	return err != nil || f == 0
}

// meet locks the rows that have unique values of the new one, those of its own backend first.
func (w *rowwise) meet(row *router.StepRow, conditions []string, claims []claim) ([]held, *wire.Error) {
	all, e := w.holds(row.Backend, conditions)
	if e != nil {
		return nil, e
	}
	for _, c := range claims {
		if c.on == row.Backend {
			continue
		}
		more, e := w.holds(c.on, conditions, c.where)
		if e != nil {
			return nil, e
		}
		for _, h := range more {
			if !slices.ContainsFunc(all, func(have held) bool { return have.on == h.on && equal(have.identity, h.identity) }) {
				all = append(all, h)
			}
		}
	}
	return all, nil
}

// asBytes are the columns in a query whose values are texts.
func asBytes(columns []temptable.Column) (all []string) {
	for _, c := range columns {
		all = append(all, "CAST("+backend.Quote(c.Name)+" AS BINARY)")
	}
	return all
}

// known are conditions of rows that are locked: their primary key says which they are, whatever becomes of their other values.
func (w *rowwise) known(rows []held) (conditions []string) {
	for _, h := range rows {
		var terms []string
		for i, name := range w.identity {
			terms = append(terms, backend.Quote(name)+" = "+w.literal(h.identity[i]))
		}
		conditions = append(conditions, strings.Join(terms, " AND "))
	}
	return conditions
}

// literal is a value as a literal that its column can be compared with.
func (w *rowwise) literal(value []byte) string {
	if len(value) > 0 && len(value) < 20 && !bytes.ContainsFunc(value, func(r rune) bool { return r < '0' || r > '9' }) && (value[0] != '0' || len(value) == 1) {
		return string(value)
	}
	return string(w.quote(value))
}

// holds locks the rows of a backend that meet one of the conditions, the first of which are those of the keys; with only, those that meet that.
func (w *rowwise) holds(on int, conditions []string, only ...string) (all []held, e *wire.Error) {
	columns := asBytes(w.of.columns)
	for _, name := range w.identity {
		columns = append(columns, "CAST("+backend.Quote(name)+" AS BINARY)")
	}
	var terms []string
	for _, c := range conditions {
		if c == "" {
			columns = append(columns, "0")
			continue
		}
		columns = append(columns, "COALESCE("+c+", 0)")
		terms = append(terms, "("+c+")")
	}
	if len(only) > 0 {
		terms = only
	}
	if terms == nil {
		return nil, nil
	}
	sql := fmt.Sprintf("SELECT %s FROM %s WHERE %s FOR UPDATE", strings.Join(columns, ", "), w.of.table(), strings.Join(terms, " OR "))
	rows, e := w.lookOn(on, sql)
	if e != nil {
		return nil, e
	}
	for _, row := range rows {
		n := len(w.of.columns)
		h := held{on: on, values: row[:n], identity: row[n : n+len(w.identity)], first: len(w.keys)}
		flags := row[n+len(w.identity):]
		for i := len(w.keys) - 1; i >= 0; i-- {
			if string(flags[i]) == "1" {
				h.first = i
			}
		}
		all = append(all, h)
	}
	return all, nil
}

// lookOn runs a query of the proxy's own on a backend, inside of the transaction.
func (w *rowwise) lookOn(on int, sql string) ([][][]byte, *wire.Error) {
	found := w.past.foundRows
	p := &router.Plan{Verb: router.Route, Write: true, Variables: w.plan.Variables, Schemas: w.plan.Schemas, Parts: []router.Part{{Backend: on, SQL: []byte(sql)}}}
	rec, e := w.record(p, &request{sql: []byte(sql)}, w.user.bytes)
	if e != nil {
		return nil, e
	}
	if rec.Overrun() {
		return nil, w.tooMuch(rec.Size())
	}
	answer, err := rec.ReadResult(maxAnswer)
	if err != nil {
		return nil, clientError(err, false)
	}
	w.past.next()
	w.past.foundRows = found
	return answer.Values, nil
}

// look runs a query of the proxy's own whose n columns are texts, inside of the transaction.
func (w *rowwise) look(sql string, n int) (all [][][]byte, _ *wire.Error) {
	foundRows := w.past.foundRows
	rows, e := w.find([]byte(sql), &stepping{session: w.session})
	w.past.next()
	w.past.foundRows = foundRows
	if e != nil {
		return nil, e
	}
	values := &literals{s: w.session, columns: rows.Columns}
	for {
		row, err := rows.Next()
		if err == nil && row != nil {
			err = values.read(row)
		}
		if err != nil {
			return nil, clientError(err, false)
		}
		if row == nil {
			return all, nil
		}
		var one [][]byte
		for i := range n {
			one = append(one, slices.Clone(values.row.Value(i)))
		}
		all = append(all, one)
	}
}
