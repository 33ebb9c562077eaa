package oracle

import (
	"context"
	"flag"
	"fmt"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/xaproxy/xaproxy/backend/postgres"
	"github.com/xaproxy/xaproxy/config"
	"github.com/xaproxy/xaproxy/tests/proxytest"
	"github.com/xaproxy/xaproxy/tests/servers"
	"github.com/xaproxy/xaproxy/tests/servers/servertest"
	"github.com/xaproxy/xaproxy/wire"
)

// onPostgres is a definition, or rows, of the schema as PostgreSQL can have them: MySQL's younger collations, whose strings have no blanks at
// the end here that another one of them could hide, and times of a day.
func onPostgres(sql string) string {
	sql = plainer.Replace(sql)
	return clock.ReplaceAllStringFunc(sql, func(s string) string {
		var h, m int
		var rest string
		if _, err := fmt.Sscanf(strings.TrimLeft(s, "'-"), "%d:%d:%s", &h, &m, &rest); err != nil {
			panic(err)
		}
		return fmt.Sprintf("'%02d:%02d:%s", h%24, m, rest)
	})
}

var (
	plainer = strings.NewReplacer(" COLLATE utf8mb4_general_ci", "", " COLLATE utf8mb4_unicode_ci", "", " COLLATE utf8mb4_bin", " COLLATE utf8mb4_0900_bin",
		" CHARACTER SET latin1", "", " ZEROFILL", "", "'anna '", "'Anne'", "'red '", "'Red'")
	clock = regexp.MustCompile(`'-?\d\d:\d\d:\d\d\.\d\d'`)
)

// newPostgresPair has PostgreSQL on the first and the last shard, MySQL between them, and MySQL as the single server. The table settings is whole on
// all of them.
func newPostgresPair(t *testing.T) *pair {
	t.Helper()
	p := &pair{kind: servers.MySQL, mixed: true}
	own := func() (s *servers.Server) {
		s, err := servers.Start(t.Context(), servers.Options{Kind: servers.MySQL})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := s.Stop(); err != nil {
				t.Error(err)
			}
		})
		must(t, dial(t, s.Addr(), s.User, s.Password, ""), "CREATE DATABASE "+schema)
		return s
	}
	single := own()
	options := proxytest.Options{LogLevel: "info"}
	var shards []*wire.Conn
	for i, kind := range []servers.Kind{servers.Postgres, servers.MySQL, servers.Postgres} {
		name := fmt.Sprint("b", i)
		if kind == servers.Postgres {
			s := servertest.Get(t, kind)
			database := servertest.Database(t, s)
			d := &postgres.Dialer{Network: "tcp", Addr: s.Addr(), User: s.User, Password: s.Password, Database: database}
			if err := d.SetUp(t.Context()); err != nil {
				t.Fatal(err)
			}
			if _, err := s.PSQL(context.Background(), "\\connect "+database+"\nCREATE SCHEMA "+schema); err != nil {
				t.Fatal(err)
			}
			b := proxytest.On(name, s)
			b.Lines = []string{fmt.Sprintf("database = %q", database)}
			options.Backends = append(options.Backends, b)
			c, _, err := (&wire.Dialer{User: "any", Schema: schema, Connect: d.Dial}).Dial(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = c.Close() })
			shards = append(shards, c)
			continue
		}
		s := own()
		options.Backends = append(options.Backends, proxytest.On(name, s))
		shards = append(shards, dial(t, s.Addr(), s.User, s.Password, schema))
	}
	options.Schemas = []config.Schema{{Name: schema, Backend: "b0"}}
	options.ShardMaps, options.Tables = configured(schema)
	options.ShardMaps, options.Tables = withKinds(schema, options.ShardMaps, options.Tables)
	options.ShardMaps, options.Tables = withLookups(schema, options.ShardMaps, options.Tables)
	for i := range options.Tables {
		if table := &options.Tables[i]; table.Name == "settings" {
			*table = config.Table{Schema: schema, Name: "settings", Broadcast: true, Backends: []string{"b0", "b1", "b2"}}
		}
	}
	proxy := proxytest.Run(t, options)
	p.connect = func(t *testing.T) (direct, through *wire.Conn) {
		t.Helper()
		return dial(t, single.Addr(), single.User, single.Password, schema), dial(t, proxy.Addr, proxytest.User, proxytest.Password, schema)
	}
	p.direct, p.proxy = p.connect(t)
	for _, tab := range slices.Concat(tables, []table{members}) {
		must(t, p.proxy, onPostgres(tab.create()))
	}
	must(t, p.proxy, onPostgres(membersByEmail.create()))
	for _, tab := range kinds { // the proxy would not make some of them
		for _, c := range shards {
			must(t, c, onPostgres(tab.create()))
		}
	}
	must(t, p.direct, onPostgres(membersByEmail.create()))
	for _, tab := range slices.Concat(tables, kinds, []table{members}) {
		must(t, p.direct, onPostgres(tab.create()))
		must(t, p.direct, onPostgres(tab.fill()))
		must(t, p.proxy, onPostgres(tab.fill()))
	}
	return p
}

