package proxy

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/xaproxy/xaproxy/backend"
	"github.com/xaproxy/xaproxy/router"
	"github.com/xaproxy/xaproxy/temptable"
	"github.com/xaproxy/xaproxy/wire"
)

// changing is a statement that may change the shard key of rows, or what lookup tables say of them, as it runs. The rows are locked and
// what becomes of them is computed on the servers that have them; then these run the client's text, as any other; then rows that are on the
// wrong backend are brought to theirs (move.go), and entries of lookup tables written (entry.go). That the text has done what was
// computed before is proved by counting rows, so nothing is ever left where nobody looks for it.
type changing struct {
	*session
	of      *router.Change
	def     *temptable.Table
	columns []temptable.Column // of.Columns
	key     []temptable.Column // those of the shard key
	unique  []string           // of each lookup table, the name of the key of the table that an entry stands for
	lead    []string           // the savepoint; nil: the transaction is the statement's own
	sources []*changed
	touched []*txBranch          // behind the savepoint, each of them once
	loading map[*txBranch]uint64 // those whose sessions are as a Batch wants them, with their max_allowed_packet

	mu    sync.Mutex // protects following fields, while several backends' rows come
	rows  int64
	bytes int64
}

// changed is the rows of one backend that the statement changes.
type changed struct {
	branch  *txBranch
	rows    uint64
	seen    map[string]bool  // the new keys
	stays   [][][]byte       // those of rows that stay there, but for keys that do not change
	leaves  map[int]*leaving // those of rows that do not, by their backend
	entries []lookupEntry
	wrong   *wire.Error // why a row cannot have its new key
}

// leaving is rows that leave for one backend.
type leaving struct {
	keys [][][]byte
	rows uint64
}

// change runs a statement that may change shard keys or lookup tables, in the client's transaction or in one of its own.
func (s *session) change(p *router.Plan, r *request) error {
	own, lead := s.tx == nil, []string(nil)
	var failed func(*wire.Error)
	if own {
		failed = s.startOwn(p)
	} else {
		lead = []string{"SAVEPOINT " + statementSavepoint}
	}
	ok, e := s.changeRows(p, r, lead)
	switch {
	case e != nil && own:
		failed(e)
	case own:
		e = s.commit()
	}
	if e != nil {
		s.doubtColumns(e)
		return s.fail(e)
	}
	if own {
		s.track.over()
	}
	return s.ok(ok)
}

// changeRows is change inside of the transaction. With a lead, a savepoint, a statement that fails is undone; without one the caller rolls
// back. After an error s.tx is nil if the transaction is over.
func (s *session) changeRows(p *router.Plan, r *request, lead []string) (wire.OK, *wire.Error) {
	if r.bound != nil {
		r.bound.execute.Flags = 0 // no cursor: the rows that are read are not the client's
	}
	c := &changing{session: s, of: p.Change, lead: lead, loading: map[*txBranch]uint64{}}
	ok, e := c.run(p, r)
	return ok, c.settle(e)
}

// run does all of it but the end. After an error s.tx is nil if the transaction is over.
func (c *changing) run(p *router.Plan, r *request) (wire.OK, *wire.Error) {
	def, e := c.define()
	if e != nil {
		return wire.OK{}, e
	}
	if len(c.of.Read) == 0 {
		return c.insert(p, r)
	}
	if e := c.read(p, r); e != nil {
		return wire.OK{}, e
	}
	leaves := slices.ContainsFunc(c.sources, func(from *changed) bool { return len(from.leaves) > 0 })
	if why := def.immovable(); leaves && why != "" {
		return wire.OK{}, wire.NewError(wire.CodeNotSupported, "rows of %s.%s would move to another backend, and %s; delete the rows and insert them anew", c.of.Schema, c.of.Table, why)
	}
	if !c.of.Gone {
		p = c.matching(p, r)
	}
	ok, e := c.writes(p, r)
	if e != nil {
		return wire.OK{}, e
	}
	matched, read := ok.Affected, uint64(0)
	for _, from := range c.sources {
		read += from.rows
	}
	if !c.of.Gone {
		matched = 0
		_, _ = fmt.Sscanf(ok.Info, "Rows matched: %d", &matched) // MariaDB says nothing of a condition that no row can meet
	}
	if matched != read {
		return wire.OK{}, c.differs()
	}
	for _, from := range c.sources {
		if e := c.stayed(from); e != nil {
			return wire.OK{}, e
		}
	}
	if e := c.move(); e != nil {
		return wire.OK{}, e
	}
	return ok, c.writeEntries()
}

