package proxy

import (
	"github.com/xaproxy/xaproxy/router"
	"github.com/xaproxy/xaproxy/wire"
)

// reloadConfig answers XAPROXY RELOAD with a row for each line of what it says. The session itself goes on with the former configuration until its
// next statement.
func (s *session) reloadConfig(p *router.Plan) error {
	switch {
	case !s.user.admin:
		return s.fail(wire.NewError(wire.CodePrivilege, "Access denied; you need admin = true in the configuration of user '%s' for this operation", s.login.User))
	case s.srv.reload == nil:
		return s.fail(wire.NewError(wire.CodeNotSupported, "this xaproxy has no configuration file to load again"))
	}
	lines, err := s.srv.reload(s.ctx(), s.login.User+"@"+s.net.RemoteAddr().String(), p.DryRun)
	if err != nil {
		return s.fail(wire.NewError(wire.CodeUnknown, "%v", err))
	}
	rows := make([][][]byte, len(lines))
	for i, line := range lines {
		rows[i] = [][]byte{[]byte(line)}
	}
	s.past.rowCount, s.past.foundRows = -1, uint64(len(rows))
	return s.table([]wire.Column{s.srv.style.text("Change", 4096)}, rows)
}