// plainColumns are the columns of two answers by what PostgreSQL knows of them, and of their tables if both tell.
func plainColumns(d, x []wire.Column) (_, _ []wire.Column) {
	plain := [2][]wire.Column{slices.Clone(d), slices.Clone(x)}
	for _, all := range plain {
		for i, c := range all {
			all[i] = wire.Column{Name: c.Name, Type: c.Type, Flags: c.Flags & wire.FlagUnsigned}
			if c.Type == wire.TypeString {
				all[i].Type = wire.TypeVarString
			}
			tells := func(c wire.Column) bool { return c.OrgTable != "" && c.Schema != "information_schema" }
			if i < min(len(d), len(x)) && tells(d[i]) && tells(x[i]) {
				all[i].Schema, all[i].Table, all[i].OrgTable, all[i].OrgName, all[i].Decimals = c.Schema, c.Table, c.OrgTable, c.OrgName, c.Decimals
			}
		}
	}
	return plain[0], plain[1]
}

// others are statements with another answer, and why.
var others = map[string]string{
	"SHOW DATABASES":           "PostgreSQL has none of MySQL's system schemas",
	"SHOW DATABASES LIKE 's%'": "PostgreSQL has none of MySQL's system schemas",
	"SHOW TABLES FROM information_schema LIKE 'TABLE_CONS%'":                   "PostgreSQL has fewer tables of information_schema",
	"UPDATE lines_ SET price = price / 3 ORDER BY customer, ord, pos LIMIT 50": "a FLOAT has all its digits in text, not six",
}

// place is where a refusal is about, and what it says behind that.
var place = regexp.MustCompile(` at position \d+.*| \(PostgreSQL .*`)

var whole = flag.Bool("whole", false, "TestPostgres runs all statements, not one in six, and as many random ones as -random says")

// TestPostgres compares shards on PostgreSQL and MySQL with one MySQL server: what is not refused has the same answer, and what is refused, or has
// another answer for a reason, is in testdata/postgres/refused.txt.
func TestPostgres(t *testing.T) {
	p := newPostgresPair(t)
	wanted := refusedByPostgres(t)
	found := map[string][]string{}
	n := 0
	for _, f := range files(t) {
		p.direct, p.proxy = p.connect(t) // what one of them refuses to set the other one has
		for _, c := range f.statements {
			if n++; n%6 != 0 && !*whole && !*rewrite {
				continue
			}
			o := p.compare(t, c)
			why := place.ReplaceAllString(o.refused, "")
			if other := others[c.sql]; other != "" && o.differs != "" {
				why, o.differs = "another answer: "+other, ""
			}
			if o.differs != "" {
				t.Errorf("%s\n%s", c.sql, o.differs)
			}
			if why != "" {
				found[why] = append(found[why], c.sql)
			}
			if why != wanted[c.sql] && !*rewrite {
				t.Errorf("%s\nis refused because %q, and was because %q (-rewrite notes it)", c.sql, why, wanted[c.sql])
			}
		}
	}
	if *rewrite {
		var b strings.Builder
		for _, why := range slices.Sorted(maps.Keys(found)) {
			fmt.Fprintf(&b, "%s\n    %s\n\n", why, strings.Join(found[why], "\n    "))
		}
		if err := os.WriteFile(refusedFile, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if *whole {
		t.Run("random", p.random)
	}
	t.Run("failing", p.failing)
	t.Run("writes", p.writes)
}

const refusedFile = "testdata/postgres/refused.txt"

// refusedByPostgres has for each statement of the file the reason above it.
func refusedByPostgres(t *testing.T) map[string]string {
	t.Helper()
	text, err := os.ReadFile(refusedFile)
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]string{}
	for _, part := range strings.Split(strings.TrimSpace(string(text)), "\n\n") {
		lines := strings.Split(part, "\n    ")
		for _, sql := range lines[1:] {
			all[sql] = lines[0]
		}
	}
	return all
}
