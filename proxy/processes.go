package proxy

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/xaproxy/xaproxy/router"
	"github.com/xaproxy/xaproxy/wire"
)

// processes answers SHOW PROCESSLIST with the sessions of the client's user, under the ids that KILL takes. State tells what
// the session holds: the backends where its statement runs, and why it keeps connections.
//
// Source: MySQL manual, "SHOW PROCESSLIST Statement".
func (s *session) processes(p *router.Plan) error {
	shown, width := 100, uint32(100) // characters
	if p.Full {
		shown, width = shownText, 1<<32/3-1
	}
	style := s.srv.style
	columns := []wire.Column{
		style.number("Id", wire.TypeLongLong, 21, 0), style.text("User", 32), style.text("Host", 255), style.nullable("db", 64),
		style.text("Command", 16), style.number("Time", wire.TypeLong, 7, 0), style.nullable("State", 30), style.nullable("Info", width),
	}
	if style.mariadb {
		columns[0].Length, columns[1].Length, columns[2].Length = 11, 3*128, 3*64
		columns = append(columns, wire.Column{
			Name: "Progress", Charset: collationBinary, Length: 7, Type: wire.TypeDouble, Flags: wire.FlagNotNull | wire.FlagBinary, Decimals: 3,
		})
	}
	all := s.srv.sessions()
	slices.SortFunc(all, func(a, b *session) int { return cmp.Compare(a.id, b.id) })
	var rows [][][]byte
	now := time.Now()
	for _, one := range all {
		row, ok := one.process(s.login.User, now, shown)
		if !ok {
			continue
		}
		if style.mariadb {
			row = append(row, []byte("0.000"))
		}
		rows = append(rows, row)
	}
	s.past.rowCount, s.past.foundRows = -1, uint64(len(rows))
	return s.table(columns, rows)
}

// process is the session's row with so much of its statement, unless it is another user's. Any goroutine may ask.
func (s *session) process(of string, now time.Time, shown int) (row [][]byte, ok bool) {
	w := &s.work
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.user == nil || w.name != of {
		return nil, false
	}
	command, since := "Sleep", w.slept
	var state []string
	if !w.since.IsZero() {
		command, since = "Query", w.since
		for _, c := range w.conns {
			state = append(state, "on "+c.Backend().Name())
		}
		if w.doing != "" {
			state = []string{w.doing}
		}
	}
	state = append(state, w.pins...)
	row = [][]byte{
		strconv.AppendUint(nil, uint64(s.id), 10), []byte(w.name), []byte(s.net.RemoteAddr().String()), nil, []byte(command),
		strconv.AppendInt(nil, int64(max(now.Sub(since), 0)/time.Second), 10), []byte(strings.Join(state, ", ")), nil,
	}
	if command == "Query" {
		row[7] = slices.Clone(w.text[:min(len(w.text), shown)])
	}
	if w.schema != "" {
		row[3] = []byte(w.schema)
	}
	return row, true
}
