package proxy

import (
	"fmt"
	"strings"

	"github.com/rs/zerolog"

	"github.com/xaproxy/xaproxy/backend"
	"github.com/xaproxy/xaproxy/router"
	"github.com/xaproxy/xaproxy/wire"
)

// characteristics are what SET TRANSACTION says of a transaction. What is empty is as the session has it.
//
// Source: MySQL manual, "SET TRANSACTION Statement".
type characteristics struct{ level, access string }

// set takes over what a list of characteristics says.
func (c *characteristics) set(words string) {
	for one := range strings.SplitSeq(words, ",") {
		if one = strings.ToUpper(strings.TrimSpace(one)); strings.HasPrefix(one, "READ") {
			c.access = one
		} else {
			c.level = one
		}
	}
}

// statement is the one that sets them for the next transaction of a connection; "" if there are none.
func (c characteristics) statement() string {
	switch {
	case c == characteristics{}:
		return ""
	case c.level == "":
		return "SET TRANSACTION " + c.access
	case c.access == "":
		return "SET TRANSACTION " + c.level
	}
	return "SET TRANSACTION " + c.level + ", " + c.access
}

// once runs a statement that is a transaction of its own on these connections, with the characteristics that SET TRANSACTION left
// for the next one, which run puts in front of it.
func (s *session) once(conns []*backend.Conn, run func(lead string) error) error {
	before, err := s.ends(conns[0])
	if err != nil {
		return s.fail(clientError(err, false))
	}
	if err := run(s.nextTx.statement()); err != nil {
		return err
	}
	s.spend(conns[0], before, s.past.errno)
	s.past.at = nil
	for _, c := range conns {
		if c.Broken() {
			continue
		}
		if err := c.Exec("ROLLBACK"); err != nil { // ends nothing, but the server forgets what is not spent
			c.Break()
		}
	}
	return nil
}

// startOwn opens a transaction for one statement of several backends. If the statement fails, failed ends it.
func (s *session) startOwn(p *router.Plan) (failed func(*wire.Error)) {
	next, before := s.nextTx, ""
	s.start()
	s.tx.own = true
	if next != (characteristics{}) {
		branches, err := s.branches(p)
		if err == nil {
			before, err = s.ends(branches[0].Conn())
		}
		if s.leave(branches); err != nil {
			next = characteristics{} // the statement will find out too
		}
	}
	return func(e *wire.Error) {
		if s.tx != nil && next != (characteristics{}) {
			s.nextTx = next
			s.spend(s.tx.branches[s.backend(p, p.Parts[0]).Index].Conn(), before, e.Errno)
		}
		s.abandon()
	}
}

// spend notes that the characteristics for the next transaction were those of the one that has just run on conn. They were not
// if no engine has taken part, as in SELECT 1: then conn has the same ends as before. errno is of the error, 0 if there was none.
func (s *session) spend(conn *backend.Conn, before string, errno uint16) {
	if err := s.recall(conn); err != nil { // the question clears the warnings
		s.log(zerolog.DebugLevel).Err(err).Msg("warnings are lost")
	}
	if early[errno] {
		return
	}
	if after, err := s.ends(conn); err != nil || after != before {
		s.nextTx = characteristics{}
	}
}

// early are errors before any engine takes part. MySQL itself may have read what it knows of tables by then, which counts as well.
var early = map[uint16]bool{errnoReadOnly: true, errnoNoTable: true}

const (
	errnoNoTable  = 1146
	errnoReadOnly = 1792
)

// ends tells how often engines have committed and rolled back on a connection, be it one statement or a transaction.
func (s *session) ends(conn *backend.Conn) (string, error) {
	if err := conn.Ready(&s.state); err != nil {
		return "", err
	}
	rows, err := conn.Query("SHOW SESSION STATUS WHERE Variable_name IN ('Handler_commit', 'Handler_rollback')")
	return fmt.Sprintf("%s", rows.Values), err
}
