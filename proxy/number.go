package proxy

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/rs/zerolog"

	"github.com/xaproxy/xaproxy/backend"
	"github.com/xaproxy/xaproxy/config"
	"github.com/xaproxy/xaproxy/router"
	"github.com/xaproxy/xaproxy/sequence"
	"github.com/xaproxy/xaproxy/wire"
)

// numbered is a sharded table whose AUTO_INCREMENT column has a sequence.
type numbered struct {
	sequence.Sequence
	name, column string // quoted
}

// numbers are those that a statement got of a sequence.
type numbers struct {
	first uint64
	count uint64 // 0: none
}

func (n numbers) has(id uint64) bool { return id-n.first < n.count }

// newSequences returns the tables that have sequences, by name as Plan.Sequence has it.
func (s *Server) newSequences(cfg *config.Config, backends []*backend.Backend) map[string]numbered {
	all := make(map[string]numbered)
	for i := range cfg.Tables {
		t := &cfg.Tables[i]
		if t.AutoIncrement == "" {
			continue
		}
		one := numbered{name: backend.Quote(t.Schema) + "." + backend.Quote(t.Name), column: backend.Quote(t.AutoIncrement)}
		of := t.Numbering(cfg)
		if of.Kind == config.Snowflake {
			if s.flakes[of.Node] == nil { // one for all tables, and for what is loaded later: no number may come twice
				s.flakes[of.Node] = sequence.NewSnowflake(of.Node, time.Now)
			}
			one.Sequence = s.flakes[of.Node]
		} else {
			one.Sequence = sequence.NewBlocks(newCounter(cfg, backends, t, of), uint64(of.Block))
		}
		all[strings.ToLower(t.Schema+"."+t.Name)] = one
	}
	return all
}

// newCounter returns the counter of a table. It begins behind the numbers that are in the table already.
func newCounter(cfg *config.Config, backends []*backend.Backend, t *config.Table, of *config.Sequence) *backend.Counter {
	var on []*backend.Backend
	for _, shard := range t.Map(cfg).Shards {
		if b := backends[cfg.BackendIndex(shard.Backend)]; !slices.Contains(on, b) {
			on = append(on, b)
		}
	}
	c := &backend.Counter{Backend: on[0], Schema: t.Schema, Table: of.Table, Name: strings.ToLower(t.Schema + "." + t.Name)}
	if of.Backend != "" {
		c.Backend = backends[cfg.BackendIndex(of.Backend)]
	}
	c.First = func(ctx context.Context) (uint64, error) {
		highest := uint64(0)
		for _, b := range on {
			one, err := b.Highest(ctx, t.Schema, t.Name, t.AutoIncrement)
			if err != nil {
				return 0, fmt.Errorf("backend %s: %w", b.Name(), err)
			}
			highest = max(highest, one)
		}
		return highest + 1, nil
	}
	return c
}

// take gets the numbers of a statement, after those that the client gives itself: what one server does with a column of its own.
func (s *session) take(p *router.Plan, count int, highest uint64) (numbers, *wire.Error) {
	if e := s.forbidden(p); e != nil {
		return numbers{}, e
	}
	var n numbers
	var err error
	from := s.gen.sequences[p.Sequence]
	if highest > 0 {
		err = from.Pass(s.ctx(), highest)
	}
	if err == nil && count > 0 {
		n.count = uint64(count)
		n.first, err = from.Take(s.ctx(), n.count)
	}
	switch {
	case errors.Is(err, context.Canceled):
		return n, wire.NewError(wire.CodeQueryInterrupted, "interrupted while waiting for a value of the AUTO_INCREMENT column of %s", p.Sequence)
	case err != nil:
		return n, wire.NewError(wire.CodeSequence, "no value for the AUTO_INCREMENT column of %s: %v", p.Sequence, err)
	}
	return n, nil
}

// number writes into a statement the numbers that it needs, and returns its text and plan with them.
func (s *session) number(p *router.Plan, sql []byte) ([]byte, *router.Plan, numbers, *wire.Error) {
	n, e := s.take(p, p.Numbers, p.Highest)
	if e != nil || n.count == 0 {
		return sql, p, n, e
	}
	text, err := s.router.Number(sql, s.state.Schema, s.mode, n.first)
	if err == nil {
		p, err = s.router.Plan(text, s.state.Schema, s.mode)
	}
	if err != nil {
		return nil, nil, n, clientError(err, false)
	}
	return text, p, n, nil
}

