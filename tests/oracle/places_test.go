package oracle

import (
	"cmp"
	"database/sql"
	"fmt"
	"hash/crc32"
	"hash/fnv"
	"io"
	"math/big"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/xaproxy/xaproxy/config"
	"github.com/xaproxy/xaproxy/tests/proxytest"
	"github.com/xaproxy/xaproxy/tests/servers"
	"github.com/xaproxy/xaproxy/wire"
)

// This file knows where rows belong from docs/sharding.md alone. None of it is the router's.

// keyValue is the value of one column of a shard key.
type keyValue struct {
	plain  string // the canonical form
	at     time.Time
	texts  []string // ways to write it as a literal
	params []any    // ways to bind it
}

// layout is a sharded table, and the model of its function.
type layout struct {
	table, function string
	columns         string // definitions of those of the key, which are k, l ...
	slots           string // of functions that have slots: the number of the backend of each
	shards          string // of the others, as the configuration has them
	key             func(*rand.Rand) []keyValue
	home            func(slots string, key []keyValue) int
	found           []string // other conditions, which find what all backends find
	refused         []string // values of k that an INSERT may not have
}

var layouts = []layout{
	{table: "p_hash", function: "hash", columns: "k BIGINT", slots: "012120021011", key: integerKeys(big.NewInt(-1<<62), 63), home: byHash},
	{table: "p_text", function: "hash", columns: "k VARCHAR(250) COLLATE utf8mb4_general_ci", slots: "2011", key: stringKeys(true), home: byHash},
	{table: "p_pair", function: "hash", columns: "k INT, l VARCHAR(250) COLLATE utf8mb4_general_ci", slots: "0112020", key: both(integerKeys(big.NewInt(-3), 3), stringKeys(true)), home: byHash},
	{table: "p_crc", function: "crc32", columns: "k BIGINT UNSIGNED", slots: "0121202101210012", key: integerKeys(big.NewInt(0), 64), home: byCRC},
	{table: "p_crctext", function: "crc32", columns: "k VARCHAR(250) COLLATE utf8mb4_general_ci", slots: "01201", key: stringKeys(false), home: byCRC},
	{table: "p_crcpair", function: "crc32", columns: "k VARCHAR(250) COLLATE utf8mb4_general_ci, l INT", slots: "201", key: both(stringKeys(false), integerKeys(big.NewInt(-9), 4)), home: byCRC},
	{table: "p_modulo", function: "modulo", columns: "k BIGINT", slots: "0012", key: integerKeys(big.NewInt(-1<<62), 63), home: func(slots string, key []keyValue) int {
		return slot(slots, bigNumber(key[0].plain))
	}},
	{table: "p_ring", function: "consistent", columns: "k VARCHAR(250) COLLATE utf8mb4_general_ci", shards: ring, key: stringKeys(true), home: byRing},
	{table: "p_ringpair", function: "consistent", columns: "k INT, l INT", shards: ring, key: both(integerKeys(big.NewInt(-9), 4), integerKeys(big.NewInt(0), 4)), home: byRing},
	{
		table: "p_range", function: "range", columns: "k INT", key: integerKeys(big.NewInt(-2000), 12),
		shards: `{name="x", backend="b0", holds=["..-1000", "0..1000"]}, {name="y", backend="b1", holds=["-1000..0"]}, {name="z", backend="b2", holds=["1000.."]}`,
		home: func(_ string, key []keyValue) int {
			switch n := bigNumber(key[0].plain).Int64(); {
			case n < -1000, n >= 0 && n < 1000:
				return 0
			case n < 0:
				return 1
			}
			return 2
		},
	},
	{
		table: "p_dates", function: "dates", columns: "k DATETIME(6)", key: dateKeys(true),
		shards: `{name="x", backend="b0", holds=["..1999-12-31"]}, {name="y", backend="b1", holds=["2012-02-29.."]}, {name="z", backend="b2", holds=["1999-12-31..2012-02-29"]}`,
		home: func(_ string, key []keyValue) int {
			switch at := key[0].at; {
			case at.Before(time.Date(1999, 12, 31, 0, 0, 0, 0, time.UTC)):
				return 0
			case at.Before(time.Date(2012, 2, 29, 0, 0, 0, 0, time.UTC)):
				return 2
			}
			return 1
		},
	},
	{
		table: "p_list", function: "list", columns: "k VARCHAR(250) COLLATE utf8mb4_general_ci", key: oneOf("de", "at", "it", "7", "-3", "fr", "8"),
		shards: `{name="x", backend="b0", holds=["de", "AT", "7"]}, {name="y", backend="b1", holds=["IT", "-3"]}, {name="z", backend="b2", others=true}`,
		home: func(_ string, key []keyValue) int {
			switch key[0].plain {
			case "de", "at", "7":
				return 0
			case "it", "-3":
				return 1
			}
			return 2
		},
	},
	{table: "p_day", function: "day", columns: "k DATE", slots: "0120120201201", key: dateKeys(false), home: func(slots string, key []keyValue) int {
		return slot(slots, big.NewInt(719528+int64(key[0].at.Sub(time.Unix(0, 0)).Hours()/24))) // TO_DAYS('1970-01-01') is 719528
	}},
	{table: "p_month", function: "month", columns: "k DATETIME(6)", slots: "012120021011", key: dateKeys(true), home: func(slots string, key []keyValue) int {
		return slot(slots, big.NewInt(int64(key[0].at.Year()*12+int(key[0].at.Month())-1)))
	}},
	{table: "p_year", function: "year", columns: "k DATE", slots: "0122", key: dateKeys(false), home: func(slots string, key []keyValue) int {
		return slot(slots, big.NewInt(int64(key[0].at.Year())))
	}},
	{
		table: "p_enum", function: "hash", columns: "k ENUM('new','paid','2','sent','gone','3')", slots: "012120021011", key: oneOf("new", "paid", "2", "sent", "gone", "3"), home: byHash,
		found: []string{"k = 1", "k = 3", "k IN (2, 4)", "k = '3'", "k = '1'", "k = ''", "k < 'paid'", "k IN ('new', 2)", "k <=> 5", "k = 'none'"}, refused: []string{"1", "'1'", "'none'", "''"},
	},
	{
		table: "p_set", function: "hash", columns: "k SET('red','green','blue','7')", slots: "01212", key: unpadded(oneOf("red", "green", "blue", "7")), home: byHash,
		found: []string{"k = 1", "k = '4'", "k = 'blue,red'", "k IN (1, 'GREEN')", "FIND_IN_SET('7', k)", "k = 0"}, refused: []string{"3", "'4'", "'green,red'", "''"},
	},
	{
		table: "p_years", function: "hash", columns: "k YEAR", slots: "0121200210", key: integerKeys(big.NewInt(1995), 5), home: byHash,
		found: []string{"k = 5", "k = '5'", "k = '05'", "k IN (99, 2001)", "k BETWEEN 1 AND 9", "k BETWEEN 2001 AND 2009", "k = 0", "k < 2000"}, refused: []string{"5", "'05'", "0", "'x'"},
	},
	// As most configurations have it: a function over backends.
	{table: "p_plain", function: "hash", columns: "k INT", key: integerKeys(big.NewInt(-500), 10), home: func(_ string, key []keyValue) int { return byHash("012", key) }},
}