// matching is the plan of an UPDATE whose answers say how many rows it has found: PostgreSQL says so where it is asked.
func (s *session) matching(p *router.Plan, r *request) *router.Plan {
	text := r.sql
	switch {
	case r.bound != nil:
		text = []byte(r.text)
	case r.named != nil:
		text = []byte(r.named.text)
	}
	if !slices.ContainsFunc(p.Parts, func(part router.Part) bool { return s.backend(p, part).Translates() }) {
		return p
	}
	asked := *p
	asked.Parts = slices.Clone(p.Parts)
	for i := range asked.Parts {
		part := &asked.Parts[i]
		b := s.backend(p, *part)
		switch {
		case !b.Translates():
		case part.SQL == nil:
			part.SQL = b.Matching(text)
		default:
			part.SQL = b.Matching(part.SQL)
		}
	}
	return &asked
}

// define finds out what the table and its lookup tables look like.
func (c *changing) define() (shape, *wire.Error) {
	def, err := c.definition(c.of.Schema, c.of.Table)
	if err != nil {
		return def, clientError(err, false)
	}
	c.def = def.table
	for _, name := range c.of.Columns {
		column, ok := c.def.Column(name)
		if !ok {
			return def, &wire.Error{Errno: errnoBadField, State: "42S22", Message: fmt.Sprintf("Unknown column '%s' of table '%s.%s', which the configuration of xaproxy names", name, c.of.Schema, c.of.Table)}
		}
		c.columns = append(c.columns, column)
	}
	c.key = c.columns[:c.of.Key]
	return def, c.defineLookups(def)
}

// differs is the error of a statement whose rows are not those that were read.
func (c *changing) differs() *wire.Error {
	return &wire.Error{Errno: 1020, State: "HY000", Message: fmt.Sprintf(
		"Record has changed since last read in table '%s': rows came or went in between, or a new value is not what its expression says; nothing was changed", c.of.Table)}
}

// settle ends the statement on its branches: their sessions are the client's again, and after an error the statement is undone.
func (c *changing) settle(failed *wire.Error) *wire.Error {
	if c.tx == nil {
		return failed
	}
	for br := range c.loading {
		if err := c.unload(br); err != nil {
			return c.lose(br, err)
		}
	}
	if failed != nil && c.lead != nil {
		for _, br := range c.touched {
			if err := br.Conn().Exec("ROLLBACK TO SAVEPOINT " + statementSavepoint); err != nil {
				return c.lose(br, err)
			}
		}
	}
	c.leave(c.touched)
	return failed
}

// ended is the client's error for what went wrong on a branch, other than in the client's own text. s.tx is nil then if the transaction is
// over.
func (c *changing) ended(br *txBranch, err error) *wire.Error {
	var said *wire.Error
	if errors.As(err, &said) && !endsTransaction(said, br.Conn().Backend().Facts().RollbackOnTimeout) {
		return said
	}
	return c.lose(br, err)
}

// read locks the rows and finds out where they will be.
func (c *changing) read(p *router.Plan, r *request) *wire.Error {
	branches, err := c.branches(p)
	c.touched = branches
	if err != nil {
		c.touched = nil
		c.leave(branches)
		return clientError(err, false)
	}
	errs, started := make([]error, len(branches)), make([]bool, len(branches))
	for _, br := range branches {
		c.tx.xa.Wrote(br.index)
		c.sources = append(c.sources, &changed{branch: br, seen: map[string]bool{}, leaves: map[int]*leaving{}})
	}
	parallel(len(branches), func(i int) {
		one := r.share(c.of.Read[i])
		if errs[i] = c.tx.begin(branches[i], &c.state, one, false, c.lead...); errs[i] == nil {
			started[i] = true
			from := c.sources[i]
			errs[i] = texts(from.branch.Conn(), c.width(), one.bound != nil, func(values [][]byte) {
				if from.wrong == nil {
					from.wrong = c.note(from, values[:len(c.columns)], values[len(c.columns):])
				}
			})
		}
	})
	c.tx.last = branches[0]
	c.touched = slices.DeleteFunc(slices.Clone(branches), func(br *txBranch) bool { return !started[slices.Index(branches, br)] })
	var wrong *wire.Error
	for _, from := range c.sources {
		if wrong == nil {
			wrong = from.wrong
		}
	}
	return c.undo(branches, started, errs, false, wrong)
}

// width is how many columns Read answers with.
func (c *changing) width() int {
	if c.of.Gone {
		return len(c.columns)
	}
	return 2 * len(c.columns)
}

