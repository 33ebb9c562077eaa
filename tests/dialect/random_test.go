package dialect

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/xaproxy/xaproxy/backend/postgres"
	"github.com/xaproxy/xaproxy/tests/servers"
	"github.com/xaproxy/xaproxy/wire"
)

var (
	random  = flag.Int("random", 300, "random statements")
	seed    = flag.Uint64("seed", 1, "of the random statements")
	reasons = flag.Bool("reasons", false, "show the random statements that are refused")
)

// side is a session with one of the two.
type side struct {
	t    *testing.T
	conn *wire.Conn
}

// said is what a server has answered.
type said struct {
	columns  []wire.Column
	rows     []string
	affected uint64
	warnings uint16
	err      error
}

func (s *side) ask(text string) (a said) {
	s.t.Helper()
	if err := s.conn.SendQuery(nil, []byte(text)); err != nil {
		s.t.Fatal(err)
	}
	r, err := s.conn.ReadResult(64 << 20)
	a = said{columns: r.Columns, affected: r.OK.Affected, warnings: r.OK.Warnings, err: err}
	for _, values := range r.Values {
		row := make([]string, len(values))
		for i, v := range values {
			row[i] = fmt.Sprintf("%q", v)
			if v == nil {
				row[i] = nothing
			}
		}
		a.rows = append(a.rows, strings.Join(row, " | "))
	}
	return a
}

func (s *side) must(text string) {
	s.t.Helper()
	if a := s.ask(text); a.err != nil {
		s.t.Fatalf("%.200s: %v", text, a.err)
	}
}

// sides are a session with MySQL, and one with PostgreSQL as a MySQL client has it, each with the tables x and y.
func sides(t *testing.T, g *generator) (m, p *side) {
	t.Helper()
	mysql, pg, database := boot(t)
	d := &postgres.Dialer{Network: "tcp", Addr: pg.Addr(), User: pg.User, Password: pg.Password, Database: database, Timeout: 10 * time.Second}
	if err := d.SetUp(t.Context()); err != nil {
		t.Fatal(err)
	}
	dial := func(d wire.Dialer) *side {
		c, _, err := d.Dial(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = c.Close() })
		return &side{t, c}
	}
	m = dial(wire.Dialer{Addr: mysql.Addr(), User: servers.AdminUser, Password: servers.AdminPassword})
	p = dial(wire.Dialer{User: "u", Connect: func(ctx context.Context) (net.Conn, error) { return d.Dial(ctx) }})
	m.must("DROP DATABASE IF EXISTS chance")
	rows := map[string][]string{}
	for _, table := range []string{"x", "y"} {
		for i := range 40 {
			rows[table] = append(rows[table], g.row(i+1))
		}
	}
	for _, s := range []*side{m, p} {
		s.must("SET NAMES utf8mb4")
		s.must("SET time_zone = '+00:00', group_concat_max_len = 1048576")
		s.must("CREATE DATABASE chance")
		s.must("USE chance")
		for _, table := range []string{"x", "y"} {
			s.must("CREATE TABLE " + table + " (" + definition + ")")
			s.must("INSERT INTO " + table + " VALUES " + strings.Join(rows[table], ", "))
		}
	}
	return m, p
}

// refused tells a refusal from a failure. Both are errors of a MySQL server; a refusal says that something is not translated.
func refused(err error) bool {
	e, ok := err.(*wire.Error)
	return ok && (e.Errno == 1235 || e.Errno == 1267 || e.Errno == 1265 || slices.ContainsFunc([]string{"translat", "and is none", "has no equal", "is none at", "write it as"}, func(s string) bool { return strings.Contains(e.Message, s) }))
}

// overflow tells errors that a server makes or not as its plan has it computed or not.
func overflow(err error) bool {
	e, ok := err.(*wire.Error)
	return ok && slices.Contains([]uint16{1264, 1365, 1690}, e.Errno)
}

