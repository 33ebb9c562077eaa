package oracle

import (
	"encoding/binary"
	"errors"
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/xaproxy/xaproxy/wire"
)

var writing = flag.Int("writes", 500, "random statements of sessions that write, for each kind of server")

// speaker has the two connections of one session: to the server and to the proxy.
type speaker struct {
	writer
	direct, proxy *wire.Conn
	mixed         bool // PostgreSQL has some of the rows: it refuses more, and says less
}

// writes runs random sessions that write, a statement of one after a statement of another. Each has tables of its own, so that none waits
// for another, and reads what the others have committed.
func (p *pair) writes(t *testing.T) {
	r := rand.New(rand.NewPCG(*seed, 1))
	sessions := make([]*speaker, 3)
	for i := range sessions {
		s := &speaker{writer: writer{generator: generator{r: r}, own: []*table{&tables[2*i], &tables[2*i+1]}, auto: true}, mixed: p.mixed}
		s.direct, s.proxy = p.connect(t)
		s.same(t, "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED")
		sessions[i] = s
	}
	sessions[0].own = append(sessions[0].own, &members)
	refused, done := map[string]int{}, map[string]int{}
	count := *writing
	if p.mixed && !*whole {
		count /= 4
	}
	for i := range count {
		s := sessions[r.IntN(len(sessions))]
		sql := s.next()
		if s.mixed {
			sql = onPostgres(sql)
		}
		prepared := r.IntN(3) == 0 && preparable(sql)
		why, failed, differs := s.run(t, sql, prepared)
		if differs == "" && why == "" {
			done[or(failed == 0, strings.Fields(sql)[0], fmt.Sprint("error ", failed))]++
			differs = s.aftermath(t, failed == 0 && strings.Contains(sql, " INTO ") && !strings.Contains(sql, "VALUES("))
		}
		if differs == "" && i%10 == 9 {
			differs = sessions[r.IntN(len(sessions))].tables(t)
		}
		if differs != "" {
			t.Fatalf("-seed %d, write %d, prepared %v: %s\n%s", *seed, i, prepared, sql, differs)
		}
		if why != "" {
			refused[why]++
		}
	}
	for _, s := range sessions {
		s.same(t, "COMMIT")
	}
	if differs := sessions[0].tables(t); differs != "" {
		t.Error("in the end", differs)
	}
	if o := p.lookups(t); o.differs != "" {
		t.Error("in the end", o.differs)
	}
	t.Logf("%s: %d writes: %v", p.kind, count, done)
	for _, why := range slices.Sorted(maps.Keys(refused)) {
		t.Logf("  %5d  %s", refused[why], why)
	}
}

// failing: a statement that fails on the first shard, before the others have heard of the transaction, leaves one that can be committed.
func (p *pair) failing(t *testing.T) {
	_, c := p.connect(t)
	for _, failing := range []string{"UPDATE customers SET credit = credit * 100000000 WHERE id >= 0", "UPDATE customers SET name = NULL WHERE id >= 0"} {
		for _, sql := range []string{"BEGIN", "SAVEPOINT a", failing, "SELECT COUNT(*) FROM customers", "ROLLBACK TO a", "COMMIT", "BEGIN", failing, "COMMIT", "BEGIN", failing, "ROLLBACK"} {
			if a := ask(t, c, sql); (a.err != nil) != (sql == failing) {
				t.Errorf("%s: %v", sql, a.err)
			}
		}
	}
}

// run runs a statement on both. The proxy has it first: what it refuses the server does not get.
func (s *speaker) run(t *testing.T, sql string, prepared bool) (refused string, failed uint16, differs string) {
	t.Helper()
	say := ask
	if prepared {
		say = execute
	}
	x := say(t, s.proxy, sql)
	if x.err != nil && slices.Contains(refusals, x.err.Errno) {
		return reason(x.err.Message), x.err.Errno, ""
	}
	if x.err != nil && s.mixed && slices.Contains([]string{"INSERT", "REPLACE", "UPDATE", "DELETE", "SELECT"}, strings.Fields(sql)[0]) {
		if x.err.Errno == 1213 || x.err.Errno == 1105 {
			return "", 0, fmt.Sprint(x.err)
		}
		return fmt.Sprint("error ", x.err.Errno), x.err.Errno, "" // which has undone itself
	}
	d := say(t, s.direct, sql)
	if d.err != nil && x.err != nil && slices.Contains(ofRows, d.err.Errno) && slices.Contains(ofRows, x.err.Errno) {
		return "", d.err.Errno, ""
	}
	o := (&pair{mixed: s.mixed}).judge(d, x, false)
	if o.differs != "" {
		return "", 0, o.differs
	}
	if d.err != nil {
		return "", d.err.Errno, ""
	}
	if s.mixed {
		d.ok.Info, x.ok.Info, d.ok.Warnings, x.ok.Warnings = "", "", 0, 0
	}
	if strings.Contains(sql, "VALUES(") { // each backend of MySQL warns once that it is deprecated
		for _, ok := range []*wire.OK{&d.ok, &x.ok} {
			ok.Warnings = 0
			ok.Info, _, _ = strings.Cut(ok.Info, "Warnings")
		}
	}
	if d.ok.Info == "" && x.ok.Info == "Rows matched: 0  Changed: 0  Warnings: 0" { // MariaDB says nothing of a condition that is always false
		x.ok.Info = ""
	}
	if a, b := d.ok, x.ok; a.Affected != b.Affected || a.InsertID != b.InsertID || a.Info != b.Info || a.Warnings != b.Warnings ||
		s.auto && a.Status&wire.StatusInTrans != b.Status&wire.StatusInTrans {
		return "", 0, fmt.Sprintf("%+v, through the proxy %+v", a, b)
	}
	return "", 0, ""
}

