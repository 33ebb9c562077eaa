package proxy

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/xaproxy/xaproxy/backend"
	"github.com/xaproxy/xaproxy/router"
	"github.com/xaproxy/xaproxy/wire"
)

// rowwise writes the rows of an INSERT into a table with lookup tables one after the other. Rows that have unique values of the new one may
// be on any shard: the lookup tables say where. All of them are locked first; then the row's statement runs on the backend of the one that
// a server would meet first, which does with it what the statement says; then the lookup tables get what has become of the rows there.
type rowwise struct {
	*stepping
	plan     *router.Plan
	steps    *router.Steps
	of       *changing
	keys     [][]string // the unique keys, in the order in which a server looks at them
	identity []string
	auto     int // the column with numbers of the sequence among those of the row, -1: none
	n        numbers
}

// eachRow carries out the INSERT whose rows the plan has.
func (st *stepping) eachRow(p *router.Plan, n numbers) *wire.Error {
	st.alone = true
	w := &rowwise{stepping: st, plan: p, steps: p.Steps, n: n, auto: -1}
	w.of = w.entering()
	def, e := w.of.define()
	if e != nil {
		return e
	}
	c := p.Steps.Change
	var err error
	if w.keys, err = def.table.UniqueKeys(); err != nil {
		return w.refuse("give the table a key of whole columns", "%v", err)
	}
	if w.identity = def.table.Identity(); w.identity == nil {
		return w.refuse("give it one", "the table has no primary key")
	}
	for i := range c.Lookups {
		var names []string
		for _, column := range w.of.entryColumns(&c.Lookups[i]) {
			names = append(names, column.Name)
		}
		if _, ok := def.table.Unique(names); !ok {
			return w.refuse("give it one, on all backends", "the table has no unique key of %s, for which that stands", strings.Join(names, ", "))
		}
	}
	for _, name := range w.identity {
		if slices.Contains(p.Steps.Assigns, strings.ToLower(name)) {
			return w.refuse("delete the row and insert it anew", "ON DUPLICATE KEY UPDATE changes %s of its primary key", name)
		}
	}
	if t, ok := st.gen.sequences[p.Sequence]; ok {
		w.auto = slices.IndexFunc(p.Steps.Table.Columns, func(name string) bool { return strings.EqualFold(backend.Quote(name), t.column) })
	}
	for i := range p.Steps.Rows {
		if st.ctx().Err() != nil {
			return wire.NewError(wire.CodeQueryInterrupted, "Query execution was interrupted")
		}
		if e := w.row(&p.Steps.Rows[i]); e != nil {
			return e
		}
	}
	return nil
}

// entering is what brings lookup tables up to date after a row.
func (w *rowwise) entering() *changing {
	return &changing{session: w.session, of: w.steps.Change, loading: map[*txBranch]uint64{}}
}

// row writes one row.
func (w *rowwise) row(row *router.StepRow) *wire.Error {
	conditions, e := w.conditions(row)
	if e != nil {
		return e
	}
	if w.steps.Conflict == router.ConflictFails {
		if _, e = w.write(row, row.Backend); e != nil {
			return e
		}
		return w.follow(row.Backend, conditions, nil, nil)
	}
	claims, e := w.claim(row)
	if e != nil {
		return e
	}
	elsewhere := slices.ContainsFunc(claims, func(c claim) bool { return c.on != row.Backend })
	if !elsewhere && !(w.steps.Conflict == router.ConflictUpdates && w.state.Caps.Has(wire.FoundRows)) {
		if done, e := w.try(row); done || e != nil {
			if e == nil {
				e = w.follow(row.Backend, conditions, nil, claims)
			}
			return e
		}
	}
	met, e := w.meet(row, conditions, claims)
	if e != nil {
		return e
	}
	target, first := row.Backend, len(w.keys)
	for _, h := range met { // those of the row's own backend come first
		if h.first < first && w.steps.Conflict != router.ConflictReplaces {
			target, first = h.on, h.first
		}
	}
	away, e := w.remove(target, met)
	if e != nil {
		return e
	}
	here := slices.DeleteFunc(slices.Clone(met), func(h held) bool { return h.on != target })
	ok, e := w.write(row, target)
	if e != nil {
		return e
	}
	if !w.expected(ok, target == row.Backend, len(here)) {
		return w.of.differs()
	}
	w.oks[len(w.oks)-1].Affected += away
	claims = slices.DeleteFunc(claims, func(c claim) bool { return c.on != row.Backend })
	if target != row.Backend { // nothing has come where the row belongs
		met = slices.DeleteFunc(met, func(h held) bool { return h.on != row.Backend })
		if e := w.enter(row.Backend, met, met, claims); e != nil {
			return e
		}
		claims = nil
	}
	after, e := w.holds(target, append(conditions, w.known(here)...))
	if e == nil && w.steps.Conflict == router.ConflictUpdates {
		e = w.stay(here, after)
	}
	if e != nil {
		return e
	}
	return w.enter(target, here, after, claims)
}

