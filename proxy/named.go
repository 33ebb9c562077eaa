package proxy

import (
	"slices"
	"strconv"
	"strings"

	"github.com/xaproxy/xaproxy/backend"
	"github.com/xaproxy/xaproxy/router"
	"github.com/xaproxy/xaproxy/wire"
)

// naming is the execution of a statement that the client prepared by name, within SQL: on each connection the text is
// prepared under a name of the proxy's own, and executed with the user variables that the client names, whose values the
// connection has.
type naming struct {
	text  string
	using []string // user variables, without @
	// escapes says that backslashes escape in the session's sql_mode.
	escapes bool
}

// unprepared says whether servers do not prepare such a statement.
func (s *session) unprepared(v router.Verb) bool {
	switch v {
	case router.PrepareSQL, router.ExecuteSQL, router.Deallocate, router.Processes:
		return true
	}
	return v == router.Use && !s.srv.style.mariadb
}

// prepareByName answers PREPARE ... FROM. A backend that may execute the statement looks at it.
func (s *session) prepareByName(p *router.Plan, r *request) error {
	s.unname(p.Name) // also if the new one is refused
	text := p.Text
	if p.Var != "" {
		value, e := s.userVariable(p.Var)
		if e != nil {
			return s.fail(e)
		}
		text = value.Bytes
		if value.Kind == router.ValueNull {
			text = []byte("NULL")
		}
	}
	one, plan, e := s.newPrepared(text)
	if e != nil {
		return s.fail(e)
	}
	if plan.Verb == router.Route {
		conn, sent, release, err := s.describer(plan, one.sent)
		if err != nil {
			return s.fail(clientError(err, false))
		}
		defer release()
		if _, err := conn.Named(sent, s.escapes()); err != nil {
			return s.fail(clientError(err, false))
		}
	}
	if s.named == nil {
		s.named = make(map[string]*prepared)
	}
	s.named[strings.ToLower(p.Name)] = one
	s.texts += len(one.text)
	return s.ok(wire.OK{Info: "Statement prepared"})
}

// executeByName answers EXECUTE.
func (s *session) executeByName(p *router.Plan, r *request) error {
	one, known := s.named[strings.ToLower(p.Name)]
	if !known {
		return s.fail(unknownName(p.Name, "EXECUTE"))
	}
	if len(p.Using) != one.params {
		return s.fail(wrongArguments("EXECUTE"))
	}
	if err := s.routed(one); err != nil {
		return s.fail(clientError(err, false))
	}
	var failed *wire.Error
	plan, err := one.routed.Plan(func(i int) router.Value {
		value, e := s.userVariable(p.Using[i])
		if e != nil {
			failed = e
		}
		return value
	})
	switch {
	case failed != nil:
		return s.fail(failed)
	case err != nil:
		return s.fail(clientError(err, false))
	case plan.Verb != router.Route:
		return s.carryOut(plan, &request{sql: []byte(one.sent)})
	}
	if len(p.Using) > 0 { // the connections must have their values
		with := *plan
		with.Variables = append(slices.Clone(plan.Variables), p.Using...)
		plan = &with
	}
	return s.carryOut(plan, &request{schema: one.schema, attrs: r.attrs, named: &naming{one.sent, p.Using, s.escapes()}})
}

// deallocate answers DEALLOCATE PREPARE. Backend connections keep the statement for whoever prepares the same text next.
func (s *session) deallocate(p *router.Plan) error {
	if !s.unname(p.Name) {
		return s.fail(unknownName(p.Name, "DEALLOCATE PREPARE"))
	}
	return s.ok(wire.OK{})
}

// unname forgets a statement, and says whether there was one of that name.
func (s *session) unname(name string) (known bool) {
	name = strings.ToLower(name)
	one, known := s.named[name]
	if known {
		s.texts -= len(one.text)
		delete(s.named, name)
	}
	return known
}

func unknownName(name, command string) *wire.Error {
	return wire.NewError(wire.CodeUnknownStatement, "Unknown prepared statement handler (%s) given to %s", name, command)
}

// userVariable returns the value of a user variable: that of the last SET, or what the connection says that knows it.
func (s *session) userVariable(name string) (router.Value, *wire.Error) {
	index, elsewhere := s.elsewhere[name]
	if !elsewhere {
		return literalValue(find(s.variables, "@"+name).literal), nil
	}
	rows, err := s.pins[index].conn.Query("SELECT @" + backend.Quote(name))
	if err != nil || len(rows.Values) != 1 {
		return router.Value{}, clientError(err, false)
	}
	literal, _ := quoteValue(rows.Values[0][0], rows.Columns[0].Type)
	return literalValue(literal), nil
}

// literalValue is the value of a literal that quoteValue has made. The empty one is that of a variable that nobody set.
func literalValue(literal string) router.Value {
	if literal == "" || literal == "NULL" {
		return router.Value{Kind: router.ValueNull}
	}
	if text, quoted := strings.CutPrefix(literal, "'"); quoted {
		return router.Value{Kind: router.ValueBytes, Bytes: []byte(strings.ReplaceAll(strings.TrimSuffix(text, "'"), "''", "'"))}
	}
	if n, err := strconv.ParseInt(literal, 10, 64); err == nil {
		return router.Value{Kind: router.ValueInt, Int: n}
	}
	if n, err := strconv.ParseUint(literal, 10, 64); err == nil {
		return router.Value{Kind: router.ValueUint, Uint: n}
	}
	return router.Value{Kind: router.ValueOther, Bytes: []byte(literal)}
}

// execute sends the statement on a connection that is ready.
func (n *naming) execute(c *backend.Conn, attrs []byte) error {
	name, err := c.Named(n.text, n.escapes)
	if err != nil {
		return refusal(err)
	}
	var b strings.Builder
	b.WriteString("EXECUTE " + name)
	for i, variable := range n.using {
		b.WriteString(map[bool]string{true: " USING @", false: ", @"}[i == 0] + backend.Quote(variable))
	}
	if err := c.SendQuery(attrs, []byte(b.String())); err != nil {
		return c.Lost(err)
	}
	return nil
}
