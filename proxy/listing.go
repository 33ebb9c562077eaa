package proxy

import (
	"bytes"
	"encoding/binary"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/xaproxy/xaproxy/backend"
	"github.com/xaproxy/xaproxy/config"
	"github.com/xaproxy/xaproxy/router"
	"github.com/xaproxy/xaproxy/wire"
)

// listing is the answer to a SHOW of what several backends have: each row is that of the first backend, of those that have what it is
// about, that can be reached.
type listing struct {
	s        *session
	plan     *router.Listing
	inBinary bool
	reached  []int // backends
	system   int   // the one whose system schemas are shown
	columns  []wire.Column
	rows     []listed
	sums     map[string][]uint64 // of the rows of a sharded table that are not shown, by its name
	bytes    int                 // of rows
	end      wire.OK
}

// listed is a row of a listing.
type listed struct {
	key []byte // that rows are sorted by
	row []byte
	sum string // the sharded table that it is about
}

// maxListing bounds what a listing keeps of rows, in bytes.
const maxListing = 256 << 20

// listing answers a SHOW of what several backends have. It is no part of the transaction.
func (s *session) listing(p *router.Plan, r *request) error {
	l := &listing{s: s, plan: p.Listing, inBinary: r.bound != nil, sums: map[string][]uint64{}}
	if l.inBinary {
		r.bound.execute.Flags = 0 // no cursor
	}
	conns, release, err := l.open(p)
	defer release()
	if err != nil {
		return s.fail(clientError(err, false))
	}
	errs := make([]error, len(conns))
	parallel(len(conns), func(i int) { errs[i] = r.share(router.Part{}).send(conns[i], &s.state) })
	var definitions [][]byte
	for i, conn := range conns {
		err := errs[i]
		if err == nil {
			definitions, err = l.read(conn, definitions)
		}
		if err != nil {
			for _, c := range conns {
				if !c.Answered() {
					c.Break()
				}
			}
			return s.fail(clientError(err, false))
		}
	}
	return s.answerRows(definitions, l.end, l.sorted())
}

// open lends a connection to each backend that can be reached: an error if too few can.
func (l *listing) open(p *router.Plan) (conns []*backend.Conn, release func(), err error) {
	s := l.s
	var releases []func()
	release = func() {
		for _, f := range releases {
			f()
		}
	}
	for _, part := range s.firstKind(p.Parts) {
		conn, f, failed := s.aside(s.gen.backends[part.Backend])
		if failed != nil {
			err = failed
			continue
		}
		conns, releases, l.reached = append(conns, conn), append(releases, f), append(l.reached, part.Backend)
	}
	for _, need := range l.plan.Needs {
		if l.shows(need) < 0 {
			return conns, release, err
		}
	}
	if len(conns) == 0 {
		return conns, release, err
	}
	l.system = s.gen.home(s.state.Schema).Index
	if !slices.Contains(l.reached, l.system) {
		l.system = l.reached[0]
	}
	return conns, release, nil
}

// firstKind puts the parts whose servers are of the kind that the client was told in front.
func (s *session) firstKind(parts []router.Part) []router.Part {
	return slices.SortedStableFunc(slices.Values(parts), func(a, b router.Part) int {
		kind := s.gen.backends[0].Flavour()
		other := func(p router.Part) int {
			if s.gen.backends[p.Backend].Flavour() != kind {
				return 1
			}
			return 0
		}
		return other(a) - other(b)
	})
}

// shows is the first of these backends that was reached, -1 if none was.
func (l *listing) shows(on []int) int {
	for _, b := range on {
		if slices.Contains(l.reached, b) {
			return b
		}
	}
	return -1
}

// read reads the answer of one backend; definitions are the columns of the first one, nil before it.
func (l *listing) read(conn *backend.Conn, definitions [][]byte) ([][]byte, error) {
	rows, err := conn.ReadColumns()
	if err != nil {
		return nil, conn.Classify(err)
	}
	if definitions == nil {
		definitions, l.columns = rows.Definitions, rows.Columns
	}
	for {
		row, err := rows.Next()
		if err != nil {
			return nil, conn.Classify(err)
		}
		if row == nil {
			break
		}
		if err := l.add(conn.Backend().Index, row, rows.Columns); err != nil {
			return nil, err
		}
	}
	l.end.Status |= rows.End.Status
	l.s.track.hears(rows.End)
	l.s.collect(rows.End.Warnings, conn)
	return definitions, nil
}

// add looks at a row of a backend and keeps it if it is to be shown.
func (l *listing) add(from int, row []byte, columns []wire.Column) error {
	cut := make([]wire.Value, len(columns))
	if _, err := wire.CutRow(row, l.inBinary, columns, len(columns), cut); err != nil {
		return err
	}
	at := max(l.plan.Table, 0)
	if at >= len(columns) {
		return wire.ErrShape
	}
	name := row[cut[at].From:cut[at].To]
	schema, table := l.plan.Schema, string(name)
	if l.plan.Table < 0 {
		schema, table = string(name), ""
	}
	on, sharded := l.s.router.Holders(schema, table)
	if config.SystemSchema(strings.ToLower(schema)) {
		on, sharded = []int{l.system}, false
	}
	sharded = sharded && l.plan.Sums != nil
	shown := l.shows(on) == from && l.s.user.sees(strings.ToLower(schema))
	switch {
	case sharded && !shown && slices.Contains(on, from):
		return l.count(strings.ToLower(table), row, columns, cut)
	case !shown:
		return nil
	}
	one := listed{key: bytes.Clone(name)}
	if sharded {
		one.sum = strings.ToLower(table)
	}
	var err error
	if one.row, err = l.fit(row, columns, cut); err != nil {
		return err
	}
	l.rows = append(l.rows, one)
	if l.bytes += len(one.row) + len(one.key); l.bytes > maxListing {
		return wire.NewError(wire.CodeTooBigSelect, "the list is longer than %d bytes; limit it with LIKE or WHERE", maxListing)
	}
	return nil
}

