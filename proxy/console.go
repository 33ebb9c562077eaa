package proxy

import (
	"context"
	"errors"
	"strings"

	"github.com/xaproxy/xaproxy/router"
	"github.com/xaproxy/xaproxy/wire"
)

// Console is what users with admin = true see and do of the proxy itself. Its methods are safe for concurrent use; errors are for clients.
type Console interface {
	// Ask answers a statement on the schema xaproxy.
	Ask(ctx context.Context, schema, text string) ([]wire.Column, [][][]byte, error)
	// List is a table of that schema, as it is.
	List(table string) ([]wire.Column, [][][]byte, error)
	// Do carries out a command, but for KILL, which the proxy itself does, and returns what it has to say. by is who wants it.
	Do(ctx context.Context, by string, c *router.Command) (lines []string, err error)
	// Done writes down a command that the proxy itself has carried out.
	Done(by string, c *router.Command, err error)
}

// by is the session's user, for those who write it down.
func (s *session) by() string { return s.login.User + "@" + s.net.RemoteAddr().String() }

// mayAdminister says why the user may not see or do what administrators do.
func (s *session) mayAdminister() *wire.Error {
	switch {
	case !s.user.admin:
		return wire.NewError(wire.CodePrivilege, "Access denied; you need admin = true in the configuration of user '%s' for this operation", s.login.User)
	case s.srv.console == nil:
		return wire.NewError(wire.CodeNotSupported, "this xaproxy has nothing to administer")
	}
	return nil
}

// administer answers XAPROXY ... with a row for each line of what it says. After a reload the session itself goes on with the former configuration until
// its next statement.
func (s *session) administer(c *router.Command) error {
	if e := s.mayAdminister(); e != nil {
		return s.fail(e)
	}
	if c.Verb == router.KillSession {
		err := s.killAny(c.ID)
		s.srv.console.Done(s.by(), c, err)
		if err != nil {
			return s.fail(clientError(err, false))
		}
		return s.ok(wire.OK{})
	}
	lines, err := s.srv.console.Do(s.ctx(), s.by(), c)
	if err != nil {
		return s.fail(wire.NewError(wire.CodeUnknown, "%v", err))
	}
	rows := make([][][]byte, len(lines))
	for i, line := range lines {
		rows[i] = [][]byte{[]byte(line)}
	}
	name := "Message"
	if c.Verb == router.Reload {
		name = "Change"
	}
	return s.answerWith([]wire.Column{s.srv.style.text(name, 4096)}, rows)
}

// killAny ends a session, whoever's it is.
func (s *session) killAny(id uint64) error {
	for _, one := range s.srv.sessions() {
		switch {
		case uint64(one.id) != id:
		case one == s:
			return wire.NewError(wire.CodeNotSupported, "this is your own session: close it")
		default:
			one.terminate()
			return nil
		}
	}
	return &wire.Error{Errno: 1094, State: "HY000", Message: "Unknown thread id; SHOW XAPROXY SESSIONS lists them"}
}

// showTable answers SHOW XAPROXY.
func (s *session) showTable(table string) error {
	if e := s.mayAdminister(); e != nil {
		return s.fail(e)
	}
	columns, rows, err := s.srv.console.List(table)
	if err != nil {
		return s.fail(clientError(err, false))
	}
	return s.answerWith(columns, rows)
}

func (s *session) answerWith(columns []wire.Column, rows [][][]byte) error {
	s.past.rowCount, s.past.foundRows = -1, uint64(len(rows))
	return s.table(columns, rows)
}

// forConsole reports whether a statement is one on the schema xaproxy, by its plan or why it has none. In that schema what needs no other one is, too.
func (s *session) forConsole(plan *router.Plan, err error) bool {
	var no *router.Refusal
	if errors.As(err, &no) && no.Unknown == router.Console {
		return true
	}
	if s.state.Schema != router.Console {
		return false
	}
	if err != nil {
		return no != nil && no.Unknown == ""
	}
	for _, schema := range plan.Schemas {
		if schema != "information_schema" && schema != router.Console {
			return false
		}
	}
	return plan.Verb == router.Route
}

