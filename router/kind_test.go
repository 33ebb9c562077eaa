package router

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/xaproxy/xaproxy/config"
)

// TestLearnedColumns: what the columns of shard keys hold changes where statements go: + is all shards, a number an error.
func TestLearnedColumns(t *testing.T) {
	cfg := &config.Config{Backends: []config.Backend{{Name: "a"}, {Name: "b"}, {Name: "c"}}, ShardMaps: []config.ShardMap{{
		Name: "days", Function: config.Dates,
		Shards: []config.Shard{{Name: "a", Backend: "a", Holds: []string{"..2026-01-01"}}, {Name: "b", Backend: "b", Holds: []string{"2026-01-01.."}}},
	}, {
		Name: "noons", Function: config.Dates,
		Shards: []config.Shard{{Name: "a", Backend: "a", Holds: []string{"..2026-01-01 12:00:00"}}, {Name: "b", Backend: "b", Holds: []string{"2026-01-01 12:00:00.."}}},
	}}}
	columns := map[string]KeyColumn{
		"tiny": ParseKeyColumn("tinyint(4)", "", 0, 0), "big": ParseKeyColumn("bigint(20) unsigned", "", 0, 0), "money": ParseKeyColumn("decimal(10,2)", "", 0, 0),
		"name": ParseKeyColumn("varchar(5)", "", 5, 0), "day": ParseKeyColumn("date", "", 0, 0), "noon": ParseKeyColumn("date", "", 0, 0), "second": ParseKeyColumn("datetime", "", 0, 0),
		"micro": ParseKeyColumn("datetime(6)", "", 0, 6), "unknown": ParseKeyColumn("json", "", 1, 0), "moment": {}, "kind": ParseKeyColumn("enum('a','it''s','2','ü','')", "", 1, 0), "tags": ParseKeyColumn("set('A','b')", "", 3, 0),
		"year": ParseKeyColumn("year(4)", "", 0, 0), "zoned": ParseKeyColumn("timestamp", "", 0, 0), "dated": ParseKeyColumn("timestamp(6)", "", 0, 6),
	}
	for name, c := range columns {
		table := config.Table{Schema: "s", Name: name, Column: "k", Function: config.Hash, Backends: []string{"a", "b", "c"}}
		if c.Kind == KeyDates || name == "moment" || name == "dated" {
			table.Function, table.Backends, table.ShardMap = "", nil, "days"
			if name == "noon" {
				table.ShardMap = "noons"
			}
		}
		cfg.Tables = append(cfg.Tables, table)
	}
	r, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	where := func(q string) string {
		p, err := r.Plan([]byte(q), "s", 0)
		var no *Refusal
		switch {
		case errors.As(err, &no):
			return fmt.Sprint(no.Errno, " ", no.State)
		case len(p.Parts) > 1:
			return "+"
		}
		return "1"
	}
	for name, c := range columns {
		r.Learn("S", name, []KeyColumn{c})
	}
	const last, next = "'2025-12-31 23:59:59.5'", "'2026-01-01 00:00:00'"
	for _, v := range []struct{ table, literals, compared, stored string }{
		{"tiny", "127", "1", "1"},
		{"tiny", "-128", "1", "1"},
		{"tiny", "'7'", "1", "1"},
		{"tiny", "128", "1", "1264 22003"},
		{"tiny", "-129", "1", "1264 22003"},
		{"tiny", "'abc'", "+", "1366 HY000"},
		{"big", "18446744073709551615", "1", "1"},
		{"big", "-1", "1", "1264 22003"},
		{"big", "'x'", "+", "1366 HY000"},
		{"money", "'x'", "+", "1366 HY000"},
		{"money", "7.00", "1", "1"},
		{"name", "'abcde'", "1", "1"},
		{"name", "'abcdef'", "1", "1406 22001"},
		{"name", "'abcde   '", "1", "1"},
		{"name", "'7'", "1", "1"},
		{"name", "0", "+", "1"},
		{"name", "123456", "+", "1406 22001"},
		{"unknown", "'abcdef'", "1", "1"},
		{"unknown", "0", "1", "1"},
		{"kind", "'A'", "1", "1"},
		{"kind", "'it''s '", "1", "1"},
		{"kind", "'2'", "1", "1"},
		{"kind", "2", "+", "1235 42000"},
		{"kind", "'1'", "+", "1235 42000"},
		{"kind", "'c'", "+", "1235 42000"},
		{"kind", "''", "+", "1235 42000"},
		{"tags", "'a'", "1", "1"},
		{"tags", "'a,b'", "+", "1235 42000"},
		{"tags", "1", "+", "1235 42000"},
		{"year", "2024", "1", "1"},
		{"year", "'2024'", "1", "1"},
		{"year", "24", "+", "1235 42000"},
		{"year", "'24'", "+", "1235 42000"},
		{"year", "0", "+", "1235 42000"},
		{"year", "'x'", "+", "1235 42000"},
		{"zoned", next, "+", "1235 42000"},
		{"dated", next, "+", "1235 42000"},
		{"micro", last, "1", "1"},
		{"second", last, "+", "1235 42000"},
		{"day", last, "+", "1235 42000"},
		{"moment", last, "+", "1"},
		{"second", next, "1", "1"},
		{"second", "'2025-12-31 23:59:58.5'", "1", "1"},
	} {
		if got := where("SELECT * FROM " + v.table + " WHERE k = " + v.literals); got != v.compared {
			t.Errorf("%s = %s goes to %s, want %s", v.table, v.literals, got, v.compared)
		}
		if got := where("INSERT IGNORE INTO " + v.table + " (k, v) VALUES (" + v.literals + ", 1)"); got != v.stored {
			t.Errorf("INSERT of %s into %s: %s, want %s", v.literals, v.table, got, v.stored)
		}
	}
	if got := where("SELECT * FROM second WHERE k <= " + last); got != "+" {
		t.Errorf("a moment that may be rounded up to the next shard goes to %s", got)
	}
	if got := where("SELECT * FROM micro WHERE k <= " + last); got != "1" {
		t.Errorf("a moment that is not rounded goes to %s", got)
	}
	r.Learn("s", "tiny", nil)
	if got := where("INSERT INTO tiny (k, v) VALUES (128, 1)"); got != "1" {
		t.Errorf("a column of which nothing is known any more: %s", got)
	}
	for _, v := range []struct {
		table, text string
		fits        bool
	}{
		{"second", "2025-12-31 23:59:59.500000", false},
		{"second", "2025-12-31 23:59:58.500000", true},
		{"micro", "2025-12-31 23:59:59.500000", true},
		{"day", "2025-12-31 23:59:59.500000", false},
		{"day", "2025-12-31 15:00:00", true},
		{"noon", "2026-01-01 15:00:00", false}, // the day begins on another shard
		{"noon", "2026-01-01 11:00:00", true},
	} {
		if _, err := r.Locate("s", v.table, []Value{{Kind: ValueBytes, Bytes: []byte(v.text)}}); (err == nil) != v.fits {
			t.Errorf("%s from a query for a row of %s: %v", v.text, v.table, err)
		}
	}
	if slices.Contains(keyFaults[1:], "") {
		t.Errorf("a fault has no text: %q", keyFaults)
	}
}

