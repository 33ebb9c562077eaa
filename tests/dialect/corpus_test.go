package dialect

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/lib/pq"

	"github.com/xaproxy/xaproxy/backend/postgres/dialect"
)

var rewrite = flag.Bool("rewrite", false, "rewrite testdata/refused.txt")

// corpus are the tables that the statements of tests/oracle are about, with collations that PostgreSQL has.
var corpus = []struct {
	name, ddl string
	count     int
	row       func(i int) string
}{
	{
		"customers", "id INT NOT NULL PRIMARY KEY, name VARCHAR(40) NOT NULL, country CHAR(2) COLLATE utf8mb4_0900_bin, credit DECIMAL(10,2), since DATE, KEY (country)", 40,
		func(i int) string {
			return fmt.Sprintf("%d, '%s', %s, %s, '20%02d-%02d-%02d'", i, names[i%len(names)], or(i%9 == 4, quote(codes[i%len(codes)])), or(i%7 == 3, fmt.Sprintf("%d.%02d", i*37%1000-200, i*13%100)), 10+i%15, 1+i%12, 1+i%28)
		},
	},
	{
		"orders", `customer INT NOT NULL, id INT UNSIGNED NOT NULL, placed DATETIME(3) NOT NULL, amount DECIMAL(12,3) NOT NULL, state ENUM('new','paid','sent') NOT NULL,
			weight DOUBLE, note VARCHAR(60), PRIMARY KEY (customer, id), KEY (placed)`, 120,
		func(i int) string {
			return fmt.Sprintf("%d, %d, '2026-%02d-%02d %02d:%02d:00.%03d', %d.%03d, '%s', %s, %s", i*7%43, i, 1+i%12, 1+i*5%28, i%24, i*7%60, i*31%1000, i*97%500, i*41%1000,
				[]string{"new", "paid", "sent"}[i%3], or(i%11 == 5, fmt.Sprint(float64(i%64)/4)), or(i%5 == 2, quote(words[i*3%len(words)])))
		},
	},
	{
		"lines_", "customer INT NOT NULL, ord INT UNSIGNED NOT NULL, pos TINYINT NOT NULL, product BIGINT NOT NULL, qty SMALLINT UNSIGNED NOT NULL, price FLOAT, PRIMARY KEY (customer, ord, pos)", 200,
		func(i int) string {
			ord := i * 3 / 5
			return fmt.Sprintf("%d, %d, %d, %d, %d, %s", ord*7%43, ord, i%5, i*11%35, i%9, or(i%13 == 6, fmt.Sprint(float64(i*3%97)/4)))
		},
	},
	{
		"products", `id BIGINT NOT NULL PRIMARY KEY, name VARCHAR(40) NOT NULL, t TINYINT, s SMALLINT UNSIGNED, m MEDIUMINT, u INT UNSIGNED, b BIGINT UNSIGNED, price DECIMAL(9,2) NOT NULL DEFAULT 1.50,
			f FLOAT, d DOUBLE NOT NULL, made DATE, at DATETIME, ts TIMESTAMP NULL DEFAULT NULL, clock TIME(2), y YEAR, tags SET('a','b','c'), code BINARY(4), raw VARBINARY(20), txt TEXT, bits BIT(9), js JSON, UNIQUE (name)`, 35,
		func(i int) string {
			return fmt.Sprintf("%d, 'p%02d', %s, %d, %d, %d, %d, %d.%02d, %s, %v, '2024-%02d-%02d', %s, '2025-%02d-10 08:%02d:00', '%02d:%02d:%02d.%02d', %d, '%s', x'%02x00ff', x'%s', %s, b'%b', %s",
				i, i, or(i%6 == 1, fmt.Sprint(i*29%255-127)), i*1900%65535, i*54321%8000000-4000000, i*7654321%4000000, uint64(i)*500000000000000000, i*19%300, i*7%100,
				or(i%4 == 3, fmt.Sprint(float64(i*5%41)/4-3)), float64(i*17%101)/4-9, 1+i%12, 1+i%28, or(i%5 == 0, fmt.Sprintf("'2023-%02d-11 1%d:00:01'", 1+i%12, i%10)), 1+i%12, i,
				i*9%24, i%60, i*7%60, i%100, 1990+i%60, []string{"", "a", "a,c", "b"}[i%4], i, strings.Repeat("c3", i%9), or(i%8 == 7, quote(words[i%len(words)])), i*13%512,
				or(i%6 == 2, fmt.Sprintf(`'{"n": %d, "l": [1, "%s"]}'`, i, names[i%3])))
		},
	},
	{
		"settings", "k VARCHAR(20) COLLATE utf8mb4_0900_bin NOT NULL PRIMARY KEY, v INT", 12,
		func(i int) string { return fmt.Sprintf("'%s', %d", codes[i%len(codes)]+fmt.Sprint(i), i*i) },
	},
	{
		"audit", "id INT NOT NULL PRIMARY KEY, customer INT NOT NULL, what VARCHAR(80), KEY (customer)", 30,
		func(i int) string { return fmt.Sprintf("%d, %d, '%s'", i, i*3%41, words[i%len(words)]) },
	},
}

