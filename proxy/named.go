package proxy

import (
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/xaproxy/xaproxy/backend"
	"github.com/xaproxy/xaproxy/config"
	"github.com/xaproxy/xaproxy/router"
	"github.com/xaproxy/xaproxy/wire"
)

// naming is the execution of a statement that the client prepared by name, within SQL: on each connection the text is
// prepared under a name of the proxy's own, and executed with the literals and user variables that the client names. The
// connection has the values of these.
type naming struct {
	text  string
	using []router.Argument
	// escapes says that backslashes escape in the session's sql_mode.
	escapes bool
	set     string // a SET of variables in using that are the proxy's own; "" if there are none
}

// unprepared says whether servers do not prepare such a statement.
func (s *session) unprepared(v router.Verb) bool {
	switch v {
	case router.PrepareSQL, router.ExecuteSQL, router.Deallocate, router.Processes, router.Explain, router.Administer, router.List:
		return true
	}
	return v == router.Use && !s.srv.style.mariadb
}

// prepareByName answers PREPARE ... FROM. A backend that may execute the statement looks at it.
func (s *session) prepareByName(p *router.Plan, r *request) error {
	s.unname(p.Name) // also if the new one is refused
	one, plan, e := s.prepareText(p)
	if e != nil {
		return s.fail(e)
	}
	if plan.Verb == router.Route {
		conn, sent, release, err := s.describer(plan, one.sent, one.params)
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
	s.track.touch()
	return s.ok(wire.OK{Info: "Statement prepared"})
}

// prepareText is newPrepared for the text that PREPARE or EXECUTE IMMEDIATE has, or the user variable of it.
func (s *session) prepareText(p *router.Plan) (*prepared, *router.Plan, *wire.Error) {
	text := p.Text
	if p.Var != "" {
		value, e := s.userVariable(p.Var)
		if e != nil {
			return nil, nil, e
		}
		text = value.Bytes
		if value.Kind == router.ValueNull {
			text = []byte("NULL")
		}
	}
	return s.newPrepared(text)
}

// executeByName answers EXECUTE. Of literals and texts only MariaDB knows.
func (s *session) executeByName(p *router.Plan, r *request) error {
	if literal := func(a router.Argument) bool { return a.Var == "" }; !s.srv.style.mariadb && (p.Immediate || slices.ContainsFunc(p.Using, literal)) {
		return s.fail(wire.NewError(wire.CodeParse, "You have an error in your SQL syntax: MySQL has no EXECUTE IMMEDIATE, and takes user variables only behind USING"))
	}
	one, known := s.named[strings.ToLower(p.Name)]
	if p.Immediate {
		var e *wire.Error
		if one, _, e = s.prepareText(p); e != nil {
			return s.fail(e)
		}
	} else if !known {
		return s.fail(unknownName(p.Name, "EXECUTE"))
	}
	if len(p.Using) != one.params {
		return s.fail(wrongArguments("EXECUTE"))
	}
	if err := s.routed(one); err != nil {
		return s.fail(clientError(err, false))
	}
	var failed *wire.Error
	value := func(i int) router.Value {
		a := p.Using[i]
		if a.Var == "" {
			return a.Value
		}
		value, e := s.userVariable(a.Var)
		if e != nil {
			failed = e
		}
		return value
	}
	if one.asks {
		err := s.analyse(one, s.outcomeOfBound(one.mode, value))
		if failed != nil {
			err = failed
		}
		if err != nil {
			return s.fail(clientError(err, false))
		}
	}
	call := &naming{text: one.sent, using: p.Using, escapes: s.escapes()}
	var n numbers
	plan := func() (*router.Plan, error) {
		plan, err := one.routed.Plan(value)
		if failed != nil {
			return nil, failed
		}
		return withVariables(plan, p.Using), err
	}
	var first *router.Plan
	var err error
	if one.routed.Numbered() {
		var e *wire.Error
		if first, n, call, e = s.numberedNaming(one, p.Using, value); e != nil {
			return s.fail(e)
		}
		first = withVariables(first, p.Using)
	} else {
		first, err = plan()
	}
	switch {
	case err != nil:
		return s.fail(clientError(err, false))
	case first.Verb == router.Handler:
		first = s.atHandler(first)
	case first.Verb == router.Set && one.params > 0, first.Merge == router.MergeSteps, first.Compute != nil:
		return s.written(one, n, func(i int) []byte {
			a := call.using[i]
			if a.Text != "" {
				return []byte(a.Text)
			}
			switch v, _ := s.userVariable(a.Var); v.Kind { // of an error the statement hears, too
			case router.ValueInt:
				return strconv.AppendInt(nil, v.Int, 10)
			case router.ValueUint:
				return strconv.AppendUint(nil, v.Uint, 10)
			}
			return []byte("@" + backend.Quote(a.Var))
		})
	case first.Verb != router.Route:
		return s.carryOut(first, &request{sql: []byte(one.sent)})
	}
	return s.replan(first, &request{schema: one.schema, attrs: r.attrs, named: call, numbers: n}, plan)
}

// withVariables is a plan whose connections must have the values of the variables of EXECUTE ... USING.
func withVariables(plan *router.Plan, using []router.Argument) *router.Plan {
	if plan == nil || plan.Verb != router.Route && plan.Verb != router.Handler || len(using) == 0 {
		return plan
	}
	with := *plan
	with.Variables = slices.Clone(plan.Variables)
	for _, a := range using {
		if a.Var != "" {
			with.Variables = append(with.Variables, a.Var)
		}
	}
	return &with
}

// deallocate answers DEALLOCATE PREPARE. Backend connections keep the statement for whoever prepares the same text next.
func (s *session) deallocate(p *router.Plan) error {
	if !s.unname(p.Name) {
		return s.fail(unknownName(p.Name, "DEALLOCATE PREPARE"))
	}
	s.track.touch()
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
	literal, err := userLiteral(s.pins[index].conn, "@"+backend.Quote(name))
	if err != nil {
		return router.Value{}, clientError(err, false)
	}
	return literalValue(literal), nil
}

// literalValue is the value of a literal that userLiteral has made. The empty one is that of a variable that nobody set.
func literalValue(literal string) router.Value {
	if literal == "" || literal == "NULL" {
		return router.Value{Kind: router.ValueNull}
	}
	if _, digits, quoted := strings.Cut(literal, " X'"); quoted {
		digits, _, _ = strings.Cut(digits, "'")
		if text, err := hex.DecodeString(digits); err == nil {
			return router.Value{Kind: router.ValueBytes, Bytes: text}
		}
	}
	literal = strings.TrimSuffix(strings.TrimPrefix(literal, "CAST("), " AS UNSIGNED)")
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
	if n.set != "" {
		if err := c.Exec(n.set); err != nil {
			return refusal(err)
		}
	}
	var b strings.Builder
	b.WriteString("EXECUTE " + name)
	for i, a := range n.using {
		b.WriteString(map[bool]string{true: " USING ", false: ", "}[i == 0])
		switch {
		case a.Var != "":
			b.WriteString("@" + backend.Quote(a.Var))
		case c.Backend().Config.Kind == config.MySQL: // it takes variables only, and nobody else may see this one
			c.Soil()
			variable := fmt.Sprintf("@`xaproxy %d`", i)
			if err := c.Exec("SET " + variable + " = " + a.Text); err != nil {
				return refusal(err)
			}
			b.WriteString(variable)
		default:
			b.WriteString(a.Text)
		}
	}
	if err := c.SendQuery(attrs, []byte(b.String())); err != nil {
		return c.Lost(err)
	}
	return nil
}
