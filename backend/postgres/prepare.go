package postgres

import (
	"encoding/binary"

	"github.com/xaproxy/xaproxy/backend/postgres/dialect"
	"github.com/xaproxy/xaproxy/wire"
)

// maxPrepared is how many statements a session may have prepared, as max_prepared_stmt_count has it by default.
const maxPrepared = 16382

// maxLong bounds the long data of a statement, in bytes, as max_allowed_packet does.
const maxLong = wire.DefaultMaxPacket

// preparedStatements are those of COM_STMT_PREPARE. PostgreSQL hears of one when it is executed: what it is translated to has a name there (named.go), or
// is sent as text with the values in it.
type preparedStatements struct {
	last uint32
	byID map[uint32]*preparedStatement
}

type preparedStatement struct {
	statement
	params  int
	classes []dialect.Class // of the parameters' places
	types   []byte          // as they were bound last
	long    map[int][]byte
	size    int // of long
	execute wire.Execute
}

func (p *preparedStatements) forget() { *p = preparedStatements{} }

// prepare answers COM_STMT_PREPARE.
func (s *session) prepare(arg []byte) error {
	list, refused := split(append([]byte(nil), arg...), !s.vars.noEscapes)
	switch {
	case refused != nil:
		return s.fail(refused)
	case len(list) != 1:
		return s.fail(wire.NewError(wire.CodeParse, "You have an error in your SQL syntax: one statement is prepared at a time"))
	case len(s.prepared.byID) >= maxPrepared:
		return s.fail(&wire.Error{Errno: 1461, State: "42000", Message: "Can't create more than max_prepared_stmt_count statements (current value: 16382)"})
	}
	p := &preparedStatement{statement: list[0]}
	columns, err := s.describe(p)
	if err != nil {
		return s.fail(err)
	}
	s.prepared.last++
	if s.prepared.byID == nil {
		s.prepared.byID = make(map[uint32]*preparedStatement)
	}
	s.prepared.byID[s.prepared.last] = p
	params := make([][]byte, p.params)
	for i := range params {
		params[i] = wire.Column{Name: "?", Charset: binaryCharset, Type: wire.TypeVarString, Flags: wire.FlagBinary}.Append(nil)
	}
	return s.client.WriteDescription(wire.Prepared{ID: s.prepared.last}, params, columns, s.status())
}

// describe finds the parameters and the columns of a statement.
func (s *session) describe(p *preparedStatement) (columns [][]byte, err error) {
	if p.native || s.verb(&p.statement) != nil {
		return nil, nil // the columns come with the answer
	}
	if own, _, err := s.values(&p.statement); own != nil || err != nil {
		for _, c := range own {
			columns = append(columns, c.Append(nil))
		}
		return columns, err
	}
	t, err := s.translate(&p.statement, nil)
	if err != nil {
		return nil, err
	}
	p.params, p.classes = t.Params, make([]dialect.Class, t.Params)
	for _, step := range t.Steps {
		for _, param := range step.Params {
			p.classes[param.From] = param.Class
		}
		if step.Kind == dialect.Rows || step.Kind == dialect.Show {
			columns = definitions(s.resultColumns(step.Columns))
		}
	}
	return columns, nil
}

// find returns the statement that the argument of a command begins with the id of.
func (s *session) find(arg []byte, command string) (*preparedStatement, error) {
	if len(arg) >= 4 {
		if p := s.prepared.byID[binary.LittleEndian.Uint32(arg)]; p != nil {
			return p, nil
		}
	}
	return nil, wire.NewError(wire.CodeUnknownStatement, "Unknown prepared statement handler given to %s", command)
}

// execute answers COM_STMT_EXECUTE. Cursors are not opened: the rows follow at once, as a server may answer.
func (s *session) execute(arg []byte) error {
	p, err := s.find(arg, "EXECUTE")
	if err != nil {
		return s.fail(err)
	}
	long := func(i int) bool { return p.long[i] != nil }
	if err := p.execute.Parse(arg, p.params, p.types, long, s.client.Caps()); err != nil {
		return s.fail(wire.NewError(wire.CodeMalformed, "%v", err))
	}
	p.types = append(p.types[:0], p.execute.Types...)
	a := answer{s: s, binary: true}
	err = s.statement(&p.statement, &a, p)
	p.forgetLong()
	p.execute.Forget()
	if err != nil {
		return a.fail(err)
	}
	return a.finish()
}

// longData takes a part of a parameter. It has no answer; what is wrong with it is found at the execution.
func (s *session) longData(arg []byte) {
	p, err := s.find(arg, "SEND_LONG_DATA")
	if err != nil || len(arg) < 6 {
		return
	}
	i := int(binary.LittleEndian.Uint16(arg[4:]))
	if i >= p.params || p.size > maxLong {
		return
	}
	if p.long == nil {
		p.long = make(map[int][]byte)
	}
	p.long[i] = append(append([]byte{}, p.long[i]...), arg[6:]...)
	p.size += len(arg) - 6
}

func (p *preparedStatement) forgetLong() { p.long, p.size = nil, 0 }

func (s *session) closeStatement(arg []byte) {
	if len(arg) >= 4 {
		delete(s.prepared.byID, binary.LittleEndian.Uint32(arg))
	}
}

func (s *session) resetStatement(arg []byte) error {
	p, err := s.find(arg, "RESET")
	if err != nil {
		return s.fail(err)
	}
	p.forgetLong()
	return s.client.WriteOK(s.ok())
}