// texts reads rows of so many texts to their end.
func texts(conn *backend.Conn, n int, inBinary bool, row func(values [][]byte)) error {
	rows, err := conn.Read()
	if err != nil {
		return err
	}
	columns, cut := slices.Repeat([]wire.Column{{Type: wire.TypeVarString}}, n), make([]wire.Value, n)
	for {
		one, err := rows.Next()
		if one == nil || err != nil {
			return conn.Classify(err)
		}
		if _, err := wire.CutRow(one, inBinary, columns, n, cut); err != nil {
			return conn.Lost(err)
		}
		values := make([][]byte, n)
		for i, v := range cut {
			if !v.Null {
				values[i] = slices.Clone(one[v.From:v.To])
			}
		}
		row(values)
	}
}

// note notes what the statement makes of a row; after is empty if the row goes.
func (c *changing) note(from *changed, before, after [][]byte) *wire.Error {
	from.rows++
	if c.of.Gone {
		return c.list(from, before, nil)
	}
	if e := c.list(from, before, after); e != nil {
		return e
	}
	return c.rekey(from, before[:c.of.Key], after[:c.of.Key])
}

// equal tells whether values are the same; nil is NULL, which is no text.
func equal(a, b [][]byte) bool {
	return slices.EqualFunc(a, b, func(a, b []byte) bool { return (a == nil) == (b == nil) && string(a) == string(b) })
}

// rekey notes what the statement makes of the key of a row.
func (c *changing) rekey(from *changed, before, after [][]byte) *wire.Error {
	if equal(before, after) {
		return nil
	}
	home, err := c.of.Place(after)
	if err != nil {
		return clientError(err, false)
	}
	id := fmt.Sprintf("%q", after)
	known := from.seen[id]
	if !known {
		if e := c.spend(1, len(id)); e != nil {
			return e
		}
		from.seen[id] = true
	}
	switch l := from.leaves[home]; {
	case home == from.branch.Conn().Backend().Index:
		if !known {
			from.stays = append(from.stays, after)
		}
	case l == nil:
		from.leaves[home] = &leaving{keys: [][][]byte{after}, rows: 1}
	default:
		if l.rows++; !known {
			l.keys = append(l.keys, after)
		}
	}
	return nil
}

// spend counts what the statement brings through the proxy, and says when that is too much.
func (c *changing) spend(rows, bytes int) *wire.Error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.rows, c.bytes = c.rows+int64(rows), c.bytes+int64(bytes)
	u := c.user
	for _, limit := range []struct {
		have, may int64
		name      string
	}{{c.rows, u.rows, "max_scratch_rows"}, {c.bytes, u.bytes, "max_scratch_bytes"}} {
		if limit.may > 0 && limit.have > limit.may {
			return wire.NewError(wire.CodeTooBigSelect, "the statement would bring more rows to other backends than %s = %d of user '%s' allows: %d rows, %d bytes, and more to come; change fewer at a time, or the setting",
				limit.name, limit.may, c.login.User, c.rows, c.bytes)
		}
	}
	return nil
}

// stayed checks that the rows that are to stay have the keys that were computed. A key that its column cannot hold is in no row.
func (c *changing) stayed(from *changed) *wire.Error {
	const together = 100
	for keys := range slices.Chunk(from.stays, together) {
		e := c.load(from.branch)
		if e != nil {
			return e
		}
		terms := make([]string, len(keys))
		for i := range keys {
			terms[i] = "(EXISTS (SELECT 1 FROM " + c.table() + " WHERE " + c.condition(keys[i:i+1]) + "))"
		}
		found, err := number(from.branch.Conn().Query("SELECT " + strings.Join(terms, " + ")))
		if err != nil {
			return c.ended(from.branch, err)
		}
		if found != uint64(len(keys)) {
			return c.differs()
		}
	}
	return nil
}

// table is the quoted name of the table.
func (c *changing) table() string {
	return backend.Quote(c.of.Schema) + "." + backend.Quote(c.of.Table)
}

// condition is the one of rows with one of the keys. NULL is not one.
func (c *changing) condition(keys [][][]byte) string {
	var b strings.Builder
	if len(c.key) == 1 {
		b.WriteString(backend.Quote(c.key[0].Name) + " IN (")
		for i, k := range keys {
			if i > 0 {
				b.WriteByte(',')
			}
			b.Write(c.key[0].Compared(k[0]))
		}
		b.WriteByte(')')
		return b.String()
	}
	for i, k := range keys {
		if i > 0 {
			b.WriteString(" OR ")
		}
		for n, column := range c.key {
			b.WriteString(map[bool]string{true: "(", false: " AND "}[n == 0] + backend.Quote(column.Name) + "=")
			b.Write(column.Compared(k[n]))
		}
		b.WriteByte(')')
	}
	return b.String()
}