// ofRows are errors of single rows: of several rows with mistakes any may be the one in the answer.
var ofRows = []uint16{1048, 1062, 1264, 1265, 1406, 1690}

// aftermath compares what the statement left behind, with its warnings if they are certain: MariaDB keeps those of a statement
// until the next one with tables.
func (s *speaker) aftermath(t *testing.T, warnings bool) string {
	t.Helper()
	q := "SELECT ROW_COUNT(), LAST_INSERT_ID()"
	switch {
	case s.chance(2):
		return ""
	case warnings && !s.mixed && s.chance(2):
		q = "SHOW WARNINGS"
	}
	if _, _, differs := s.run(t, q, false); differs != "" {
		return q + ": " + differs
	}
	return ""
}

// tables compares all tables as the session sees them, and opens no transaction if there is none.
func (s *speaker) tables(t *testing.T) string {
	t.Helper()
	for i := range tables {
		q := "SELECT * FROM " + tables[i].name
		if s.mixed { // FLOATs have all their digits in text, not six
			var names []string
			for _, c := range tables[i].columns {
				if name := tables[i].name + "." + c.name; name != "lines_.price" && name != "products.f" {
					names = append(names, c.name)
				}
			}
			q = "SELECT " + strings.Join(names, ", ") + " FROM " + tables[i].name
		}
		if refused, _, differs := s.run(t, q, false); refused+differs != "" {
			return "afterwards, " + q + ": " + refused + differs
		}
	}
	pair := pair{direct: s.direct, proxy: s.proxy, mixed: s.mixed}
	return pair.lookups(t).differs
}

// same runs what cannot fail.
func (s *speaker) same(t *testing.T, sql string) {
	t.Helper()
	must(t, s.direct, sql)
	must(t, s.proxy, sql)
}

// literal is what a parameter can stand for.
var literal = regexp.MustCompile(`'[^']*'|\b\d+(\.\d+)?\b`)

// preparable tells whether all that looks like a literal is one that a parameter can stand for.
func preparable(sql string) bool {
	change := slices.Contains([]string{"INSERT", "REPLACE", "UPDATE", "DELETE"}, strings.Fields(sql)[0])
	return change && !strings.Contains(sql, " x'") && !strings.Contains(sql, " b'") && !strings.Contains(sql, "''")
}

// execute runs a statement as a prepared one, with parameters in place of its literals: integers, decimals and strings.
func execute(t *testing.T, c *wire.Conn, sql string) answer {
	t.Helper()
	var types []byte
	var values [][]byte
	text := literal.ReplaceAllStringFunc(sql, func(l string) string {
		switch {
		case l[0] == '\'':
			types, values = append(types, byte(wire.TypeVarString), 0), append(values, counted(l[1:len(l)-1]))
		case strings.Contains(l, "."):
			types, values = append(types, byte(wire.TypeNewDecimal), 0), append(values, counted(l))
		default:
			var n uint64
			_, _ = fmt.Sscan(l, &n)
			types, values = append(types, byte(wire.TypeLongLong), 0), append(values, binary.LittleEndian.AppendUint64(nil, n))
		}
		return "?"
	})
	var said *wire.Error
	if err := c.SendCommand(wire.ComStmtPrepare, []byte(text)); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	p, err := c.ReadPrepared()
	if errors.As(err, &said) {
		return answer{err: said}
	}
	if err == nil {
		err = c.SendExecute(p.ID, 0, make([]byte, (len(values)+7)/8), types, slices.Concat(values...))
	}
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	a := received(t, c, text)
	if err := c.SendCommand(wire.ComStmtClose, binary.LittleEndian.AppendUint32(nil, p.ID)); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return a
}

// counted is a value of variable length.
func counted(s string) []byte { return append(wire.AppendInt(nil, uint64(len(s))), s...) }