// follow brings the lookup tables to what has become of the rows of a backend that meet the conditions.
func (w *rowwise) follow(on int, conditions []string, before []held, claims []claim) *wire.Error {
	after, e := w.holds(on, conditions)
	if e != nil {
		return e
	}
	return w.enter(on, before, after, claims)
}

// stay refuses ON DUPLICATE KEY UPDATE of a row's primary key or shard key, which it may name if it changes neither.
func (w *rowwise) stay(before, after []held) *wire.Error {
	for _, h := range before {
		key := w.steps.Change.Key
		if !slices.ContainsFunc(after, func(is held) bool { return equal(is.identity, h.identity) && equal(is.values[:key], h.values[:key]) }) {
			return w.refuse("delete the row and insert it anew", "ON DUPLICATE KEY UPDATE changes the primary key or the shard key of one")
		}
	}
	return nil
}

// refuse says why rows cannot be written one after the other.
func (w *rowwise) refuse(do, why string, args ...any) *wire.Error {
	c := w.steps.Change
	return wire.NewError(wire.CodeNotSupported, "rows of %s.%s, which has lookup table %s, are written one after the other, and %s; %s", c.Schema, c.Table, c.Lookups[0].Table, fmt.Sprintf(why, args...), do)
}

// try writes a row that no row of another backend is in the way of. If one of its own backend is, that stays as it was, and is locked.
func (w *rowwise) try(row *router.StepRow) (done bool, _ *wire.Error) {
	c := w.entering()
	br, e := c.join(row.Backend)
	if e != nil {
		return false, e
	}
	defer c.leave(c.touched)
	if err := br.Conn().Exec("SAVEPOINT " + rowSavepoint); err != nil {
		return false, c.ended(br, err)
	}
	before, id := *w.stepping, w.past.insertID
	ok, e := w.write(row, row.Backend)
	if e != nil || ok.Affected == 1 {
		return e == nil, e
	}
	*w.stepping = before
	w.past.next()
	if w.past.insertID != id {
		w.past.inserted(id)
	}
	if err := br.Conn().Exec("ROLLBACK TO SAVEPOINT " + rowSavepoint); err != nil {
		return false, c.ended(br, err)
	}
	return false, nil
}

// rowSavepoint is where a row goes back to that was tried.
const rowSavepoint = "`xaproxy row`"

// remove deletes the rows of other backends than the target that REPLACE takes away.
func (w *rowwise) remove(target int, met []held) (n uint64, _ *wire.Error) {
	if w.steps.Conflict != router.ConflictReplaces {
		return 0, nil
	}
	for _, h := range met {
		if h.on == target {
			continue
		}
		sql := fmt.Sprintf("DELETE FROM %s WHERE %s", w.of.table(), w.known([]held{h})[0])
		p := &router.Plan{Verb: router.Route, Write: true, Variables: w.plan.Variables, Schemas: w.plan.Schemas, Parts: []router.Part{{Backend: h.on, SQL: []byte(sql)}}}
		rec, e := w.record(p, &request{sql: []byte(sql)}, 0)
		if e != nil {
			return 0, e
		}
		answer, err := rec.ReadResult(maxAnswer)
		switch {
		case err != nil:
			return 0, clientError(err, false)
		case answer.OK.Affected != 1:
			return 0, w.of.differs()
		}
		w.past.next()
		if e := w.enter(h.on, []held{h}, nil, nil); e != nil {
			return 0, e
		}
		n++
	}
	return n, nil
}