var (
	names = []string{"Anna", "bert", "Zoë", "ÄNNE", "Chloe", "Anne", "Österreich", "dan", "Émile", "ćirić"}
	codes = []string{"de", "AT", "ch", "fr", "DE", "it"}
	words = []string{"red", "Blue", "green apple", "grün", "", "BLUE", "a_b%c", "Red", "it''s", "yellow", "日本"}
)

// or is NULL, or the value.
func or(null bool, value string) string {
	if null {
		return "NULL"
	}
	return value
}

func quote(s string) string { return "'" + s + "'" }

// TestStatementsOfApplications runs the statements of tests/oracle. Those that are refused are in testdata/refused.txt with the reason.
func TestStatementsOfApplications(t *testing.T) {
	p := newPair(t)
	o := dialect.Options{Schema: p.schema, Catalog: p, Version: "9.7.0-xaproxy", UserVariable: p.variable}
	for _, table := range corpus {
		var rows []string
		for i := range table.count {
			rows = append(rows, "("+table.row(i)+")")
		}
		for _, text := range []string{"CREATE TABLE " + table.name + " (" + table.ddl + ")", "INSERT INTO " + table.name + " VALUES " + strings.Join(rows, ", ")} {
			if difference := p.compare(t.Context(), text, o); difference != "" {
				t.Fatalf("%.300s\n  %s", text, difference)
			}
		}
	}
	paths, err := filepath.Glob("../oracle/testdata/*.txt")
	if err != nil || len(paths) == 0 {
		t.Fatal("no statements: ", err)
	}
	var refusals []string
	for _, path := range paths {
		if strings.Contains(path, "introspection") || strings.Contains(path, "tools") {
			continue // they tell of all that a server has; testdata/define.txt of the translation has others
		}
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for _, statement := range strings.Split(strings.TrimSpace(string(text)), "\n\n") {
			if strings.HasPrefix(statement, "# ") {
				continue
			}
			statement, ordered := strings.CutPrefix(statement, "= ")
			if undetermined[statement] || strings.Contains(statement, "LAST_INSERT_ID()") || strings.HasPrefix(statement, "SET ") { // the translation is told that
				continue
			}
			refusals = append(refusals, p.try(t, statement, ordered, o)...)
		}
	}
	t.Logf("%d the same, %d failed on both, %d refused", p.same, p.failed, len(refusals))
	const golden = "testdata/refused.txt"
	got := strings.Join(refusals, "")
	if *rewrite {
		if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if want, err := os.ReadFile(golden); err != nil || string(want) != got {
		t.Errorf("%s is not what is refused: run with -rewrite (%v)", golden, err)
	}
}

// unlike is the reason if PostgreSQL refuses what MySQL accepts, and says so before it runs it.
func unlike(err error) string {
	var e *pq.Error
	if errors.As(err, &e) && e.Code == "42803" { // it knows fewer dependencies of columns on those of GROUP BY
		return e.Message
	}
	return ""
}

// undetermined are statements whose answer is one of several.
var undetermined = map[string]bool{
	"SELECT STDDEV(qty), VAR_POP(qty), STDDEV_SAMP(qty) FROM lines_":                                                true, // its last digits are as the order in which rows are read
	"SELECT id, ROW_NUMBER() OVER w, RANK() OVER (w ORDER BY id) FROM customers WINDOW w AS (PARTITION BY country)": true,
}

// try compares a statement's answers, and the tables afterwards, and rolls back. It returns the refusal, if MySQL would have run it.
func (p *pair) try(t *testing.T, statement string, ordered bool, o dialect.Options) []string {
	t.Helper()
	s, err := dialect.Translate(statement, o)
	if slices.ContainsFunc(s.Steps, func(s dialect.Step) bool { return s.Kind == dialect.DDL || s.Kind == dialect.Session }) {
		return nil // the files for those are others
	}
	if r := p.onMySQL("BEGIN"); r.err != nil {
		t.Fatal(r.err)
	}
	defer func() {
		if r := p.onMySQL("ROLLBACK"); r.err != nil {
			t.Fatal(r.err)
		}
	}()
	m := p.onMySQL(statement)
	if err != nil {
		var e *dialect.Error
		if !errors.As(err, &e) {
			t.Fatal(err)
		}
		if m.err != nil {
			p.failed++
			return nil
		}
		return []string{fmt.Sprintf("%s\n    %s\n", statement, e)}
	}
	tx, err := p.pg.BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = tx.Rollback() }()
	g := p.steps(t.Context(), tx, s)
	if reason := unlike(g.err); reason != "" && m.err == nil {
		return []string{fmt.Sprintf("%s\n    PostgreSQL: %s\n", statement, reason)}
	}
	difference := judge(ordered, s, m, g)
	if difference == "" && m.err == nil && s.Steps[0].Kind == dialect.Count {
		for _, table := range corpus {
			query := "SELECT * FROM " + table.name
			q, err := dialect.Translate(query, o)
			if err != nil {
				t.Fatal(err)
			}
			if d := judge(false, q, p.onMySQL(query), p.steps(t.Context(), tx, q)); d != "" {
				difference = "afterwards, " + query + ": " + d
			}
		}
	}
	switch {
	case difference != "":
		t.Errorf("%s\n  %s", statement, difference)
	case m.err != nil:
		p.failed++
	default:
		p.same++
	}
	return nil
}