// TestKeysOfTwoKinds: a join runs on each shard, and INSERT ... SELECT too, only if equal values are surely on the same one. What is
// learnt counts for statements that were planned before.
func TestKeysOfTwoKinds(t *testing.T) {
	const general, bin = "utf8mb4_general_ci", "utf8mb4_bin"
	columns := map[string]KeyColumn{
		"tiny": ParseKeyColumn("tinyint(4)", "", 0, 0), "big": ParseKeyColumn("bigint(20)", "", 0, 0), "money": ParseKeyColumn("decimal(10,2)", "", 0, 0),
		"name": ParseKeyColumn("varchar(5)", general, 5, 0), "title": ParseKeyColumn("varchar(9)", general, 9, 0), "code": ParseKeyColumn("varchar(9)", bin, 9, 0),
		"kind": ParseKeyColumn("enum('a','b')", general, 1, 0), "sort": ParseKeyColumn("enum('a','b')", general, 1, 0), "other": ParseKeyColumn("enum('b','a')", general, 1, 0),
		"year": ParseKeyColumn("year(4)", "", 0, 0), "zoned": ParseKeyColumn("timestamp", "", 0, 0), "day": ParseKeyColumn("date", "", 0, 0),
		"second": ParseKeyColumn("datetime", "", 0, 0), "micro": ParseKeyColumn("datetime(6)", "", 0, 6),
	}
	cfg := &config.Config{Backends: []config.Backend{{Name: "a"}, {Name: "b"}}, ShardMaps: []config.ShardMap{{
		Name: "m", Function: config.Hash, Shards: []config.Shard{{Name: "a", Backend: "a"}, {Name: "b", Backend: "b"}},
	}}}
	for name := range columns {
		cfg.Tables = append(cfg.Tables, config.Table{Schema: "s", Name: name, Column: "k", ShardMap: "m"})
	}
	for _, c := range []struct {
		a, b               string
		join, takes, taken bool // the join runs on each shard; INSERT into a of rows of b does; and the other way round
	}{
		{"tiny", "big", true, false, true},
		{"tiny", "money", false, false, false},
		{"tiny", "name", false, false, false},
		{"tiny", "kind", false, false, false},
		{"big", "year", false, false, false},
		{"name", "title", true, false, true},
		{"title", "code", false, false, false},
		{"kind", "sort", true, true, true},
		{"kind", "other", false, false, false},
		{"kind", "name", false, false, false},
		{"zoned", "second", false, false, false},
		{"day", "second", true, false, true},
		{"second", "micro", true, false, true},
	} {
		join := "SELECT * FROM " + c.a + " a JOIN " + c.b + " b ON a.k = b.k"
		takes := "INSERT INTO " + c.a + " (k, v) SELECT k, v FROM " + c.b
		taken := "INSERT INTO " + c.b + " (k, v) SELECT k, v FROM " + c.a
		r, err := New(cfg)
		if err != nil {
			t.Fatal(err)
		}
		together := func(q string) bool {
			p, err := r.Plan([]byte(q), "s", 0)
			if err != nil {
				t.Fatal(q, err)
			}
			return p.Merge != MergeScratch && p.Merge != MergeSteps
		}
		if learnt := r.Learnt(); !together(join) || !together(takes) || !together(taken) {
			t.Errorf("%s and %s, of which nothing is known, are apart (%d)", c.a, c.b, learnt)
		}
		r.Learn("s", c.a, []KeyColumn{columns[c.a]})
		r.Learn("s", c.b, []KeyColumn{columns[c.b]})
		for range 2 {
			if got := together(join); got != c.join {
				t.Errorf("%s: on each shard is %v", join, got)
			}
			if got := together(takes); got != c.takes {
				t.Errorf("%s: on each shard is %v", takes, got)
			}
			if got := together(taken); got != c.taken {
				t.Errorf("%s: on each shard is %v", taken, got)
			}
			r.Doubt("s", c.a) // what was known last counts
		}
		learnt := r.Learnt()
		r.Learn("s", c.a, []KeyColumn{columns[c.a]})
		if r.Learnt() != learnt {
			t.Errorf("%s: nothing new is new", c.a)
		}
		for _, gone := range []string{c.a, c.b} { // when the router learnt it; somebody may have made it since
			if r.Learn("s", gone, nil); together(join) || together(takes) || together(taken) {
				t.Errorf("%s and %s are together, and %s was not there", c.a, c.b, gone)
			}
			if missed := r.Missed(); !slices.Contains(missed, Object{"s", gone}) || r.Missed() != nil {
				t.Errorf("%s was not there, and missed are %v", gone, missed)
			}
		}
	}
}