// askConsole answers a statement on the schema xaproxy.
func (s *session) askConsole(sql []byte) error {
	s.past.next()
	columns, rows, e := s.consoleRows(string(sql))
	if e != nil {
		return s.fail(e)
	}
	s.plans(consolePlan)
	return s.answerWith(columns, rows)
}

// consolePlan stands for statements on the schema xaproxy where statements are counted.
var consolePlan = &router.Plan{Verb: router.List}

func (s *session) consoleRows(sql string) ([]wire.Column, [][][]byte, *wire.Error) {
	if e := s.mayAdminister(); e != nil {
		return nil, nil, &wire.Error{Errno: 1142, State: "42000", Message: "command denied to user '" + s.login.User + "' for the schema xaproxy: " + e.Message}
	}
	columns, rows, err := s.srv.console.Ask(s.ctx(), s.state.Schema, sql)
	if err != nil {
		return nil, nil, clientError(err, false)
	}
	return columns, rows, nil
}

// prepareConsole answers COM_STMT_PREPARE of a statement on the schema xaproxy. Which columns it has is found by asking it with some values.
func (s *session) prepareConsole(sql []byte) error {
	if s.full() {
		return s.fail(tooManyStatements)
	}
	p := &prepared{text: string(sql), shown: sql[:min(len(sql), shownText)], schema: s.state.Schema, mode: s.mode, console: router.Parameters(sql, s.mode)}
	p.shown, p.params = append([]byte(nil), p.shown...), len(p.console)
	if p.console == nil {
		p.console = []int{}
	}
	columns, _, e := s.consoleRows(p.with(func(int) []byte { return []byte("1") }))
	if e != nil {
		return s.fail(e)
	}
	s.lastID++
	params, definitions := make([][]byte, p.params), make([][]byte, len(columns))
	for i := range params {
		params[i] = wire.Column{Name: "?", Charset: collationBinary, Type: wire.TypeVarString}.Append(nil)
	}
	for i, c := range columns {
		definitions[i] = c.Append(nil)
	}
	if err := s.conn.WriteDescription(wire.Prepared{ID: s.lastID}, params, definitions, s.status()); err != nil {
		return err
	}
	s.keep(s.lastID, p)
	return nil
}

// with is the text of a statement of prepareConsole with values for its parameters.
func (p *prepared) with(value func(param int) []byte) string {
	var b strings.Builder
	from := 0
	for i, at := range p.console {
		b.WriteString(p.text[from:at])
		b.Write(value(i))
		from = at + 1
	}
	b.WriteString(p.text[from:])
	return b.String()
}

// executeConsole answers COM_STMT_EXECUTE of such a statement, whose arguments have been read.
func (s *session) executeConsole(p *prepared, x *wire.Execute) error {
	defer func(schema string) { s.state.Schema = schema }(s.state.Schema)
	s.state.Schema = p.schema
	columns, rows, e := s.consoleRows(p.with(func(i int) []byte { return s.literal(x, p.long, i) }))
	s.dropLong(p)
	if e != nil {
		return s.fail(e)
	}
	s.plans(consolePlan)
	for _, row := range rows {
		for i, v := range row {
			if row[i] = wire.Binary(&columns[i], v); v != nil && row[i] == nil {
				return s.fail(wire.NewError(wire.CodeUnknown, "the value %q of %s cannot be sent: this is a mistake in xaproxy", v, columns[i].Name))
			}
		}
	}
	s.past.rowCount, s.past.foundRows = -1, uint64(len(rows))
	end := wire.OK{Status: s.status()}
	return s.conn.WriteBinaryResult(columns, rows, end)
}

// preparesForConsole is forConsole of a statement that may have parameters.
func (s *session) preparesForConsole(sql []byte) bool {
	routed, err := s.router.Prepare(sql, s.state.Schema, s.mode)
	if err != nil {
		return s.forConsole(nil, err)
	}
	return s.forConsole(routed.Any(), nil)
}

// canonical is the name of a schema as sessions have it.
func canonical(schema string) string {
	if strings.EqualFold(schema, router.Console) {
		return router.Console
	}
	return schema
}
