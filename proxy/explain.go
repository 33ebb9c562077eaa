package proxy

import (
	"slices"
	"strings"

	"github.com/xaproxy/xaproxy/router"
	"github.com/xaproxy/xaproxy/wire"
)

// explain answers EXPLAIN XAPROXY: a tree, a line in each row, with what it means for this session.
func (s *session) explain(p *router.Plan) error {
	lines, planned := s.router.Explain(p.Text, s.state.Schema, s.mode)
	if planned {
		of, err := s.router.Plan(p.Text, s.state.Schema, s.mode)
		if err != nil {
			return s.fail(clientError(err, false))
		}
		if e := s.forbidden(of); e != nil {
			lines = append(lines, "  this user may not run it: "+e.Error())
		}
		if on := s.branched(); len(on) > 0 {
			lines = append(lines, "  the open transaction has branches on "+strings.Join(on, ", "))
		}
	}
	rows := make([][][]byte, len(lines))
	for i, line := range lines {
		rows[i] = [][]byte{[]byte(line)}
	}
	s.past.rowCount, s.past.foundRows = -1, uint64(len(rows))
	return s.table([]wire.Column{s.srv.style.text("Plan", 4096)}, rows)
}

// branched are the names of the backends on which the open transaction has run statements.
func (s *session) branched() (names []string) {
	if s.tx == nil {
		return nil
	}
	for _, br := range s.tx.started() {
		names = append(names, br.Conn().Backend().Name())
	}
	slices.Sort(names)
	return names
}
