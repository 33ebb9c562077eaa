package router

import (
	"fmt"
	"strings"
	"testing"

	"github.com/xaproxy/xaproxy/config"
)

// shop has a sharded table over three backends and an unsharded one.
func shop(t testing.TB) *Router {
	t.Helper()
	r, err := New(&config.Config{
		Backends: []config.Backend{{Name: "a"}, {Name: "b"}, {Name: "c"}},
		Schemas:  []config.Schema{{Name: "shop", Backend: "a"}},
		Tables: []config.Table{
			{Schema: "shop", Name: "orders", Column: "id", Function: "modulo", Backends: []string{"a", "b", "c"}},
			{Schema: "shop", Name: "names", Column: "name", Function: "hash", Backends: []string{"a", "b", "c"}},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func i64(n int64) Value   { return Value{Kind: ValueInt, Int: n} }
func u64(n uint64) Value  { return Value{Kind: ValueUint, Uint: n} }
func text(s string) Value { return Value{Kind: ValueBytes, Bytes: []byte(s)} }

// literal writes a value as a client would.
func (v Value) literal() string {
	switch v.Kind {
	case ValueInt:
		return fmt.Sprint(v.Int)
	case ValueUint:
		return fmt.Sprint(v.Uint)
	case ValueBytes:
		return "'" + strings.ReplaceAll(strings.ReplaceAll(string(v.Bytes), `\`, `\\`), "'", "''") + "'"
	case ValueNull:
		return "NULL"
	}
	return "1e3"
}

var (
	prepareTexts = []string{
		"SELECT * FROM orders WHERE id = ?",
		"SELECT * FROM orders WHERE id IN (?, 4, ?) ",
		"SELECT * FROM orders o JOIN names n ON n.x = o.x WHERE o.id = ? AND n.name = ?",
		"SELECT ? FROM single WHERE x = ? LIMIT 3",
		"UPDATE orders SET v = v + ? WHERE id = ? AND w LIKE ?",
		"DELETE FROM orders WHERE (id = ? OR id = ?)",
		"INSERT INTO orders (id, v) VALUES (?, ?)",
		"INSERT INTO orders (v, id) VALUES (?, ?), (7, ?), (?, 11) ON DUPLICATE KEY UPDATE v = ?",
		"INSERT INTO orders SET v = ?, id = ?",
		"INSERT INTO names (name, v) VALUES (?, ?), (?, ?)",
		"SELECT * FROM names WHERE name = ?",
		"SELECT ?",
		"SELECT * FROM orders WHERE id = -?",
		"SELECT '?', `?`, \"?\" FROM orders WHERE id = ? -- ?",
	}
	prepareValues = []Value{
		i64(0), i64(1), i64(5), i64(-5), i64(-9223372036854775808), u64(18446744073709551615), u64(7), text("7"), text("-7"),
		text("Anna"), text("anna  "), text("O'Neill"), text(`back\slash`), text(""), text("7x"), text("ä"),
		{Kind: ValueNull},
		{Kind: ValueOther},
	}
)

// TestBoundLikeWritten plans executions and, as their twin, the text with the values written in place.
func TestBoundLikeWritten(t *testing.T) {
	r := shop(t)
	planned := 0
	for _, q := range prepareTexts {
		st, err := r.Prepare([]byte(q), "shop", 0)
		if err != nil {
			t.Fatalf("%s: %v", q, err)
		}
		for first := range prepareValues {
			value := func(i int) Value { return prepareValues[(first+i*5)%len(prepareValues)] }
			planned += compare(t, r, st, q, value)
		}
	}
	if planned < 100 {
		t.Errorf("only %d executions had a plan: the values are of no use", planned)
	}
}

// compare reports a difference between an execution and its twin. It returns 1 if they have a plan.
func compare(t *testing.T, r *Router, st *Statement, q string, value func(int) Value) int {
	t.Helper()
	twin, params := write(q, value)
	if params != st.Params {
		t.Fatalf("%s: %d parameters, want %d", q, st.Params, params)
	}
	got, err := st.Plan(value)
	want, wantErr := r.Plan([]byte(twin), "shop", 0)
	if (err == nil) != (wantErr == nil) {
		if strings.Contains(twin, "-") || strings.Contains(twin, "NULL") {
			return 0 // a minus sign before a literal, and NULL, belong to the text's syntax
		}
		t.Errorf("%s\n  bound:   %v %v\n  written: %v %v (%s)", q, got, err, want, wantErr, twin)
		return 0
	}
	if err != nil {
		return 0
	}
	if got.Verb != want.Verb || got.Write != want.Write || got.Merge != want.Merge || len(got.Parts) != len(want.Parts) {
		t.Errorf("%s: bound %+v, written %+v", twin, got, want)
		return 0
	}
	for i, p := range got.Parts {
		sql := p.SQL
		if sql != nil { // the part's own parameters, written in place, make the twin's part
			s, n := write(string(sql), func(j int) Value { return value(p.Params[j]) })
			if n != len(p.Params) {
				t.Errorf("%s: part %q takes %v", q, sql, p.Params)
			}
			sql = []byte(s)
		}
		if p.Backend != want.Parts[i].Backend || string(sql) != string(want.Parts[i].SQL) {
			t.Errorf("%s: part %d: bound to %d %q, written to %d %q", q, i, p.Backend, sql, want.Parts[i].Backend, want.Parts[i].SQL)
		}
	}
	return 1
}

// write replaces the parameters of a text, found by other means than the lexer's, with literals.
func write(q string, value func(int) Value) (string, int) {
	var b strings.Builder
	n, quote := 0, rune(0)
	for i, c := range q {
		switch {
		case quote == 0 && strings.HasPrefix(q[i:], "-- "):
			return b.String() + q[i:], n
		case quote != 0 && c == quote:
			quote = 0
		case quote == 0 && strings.ContainsRune("'\"`", c):
			quote = c
		case quote == 0 && c == '?':
			b.WriteString(value(n).literal())
			n++
			continue
		}
		b.WriteRune(c)
	}
	return b.String(), n
}

func TestPrepareRefuses(t *testing.T) {
	r := shop(t)
	for _, q := range []string{
		"SET x = ?", "SELECT ? FROM orders", "SELECT 1; SELECT ?", "SELECT 'a", "UPDATE orders SET id = ? WHERE id = ?", "INSERT INTO orders VALUES (?)",
	} {
		if st, err := r.Prepare([]byte(q), "shop", 0); err == nil {
			t.Errorf("%s: prepared as %+v", q, st.Any())
		}
	}
	if st, err := r.Prepare([]byte("COMMIT"), "shop", 0); err != nil || st.Any().Verb != Commit || st.Params != 0 {
		t.Errorf("COMMIT: %v", err)
	}
	if _, err := r.Plan([]byte("SELECT * FROM orders WHERE id = ?"), "shop", 0); err == nil {
		t.Error("a ? in the text protocol is taken for a shard key")
	}
}

func FuzzPrepare(f *testing.F) {
	for _, q := range prepareTexts {
		f.Add(q, int64(5), "7")
	}
	r := shop(f)
	f.Fuzz(func(t *testing.T, q string, n int64, s string) {
		st, err := r.Prepare([]byte(q), "shop", 0)
		if err != nil {
			return
		}
		value := func(i int) Value {
			if i%2 == 0 {
				return i64(n)
			}
			return text(s)
		}
		if p, err := st.Plan(value); err == nil {
			for _, part := range p.Parts {
				for _, i := range part.Params {
					if i < 0 || i >= st.Params {
						t.Errorf("part takes parameter %d of %d", i, st.Params)
					}
				}
			}
		}
	})
}

func BenchmarkBoundPointSelect(b *testing.B) {
	st, err := shop(b).Prepare([]byte("SELECT * FROM orders WHERE id = ?"), "shop", 0)
	if err != nil {
		b.Fatal(err)
	}
	value := func(int) Value { return i64(12345) }
	b.ReportAllocs()
	for b.Loop() {
		if _, err := st.Plan(value); err != nil {
			b.Fatal(err)
		}
	}
}
