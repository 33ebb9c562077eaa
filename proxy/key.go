package proxy

import (
	"context"
	"errors"
	"strings"

	"github.com/rs/zerolog"

	"github.com/xaproxy/xaproxy/router"
	"github.com/xaproxy/xaproxy/wire"
	"github.com/xaproxy/xaproxy/xa"
)

// commitKey is the name of the session variable that holds the commit key of the next transaction, or of the open one.
const commitKey = "xaproxy_commit_key"

// setKey carries out SET xaproxy_commit_key. NULL, DEFAULT and ” take the key away again.
func (s *session) setKey(a router.Assignment) *wire.Error {
	name, ok := router.Unquote(a.Expr, s.mode)
	if upper := strings.ToUpper(a.Expr); !ok && upper != "NULL" && upper != "DEFAULT" {
		return &wire.Error{Errno: 1231, State: "42000", Message: "Variable '" + commitKey + "' can't be set to the value of '" + a.Expr + "': write a string"}
	}
	return s.useKey(name)
}

// useKey gives a commit key to the open transaction, or to the next one.
func (s *session) useKey(name string) *wire.Error {
	if len(name) > xa.MaxKey {
		return wire.NewError(wire.CodeNotSupported, "the commit key has %d bytes; write %d at most", len(name), xa.MaxKey)
	}
	if s.tx != nil && s.tx.xa != nil {
		return &wire.Error{Errno: 1568, State: "25001", Message: "the commit key can't be changed while a transaction is in progress; set it before its first statement"}
	}
	key := xa.Key{}
	if name != "" {
		ctx, cancel := s.asksForKey()
		defer cancel()
		var err error
		switch key, err = s.srv.xa.TakeKey(ctx, s.srv.keys, name); {
		case errors.Is(err, xa.ErrKeyCommitted):
			return keyCommitted(name)
		case errors.Is(err, xa.ErrKeyRunning):
			return keyRunning(name)
		case err != nil:
			return wire.NewError(wire.CodeBackendDown, "nobody can say whether commit key '%s' is committed: %v", name, err)
		}
	}
	if s.tx != nil {
		s.giveKey(key)
	} else {
		s.nextKey = key
	}
	return nil
}

// giveKey gives a commit key, or none, to the transaction that begins.
func (s *session) giveKey(key xa.Key) {
	s.tx.key, s.tx.keyDecider = key, nil
	if s.srv.decides && key.Name != "" {
		s.tx.keyDecider = s.gen.byName(s.srv.keys.KeyDecider(key.Name))
	}
}

func keyCommitted(name string) *wire.Error {
	return wire.NewError(wire.CodeKeyCommitted, "%s", xa.AlreadyCommitted(name))
}

func keyRunning(name string) *wire.Error {
	return wire.NewError(wire.CodeKeyRunning, "a transaction with commit key '%s' is running; this one is rolled back, try it again when that has ended", name)
}

// asksForKey bounds a question to the store about a commit key.
func (s *session) asksForKey() (context.Context, context.CancelFunc) {
	return context.WithTimeout(s.ctx(), s.gen.cfg.Decision.PrepareTimeout.Std())
}

// keyText is the commit key of the open transaction, or of the next one, as an expression.
func (s *session) keyText() string {
	name := s.nextKey.Name
	if s.tx != nil {
		name = s.tx.key.Name
	}
	if name == "" {
		return "NULL"
	}
	return systemText(name)
}

// outcomeOf says what became of the commit keys that a statement has as strings in its text.
func (s *session) outcomeOf(mode router.Mode) func(string, int) (string, *wire.Error) {
	return func(arg string, _ int) (string, *wire.Error) {
		name, _ := router.Unquote(arg, mode)
		return s.outcome(arg, name)
	}
}

// outcomeOfBound is outcomeOf for a prepared statement that is executed.
func (s *session) outcomeOfBound(mode router.Mode, value func(int) router.Value) func(string, int) (string, *wire.Error) {
	return func(arg string, param int) (string, *wire.Error) {
		if param < 0 {
			return s.outcomeOf(mode)(arg, param)
		}
		name := ""
		if v := value(param); v.Kind == router.ValueBytes {
			name = string(v.Bytes)
		}
		return s.outcome(arg, name)
	}
}

// outcome is what became of a commit key, as an expression; arg is how the client names it. Asking is final: what is told to be rolled back
// never commits, unless it is tried again.
func (s *session) outcome(arg, name string) (string, *wire.Error) {
	if name == "" || len(name) > xa.MaxKey {
		return "NULL", wire.NewError(wire.CodeNotSupported, "xaproxy_outcome(%s): the commit key must be a string of 1 to %d bytes, written into the statement or bound to it", arg, xa.MaxKey)
	}
	ctx, cancel := s.asksForKey()
	defer cancel()
	state, err := s.srv.xa.KeyOutcome(ctx, s.srv.keys, name)
	if err != nil {
		s.log(zerolog.WarnLevel).Err(err).Msg("the outcome of a commit key is not known")
	}
	return "'" + string(state) + "'", nil
}

// lacksTransaction refuses what would write without the commit key that the client has set for its next transaction.
func (s *session) lacksTransaction(p *router.Plan) *wire.Error {
	if s.nextKey.Name == "" || s.tx != nil || !s.autocommit || !p.Write {
		return nil
	}
	return wire.NewError(wire.CodeNotSupported, "commit key '%s' is set, and there is no transaction for it: BEGIN one, or SET "+commitKey+" = NULL", s.nextKey.Name)
}
