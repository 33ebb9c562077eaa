package dialect

import (
	"database/sql"
	"testing"

	"github.com/lib/pq"

	"github.com/xaproxy/xaproxy/backend/postgres/dialect"
)

// TestChosenRowsAreThoseThatAreChanged lets another transaction change a row while a change of several tables waits for it. A row that the change
// has locked is changed as the other one left it; one that an outer join may leave out cannot be locked, and is a conflict.
func TestChosenRowsAreThoseThatAreChanged(t *testing.T) {
	p := newPair(t)
	o := dialect.Options{Schema: p.schema, Catalog: p}
	for _, text := range []string{
		"CREATE TABLE a (id INT PRIMARY KEY, n INT)", "CREATE TABLE b (id INT PRIMARY KEY, n INT)", "INSERT INTO a VALUES (1, 1)", "INSERT INTO b VALUES (1, 1)",
	} {
		s, err := dialect.Translate(text, o)
		if err != nil {
			t.Fatal(err)
		}
		if a := p.onPostgres(t.Context(), s); a.err != nil {
			t.Fatal(a.err)
		}
	}
	other := open(t, "postgres", p.dsn)
	for _, c := range []struct {
		text, code string
		want       string
	}{
		{"UPDATE a JOIN b ON a.id = b.id SET a.n = a.n + 1, b.n = b.n + 1", "", "12"},
		{"UPDATE a LEFT JOIN b ON a.id = b.id SET b.n = b.n + 1", "40001", "11"},
		{"DELETE b FROM a LEFT JOIN b ON a.id = b.id", "40001", "11"},
	} {
		must(t, p.pg, "UPDATE shop.b SET n = 1")
		s, err := dialect.Translate(c.text, o)
		if err != nil {
			t.Fatal(err)
		}
		must(t, other, "BEGIN; UPDATE shop.b SET n = n + 10")
		done := make(chan answer)
		go func() { done <- p.onPostgres(t.Context(), s) }()
		for waits := false; !waits; {
			scan(t, other, "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock')", &waits)
		}
		must(t, other, "COMMIT")
		a := <-done
		code := ""
		if e, ok := a.err.(*pq.Error); ok {
			code = string(e.Code)
		}
		var n string
		if scan(t, other, "SELECT n FROM shop.b", &n); code != c.code || n != c.want {
			t.Errorf("%s: %q and n = %s, want %q and %s", c.text, code, n, c.code, c.want)
		}
	}
}

func scan(t *testing.T, c *sql.Conn, text string, into any) {
	t.Helper()
	if err := c.QueryRowContext(t.Context(), text).Scan(into); err != nil {
		t.Fatal(err)
	}
}
