package dialect

import (
	"database/sql"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"

	"github.com/xaproxy/xaproxy/backend/postgres/dialect"
	"github.com/xaproxy/xaproxy/tests/servers"
)

// prepared are statements with values for their parameters.
var prepared = []struct {
	text string
	args []any
}{
	{"INSERT INTO p (id, name, n, d, at, day, f, b) VALUES (?, ?, ?, ?, ?, ?, ?, ?)", []any{1, "Anna", 7, "1.25", "2024-02-29 10:11:12", "2024-02-29", 1.5, []byte{0, 255}}},
	{"INSERT INTO p (id, name, n, d, at, day, f, b) VALUES (?, ?, ?, ?, ?, ?, ?, ?)", []any{"2", "berta", "8", 2, time.Date(2024, 1, 2, 3, 4, 5, 0, time.UTC), time.Date(2024, 1, 2, 0, 0, 0, 0, time.UTC), "2.5", "text"}},
	{"INSERT INTO p (id, name, n) VALUES (?, ?, ?)", []any{nil, "carl", nil}},
	{"INSERT INTO p (name, d) VALUES (?, ?), (?, DEFAULT)", []any{"dora", 3.125, "émile"}},
	{"INSERT INTO p (name, n) VALUES (?, ?)", []any{"too long for the column", 1}},
	{"INSERT INTO p (name, n) VALUES (?, ?)", []any{"x", 2147483648}},
	{"INSERT INTO p (name, n) VALUES (?, ?)", []any{"x", "no number"}},
	{"INSERT INTO p (name, day) VALUES (?, ?)", []any{"x", "2024-02-30"}},
	{"INSERT INTO p (name, day) VALUES (?, ?)", []any{"x", "today"}},
	{"INSERT INTO p (name, d) VALUES (?, ?)", []any{"x", "NaN"}},
	{"SELECT * FROM p WHERE id = ?", []any{1}},
	{"SELECT name FROM p WHERE id = ?", []any{"1"}},
	{"SELECT name FROM p WHERE id = ?", []any{nil}},
	{"SELECT name FROM p WHERE id IN (?, ?, ?)", []any{1, "2", 99}},
	{"SELECT COUNT(*) FROM p WHERE ? IN (?, ?)", []any{1, 2, 1}},
	{"SELECT COUNT(*) FROM p WHERE ? IN (?, ?) AND ? = ?", []any{"a", "b", "A", 1, 1}},
	{"SELECT COUNT(*) FROM p WHERE ? IN (?, ?)", []any{"1", 1, 2}},
	{"SELECT COUNT(*) FROM p WHERE ? = ? OR ? < ?", []any{1, "1", 2.5, 3}},
	{"SELECT COUNT(*) FROM p WHERE ? BETWEEN ? AND ?", []any{2, 1, 3}},
	{"SELECT COUNT(*) FROM p WHERE ? = ?", []any{nil, 1}},
	{"SELECT COUNT(*) FROM p WHERE (?, ?) = (?, ?)", []any{1, "x", 1, "X"}},
	{"SELECT name FROM p WHERE name = ?", []any{"ANNA"}},
	{"SELECT name FROM p WHERE name LIKE ?", []any{"%r%"}},
	{"SELECT name FROM p WHERE name LIKE ?", []any{"é%"}},
	{"SELECT name FROM p WHERE name = ?", []any{0}},
	{"SELECT name FROM p WHERE n > ? AND n < ?", []any{7, 9}},
	{"SELECT name FROM p WHERE n > ?", []any{7.5}},
	{"SELECT name FROM p WHERE d = ?", []any{"1.25"}},
	{"SELECT name FROM p WHERE d = ?", []any{1.25}},
	{"SELECT name FROM p WHERE d > ?", []any{2}},
	{"SELECT name FROM p WHERE at > ?", []any{"2024-02-01"}},
	{"SELECT name FROM p WHERE at > ?", []any{time.Date(2024, 2, 1, 0, 0, 0, 0, time.UTC)}},
	{"SELECT name FROM p WHERE day = ?", []any{"2024-02-29"}},
	{"SELECT name FROM p WHERE day = ?", []any{time.Date(2024, 2, 29, 12, 0, 0, 0, time.UTC)}},
	{"SELECT name FROM p WHERE day BETWEEN ? AND ?", []any{"2024-01-01", "2024-12-31"}},
	{"SELECT name FROM p WHERE f = ?", []any{2.5}},
	{"SELECT name FROM p WHERE b = ?", []any{[]byte{0, 255}}},
	{"SELECT name FROM p ORDER BY id LIMIT ?, ?", []any{1, 2}},
	{"SELECT n + ?, d * ?, CONCAT(name, ?), COALESCE(n, ?) FROM p ORDER BY id", []any{1, 2, "!", 5}},
	{"SELECT IF(n > ?, name, ?), DATE_ADD(day, INTERVAL ? DAY) FROM p ORDER BY id", []any{7, "less", 3}},
	{"UPDATE p SET n = n + ?, name = ? WHERE id = ?", []any{1, "Anne", 1}},
	{"UPDATE p SET n = n + ? WHERE id = ?", []any{"1", "1"}},
	{"UPDATE p SET n = ?, day = ?, d = ? WHERE name = ?", []any{nil, nil, 7.005, "berta"}},
	{"UPDATE p SET name = ? WHERE name = ?", []any{"Anne", "anne"}},
	{"UPDATE p SET at = ? WHERE id = ?", []any{"2024-02-29 10:11:12.6", 1}},
	{"INSERT INTO p (name, n) VALUES (?, ?) ON DUPLICATE KEY UPDATE n = VALUES(n) + ?", []any{"ANNE", 1, 2}},
	{"DELETE FROM p WHERE id = ? OR name = ?", []any{3, "dora"}},
	{"SELECT id > 0, name, n, d, at, day, f, b FROM p ORDER BY name", nil},
}

