package postgres

import "github.com/xaproxy/xaproxy/wire"

type preparedStatements struct{}

func (p *preparedStatements) forget() {}

func (s *session) prepare([]byte) error {
	return s.fail(wire.NewError(wire.CodeNotSupported, "prepared statements are not known to a PostgreSQL backend yet"))
}

func (s *session) execute([]byte) error {
	return s.fail(wire.NewError(wire.CodeUnknownStatement, "no such statement"))
}
func (s *session) longData([]byte)             {}
func (s *session) closeStatement([]byte)       {}
func (s *session) resetStatement([]byte) error { return s.client.WriteOK(s.ok()) }

// foreign runs a statement in MySQL's words.
func (s *session) foreign(st *statement, a *answer) error {
	return wire.NewError(wire.CodeNotSupported, "a PostgreSQL backend takes statements in PostgreSQL's words, behind /* xaproxy: dialect=postgres */; this one is not: %.100s", st.text)
}