// fit copies a row, with the columns that the client was told of: servers of the other kind have others at the end.
func (l *listing) fit(row []byte, columns []wire.Column, cut []wire.Value) ([]byte, error) {
	alike := func(a, b wire.Column) bool {
		return a.Type == b.Type && a.Flags&wire.FlagUnsigned == b.Flags&wire.FlagUnsigned
	}
	if slices.EqualFunc(columns, l.columns, alike) || !l.inBinary && len(columns) == len(l.columns) {
		return bytes.Clone(row), nil
	}
	if l.inBinary && !slices.EqualFunc(columns[:min(len(columns), len(l.columns))], l.columns[:min(len(columns), len(l.columns))], alike) {
		return nil, wire.NewError(wire.CodeNotSupported, "the servers of both kinds give this list in different types; send it as text")
	}
	return wire.AppendRow(nil, l.inBinary, l.columns, valuesOf(row, cut, len(l.columns))), nil
}

// valuesOf are n values of a row, NULL where it has none.
func valuesOf(row []byte, cut []wire.Value, n int) [][]byte {
	values := make([][]byte, n)
	for i, v := range cut[:min(n, len(cut))] {
		if !v.Null {
			values[i] = row[v.From:v.To:v.To]
		}
	}
	return values
}

// count adds up what a row says of a sharded table that another backend's row is shown of.
func (l *listing) count(table string, row []byte, columns []wire.Column, cut []wire.Value) error {
	if l.sums[table] == nil {
		l.sums[table] = make([]uint64, len(l.plan.Sums))
	}
	for i, column := range l.plan.Sums {
		if column >= len(columns) || cut[column].Null {
			continue
		}
		n, err := l.number(row[cut[column].From:cut[column].To])
		if err != nil {
			return err
		}
		l.sums[table][i] += n
	}
	return nil
}

func (l *listing) number(value []byte) (uint64, error) {
	if l.inBinary {
		if len(value) != 8 {
			return 0, wire.ErrShape
		}
		return binary.LittleEndian.Uint64(value), nil
	}
	return strconv.ParseUint(string(value), 10, 64)
}

// sorted are the rows for the client.
func (l *listing) sorted() (rows [][]byte) {
	if !l.plan.Unsorted {
		slices.SortStableFunc(l.rows, func(a, b listed) int { return bytes.Compare(a.key, b.key) })
	}
	cut := make([]wire.Value, len(l.columns))
	for _, one := range l.rows {
		if more := l.sums[one.sum]; more != nil {
			if _, err := wire.CutRow(one.row, l.inBinary, l.columns, len(l.columns), cut); err == nil {
				one.row = l.plus(one.row, cut, more)
			}
		}
		rows = append(rows, one.row)
	}
	return rows
}

// plus is a row with the sums of others added.
func (l *listing) plus(row []byte, cut []wire.Value, more []uint64) []byte {
	values := valuesOf(row, cut, len(cut))
	for i, column := range l.plan.Sums {
		n, err := l.number(values[column])
		if values[column] == nil || err != nil {
			continue
		}
		if n += more[i]; l.inBinary {
			values[column] = binary.LittleEndian.AppendUint64(nil, n)
		} else {
			values[column] = strconv.AppendUint(nil, n, 10)
		}
	}
	return wire.AppendRow(nil, l.inBinary, l.columns, values)
}

// answerRows answers with rows, under definitions that came from a backend.
func (s *session) answerRows(definitions [][]byte, end wire.OK, rows [][]byte) error {
	s.relayStatus()
	s.past.rowCount, s.past.foundRows = -1, uint64(len(rows))
	if err := s.conn.WriteColumns(definitions, end.Status&^s.relay.ClearStatus|s.relay.SetStatus); err != nil {
		return err
	}
	w := s.conn.WriteRows()
	var err error
	for _, row := range rows {
		if err = w.Write(row); err != nil {
			break
		}
	}
	if e := w.End(); err == nil {
		err = e
	}
	if err != nil {
		return err
	}
	return s.endRows(end)
}

// endRows ends the rows of an answer.
func (s *session) endRows(end wire.OK) error {
	end.Status = end.Status&^s.relay.ClearStatus | s.relay.SetStatus
	end.Warnings = uint16(min(s.past.warnings+int(s.relay.AddWarnings), math.MaxUint16))
	if s.conn.Caps().Has(wire.DeprecateEOF) {
		s.track.tell(&end, true)
	}
	return s.conn.WriteEOF(end)
}
