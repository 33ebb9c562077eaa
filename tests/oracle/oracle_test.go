package oracle

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/xaproxy/xaproxy/config"
	"github.com/xaproxy/xaproxy/tests/proxytest"
	"github.com/xaproxy/xaproxy/tests/servers"
	"github.com/xaproxy/xaproxy/tests/servers/servertest"
	"github.com/xaproxy/xaproxy/wire"
)

var (
	random  = flag.Int("random", 400, "random statements for each kind of server")
	seed    = flag.Uint64("seed", 1, "of the random statements")
	rewrite = flag.Bool("rewrite", false, "rewrite docs/sql-support.md")
)

func TestMain(m *testing.M) { servertest.Main(m) }

const schema = "shop"

// pair is a proxy over three servers, and one server that has all the data.
type pair struct {
	kind          servers.Kind
	direct, proxy *wire.Conn
	shards        []*servers.Server
	connect       func(t *testing.T) (direct, proxy *wire.Conn)

	planned, folded int // answers that agree but for what compareRead says

	// counts are compared with those of MySQL, and columns without what PostgreSQL does not know of them.
	mixed bool
}

// judge is judge of answers, some of which are PostgreSQL's.
func (p *pair) judge(d, x answer, ordered bool) outcome {
	if p.mixed {
		d.columns, x.columns = plainColumns(d.columns, x.columns)
		if x.err != nil && d.err == nil {
			return outcome{refused: reason(x.err.Message)}
		}
		if x.err != nil && d.err.Errno != x.err.Errno {
			return outcome{refused: fmt.Sprintf("error %d in place of %d", x.err.Errno, d.err.Errno)}
		}
		if d.err != nil && d.err.Errno == 3592 && x.err == nil { // MySQL takes a number in a window for a place in the select list
			return outcome{refused: "no error in place of 3592"}
		}
	}
	return judge(d, x, ordered)
}

// newPair boots four servers of a kind. All tables are filled through the proxy and on the single server by the same statements.
func newPair(t *testing.T, kind servers.Kind) *pair {
	t.Helper()
	p := &pair{kind: kind}
	var booted [4]*servers.Server
	var errs [4]error
	var booting sync.WaitGroup
	for i := range booted {
		booting.Go(func() { booted[i], errs[i] = servers.Start(t.Context(), servers.Options{Kind: kind}) })
	}
	booting.Wait()
	boot := func(i int) *servers.Server {
		s, err := booted[i], errs[i]
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := s.Stop(); err != nil {
				t.Error(err)
			}
		})
		c := dial(t, s.Addr(), s.User, s.Password, "")
		for _, q := range []string{"CREATE DATABASE " + schema + " CHARACTER SET utf8mb4", "USE " + schema} {
			must(t, c, q)
		}
		for i := range tables {
			must(t, c, tables[i].create())
		}
		for _, q := range empty {
			must(t, c, q)
		}
		for i := range kinds {
			must(t, c, kinds[i].create())
		}
		must(t, c, members.create())
		must(t, c, membersByEmail.create())
		return s
	}
	options := proxytest.Options{LogLevel: "info"}
	for i := range 3 {
		s := boot(i)
		c := dial(t, s.Addr(), s.User, s.Password, schema)
		for _, q := range hidden {
			must(t, c, q)
		}
		p.shards = append(p.shards, s)
		options.Backends = append(options.Backends, proxytest.On(fmt.Sprint("b", i), s))
	}
	options.Schemas = []config.Schema{{Name: schema, Backend: "b0"}}
	options.ShardMaps, options.Tables = configured(schema)
	options.ShardMaps, options.Tables = withKinds(schema, options.ShardMaps, options.Tables)
	options.ShardMaps, options.Tables = withLookups(schema, options.ShardMaps, options.Tables)
	single := boot(3)
	proxy := proxytest.Run(t, options)
	p.connect = func(t *testing.T) (direct, through *wire.Conn) {
		t.Helper()
		return dial(t, single.Addr(), single.User, single.Password, schema), dial(t, proxy.Addr, proxytest.User, proxytest.Password, schema)
	}
	p.direct, p.proxy = p.connect(t)
	for i := range tables {
		must(t, p.direct, tables[i].fill())
		must(t, p.proxy, tables[i].fill())
	}
	for i := range kinds {
		must(t, p.direct, kinds[i].fill())
		must(t, p.proxy, kinds[i].fill())
	}
	must(t, p.direct, members.fill())
	must(t, p.proxy, members.fill())
	return p
}