const ring = `{name="A", backend="b0"}, {name="b", backend="b1"}, {name="c", backend="b2"}`

func bigNumber(plain string) *big.Int {
	n, _ := new(big.Int).SetString(plain, 10)
	return n
}

// slot is the backend of slot n mod slots.
func slot(slots string, n *big.Int) int {
	return int(slots[new(big.Int).Mod(n, big.NewInt(int64(len(slots)))).Int64()] - '0')
}

func canonical(key []keyValue) string {
	all := key[0].plain
	for _, k := range key[1:] {
		all += "\x00" + k.plain
	}
	return all
}

func hashed(plain string) uint64 {
	f := fnv.New64a()
	_, _ = io.WriteString(f, plain) // it never fails
	h := f.Sum64()
	h ^= h >> 33
	h *= 0xff51afd7ed558ccd
	h ^= h >> 33
	h *= 0xc4ceb9fe1a85ec53
	return h ^ h>>33
}

func byHash(slots string, key []keyValue) int {
	return slot(slots, new(big.Int).SetUint64(hashed(canonical(key))))
}

func byCRC(slots string, key []keyValue) int {
	return slot(slots, big.NewInt(int64(crc32.ChecksumIEEE([]byte(canonical(key))))))
}

func byRing(_ string, key []keyValue) int {
	at := hashed(canonical(key))
	next, home, first, firstHome := ^uint64(0), -1, ^uint64(0), 0
	for b, name := range []string{"a", "b", "c"} {
		for i := range 160 {
			p := hashed(name + "-" + strconv.Itoa(i))
			if p >= at && p <= next {
				next, home = p, b
			}
			if p < first {
				first, firstHome = p, b
			}
		}
	}
	if home < 0 {
		return firstHome
	}
	return home
}

