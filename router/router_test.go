package router

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"testing"

	"github.com/xaproxy/xaproxy/config"
)

const testConfig = `backend a
backend b
backend c
schema shop a
schema crm b
table shop.orders by customer hash a b c
table shop.items by customer hash a b c
table shop.events by id modulo a b
table shop.audit b
table shop.country on`

// seeds are the statements of the golden files.
func seeds(t testing.TB) (all []string) {
	t.Helper()
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatal("no golden files", err)
	}
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, block := range strings.Split(string(text), "\n\n") {
			if in, _, ok := strings.Cut(block, "\n----\n"); ok && !strings.HasPrefix(in, "config") {
				_, in, _ = strings.Cut(in, "\n")
				all = append(all, strings.Split(in, "\n---\n")...)
			}
		}
	}
	return all
}

// FuzzPlan: no statement makes Plan panic; it gives the same plan twice; and a router that analyses every statement anew gives
// the same plan as one that has the statement's shape in its cache because it planned another statement of that shape before.
func FuzzPlan(f *testing.F) {
	for _, sql := range seeds(f) {
		f.Add([]byte(sql), byte(0))
		f.Add([]byte(sql), byte(5))
	}
	f.Fuzz(func(t *testing.T, sql []byte, how byte) {
		cfg := parseConfig(t, testConfig)
		fast, slow := newRouter(t, cfg), newRouter(t, cfg)
		slow.cache = nil
		schema, mode := "shop", Mode(how&3)
		if how&4 != 0 {
			schema = ""
		}
		// The answer is of no interest: it only fills the cache.
		_, _ = fast.Plan(otherLiterals(sql, mode), schema, mode)
		p1, err1 := fast.Plan(sql, schema, mode)
		p2, err2 := fast.Plan(sql, schema, mode)
		p3, err3 := slow.Plan(sql, schema, mode)
		if !reflect.DeepEqual(p1, p2) || !reflect.DeepEqual(err1, err2) {
			t.Fatalf("planned twice: %+v %v, %+v %v", p1, err1, p2, err2)
		}
		if !reflect.DeepEqual(p1, p3) || !reflect.DeepEqual(err1, err3) {
			t.Fatalf("from the cache: %+v %v, anew: %+v %v", p1, err1, p3, err3)
		}
		check(t, p1, err1, sql)
		if lines, planned := fast.Explain(sql, schema, mode); planned != (err1 == nil) || len(lines) == 0 {
			t.Fatalf("planned: %v, %v; explained as %q", p1, err1, lines)
		}
	})
}

// otherLiterals is the statement with every integer and every string replaced by another.
func otherLiterals(sql []byte, mode Mode) (out []byte) {
	l := lexer{src: sql, mode: mode}
	for {
		switch t := l.next(); t.kind {
		case kEnd:
			return out
		case kInt:
			out = append(out, "77"...)
		case kString:
			out = append(out, "'zz'"...)
		default:
			out = append(out, sql[t.start:t.end]...)
		}
	}
}

// check holds what is true of every answer.
func check(t *testing.T, p *Plan, err error, sql []byte) {
	t.Helper()
	if err != nil {
		var r *Refusal
		if !errors.As(err, &r) || r.Text == "" || r.State == "" || r.Pos < -1 || r.Pos > len(sql) || p != nil {
			t.Fatalf("refusal %#v of %q", err, sql)
		}
		return
	}
	switch p.Verb {
	case Route:
		if p.Load != nil && !p.Local || p.Unpin && p.Pin == PinNone || p.Drops && len(p.Temporary) == 0 || len(p.Temporary) > 0 && len(p.Parts) != 1 {
			t.Fatalf("%+v", p)
		}
		odd := p.Merge == MergeSteps || p.Listing != nil || p.Scratch != nil && p.Scratch.Informs // any number of parts
		if len(p.Parts) == 0 || (len(p.Parts) == 1) != (p.Merge == MergeNone) && !odd {
			t.Fatalf("%d parts with merge %v", len(p.Parts), p.Merge)
		}
		for i := 1; i < len(p.Parts); i++ {
			if p.Parts[i-1].Backend >= p.Parts[i].Backend || p.Parts[0].Backend < 0 {
				t.Fatalf("parts %v", p.Parts)
			}
		}
	case PrepareSQL, ExecuteSQL, Deallocate:
		hasText := p.Verb == PrepareSQL || p.Immediate
		if (p.Name == "") != p.Immediate || len(p.Parts) > 0 || hasText && (p.Text == nil) == (p.Var == "") {
			t.Fatalf("%+v", p)
		}
	case Set:
		for _, a := range p.Sets {
			if a.Expr == "" || a.Name == "" || a.Scope > ScopeUser {
				t.Fatalf("assignment %+v of %q", a, sql)
			}
		}
	}
}