func dial(t *testing.T, addr, user, password, schema string) *wire.Conn {
	t.Helper()
	d := wire.Dialer{Addr: addr, User: user, Password: password, Schema: schema}
	c, _, err := d.Dial(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func must(t *testing.T, c *wire.Conn, q string) {
	t.Helper()
	if a := ask(t, c, q); a.err != nil {
		t.Fatalf("%s: %v", q, a.err)
	}
}

// answer is what a statement was answered with.
type answer struct {
	err     *wire.Error
	ok      wire.OK
	columns []wire.Column
	rows    []string
}

const maxAnswer = 64 << 20

func ask(t *testing.T, c *wire.Conn, q string) answer {
	t.Helper()
	if err := c.SendQuery(nil, []byte(q)); err != nil {
		t.Fatalf("%s: %v", q, err)
	}
	return received(t, c, q)
}

// received reads the answer to a statement.
func received(t *testing.T, c *wire.Conn, q string) answer {
	t.Helper()
	r, err := c.ReadResult(maxAnswer)
	var said *wire.Error
	if err != nil && !errors.As(err, &said) {
		t.Fatalf("%s: %v", q, err)
	}
	a := answer{err: said, ok: r.OK, columns: r.Columns}
	for _, row := range r.Values {
		var b bytes.Buffer
		for i, v := range row {
			if i > 0 {
				b.WriteString(" | ")
			}
			if v == nil {
				b.WriteString("NULL")
			} else {
				fmt.Fprintf(&b, "%q", v)
			}
		}
		a.rows = append(a.rows, b.String())
	}
	return a
}

// outcome is how a statement did.
type outcome struct {
	refused   string // the reason, "" if it was carried out
	differs   string // what differs, "" if nothing does
	described bool   // nothing does but the definitions of columns
}

// compare runs a statement on both. What changes rows is rolled back, and all tables are compared before.
func (p *pair) compare(t *testing.T, c statement) outcome {
	t.Helper()
	if c.reads() {
		return p.compareRead(t, c)
	}
	for _, conn := range []*wire.Conn{p.direct, p.proxy} {
		must(t, conn, "BEGIN")
	}
	defer func() {
		for _, conn := range []*wire.Conn{p.direct, p.proxy} {
			must(t, conn, "ROLLBACK")
		}
	}()
	d, x := ask(t, p.direct, c.sql), ask(t, p.proxy, c.sql)
	o := p.judge(d, x, c.ordered)
	if o != (outcome{}) || d.err != nil {
		return o
	}
	if p.mixed { // PostgreSQL says neither
		d.ok.Info, x.ok.Info, d.ok.Warnings, x.ok.Warnings = "", "", 0, 0
	}
	if d.ok.Affected != x.ok.Affected || d.ok.Info != x.ok.Info || d.ok.Warnings != x.ok.Warnings {
		return outcome{differs: fmt.Sprintf("%d rows %q %d warnings, through the proxy %d rows %q %d warnings", d.ok.Affected, d.ok.Info, d.ok.Warnings, x.ok.Affected, x.ok.Info, x.ok.Warnings)}
	}
	named := slices.DeleteFunc(slices.Clone(kinds), func(k table) bool { return !strings.Contains(c.sql, k.name) })
	for _, tab := range slices.Concat(tables, named) {
		q := "SELECT * FROM " + tab.name
		if o := p.judge(ask(t, p.direct, q), ask(t, p.proxy, q), false); o.differs != "" {
			return outcome{differs: "afterwards, " + q + ": " + o.differs}
		}
	}
	return p.lookups(t)
}

// compareRead runs a query on both. Two things a single server decides by its plan, and says otherwise after an ANALYZE or with another
// index (plans, below); a difference in them is not the proxy's:
//   - how an expression is described, by whether it has been through a temporary table. So both are asked again with STRAIGHT_JOIN and
//     SQL_BUFFER_RESULT, which leave them no choice, and must agree then;
//   - which of several strings that are equal in their collation stands for them. So these are compared without case, accents and
//     blanks at the end, if the statement lets them stand for each other.
func (p *pair) compareRead(t *testing.T, c statement) outcome {
	t.Helper()
	d, x := ask(t, p.direct, c.sql), ask(t, p.proxy, c.sql)
	if c.equals && d.err == nil && x.err == nil {
		if o := p.judge(d, x, c.ordered); o.differs == "" {
			return o
		}
		d.rows, x.rows = folded(d.rows), folded(x.rows)
		p.folded++
	}
	o := p.judge(d, x, c.ordered)
	if !o.described {
		return o
	}
	if p.kept(c.sql, d.columns, x.columns) && p.judge(d, x, c.ordered).differs == "" {
		return outcome{}
	}
	buffered := unplanned(c.sql)
	again := p.judge(ask(t, p.direct, buffered), ask(t, p.proxy, buffered), c.ordered)
	if again.differs != "" {
		return o
	}
	p.planned++
	return outcome{}
}

// kept forgives what docs/sharding.md says of common table expressions that are used more than once: MySQL keeps their rows in a table, and
// tells its name where it has none for an expression.
func (p *pair) kept(sql string, direct, proxied []wire.Column) (any bool) {
	if p.kind != servers.MySQL || len(direct) != len(proxied) {
		return false
	}
	for i := range proxied {
		d, x := &direct[i], &proxied[i]
		if name := x.OrgTable; name != "" && d.Schema+d.OrgTable+d.OrgName == "" && (strings.Contains(sql, "WITH "+name+" AS ") || strings.Contains(sql, ", "+name+" AS (")) {
			x.Schema, x.OrgTable, x.OrgName = "", "", ""
			any = true
		}
	}
	return any
}

// unplanned is the query with STRAIGHT_JOIN and SQL_BUFFER_RESULT behind its outermost SELECT.
func unplanned(sql string) string {
	depth := len(strings.TrimLeft(sql, "(")) - len(sql)
	for i := range len(sql) {
		switch {
		case sql[i] == '(':
			depth++
		case sql[i] == ')':
			depth--
		case depth == 0 && strings.HasPrefix(sql[i:], "SELECT "):
			return sql[:i] + "SELECT STRAIGHT_JOIN SQL_BUFFER_RESULT " + strings.TrimPrefix(sql[i:], "SELECT ")
		}
	}
	return sql
}

// folded are the rows as collations see them that know neither case nor accents nor blanks at the end, as far as the tables' letters go.
func folded(rows []string) (all []string) {
	same := strings.NewReplacer("ä", "a", "ö", "o", "ü", "u", "é", "e", "ë", "e", "ć", "c", ` "`, `"`)
	for _, row := range rows {
		all = append(all, same.Replace(strings.ToLower(row)))
	}
	return all
}

// planned are the flags of columns that depend on whether a server uses a temporary table, which it decides by the number of rows:
// PRI_KEY, UNIQUE_KEY, MULTIPLE_KEY, BINARY, PART_KEY and GROUP. So does the original name of an expression.
const planned = 1<<1 | 1<<2 | 1<<3 | 1<<7 | 1<<14 | 1<<15

// refusals are the errors of statements that xaproxy does not carry out.
var refusals = []uint16{1235, 1526, 1175}

func judge(d, x answer, ordered bool) outcome {
	switch {
	case x.err != nil && slices.Contains(refusals, x.err.Errno) && (d.err == nil || d.err.Errno != x.err.Errno):
		return outcome{refused: reason(x.err.Message)}
	case d.err != nil && x.err != nil && d.err.Errno == x.err.Errno && d.err.State == x.err.State:
		return outcome{}
	case d.err != nil || x.err != nil:
		return outcome{differs: fmt.Sprintf("the server says %v, the proxy %v", d.err, x.err)}
	}
	for _, a := range []answer{d, x} {
		for i := range a.columns {
			c := &a.columns[i]
			if c.Flags &^= planned; c.Table == "" {
				c.OrgName = ""
			}
			if c.Schema == "information_schema" || c.Schema == "" && c.OrgTable != "" { // MySQL's are views; how it joins and sorts them shows in what it tells of their tables
				c.Schema, c.OrgTable, c.OrgName = "", "", ""
			}
			c.OrgTable, _, _ = strings.Cut(c.OrgTable, "#") // MySQL lets nobody name a temporary table twice
		}
	}
	for i := range min(len(d.columns), len(x.columns)) {
		if a, b := &d.columns[i], &x.columns[i]; b.OrgTable == "xaproxy" { // of a common table expression that is read twice
			a.OrgTable, a.Schema, b.OrgTable, b.Schema = "", "", "", ""
		}
	}
	if !ordered {
		slices.Sort(d.rows)
		slices.Sort(x.rows)
	}
	if !slices.Equal(d.rows, x.rows) {
		return outcome{differs: fmt.Sprintf("%d rows, through the proxy %d; %s", len(d.rows), len(x.rows), firstDifference(d.rows, x.rows))}
	}
	if len(d.columns) != len(x.columns) {
		return outcome{differs: fmt.Sprintf("%d columns, through the proxy %d", len(d.columns), len(x.columns))}
	}
	for i := range d.columns {
		if a, b := fmt.Sprintf("%+v", d.columns[i]), fmt.Sprintf("%+v", x.columns[i]); a != b {
			return outcome{differs: "column " + a + "\n   proxy: " + b, described: true}
		}
	}
	return outcome{}
}

func firstDifference(a, b []string) string {
	for i := range max(len(a), len(b)) {
		x, y := "(nothing)", "(nothing)"
		if i < len(a) {
			x = a[i]
		}
		if i < len(b) {
			y = b[i]
		}
		if x != y {
			return fmt.Sprintf("row %d is %s\n   proxy: %s", i, x, y)
		}
	}
	return ""
}

// TestOracle compares on MariaDB and on MySQL, and then the outcomes with docs/sql-support.md.
func TestOracle(t *testing.T) {
	for _, kind := range []servers.Kind{servers.MariaDB, servers.MySQL} {
		t.Run(string(kind), func(t *testing.T) {
			p := newPair(t, kind)
			t.Run("places", p.places)
			t.Run("plans", p.plans)
			t.Run("long", p.long)
			t.Run("statements", p.statements)
			t.Run("random", p.random)
			t.Run("failing", p.failing)
			t.Run("writes", p.writes) // the last: what it commits stays
		})
	}
	if !t.Failed() {
		document(t)
	}
}

// places: every row is on exactly the backend of its key. The router's own model test has more keys, this one real rows.
func (p *pair) places(t *testing.T) {
	for i := range tables {
		tab := &tables[i]
		total := 0
		for b, s := range p.shards {
			c := dial(t, s.Addr(), s.User, s.Password, schema)
			n := len(ask(t, c, "SELECT 1 FROM "+tab.name).rows)
			total += n
			switch {
			case tab.shardBy == "" && (n > 0) != (tab.backend == fmt.Sprint("b", b)):
				t.Errorf("%s has %d rows on b%d", tab.name, n, b)
			case tab.shardBy != "" && (n == 0 || n == tab.count):
				t.Errorf("%s has %d of %d rows on b%d: that tests nothing", tab.name, n, tab.count, b)
			}
		}
		if total != tab.count {
			t.Errorf("%s has %d rows on all backends, want %d", tab.name, total, tab.count)
		}
	}
}

// plans: what compareRead forgives is what one server says both ways.
func (p *pair) plans(t *testing.T) {
	described := func(q string) string { return fmt.Sprintf("%+v", ask(t, p.direct, q).columns) }
	const q = "SELECT (customer > 25) AS a, CONCAT(what, 'x') AS b FROM audit"
	if described(q) == described(unplanned(q)) {
		t.Errorf("%s describes %s in one way only", p.kind, q)
	}
	by := func(index string) []string {
		rows := ask(t, p.direct, "SELECT DISTINCT name FROM customers "+index).rows
		slices.Sort(rows)
		return rows
	}
	a, b := by("FORCE INDEX (country) WHERE country > '' OR country IS NULL"), by("FORCE INDEX (PRIMARY) WHERE id > -1") // all rows
	if slices.Equal(a, b) || !slices.Equal(slices.Sorted(slices.Values(folded(a))), slices.Sorted(slices.Values(folded(b)))) {
		t.Errorf("%s has the strings %v by one index and %v by another", p.kind, a, b)
	}
}

// long: lists of 10,000 values, of the shard key and of another column.
func (p *pair) long(t *testing.T) {
	var values []string
	for i := range 10_000 {
		values = append(values, fmt.Sprint(i*3-100))
	}
	list := strings.Join(values, ", ")
	for _, q := range []string{"SELECT COUNT(*), MAX(id) FROM customers WHERE id IN (%s)", "SELECT customer, id FROM orders WHERE customer NOT IN (%s)", "SELECT c.id FROM customers c JOIN audit a ON a.id = c.id WHERE a.customer IN (%s)"} {
		if o := p.compare(t, statement{sql: fmt.Sprintf(q, list)}); o != (outcome{}) {
			t.Errorf("%s: %+v", q, o)
		}
	}
}

// statements runs the statements of testdata.
func (p *pair) statements(t *testing.T) {
	total, refused := 0, 0
	for _, f := range files(t) {
		for _, c := range f.statements {
			o := p.compare(t, c)
			if o.differs != "" {
				t.Errorf("%s\n%s", c.sql, o.differs)
			}
			if total++; o.refused != "" {
				refused++
			}
			c.note(p.kind, o)
		}
	}
	t.Logf("%s: %d statements, %d refused", p.kind, total, refused)
}

// random runs random statements.
func (p *pair) random(t *testing.T) {
	r := rand.New(rand.NewPCG(*seed, 0))
	refused, done, differ := map[string]int{}, 0, 0
	for i := range *random {
		g := generator{r: r}
		c := g.statement()
		switch o := p.compare(t, c); {
		case o.differs != "":
			if differ++; differ <= 20 {
				t.Errorf("-seed %d, statement %d: %s\n%s", *seed, i, c.sql, o.differs)
			}
		case o.refused != "":
			refused[o.refused]++
		default:
			done++
		}
	}
	t.Logf("%s: of %d random statements %d have the answer of one server, %d another one, %d are refused", p.kind, *random, done, differ, *random-done-differ)
	t.Logf("%s: in %d answers the definition of a column depends on a temporary table, in %d another one of equal strings stands for them", p.kind, p.planned, p.folded)
	for _, why := range slices.Sorted(maps.Keys(refused)) {
		t.Logf("  %5d  %s", refused[why], why)
	}
}