// integerKeys are those from low on, with so many bits.
func integerKeys(low *big.Int, bits uint) func(*rand.Rand) []keyValue {
	return func(r *rand.Rand) []keyValue {
		n := new(big.Int).SetUint64(r.Uint64() >> (64 - bits))
		n.Add(n, low)
		k := keyValue{plain: n.String()}
		k.texts = []string{k.plain, "'" + k.plain + "'", k.plain + ".0", `"` + k.plain + `"`}
		k.params = []any{k.plain}
		if n.IsInt64() {
			k.params = append(k.params, n.Int64())
		} else {
			k.params = append(k.params, n.Uint64())
		}
		if n.Sign() < 0 {
			k.texts = append(k.texts, "- "+k.plain[1:], "-00"+k.plain[1:])
		} else {
			k.texts = append(k.texts, "00"+k.plain)
		}
		return []keyValue{k}
	}
}

// stringKeys are strings; folded ones are also written in ways that collations equate.
func stringKeys(folded bool) func(*rand.Rand) []keyValue {
	return func(r *rand.Rand) []keyValue {
		const letters, others = "abcdefghijklmnopqrstuvwxyz", `0123456789 -_%.@'"\#/*`
		plain := string(letters[r.IntN(26)])
		for range r.IntN(20) {
			plain += string((letters + others)[r.IntN(len(letters+others))])
		}
		if r.IntN(8) == 0 {
			plain = fmt.Sprintf("%08x-%04x-4%03x-a%03x-%012x", r.Uint32(), r.Uint32()>>16, r.Uint32()>>20, r.Uint32()>>20, r.Uint64()>>16)
		}
		return []keyValue{spelled(strings.TrimRight(plain, " "), folded)}
	}
}

