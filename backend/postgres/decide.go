package postgres

import (
	"strings"

	"github.com/xaproxy/xaproxy/wire"
)

// decides reports whether the statements are the records of a decision and the COMMIT that takes them along.
func (s *session) decides(list []statement) bool {
	last := len(list) - 1
	if last < 1 || !list[last].is("COMMIT") || len(list[last].head) != 1 || s.tx.xid != "" || s.tx.phase != begun && s.tx.phase != active {
		return false
	}
	for _, st := range list[:last] {
		if !st.decision {
			return false
		}
	}
	return true
}

// decide sends them in one message, and answers each. PostgreSQL's error to any of them says that nothing was committed. A record that
// fails is told from a COMMIT that fails by the row that it returns.
func (s *session) decide(list []statement) error {
	s.warnings, s.said = nil, nil
	last := len(list) - 1
	var b strings.Builder
	if s.tx.phase == begun {
		b.WriteString(s.lead().text())
	} else {
		b.WriteString(s.unlimited().text())
	}
	for i, record := range list[:last] {
		if i > 0 {
			b.WriteString("; ")
		}
		b.Write(record.text)
	}
	b.WriteString(" RETURNING 1; COMMIT")
	at, err := last-1, error(nil)
	rows, err := s.send(b.String())
	if err == nil {
		at, err = last, s.drain(rows)
	}
	if err == nil && rows.Tag() != "COMMIT" {
		err = wire.NewError(wire.CodeXARBRollback, "XA_RBROLLBACK: COMMIT was answered with %s: nothing is committed", rows.Tag())
	}
	s.count(err == nil)
	if err != nil && s.lost == nil {
		if undo := s.undone("ROLLBACK"); undo != nil { // a warning where COMMIT itself has failed
			err = undo
		}
	}
	if s.tx = (transaction{}); err != nil && at < last {
		s.tx.phase = undone // until it is rolled back
	}
	for i := range list {
		a := answer{s: s, more: i < last}
		if err != nil && i == at {
			return a.fail(err)
		}
		if err := a.finish(); err != nil {
			return err
		}
	}
	return nil
}
