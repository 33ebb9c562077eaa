package router

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
)

// hotStatements are the statements that must be fast.
func hotStatements() map[string][]byte {
	var rows bytes.Buffer
	for i := range 20 {
		if i > 0 {
			rows.WriteString(", ")
		}
		fmt.Fprintf(&rows, "(4, %d, 'name of item %d', 17.50, NULL)", i, i)
	}
	return map[string][]byte{
		"select":         []byte("SELECT id, name, total FROM customers WHERE id = 123456 LIMIT 1"),
		"select_sharded": []byte("SELECT id, name, total FROM orders WHERE customer = 123456 AND id = 5"),
		"select_string":  []byte("SELECT id, name, total FROM orders WHERE customer = 'alice' AND id = 5"),
		"update_sharded": []byte("UPDATE orders SET total = total + 17.5, state = 'paid' WHERE customer = 123456 AND id = 5"),
		"insert_1":       []byte("INSERT INTO items (customer, id, name, price, note) VALUES (4, 1, 'name of item', 17.50, NULL)"),
		"insert_20":      []byte("INSERT INTO items (customer, id, name, price, note) VALUES " + rows.String()),
		"commented":      []byte("/* of a web page */ SELECT id, name, total FROM orders WHERE customer = 123456 AND id = 5"),
		"hinted":         []byte("/* xaproxy: timeout=5s */ SELECT id, name, total FROM orders WHERE customer = 123456 AND id = 5"),
		"begin":          []byte("BEGIN"),
		"commit":         []byte("COMMIT"),
	}
}

// BenchmarkPlan is the cost of a plan whose shape is in the cache.
func BenchmarkPlan(b *testing.B) {
	r := newRouter(b, parseConfig(b, testConfig))
	for name, sql := range hotStatements() {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := r.Plan(sql, "shop", 0); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	cut := bytes.ReplaceAll(hotStatements()["insert_20"], []byte("(4, 1"), []byte("(1, 1"))
	b.Run("insert_20_cut", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if p, err := r.Plan(cut, "shop", 0); err != nil || len(p.Parts) != 2 {
				b.Fatal(p, err)
			}
		}
	})
	st, err := r.Prepare([]byte("SELECT id, name, total FROM orders WHERE customer = ? AND id = ?"), "shop", 0)
	if err != nil {
		b.Fatal(err)
	}
	b.Run("bound", func(b *testing.B) {
		b.ReportAllocs()
		for customer := int64(0); b.Loop(); customer++ {
			if _, err := st.Plan(func(int) Value { return Value{Kind: ValueInt, Int: customer} }); err != nil {
				b.Fatal(err)
			}
		}
	})
	slow := newRouter(b, parseConfig(b, testConfig))
	slow.cache = nil
	b.Run("miss", func(b *testing.B) {
		b.ReportAllocs()
		sql := hotStatements()["select_sharded"]
		for b.Loop() {
			if _, err := slow.Plan(sql, "shop", 0); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// BenchmarkShards is the cost of a plan on one shard of 2, 16 and 256 logical ones: it must be the same.
func BenchmarkShards(b *testing.B) {
	statements := map[string][]byte{
		"select":    []byte("SELECT a, b FROM t WHERE k = 123456 AND a = 5"),
		"in":        []byte("SELECT a, b FROM t WHERE k IN (7, 7, 7) AND a = 5"),
		"update":    []byte("UPDATE t SET a = a + 1 WHERE k = 123456"),
		"insert_20": []byte("INSERT INTO t (k, a) VALUES (123456, 1)" + strings.Repeat(", (123456, 1)", 19)),
	}
	for _, shards := range []int{2, 16, 256} {
		c := testConfig + "\nmap m hash 256"
		for i := range shards {
			c += fmt.Sprintf(" s%d=%c", i, "abc"[i%3])
		}
		r := newRouter(b, parseConfig(b, c+"\ntable shop.t by k map m"))
		for name, sql := range statements {
			b.Run(fmt.Sprintf("%s/%d", name, shards), func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					if p, err := r.Plan(sql, "shop", 0); err != nil || len(p.Parts) != 1 {
						b.Fatal(p, err)
					}
				}
			})
		}
	}
}
