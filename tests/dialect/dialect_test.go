package dialect

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/lib/pq"

	"github.com/xaproxy/xaproxy/backend/postgres/dialect"
	"github.com/xaproxy/xaproxy/tests/servers"
	"github.com/xaproxy/xaproxy/wire"
)

const files = "../../backend/postgres/dialect/testdata/*.txt"

// pair is a database of the same name on both servers, with a connection to each.
type pair struct {
	schema string
	server *servers.Server // MySQL
	mysql  *wire.Conn
	pg     *sql.Conn
	dsn    string                       // of pg
	user   map[string]dialect.UserValue // variables

	same, refused, failed int
	refusals              []string
}

// Table reads a table from PostgreSQL's catalog.
func (p *pair) Table(schema, name string) (*dialect.Table, bool) {
	var answer []byte
	if err := p.pg.QueryRowContext(context.Background(), dialect.TableQuery, schema, name).Scan(&answer); err != nil {
		return nil, false
	}
	table, err := dialect.ReadTable(schema, name, answer)
	return table, err == nil
}

func open(t *testing.T, driver, dsn string) *sql.Conn {
	t.Helper()
	db, err := sql.Open(driver, dsn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	c, err := db.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func must(t *testing.T, c *sql.Conn, text string) {
	t.Helper()
	if _, err := c.ExecContext(t.Context(), text); err != nil {
		t.Fatalf("%.100s: %s", text, explain(err))
	}
}

func newPair(t *testing.T) *pair {
	t.Helper()
	m, p, database := boot(t)
	d := wire.Dialer{Addr: m.Addr(), User: servers.AdminUser, Password: servers.AdminPassword}
	c, _, err := d.Dial(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	a := &pair{schema: "shop", server: m, mysql: c, user: map[string]dialect.UserValue{}}
	for _, text := range []string{"SET NAMES utf8mb4, time_zone = '+00:00'", "DROP DATABASE IF EXISTS shop", "CREATE DATABASE shop", "USE shop"} {
		if r := a.onMySQL(text); r.err != nil {
			t.Fatal(r.err)
		}
	}
	a.dsn = fmt.Sprintf("host=%s port=%d user=%s password=%s dbname=%s sslmode=disable timezone=UTC", p.Host, p.Port, servers.AdminUser, servers.AdminPassword, database)
	a.pg = open(t, "postgres", a.dsn)
	must(t, a.pg, dialect.Setup)
	must(t, a.pg, "CREATE SCHEMA shop")
	return a
}

// answer is what a statement is answered with.
type answer struct {
	names    []string
	rows     []string
	affected int64
	insertID int64
	err      error
}

const nothing = "NULL"

// onMySQL runs the original.
func (p *pair) onMySQL(text string) (a answer) {
	if a.err = p.mysql.SendQuery(nil, []byte(text)); a.err != nil {
		return a
	}
	r, err := p.mysql.ReadResult(64 << 20)
	a.err, a.affected, a.insertID = err, int64(r.OK.Affected), int64(r.OK.InsertID)
	for _, c := range r.Columns {
		a.names = append(a.names, string(c.Name))
	}
	for _, values := range r.Values {
		row := make([]string, len(values))
		for i, v := range values {
			row[i] = string(v)
			if v == nil {
				row[i] = nothing
			}
		}
		a.rows = append(a.rows, strings.Join(row, " | "))
	}
	return a
}

func read(r *sql.Rows, text func(i int, v any) string) (a answer) {
	defer func() { _ = r.Close() }()
	if a.names, a.err = r.Columns(); a.err != nil {
		return a
	}
	values := make([]any, len(a.names))
	into := make([]any, len(values))
	for i := range values {
		into[i] = &values[i]
	}
	for r.Next() {
		if a.err = r.Scan(into...); a.err != nil {
			return a
		}
		row := make([]string, len(values))
		for i, v := range values {
			row[i] = text(i, v)
		}
		a.rows = append(a.rows, strings.Join(row, " | "))
	}
	a.err = r.Err()
	return a
}

// onPostgres runs the translation, its steps behind one savepoint.
func (p *pair) onPostgres(ctx context.Context, s dialect.Statement) (a answer) {
	tx, err := p.pg.BeginTx(ctx, nil)
	if err != nil {
		return answer{err: err}
	}
	defer func() {
		if a.err != nil {
			_ = tx.Rollback()
		} else {
			a.err = tx.Commit()
		}
	}()
	return p.steps(ctx, tx, s)
}

// variable is the value of a user variable.
func (p *pair) variable(name string) dialect.UserValue {
	if u, set := p.user[name]; set {
		return u
	}
	return dialect.UserValue{Null: true}
}

// steps runs the steps of a translation.
func (p *pair) steps(ctx context.Context, tx *sql.Tx, s dialect.Statement) (a answer) {
	for _, step := range s.Steps {
		switch {
		case step.Text == "":
		case step.Kind == dialect.Into:
			r, err := tx.QueryContext(ctx, step.Text)
			if err != nil {
				return answer{err: err}
			}
			var row []dialect.UserValue
			b := read(r, func(i int, v any) string {
				row = append(row, dialect.UserValueOf(step.Columns[i].Type, v))
				return ""
			})
			if a.affected = int64(len(b.rows)); b.err != nil || a.affected > 1 {
				return answer{err: errors.Join(b.err, fmt.Errorf("%d rows", a.affected))}
			}
			for i := range row {
				p.user[step.Into[i]] = row[i]
			}
		case step.Kind == dialect.Rows || step.Kind == dialect.Show:
			r, err := tx.QueryContext(ctx, step.Text)
			if err != nil {
				return answer{err: err}
			}
			a = read(r, func(i int, v any) string {
				b, null := step.Columns[i].Type.Text(v)
				if null {
					return nothing
				}
				return string(b)
			})
			for i, c := range step.Columns {
				if i < len(a.names) {
					a.names[i] = c.Name
				}
			}
			if len(step.Columns) != len(a.names) {
				return answer{err: fmt.Errorf("%d columns are described and %d come", len(step.Columns), len(a.names))}
			}
		case step.Affected >= 0 || step.InsertID >= 0:
			r, err := tx.QueryContext(ctx, step.Text)
			if err != nil {
				return answer{err: err}
			}
			b := read(r, func(_ int, v any) string {
				if v == nil {
					return nothing
				}
				return fmt.Sprint(v)
			})
			if b.err != nil {
				return b
			}
			a.affected += int64(step.AffectedPlus)
			for _, row := range b.rows {
				n := int64(1)
				values := strings.Split(row, " | ")
				if step.Affected >= 0 {
					_, err = fmt.Sscan(values[step.Affected], &n)
				}
				if a.insertID == 0 && step.InsertID >= 0 && values[step.InsertID] != nothing && err == nil {
					_, err = fmt.Sscan(values[step.InsertID], &a.insertID)
				}
				if err != nil {
					return answer{err: err}
				}
				a.affected += n
			}
		default:
			r, err := tx.ExecContext(ctx, step.Text)
			if err != nil {
				return answer{err: err}
			}
			if n, err := r.RowsAffected(); err == nil && step.Kind == dialect.Count {
				a.affected += n
			}
		}
	}
	return a
}

// compare runs a statement on both and says how they differ, "" if they do not.
func (p *pair) compare(ctx context.Context, text string, o dialect.Options) string {
	s, err := dialect.Translate(text, o)
	if err != nil {
		if m := p.onMySQL(text); m.err == nil && m.names == nil {
			return "refused by the translation (" + err.Error() + "), and changes something on MySQL: put it under translate"
		}
		p.refused++
		p.refusals = append(p.refusals, text+": "+err.Error())
		return ""
	}
	m := p.onMySQL(text)
	g := p.onPostgres(ctx, s)
	if difference := judge(strings.Contains(text, "ORDER BY"), s, m, g); difference != "" {
		return difference
	}
	if m.err != nil {
		p.failed++
	} else {
		p.same++
	}
	return ""
}

// judge says how two answers differ, "" if they do not. Rows in no certain order are compared as a set.
func judge(ordered bool, s dialect.Statement, m, g answer) string {
	where := "\n  " + s.Steps[0].Text
	switch {
	case m.err != nil && g.err != nil:
		return ""
	case m.err != nil:
		return fmt.Sprintf("MySQL fails (%v), PostgreSQL does not: %d rows %v%s", m.err, g.affected, g.rows, where)
	case g.err != nil:
		return fmt.Sprintf("PostgreSQL fails (%v), MySQL does not%s", explain(g.err), where)
	case m.affected != g.affected && s.Steps[0].Kind == dialect.Count:
		return fmt.Sprintf("MySQL has %d affected rows, PostgreSQL %d%s", m.affected, g.affected, where)
	case (m.insertID == 0) != (g.insertID == 0) && s.Steps[0].Kind == dialect.Count:
		return fmt.Sprintf("MySQL's insert id is %d, PostgreSQL's %d%s", m.insertID, g.insertID, where)
	case !slices.Equal(m.names, g.names):
		return fmt.Sprintf("columns are %q on MySQL, %q by the translation", m.names, g.names)
	}
	if !ordered {
		slices.Sort(m.rows)
		slices.Sort(g.rows)
	}
	if !slices.Equal(m.rows, g.rows) {
		if len(m.rows) == len(g.rows) { // the first rows that differ are enough
			for i := range m.rows {
				if m.rows[i] != g.rows[i] {
					m.rows, g.rows = m.rows[i:min(i+3, len(m.rows))], g.rows[i:min(i+3, len(g.rows))]
					break
				}
			}
		}
		return fmt.Sprintf("rows on MySQL\n    %s\n  on PostgreSQL\n    %s%s", strings.Join(m.rows, "\n    "), strings.Join(g.rows, "\n    "), where)
	}
	return ""
}

func explain(err error) string {
	var e *pq.Error
	if errors.As(err, &e) {
		return fmt.Sprintf("%s: %s (%s) at %s %s", e.Code, e.Message, e.Detail, e.Position, e.Where)
	}
	return err.Error()
}

// TestAnswersAreThoseOfMySQL runs the statements under "table" and "same".
func TestAnswersAreThoseOfMySQL(t *testing.T) {
	paths, err := filepath.Glob(files)
	if err != nil || len(paths) == 0 {
		t.Fatal("no files: ", err)
	}
	for _, path := range paths {
		t.Run(filepath.Base(path), func(t *testing.T) {
			p := newPair(t)
			text, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			for _, block := range blocks(string(text)) {
				o := dialect.Options{Schema: p.schema, Catalog: p, Version: "9.7.0-xaproxy", User: "app@%", ConnectionID: 7, LastInsertID: 42}
				if block.command != "table" && block.command != "same" {
					continue
				}
				for _, statement := range block.statements {
					if difference := p.compare(t.Context(), statement, o); difference != "" {
						t.Errorf("%s\n  %s", statement, difference)
					}
				}
			}
			t.Logf("%d the same, %d failed on both, %d refused: %s", p.same, p.failed, p.refused, strings.Join(p.refusals, "; "))
		})
	}
}

// block is a command of a file with its statements.
type block struct {
	command    string
	statements []string
}

func blocks(text string) []block {
	var all []block
	var lines []string
	for _, line := range strings.Split(text, "\n") {
		switch {
		case line == "----" && len(lines) > 0:
			b := block{command: lines[0]}
			for _, s := range strings.Split(strings.Join(lines[1:], "\n"), ";\n") {
				if s = strings.TrimSuffix(strings.TrimSpace(s), ";"); s != "" {
					b.statements = append(b.statements, s)
				}
			}
			all, lines = append(all, b), nil
		case line == "":
			lines = []string{}
		case lines != nil || len(all) == 0:
			if !strings.HasPrefix(line, "#") {
				lines = append(lines, line)
			}
		}
	}
	return all
}