// differ says how two answers differ, "" if they do not.
func (m said) differ(p said, ordered bool) string {
	switch {
	case p.err != nil && refused(p.err), m.err != nil && p.err != nil, overflow(m.err), overflow(p.err):
		return ""
	case m.err != nil:
		return fmt.Sprintf("MySQL fails (%v), PostgreSQL does not: %d rows affected, %.300q", m.err, p.affected, p.rows)
	case p.err != nil:
		return fmt.Sprintf("PostgreSQL fails (%v), MySQL does not", p.err)
	case len(m.columns) != len(p.columns):
		return fmt.Sprintf("%d columns on MySQL, %d on PostgreSQL", len(m.columns), len(p.columns))
	case m.affected != p.affected && m.columns == nil:
		return fmt.Sprintf("%d rows affected on MySQL, %d on PostgreSQL", m.affected, p.affected)
	case m.warnings == 0 && p.warnings > 0:
		return fmt.Sprintf("%d warnings on PostgreSQL, none on MySQL", p.warnings)
	}
	if !ordered {
		slices.Sort(m.rows)
		slices.Sort(p.rows)
	}
	if !slices.Equal(m.rows, p.rows) {
		return fmt.Sprintf("%d rows on MySQL, %d on PostgreSQL; only on MySQL\n    %s\n  only on PostgreSQL\n    %s", len(m.rows), len(p.rows),
			strings.Join(without(m.rows, p.rows), "\n    "), strings.Join(without(p.rows, m.rows), "\n    "))
	}
	for i, c := range m.columns {
		if d := metadata(c, p.columns[i]); d != "" {
			return d
		}
	}
	return ""
}

// without are the first few rows that are not, or not as often, among others.
func without(rows, others []string) (only []string) {
	left := map[string]int{}
	for _, r := range others {
		left[r]++
	}
	for _, r := range rows {
		if left[r]--; left[r] < 0 && len(only) < 3 {
			only = append(only, r)
		}
	}
	return only
}

// metadata compares what is told of a column, but for the width of integers and strings that are computed, which depends on whether MySQL runs a
// query with a temporary table.
func metadata(m, p wire.Column) string {
	computed := p.OrgName == ""
	describe := func(c wire.Column) string {
		switch c.Type {
		case wire.TypeYear, wire.TypeTiny, wire.TypeShort, wire.TypeInt24, wire.TypeLong:
			if computed {
				c.Type = wire.TypeLongLong
			}
		case wire.TypeVarString, wire.TypeString, 249, 250, 251, wire.TypeBlob:
			if computed {
				c.Type, c.Decimals = wire.TypeVarString, 0
			}
		}
		if len(c.Name) > 200 { // MySQL cuts it somewhere
			c.Name = c.Name[:200]
		}
		s := fmt.Sprintf("%q of type %d with %d digits", c.Name, c.Type, c.Decimals)
		if c.Flags&wire.FlagUnsigned != 0 && c.Type != wire.TypeNewDecimal {
			s += ", unsigned"
		}
		if c.Charset == 63 {
			s += ", binary"
		}
		return s
	}
	if describe(m) != describe(p) && p.Type != wire.TypeNull {
		return fmt.Sprintf("the column is %s on MySQL, %s on PostgreSQL", describe(m), describe(p))
	}
	return ""
}

// TestRandomStatements runs random statements on MySQL and on PostgreSQL as a MySQL client meets it: rows, names and types of columns, affected rows, what
// is in the tables afterwards, and whether they fail, must be the same, or the statement is refused. With -random and -seed there are others.
func TestRandomStatements(t *testing.T) {
	g := &generator{r: rand.New(rand.NewPCG(*seed, 0))}
	m, p := sides(t, g)
	same, failed, refusals := 0, 0, 0
	for i := range *random {
		g.r = rand.New(rand.NewPCG(*seed, uint64(i)+1))
		sql, ordered := g.statement()
		if outer, inner, found := strings.Cut(sql, "\x00"); found {
			sql = fmt.Sprintf(outer, inner)
		}
		m.must("BEGIN")
		p.must("BEGIN")
		a, b := m.ask(sql), p.ask(sql)
		difference := a.differ(b, ordered)
		if b.warnings > 0 && difference != "" {
			difference += fmt.Sprintf("\n  %q", p.ask("SHOW WARNINGS").rows)
		}
		if difference == "" && a.err == nil && b.err == nil && a.columns == nil {
			const all = "SELECT * FROM x ORDER BY id"
			if d := m.ask(all).differ(p.ask(all), true); d != "" {
				difference = "afterwards, " + d
			}
		}
		m.must("ROLLBACK")
		p.must("ROLLBACK")
		if b.err != nil && *reasons {
			t.Logf("statement %d: %s\n  refused: %v", i, sql, b.err)
		}
		switch {
		case difference != "":
			t.Errorf("statement %d: %s\n  %s", i, sql, difference)
		case b.err != nil && refused(b.err):
			refusals++
		case b.err != nil:
			failed++
		default:
			same++
		}
	}
	t.Logf("%d the same, %d failed on both, %d refused", same, failed, refusals)
	if same < *random/3 {
		t.Errorf("only %d of %d statements could be compared", same, *random)
	}
}