// TestRowsAreAllPlaced: of an INSERT of many rows each row is in exactly one part, in its order, and in the part where an
// INSERT of that row alone goes.
func TestRowsAreAllPlaced(t *testing.T) {
	r := newRouter(t, parseConfig(t, testConfig))
	forms := []string{"(KEY, 'rROW')", "('KEY', NULL)", "( KEY , concat(ROW, 'x'))", "(-KEY, DEFAULT)", "(KEY.0, (1))"}
	for n := 2; n < 200; n += 7 {
		rows := make([]string, n)
		want := map[int][]string{}
		for i := range rows {
			rows[i] = strings.NewReplacer("KEY", fmt.Sprint(i*n+1), "ROW", fmt.Sprint(i)).Replace(forms[(i*i+n)%len(forms)])
			one, err := r.Plan([]byte("INSERT INTO orders (customer, a) VALUES "+rows[i]), "shop", 0)
			if err != nil {
				t.Fatal(err)
			}
			want[one.Parts[0].Backend] = append(want[one.Parts[0].Backend], rows[i])
		}
		p, err := r.Plan([]byte("INSERT INTO orders (customer, a) VALUES "+strings.Join(rows, ",")+" ON DUPLICATE KEY UPDATE a = 'z'"), "shop", 0)
		if err != nil {
			t.Fatal(err)
		}
		if len(p.Parts) != len(want) {
			t.Fatalf("%d parts, want %d", len(p.Parts), len(want))
		}
		if len(want) == 1 {
			continue
		}
		for _, part := range p.Parts {
			text := "INSERT INTO orders (customer, a) VALUES " + strings.Join(want[part.Backend], ", ") + " ON DUPLICATE KEY UPDATE a = 'z'"
			if string(part.SQL) != text {
				t.Fatalf("backend %d gets\n%s\nwant\n%s", part.Backend, part.SQL, text)
			}
		}
	}
}

// TestOneShapeForManyRows: INSERTs of any number of rows share a shape, and so do rows with the same columns left NULL.
func TestOneShapeForManyRows(t *testing.T) {
	r := newRouter(t, parseConfig(t, testConfig))
	for n := 1; n < 50; n++ {
		sql := "INSERT INTO orders (customer, a) VALUES " + strings.Repeat("(1, 'x'), ", n) + "(2,NULL)"
		if _, err := r.Plan([]byte(sql), "shop", 0); err != nil {
			t.Fatal(err)
		}
	}
	if n := r.cache.shapes(); n != 1 {
		t.Fatalf("%d shapes", n)
	}
}

// TestCacheIsBounded: more shapes than fit do not grow the cache, and a shape in use stays.
func TestCacheIsBounded(t *testing.T) {
	r := newRouter(t, parseConfig(t, testConfig))
	kept, err := r.Plan([]byte("SELECT * FROM audit"), "shop", 0)
	if err != nil {
		t.Fatal(err)
	}
	_ = kept
	for i := range 3 * cacheShapes {
		if _, err := r.Plan(fmt.Appendf(nil, "COMMIT x%d", i), "shop", 0); err == nil {
			t.Fatal("not refused")
		}
		if i%100 == 0 {
			if _, err := r.Plan([]byte("SELECT * FROM audit"), "shop", 0); err != nil {
				t.Fatal(err)
			}
		}
	}
	if n := r.cache.shapes(); n > cacheShapes || n < cacheShapes*9/10 {
		t.Fatalf("%d shapes", n)
	}
	var s scan
	s.read([]byte("SELECT * FROM audit"), "shop", 0, false)
	if r.cache.get(s.buf) == nil {
		t.Fatal("a shape in use was evicted")
	}
	big := strings.Repeat("x", maxCachedShape/2)
	for i := range 2 * cacheBytes / maxCachedShape {
		if _, err := r.Plan(fmt.Appendf(nil, "COMMIT %s%d", big, i), "", 0); err == nil {
			t.Fatal("not refused")
		}
	}
	for i := range r.cache.segments {
		if b := r.cache.segments[i].bytes; b > cacheBytes/cacheSegments {
			t.Fatalf("segment %d has %d bytes", i, b)
		}
	}
}

// TestPlansAreShared: many goroutines get the same plan for the same statement.
func TestPlansAreShared(t *testing.T) {
	r := newRouter(t, parseConfig(t, testConfig))
	plans := make([]*Plan, 8)
	var all sync.WaitGroup
	for i := range plans {
		all.Go(func() {
			for n := range 500 {
				p, err := r.Plan(fmt.Appendf(nil, "SELECT * FROM orders WHERE customer = %d AND x%d = 1", n%5, n%100), "shop", 0)
				if err != nil {
					t.Error(err)
					return
				}
				if n == 0 {
					plans[i] = p
				}
			}
		})
	}
	all.Wait()
	for _, p := range plans {
		if p != plans[0] {
			t.Fatal("different plans")
		}
	}
}

// TestDeepStatements: statements that would take the parser too deep are refused, not tried.
func TestDeepStatements(t *testing.T) {
	r := newRouter(t, parseConfig(t, testConfig))
	for _, sql := range []string{
		"SELECT " + strings.Repeat("(", 100_000) + "1" + strings.Repeat(")", 100_000) + " FROM orders",
		"SELECT 1" + strings.Repeat("+1", 1_000_000) + " FROM orders",
		"SELECT * FROM orders WHERE " + strings.Repeat("NOT ", 100_000) + "1",
	} {
		if p, err := r.Plan([]byte(sql), "shop", 0); err == nil {
			t.Errorf("%.40s...: %+v", sql, p)
		}
	}
}

// TestNew: a configuration that names what is not there is refused.
func TestNew(t *testing.T) {
	for _, text := range []string{
		"",
		"backend a\nschema shop b",
		"backend a\nschema shop a\nschema SHOP a",
		"backend a\ntable shop.t b",
		"backend a\ntable shop.t a\ntable shop.T a",
		"backend a\nbackend b\ntable shop.t by id random a b",
		"backend a\nbackend b\ntable shop.t by id hash a c",
	} {
		if _, err := New(parseConfig(t, text)); err == nil {
			t.Errorf("accepted: %s", text)
		}
	}
	cfg := parseConfig(t, "backend a\nbackend b")
	cfg.Tables = []config.Table{{Schema: "shop", Name: "t", Function: "hash", Backends: []string{"a", "b"}}}
	if _, err := New(cfg); err == nil {
		t.Error("accepted: sharded by no column")
	}
}
