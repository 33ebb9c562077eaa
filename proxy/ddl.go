package proxy

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/rs/zerolog"

	"github.com/xaproxy/xaproxy/backend"
	"github.com/xaproxy/xaproxy/ddl"
	"github.com/xaproxy/xaproxy/router"
	"github.com/xaproxy/xaproxy/wire"
)

// define runs a statement about what several backends have of a table or a schema on all of them at once. The open transaction has
// been committed. What the statement does on one backend does not depend on the others; the journal knows how far it has come.
func (s *session) define(p *router.Plan, r *request) error {
	text, state := r.sql, s.state
	switch {
	case r.bound != nil:
		text, state = []byte(r.text), *r.state(&s.state)
	case r.named != nil:
		text, state = []byte(r.named.text), *r.state(&s.state)
	}
	conns, release, err := s.definers(p, &state)
	defer release()
	if err != nil {
		return s.fail(clientError(err, false))
	}
	record := &ddl.Record{Account: s.login.User + "@" + host(s.net), Statement: text, Of: *p.DDL, Session: state}
	record.Session.Caps &= wire.IgnoreSpace // all that concerns the text
	shares := make([]ddl.Share, len(p.Parts))
	for i, part := range p.Parts {
		shares[i] = ddl.Share{Backend: conns[i].Backend(), SQL: part.SQL}
	}
	run, err := s.gen.journal.Begin(s.ctx(), record, shares, func(c *backend.Conn) func() {
		s.work.uses(c)
		return func() { s.work.leaves(c) }
	})
	if err != nil {
		return s.fail(clientError(err, false))
	}
	s.work.does(run.Progress())
	answers := run.Execute(conns, func(i int) {
		s.work.leaves(conns[i])
		s.work.does(run.Progress())
	})
	failed, lost := run.Failure(), run.Finish()
	run.Close()
	if lost != nil {
		s.log(zerolog.ErrorLevel).Err(lost).Msg("a DDL statement has run, and its record does not say so")
	}
	if failed != nil {
		s.doubtColumns(failed)
		return s.fail(failed)
	}
	if !p.DDL.Rows {
		s.gen.defined.forget()
		s.srv.learnObjects(s.ctx(), p.DDL.Objects)
	}
	w := warned{s: s}
	for i, a := range answers {
		w.collect(a.Rows.OK.Warnings, conns[i])
	}
	for _, text := range p.DDL.Notes {
		w.add("Note", text)
	}
	if lost != nil {
		w.add("Warning", fmt.Sprintf("the statement has run on all backends, and its record does not say so (%v); run xaproxy ddl resume %d", lost, run.ID))
	}
	if !p.DDL.Rows {
		w.differences(p, shares)
	}
	w.note()
	if p.DDL.Rows {
		return s.rowsOf(answers, conns)
	}
	return s.ok(s.defined(p, answers))
}

// unselected runs a statement about a schema without a current one: the schema need not exist. When it is dropped, it is nobody's
// current one any more.
func (s *session) unselected(p *router.Plan, r *request) (err error) {
	schema := s.state.Schema
	s.state.Schema = ""
	if r.schema = ""; p.Merge == router.MergeDDL {
		err = s.define(p, r)
	} else {
		err = s.single(p, r)
	}
	if p.DDL.What == "DROP DATABASE" && !s.failed && strings.EqualFold(schema, p.DDL.Objects[0].Schema) {
		s.work.moved("")
		return err
	}
	s.state.Schema = schema
	return err
}

// definers lends the connections of a statement's parts, in the state that it wants. They are reset before they serve others.
func (s *session) definers(p *router.Plan, state *backend.Session) (conns []*backend.Conn, release func(), err error) {
	release = func() {
		for _, c := range conns {
			s.work.leaves(c)
			c.Soil()
			c.Put()
		}
	}
	for _, part := range p.Parts {
		c, err := s.gen.backends[part.Backend].Get(s.ctx(), state, s)
		if err != nil {
			return conns, release, err
		}
		conns = append(conns, c)
		s.work.uses(c)
		if err := c.Ready(state); err != nil {
			return conns, release, err
		}
	}
	return conns, release, nil
}

// defined is the answer to a statement that all backends have carried out. A broadcast table is one for the client.
func (s *session) defined(p *router.Plan, answers []ddl.Answer) wire.OK {
	oks := make([]wire.OK, len(answers))
	for i, a := range answers {
		oks[i] = a.Rows.OK
	}
	ok := mergeOK(oks)
	if p.DDL.Alike {
		ok = oks[0]
	}
	s.past.merged(ok)
	ok = wire.OK{Affected: ok.Affected, Info: ok.Info, Warnings: uint16(min(s.past.warnings, 1<<16-1))}
	return ok
}

// rowsOf answers with the rows of all backends, those of each behind one that names it.
func (s *session) rowsOf(answers []ddl.Answer, conns []*backend.Conn) error {
	var rows [][][]byte
	for i, a := range answers {
		for at, row := range a.Rows.Values {
			if at == 0 && len(row) == 4 {
				rows = append(rows, [][]byte{row[0], row[1], []byte("note"), []byte("on backend " + conns[i].Backend().Name())})
			}
			rows = append(rows, row)
		}
	}
	s.past.rowCount, s.past.foundRows = -1, uint64(len(rows))
	return s.table(answers[0].Rows.Columns, rows)
}

// warned are the warnings of one statement on several backends: those that all have are one for the client.
type warned struct {
	s     *session
	lines [][][]byte
}

func (w *warned) add(level, text string) {
	w.line([][]byte{[]byte(level), []byte("1105"), []byte(text)})
}

func (w *warned) line(line [][]byte) {
	same := func(l [][]byte) bool {
		return slices.EqualFunc(l, line, func(a, b []byte) bool { return string(a) == string(b) })
	}
	if !slices.ContainsFunc(w.lines, same) {
		w.lines = append(w.lines, line)
	}
}

func (w *warned) collect(warnings uint16, conn *backend.Conn) {
	if warnings == 0 {
		return
	}
	rows, err := conn.Ask(backend.Warnings)
	if err != nil {
		w.s.log(zerolog.DebugLevel).Err(err).Msg("warnings are lost")
	}
	for _, l := range rows.Values {
		w.line(l)
	}
}

// differences warns of definitions that are not the same on all of these backends.
func (w *warned) differences(p *router.Plan, shares []ddl.Share) {
	on := make([]*backend.Backend, len(shares))
	for i, share := range shares {
		if on[i] = share.Backend; share.SQL != nil {
			return // the backends have other tables
		}
	}
	found, err := ddl.Differences(w.s.ctx(), p.DDL.Objects, on)
	if err != nil && !errors.Is(err, w.s.ctx().Err()) {
		w.add("Warning", fmt.Sprintf("the definitions could not be compared: %v", err))
	}
	for _, d := range found {
		w.add("Warning", d.String())
	}
}

// note lets SHOW WARNINGS have them.
func (w *warned) note() {
	w.s.past.lines, w.s.past.noted, w.s.past.warnings = w.lines, nil, len(w.lines)
}