// TestParametersAreThoseOfMySQL executes prepared statements on both. A value of another class than its place's has the statement
// translated for it.
func TestParametersAreThoseOfMySQL(t *testing.T) {
	p := newPair(t)
	c := mysql.NewConfig()
	c.Net, c.Addr, c.User, c.Passwd, c.DBName = "tcp", p.server.Addr(), servers.AdminUser, servers.AdminPassword, p.schema
	direct := open(t, "mysql", c.FormatDSN())
	o := dialect.Options{Schema: p.schema, Catalog: p}
	table := `CREATE TABLE p (id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY, name VARCHAR(10) NOT NULL UNIQUE, n INT, d DECIMAL(8,2) DEFAULT 9.5, at DATETIME,
		day DATE, f DOUBLE, b VARBINARY(10))`
	if difference := p.compare(t.Context(), table, o); difference != "" {
		t.Fatal(difference)
	}
	for _, c := range prepared {
		name := fmt.Sprintf("%s %v", c.text, c.args)
		s, err := dialect.Translate(c.text, o)
		if err == nil && differ(s, c.args) {
			with := o
			for _, a := range c.args {
				with.Params = append(with.Params, class(a))
			}
			s, err = dialect.Translate(c.text, with)
		}
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		want := execute(t, direct, c.text, c.args)
		bound := answer{err: fmt.Errorf("%d steps", len(s.Steps))}
		if len(s.Steps) == 1 {
			var args []any
			for _, param := range s.Steps[0].Params {
				a := c.args[param.From]
				if moment, ok := a.(time.Time); ok {
					a = moment.Format("2006-01-02 15:04:05")
				}
				args = append(args, a)
			}
			bound = p.bound(t, s.Steps[0], args)
		}
		switch {
		case want.err != nil && bound.err != nil:
		case want.err != nil || bound.err != nil:
			t.Errorf("%s\n  MySQL: %v, PostgreSQL: %v\n  %s", name, want.err, bound.err, s.Steps[0].Text)
		case want.affected != bound.affected || strings.Join(want.rows, "\n") != strings.Join(bound.rows, "\n"):
			t.Errorf("%s\n  MySQL: %d %q\n  PostgreSQL: %d %q\n  %s", name, want.affected, want.rows, bound.affected, bound.rows, s.Steps[0].Text)
		}
	}
}

// class is the class of a value as a driver binds it.
func class(a any) dialect.Class {
	switch a.(type) {
	case nil:
		return dialect.NullClass
	case int:
		return dialect.IntClass
	case float64:
		return dialect.DoubleClass
	case []byte:
		return dialect.BytesClass
	case time.Time:
		return dialect.DatetimeClass
	}
	return dialect.StringClass
}

// differ tells whether a value is of another class than its place.
func differ(s dialect.Statement, args []any) bool {
	for _, step := range s.Steps {
		for _, p := range step.Params {
			if c := class(args[p.From]); c != p.Class && c != dialect.NullClass {
				return true
			}
		}
	}
	return false
}

// execute runs a prepared statement on MySQL.
func execute(t *testing.T, c *sql.Conn, text string, args []any) (a answer) {
	t.Helper()
	st, err := c.PrepareContext(t.Context(), text)
	if err != nil {
		return answer{err: err}
	}
	defer func() { _ = st.Close() }()
	if !strings.HasPrefix(text, "SELECT") {
		r, err := st.ExecContext(t.Context(), args...)
		if err != nil {
			return answer{err: err}
		}
		n, err := r.RowsAffected()
		return answer{affected: n, err: err}
	}
	rows, err := st.QueryContext(t.Context(), args...)
	if err != nil {
		return answer{err: err}
	}
	return read(rows, func(_ int, v any) string {
		switch v := v.(type) {
		case nil:
			return nothing
		case []byte:
			return string(v)
		}
		return fmt.Sprint(v)
	})
}

// bound runs a step on PostgreSQL, in a transaction of its own.
func (p *pair) bound(t *testing.T, step dialect.Step, args []any) (a answer) {
	t.Helper()
	if step.Kind == dialect.Count && step.Affected < 0 && step.InsertID < 0 {
		r, err := p.pg.ExecContext(t.Context(), step.Text, args...)
		if err != nil {
			return answer{err: err}
		}
		n, err := r.RowsAffected()
		return answer{affected: n, err: err}
	}
	rows, err := p.pg.QueryContext(t.Context(), step.Text, args...)
	if err != nil {
		return answer{err: err}
	}
	if step.Kind == dialect.Rows {
		return read(rows, func(i int, v any) string {
			b, null := step.Columns[i].Type.Text(v)
			if null {
				return nothing
			}
			return string(b)
		})
	}
	r := read(rows, func(_ int, v any) string { return fmt.Sprint(v) })
	a.err, a.affected = r.err, int64(step.AffectedPlus)
	for _, row := range r.rows {
		n := int64(1)
		if step.Affected >= 0 {
			_, a.err = fmt.Sscan(strings.Split(row, " | ")[step.Affected], &n)
		}
		a.affected += n
	}
	return a
}