// write runs the row's statement on a backend.
func (w *rowwise) write(row *router.StepRow, target int) (wire.OK, *wire.Error) {
	p := &router.Plan{
		Verb: router.Route, Write: true, Variables: w.plan.Variables, Schemas: w.plan.Schemas, Sequence: w.plan.Sequence, Partial: w.plan.Partial, Ignore: w.plan.Ignore,
		Pin:   w.plan.Pin,
		Parts: []router.Part{{Backend: target, SQL: row.SQL}},
	}
	r := &request{sql: row.SQL, numbers: w.taken(row)}
	rec, e := w.record(p, r, 0)
	if e == nil {
		e = w.written(rec, r.numbers)
	}
	if e != nil {
		return wire.OK{}, e
	}
	return w.oks[len(w.oks)-1], nil
}

// taken is the number that the sequence has given to the row, if it has.
func (w *rowwise) taken(row *router.StepRow) numbers {
	if w.auto >= 0 && w.auto < len(row.Values) {
		if id, err := strconv.ParseUint(string(row.Values[w.auto]), 10, 64); err == nil && w.n.has(id) {
			return numbers{id, 1}
		}
	}
	return numbers{}
}

// expected tells whether the answer says what was to become of the row, n rows being in its way.
func (w *rowwise) expected(ok wire.OK, home bool, n int) bool {
	switch w.steps.Conflict {
	case router.ConflictIgnores:
		return ok.Affected == 0 || home && n == 0
	case router.ConflictReplaces:
		return ok.Affected == uint64(n)+1 || n == 1 && ok.Affected == 1
	case router.ConflictUpdates:
		switch {
		case n == 0:
			return home && ok.Affected == 1
		case w.state.Caps.Has(wire.FoundRows):
			return ok.Affected > 0
		}
		return ok.Affected == 0 || ok.Affected == 2 || w.steps.Ignore
	}
	return true
}

// enter brings the lookup tables from what rows of a backend were, and what was claimed for one of them, to what they are.
func (w *rowwise) enter(on int, before, after []held, claims []claim) *wire.Error {
	c := w.entering()
	c.def, c.columns, c.key, c.unique = w.of.def, w.of.columns, w.of.key, w.of.unique
	was, is := &changed{}, &changed{}
	for _, h := range before {
		if e := c.list(was, h.values, nil); e != nil {
			return e
		}
	}
	for _, h := range after {
		switch home, err := w.steps.Change.Place(h.values[:w.steps.Change.Key]); {
		case err != nil:
			return clientError(err, false)
		case home != on:
			return c.differs()
		}
		if e := c.list(is, nil, h.values); e != nil {
			return e
		}
	}
	in := func(all []lookupEntry, one lookupEntry) bool {
		return slices.ContainsFunc(all, func(have lookupEntry) bool { return have.lookup == one.lookup && equal(have.values, one.values) })
	}
	for _, one := range claims {
		if !in(was.entries, one.entry) {
			was.entries = append(was.entries, one.entry)
		}
	}
	to := &changed{}
	for _, one := range was.entries {
		if !in(is.entries, one) {
			to.entries = append(to.entries, one)
		}
	}
	for _, one := range is.entries {
		if !in(was.entries, one) {
			to.entries = append(to.entries, one)
		}
	}
	if len(to.entries) == 0 {
		return nil
	}
	c.sources = []*changed{to}
	e := c.writeEntries()
	if e != nil && e.Errno == errnoDuplicate && w.steps.Ignore {
		e = wire.NewError(wire.CodeNotSupported, "with IGNORE a row of %s.%s would get a value that its lookup table has (%s), and it is known too late; leave out IGNORE, or write the value as the column has it", w.steps.Change.Schema, w.steps.Change.Table, e.Message)
	}
	return c.settle(e)
}
