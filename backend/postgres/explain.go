package postgres

import (
	"errors"
	"strings"

	"github.com/xaproxy/xaproxy/backend/postgres/dialect"
	"github.com/xaproxy/xaproxy/wire"
)

// explained names the column, and the value, that an error about a value is about, where PostgreSQL does not: it finds out which of the values that
// the statement gave fails in the same way alone. The statement has been undone.
func (s *session) explained(err error, given []dialect.Given, values parameters) error {
	var bad parameterError
	if errors.As(err, &bad) {
		for _, g := range given {
			if g.Param == bad.param {
				named := *bad.says
				named.Message += ", column '" + g.Column + "'"
				return &named
			}
		}
		return err
	}
	e := said(err)
	if e == nil || s.lost != nil || e.Code.Class() != "22" || e.Column != "" {
		return err
	}
	for _, g := range given {
		test, shown := g.Test.Text, "'"+g.Shown+"'"
		if values != nil {
			places, wrong := placesOf(g.Test)
			if wrong == nil {
				test, wrong = bind(g.Test, places, values)
			}
			if wrong != nil {
				continue
			}
			if g.Param >= 0 {
				shown, _ = values.literal(g.Param) // it could be bound
			}
		}
		if said := said(s.tried(test)); said != nil && said.Code == e.Code {
			if len(shown) > maxShown {
				shown = strings.ToValidUTF8(shown[:maxShown], "") + "…"
			}
			w := translate(e)
			what, more, _ := strings.Cut(w.Message, ": ")
			return &wire.Error{Errno: w.Errno, State: w.State, Message: what + " for column '" + g.Column + "', " + shown + ": " + more}
		}
		if s.lost != nil {
			break
		}
	}
	return err
}

// tried runs a query that may fail without harm to the transaction, and returns how.
func (s *session) tried(query string) error {
	if s.tx.phase != active {
		return s.run(query)
	}
	const point = "xaproxy_test"
	err := s.run("SAVEPOINT " + point + "; " + query)
	if s.lost != nil {
		return err
	}
	end := "RELEASE SAVEPOINT " + point
	if err != nil {
		end = "ROLLBACK TO SAVEPOINT " + point + "; " + end
	}
	if failed := s.run(end); failed != nil {
		return failed
	}
	return err
}
