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
		return s
	}
	options := proxytest.Options{LogLevel: "info"}
	for i := range 3 {
		s := boot(i)
		p.shards = append(p.shards, s)
		options.Backends = append(options.Backends, proxytest.On(fmt.Sprint("b", i), s))
	}
	options.Schemas = []config.Schema{{Name: schema, Backend: "b0"}}
	options.ShardMaps, options.Tables = configured(schema)
	single := boot(3)
	proxy := proxytest.Run(t, options)
	p.direct = dial(t, single.Addr(), single.User, single.Password, schema)
	p.proxy = dial(t, proxy.Addr, proxytest.User, proxytest.Password, schema)
	for i := range tables {
		must(t, p.direct, tables[i].fill())
		must(t, p.proxy, tables[i].fill())
	}
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
	refused string // the reason, "" if it was carried out
	differs string // what differs, "" if nothing does
}

// compare runs a statement on both. What changes rows is rolled back, and all tables are compared before.
func (p *pair) compare(t *testing.T, c statement) outcome {
	t.Helper()
	if c.reads() {
		return judge(ask(t, p.direct, c.sql), ask(t, p.proxy, c.sql), c.ordered)
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
	o := judge(d, x, c.ordered)
	if o != (outcome{}) || d.err != nil {
		return o
	}
	if d.ok.Affected != x.ok.Affected || d.ok.Info != x.ok.Info || d.ok.Warnings != x.ok.Warnings {
		return outcome{differs: fmt.Sprintf("%d rows %q %d warnings, through the proxy %d rows %q %d warnings", d.ok.Affected, d.ok.Info, d.ok.Warnings, x.ok.Affected, x.ok.Info, x.ok.Warnings)}
	}
	for i := range tables {
		q := "SELECT * FROM " + tables[i].name
		if o := judge(ask(t, p.direct, q), ask(t, p.proxy, q), false); o.differs != "" {
			return outcome{differs: "afterwards, " + q + ": " + o.differs}
		}
	}
	return outcome{}
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
			c.OrgTable = strings.TrimSuffix(c.OrgTable, "#2") // MySQL lets nobody name a temporary table twice
		}
	}
	if !slices.EqualFunc(d.columns, x.columns, func(a, b wire.Column) bool { return fmt.Sprintf("%+v", a) == fmt.Sprintf("%+v", b) }) {
		for i := range min(len(d.columns), len(x.columns)) {
			if a, b := fmt.Sprintf("%+v", d.columns[i]), fmt.Sprintf("%+v", x.columns[i]); a != b {
				return outcome{differs: "column " + a + "\n   proxy: " + b}
			}
		}
		return outcome{differs: fmt.Sprintf("%d columns, through the proxy %d", len(d.columns), len(x.columns))}
	}
	if !ordered {
		slices.Sort(d.rows)
		slices.Sort(x.rows)
	}
	if !slices.Equal(d.rows, x.rows) {
		return outcome{differs: fmt.Sprintf("%d rows, through the proxy %d; %s", len(d.rows), len(x.rows), firstDifference(d.rows, x.rows))}
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
			t.Run("statements", p.statements)
			t.Run("random", p.random)
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
	for _, why := range slices.Sorted(maps.Keys(refused)) {
		t.Logf("  %5d  %s", refused[why], why)
	}
}
