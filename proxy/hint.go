package proxy

import (
	"github.com/rs/zerolog"

	"github.com/xaproxy/xaproxy/router"
)

// hinted performs a plan with a limit of its own, or with warnings about hints, which come behind those of the servers.
func (s *session) hinted(p *router.Plan, r *request) error {
	if p.Timeout > 0 {
		s.work.bound(p.Timeout)
		defer s.work.bound(0)
	}
	if p.Verb == router.Diagnostics { // it shows the warnings of others
		return s.perform(p, r)
	}
	s.relay.AddWarnings = uint16(len(p.Complaints))
	err := s.perform(p, r)
	s.relay.AddWarnings = 0
	if err != nil || len(p.Complaints) == 0 {
		return err
	}
	lines, lost := s.warnings()
	if lost != nil {
		s.log(zerolog.DebugLevel).Err(lost).Msg("warnings are lost")
	}
	for _, text := range p.Complaints {
		lines = append(lines, [][]byte{[]byte("Warning"), []byte("1105"), []byte(text)})
	}
	s.past.lines, s.past.noted = lines, nil
	s.past.warnings += len(p.Complaints)
	return nil
}
