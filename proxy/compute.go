package proxy

import (
	"fmt"
	"math"
	"strconv"

	"github.com/xaproxy/xaproxy/backend"
	"github.com/xaproxy/xaproxy/router"
	"github.com/xaproxy/xaproxy/wire"
)

// computed has a server compute the values of an INSERT's shard key that are expressions, writes them into the text and plans that.
func (s *session) computed(p *router.Plan, sql []byte) ([]byte, *router.Plan, error) {
	if e := s.forbidden(p); e != nil {
		return sql, nil, e
	}
	text, e := s.compute(p, sql)
	if e != nil {
		return sql, nil, e
	}
	plan, err := s.router.Plan(text, s.state.Schema, s.mode)
	if err == nil && plan.Compute != nil {
		c := plan.Compute[0]
		return sql, nil, wire.NewError(wire.CodeNotSupported, "the value of %s, %s of %s, is %s, which cannot be a key; write a plain integer or an ASCII string", c.Column, map[bool]string{true: "a looked-up column", false: "the shard key"}[c.Nullable], c.Table, text[c.Start:c.End])
	}
	return text, plan, err
}

// compute writes the values into the text.
func (s *session) compute(p *router.Plan, sql []byte) ([]byte, *wire.Error) {
	query := []byte("SELECT ")
	for i, c := range p.Compute {
		if i > 0 {
			query = append(query, ", "...)
		}
		query = append(append(append(query, '('), sql[c.Start:c.End]...), ')')
	}
	found := s.past.foundRows
	st := &stepping{session: s}
	rows, e := s.find(query, st)
	s.past.next()
	s.past.foundRows = found
	if e != nil {
		return nil, e
	}
	row, err := rows.Next()
	if err != nil || row == nil {
		return nil, wire.NewError(wire.CodeUnknown, "the values of the shard key cannot be computed: %v", err)
	}
	values := &literals{s: s, columns: rows.Columns}
	if err := values.read(row); err != nil {
		return nil, clientError(err, false)
	}
	if st.warnings > 0 {
		return nil, wire.NewError(wire.CodeNotSupported, "the value of %s, the shard key of %s, is computed with a warning (%s), of which a server may make an error; write a value",
			p.Compute[0].Column, p.Compute[0].Table, st.lines[0][2])
	}
	var text []byte
	at := 0
	for i, c := range p.Compute {
		if values.row.Null(i) && !c.Nullable {
			return nil, s.nullKey(p, c)
		}
		text = append(text, sql[at:c.Start]...)
		if f, ok := values.row.Double(i); ok && f == math.Trunc(f) && math.Abs(f) < 1<<53 {
			text = strconv.AppendInt(text, int64(f), 10)
		} else if text, e = values.append(text, i); e != nil {
			return nil, e
		}
		at = c.End
	}
	return append(text, sql[at:]...), nil
}

// nullKey is what becomes of NULL in a shard key.
func (s *session) nullKey(p *router.Plan, c router.Computed) *wire.Error {
	of := s.gen.columns[c.Table]
	refused := wire.NewError(wire.CodeNotSupported, "the value of %s, the shard key of %s, is NULL; write a value", c.Column, c.Table)
	conn, release, err := s.asideFor(p)
	if err != nil {
		return clientError(err, false)
	}
	defer release()
	if err := conn.Ready(&s.state); err != nil {
		return clientError(err, false)
	}
	answers, err := conn.Batch(maxDefinition, askConditions, fmt.Sprintf("SELECT %s FROM %s.%s LIMIT 0", backend.Quote(c.Column), backend.Quote(of.schema), backend.Quote(of.table)))
	if err != nil {
		return clientError(err, false)
	}
	under, ok := readConditions(answers[0])
	flags := answers[1].Columns[0].Flags
	if !ok || !under.strict || p.Ignore || flags&wire.FlagNotNull == 0 || flags&wire.FlagAutoIncrement != 0 {
		return refused
	}
	return &wire.Error{Errno: 1048, State: "23000", Message: "Column '" + c.Column + "' cannot be null"}
}