// spelled is a string with ways to write it.
func spelled(plain string, folded bool) keyValue {
	k := keyValue{plain: plain, params: []any{plain, []byte(plain)}}
	ways := []string{plain}
	if folded {
		ways = append(ways, strings.ToUpper(plain))
		k.params = append(k.params, strings.ToUpper(plain))
		if bigNumber(plain) == nil {
			ways = append(ways, plain+"  ")
		}
	}
	for _, w := range ways {
		w = strings.ReplaceAll(w, `\`, `\\`)
		k.texts = append(k.texts, "'"+strings.ReplaceAll(w, "'", "''")+"'", "'"+strings.ReplaceAll(w, "'", `\'`)+"'", `"`+strings.ReplaceAll(w, `"`, `""`)+`"`)
	}
	return k
}

func oneOf(words ...string) func(*rand.Rand) []keyValue {
	return func(r *rand.Rand) []keyValue { return []keyValue{spelled(words[r.IntN(len(words))], true)} }
}

// unpadded are keys without the ways to write them that have blanks at the end, which no member of a SET is equal to.
func unpadded(of func(*rand.Rand) []keyValue) func(*rand.Rand) []keyValue {
	return func(r *rand.Rand) []keyValue {
		k := of(r)
		k[0].texts = slices.DeleteFunc(k[0].texts, func(text string) bool { return strings.Contains(text, "  ") })
		return k
	}
}

// dateKeys are dates near the ends of intervals and elsewhere.
func dateKeys(clock bool) func(*rand.Rand) []keyValue {
	return func(r *rand.Rand) []keyValue {
		at := time.Date(1900+r.IntN(200), time.Month(1+r.IntN(12)), 1+r.IntN(28), 0, 0, 0, 0, time.UTC)
		if r.IntN(2) == 0 {
			at = []time.Time{time.Date(1999, 12, 31, 0, 0, 0, 0, time.UTC), time.Date(2012, 2, 29, 0, 0, 0, 0, time.UTC), time.Date(1970, 1, 1, 0, 0, 0, 0, time.UTC)}[r.IntN(3)].AddDate(0, 0, r.IntN(3)-1)
		}
		if clock && r.IntN(3) > 0 {
			at = at.Add(time.Duration(r.Int64N(24*int64(time.Hour))) / time.Microsecond * time.Microsecond)
		}
		form := "2006-01-02"
		if at != at.Truncate(24*time.Hour) {
			form = "2006-01-02 15:04:05.999999"
		}
		k := keyValue{plain: at.Format(form), at: at}
		k.texts = []string{"'" + k.plain + "'", `"` + k.plain + `"`}
		k.params = []any{k.plain, at}
		if clock && form == "2006-01-02" {
			k.texts = append(k.texts, "'"+k.plain+" 00:00:00'")
		}
		return []keyValue{k}
	}
}

func both(first, second func(*rand.Rand) []keyValue) func(*rand.Rand) []keyValue {
	return func(r *rand.Rand) []keyValue { return append(first(r), second(r)...) }
}

// TestPlaces: for every function, each row that was written through the proxy, in whatever spelling and by text or by a prepared
// statement, is on exactly the backend that the model names, and is found by its key.
func TestPlaces(t *testing.T) {
	o := proxytest.Options{LogLevel: "info", Schemas: []config.Schema{{Name: schema, Backend: "b0"}}}
	var on []*wire.Conn
	for i, kind := range []servers.Kind{servers.MariaDB, servers.MySQL, servers.MariaDB} {
		s, err := servers.Start(t.Context(), servers.Options{Kind: kind})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := s.Stop(); err != nil {
				t.Error(err)
			}
		})
		c := dial(t, s.Addr(), s.User, s.Password, "")
		must(t, c, "CREATE DATABASE "+schema+" CHARACTER SET utf8mb4")
		must(t, c, "USE "+schema)
		for _, l := range layouts {
			must(t, c, "CREATE TABLE "+l.table+" (id INT NOT NULL PRIMARY KEY, "+l.columns+") ENGINE=InnoDB")
		}
		on = append(on, c)
		o.Backends = append(o.Backends, proxytest.On(fmt.Sprint("b", i), s))
	}
	for _, l := range layouts {
		o.Tables = append(o.Tables, l.configured())
		if m := l.shardMap(); m != "" {
			o.ShardMaps = append(o.ShardMaps, m)
		}
	}
	proxy := proxytest.Run(t, o)
	text := dial(t, proxy.Addr, proxytest.User, proxytest.Password, schema)
	prepared, err := sql.Open("mysql", strings.ReplaceAll(proxy.DSN(schema), "interpolateParams=true", "interpolateParams=false"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = prepared.Close() })
	for _, l := range layouts {
		t.Run(l.table, func(t *testing.T) { l.test(t, on, text, prepared) })
	}
}

func (l *layout) configured() config.Table {
	c := config.Table{Schema: schema, Name: l.table, Column: "k", ShardMap: l.table}
	if strings.Contains(l.columns, ", l ") {
		c.Column, c.Columns = "", []string{"k", "l"}
	}
	if l.shardMap() == "" {
		c.ShardMap, c.Function, c.Backends = "", l.function, []string{"b0", "b1", "b2"}
	}
	return c
}

// shardMap is a map with a shard for each slot.
func (l *layout) shardMap() string {
	shards := l.shards
	for i, b := range l.slots {
		shards += fmt.Sprintf(`{name="s%d", backend="b%c", holds=["%d"]}, `, i, b, i)
	}
	if shards == "" {
		return ""
	}
	m := fmt.Sprintf("name = %q\nfunction = %q\nshards = [%s]", l.table, l.function, strings.TrimSuffix(shards, ", "))
	if l.slots != "" {
		m += fmt.Sprintf("\nslots = %d", len(l.slots))
	}
	return m
}

// test writes rows and looks for them.
func (l *layout) test(t *testing.T, on []*wire.Conn, text *wire.Conn, prepared *sql.DB) {
	r := rand.New(rand.NewPCG(*seed, 1))
	pick := func(n int) int { return r.IntN(n) }
	var keys [][]keyValue
	columns := []string{"k", "l"}[:len(l.key(r))]
	for len(keys) < 160 {
		byText := len(keys)%2 == 0
		var rows []string
		var params []any
		for range 1 + pick(9) {
			values := []string{strconv.Itoa(len(keys))}
			key := l.key(r)
			for _, k := range key {
				if byText {
					values = append(values, k.texts[pick(len(k.texts))])
				} else {
					values = append(values, "?")
					params = append(params, k.params[pick(len(k.params))])
				}
			}
			keys = append(keys, key)
			rows = append(rows, "("+strings.Join(values, ", ")+")")
		}
		q := "INSERT INTO " + l.table + " (id, " + strings.Join(columns, ", ") + ") VALUES " + strings.Join(rows, ", ")
		if byText {
			must(t, text, q)
		} else if _, err := prepared.ExecContext(t.Context(), q, params...); err != nil {
			t.Fatalf("%s %q: %v", q, params, err)
		}
	}
	for _, where := range l.found {
		q := "SELECT id FROM " + l.table + " WHERE " + where
		var all []string
		for _, c := range on {
			all = append(all, ask(t, c, q).rows...)
		}
		a := ask(t, text, q)
		if slices.Sort(all); a.err != nil || !slices.Equal(slices.Sorted(slices.Values(a.rows)), all) {
			t.Errorf("%s finds %v, %v, want %v", q, a.rows, a.err, all)
		}
	}
	for _, value := range l.refused {
		for _, q := range []string{"INSERT IGNORE INTO %s (id, k) VALUES (-1, %s)", "INSERT IGNORE INTO %s (id, k) SELECT -1, %s FROM (SELECT 1) d"} {
			if a := ask(t, text, fmt.Sprintf(q, l.table, value)); a.err == nil || a.err.Errno != 1235 {
				t.Errorf(q+" is not refused: %v", l.table, value, a.err)
			}
		}
	}
	places := map[string][]int{} // of ids
	used := 0
	for b, c := range on {
		found := ask(t, c, "SELECT id FROM "+l.table).rows
		used += cmp.Compare(len(found), 0)
		for _, id := range found {
			places[id] = append(places[id], b)
		}
	}
	if used != len(on) {
		t.Errorf("all rows are on %d backends: that tests little", used)
	}
	for id, key := range keys {
		name := strconv.Quote(strconv.Itoa(id))
		if want := l.home(l.slots, key); !slices.Equal(places[name], []int{want}) {
			t.Errorf("key %q is on backends %v, want %d", canonical(key), places[name], want)
		}
		var written, bound []string
		var params []any
		for i, k := range key {
			written = append(written, columns[i]+" = "+k.texts[pick(len(k.texts))])
			bound = append(bound, columns[i]+" = ?")
			params = append(params, k.params[pick(len(k.params))])
		}
		q := "SELECT id FROM " + l.table + " WHERE "
		if a := ask(t, text, q+strings.Join(written, " AND ")); !slices.Contains(a.rows, name) {
			t.Errorf("%s%s finds %v, %v without %s", q, strings.Join(written, " AND "), a.rows, a.err, name)
		}
		var ids int
		err := prepared.QueryRowContext(t.Context(), "SELECT COUNT(*) FROM "+l.table+" WHERE id = ? AND "+strings.Join(bound, " AND "), append([]any{id}, params...)...).Scan(&ids)
		if err != nil || ids != 1 {
			t.Errorf("key %q bound as %q: %d rows, %v", canonical(key), params, ids, err)
		}
	}
}