// bind plans an execution whose parameters may have to be numbers; value is what the client has bound. The numbers that take their
// place are also returned by parameter of the text that is sent.
func (s *session) bind(p *prepared, value func(int) router.Value) (*router.Plan, numbers, map[int]uint64, *wire.Error) {
	lacks, highest := p.routed.Lacks(value)
	n, e := s.take(p.routed.Any(), len(lacks), highest)
	if e != nil {
		return nil, n, nil, e
	}
	given := make(map[int]uint64, len(lacks))
	for i, param := range lacks {
		given[param] = n.first + uint64(i)
	}
	plan, err := p.routed.Plan(func(i int) router.Value {
		if v, ok := given[i]; ok {
			return router.Value{Kind: router.ValueUint, Uint: v}
		}
		if p.routed.From != nil {
			i = p.routed.From[i]
		}
		return value(i)
	})
	if err != nil {
		return nil, n, nil, clientError(err, false)
	}
	return plan, n, given, nil
}

// numberedExecution is what COM_STMT_EXECUTE of a table with a sequence comes to: the plan, and in the present request what is sent.
func (s *session) numberedExecution(p *prepared, value func(int) router.Value) (*router.Plan, *wire.Error) {
	plan, n, given, e := s.bind(p, value)
	if e != nil {
		return nil, e
	}
	s.request.numbers = n
	if p.numbered != "" {
		s.request.text = p.numbered
	}
	b := s.request.bound
	b.execute = b.execute.Rebound(p.routed.From, func(i int) (uint64, bool) {
		v, ok := given[i]
		return v, ok
	})
	if p.routed.From == nil || len(b.long) == 0 {
		return plan, nil
	}
	b.long = make(map[int][]byte)
	for i, from := range p.routed.From {
		if data, ok := p.long[from]; ok {
			b.long[i] = data
		}
	}
	return plan, nil
}

// numberedNaming is the same for EXECUTE: numbers become user variables of the proxy's own.
func (s *session) numberedNaming(one *prepared, using []router.Argument, value func(int) router.Value) (*router.Plan, numbers, *naming, *wire.Error) {
	plan, n, given, e := s.bind(one, value)
	if e != nil {
		return nil, n, nil, e
	}
	call := &naming{text: one.sent, escapes: s.escapes()}
	if one.numbered != "" {
		call.text = one.numbered
	}
	from := one.routed.From
	if from == nil {
		for i := range using {
			from = append(from, i)
		}
	}
	for i, of := range from {
		v, ok := given[i]
		if !ok {
			call.using = append(call.using, using[of])
			continue
		}
		name := "xaproxy number " + strconv.Itoa(i)
		call.using = append(call.using, router.Argument{Var: name, Text: strconv.FormatUint(v, 10)})
		call.set += map[bool]string{true: "SET @", false: ", @"}[call.set == ""] + backend.Quote(name) + " = " + strconv.FormatUint(v, 10)
	}
	return plan, n, call, nil
}

// response relays the answer to a statement. To one row with a number a server says what it would say if it had chosen that
// itself; of several it names the last one, and not the first.
func (s *session) response(conn *backend.Conn, p *router.Plan, r *request) (wire.Result, error) {
	if r.numbers.count < 2 || p.Returning {
		return s.relay.Response(s.conn, conn.Conn)
	}
	ok, err := conn.Result()
	var said *wire.Error
	switch {
	case errors.As(err, &said):
		if err := s.conn.WriteErr(said); err != nil {
			return wire.Result{}, &wire.SideError{Err: err}
		}
		return wire.Result{Err: said}, nil
	case err != nil:
		return wire.Result{}, &wire.SideError{Backend: true, Err: err}
	}
	if p.Partial {
		s.collect(ok.Warnings, conn)
	}
	ok.InsertID = s.insertID(p, r, ok.InsertID, conn)
	s.track.hears(ok)
	if err := s.ok(wire.OK{Affected: ok.Affected, InsertID: ok.InsertID, Warnings: ok.Warnings, Info: ok.Info}); err != nil {
		return wire.Result{}, &wire.SideError{Err: err}
	}
	return wire.Result{OK: ok}, nil
}

// insertID is what one server would say of a statement that got numbers: the first one that is in the table now; if none is, what
// the backend of the last row says.
func (s *session) insertID(p *router.Plan, r *request, said uint64, on ...*backend.Conn) uint64 {
	if !p.Partial {
		return r.numbers.first
	}
	t := s.gen.sequences[p.Sequence]
	first := uint64(0)
	for _, conn := range on {
		rows, err := conn.Query(fmt.Sprintf("SELECT COALESCE(MIN(%s), 0) FROM %s WHERE %s BETWEEN %d AND %d",
			t.column, t.name, t.column, r.numbers.first, r.numbers.first+r.numbers.count-1))
		id, err := number(rows, err)
		if err != nil { // the connection breaks, and with it what depends on it
			s.log(zerolog.DebugLevel).Err(err).Msg("the insert id is lost")
		}
		if id > 0 && (first == 0 || id < first) {
			first = id
		}
	}
	if first == 0 && !r.numbers.has(said) {
		return said
	}
	return first
}

// numbered notes the id in the answer to a statement whose numbers no server has chosen.
func (p *past) numbered(n numbers, id uint64) {
	if n.has(id) {
		p.inserted(id)
	}
}
