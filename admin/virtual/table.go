//go:build gms_pure_go

package virtual

import (
	"context"
	"strings"
	"sync"
	"time"

	"github.com/dolthub/go-mysql-server/sql"
	"github.com/dolthub/go-mysql-server/sql/types"

	"github.com/xaproxy/xaproxy/admin/live"
)

// provider has the only schema. It implements sql.DatabaseProvider.
type provider struct{ only database }

func (p provider) Database(_ *sql.Context, name string) (sql.Database, error) {
	if !strings.EqualFold(name, Name) {
		return nil, sql.ErrDatabaseNotFound.New(name)
	}
	return p.only, nil
}

func (provider) HasDatabase(_ *sql.Context, name string) bool { return strings.EqualFold(name, Name) }

func (p provider) AllDatabases(*sql.Context) []sql.Database { return []sql.Database{p.only} }

// database is the schema. It implements sql.Database.
type database struct{ tables []*table }

func (database) Name() string { return Name }

func (d database) GetTableInsensitive(_ *sql.Context, name string) (sql.Table, bool, error) {
	for _, t := range d.tables {
		if strings.EqualFold(t.view.Name, name) {
			return t, true, nil
		}
	}
	return nil, false, nil
}

func (d database) GetTableNames(*sql.Context) ([]string, error) { return live.Names(), nil }

// table is one of the tables. It implements sql.CommentedTable.
type table struct {
	source live.Source
	view   *live.View
	schema sql.Schema
}

func newTables(source live.Source) []*table {
	all := make([]*table, len(live.Views))
	for i := range live.Views {
		t := &table{source: source, view: &live.Views[i]}
		for _, c := range t.view.Columns {
			t.schema = append(t.schema, &sql.Column{
				Name: c.Name, Type: typeOf[c.Type], Nullable: c.Type == live.Moment || c.Type == live.Real, Source: t.view.Name, DatabaseSource: Name, Comment: c.About,
			})
		}
		all[i] = t
	}
	return all
}

// collation compares text without regard to case, as people who look for something do.
const collation = sql.Collation_utf8mb4_0900_ai_ci

var typeOf = map[live.Type]sql.Type{
	live.Text: types.CreateLongText(collation), live.Integer: types.Int64, live.Natural: types.Uint64, live.Real: types.Float64, live.Truth: types.Boolean, live.Moment: types.DatetimeMaxPrecision,
}

func (t *table) Name() string                   { return t.view.Name }
func (t *table) String() string                 { return t.view.Name }
func (t *table) Comment() string                { return t.view.About }
func (t *table) Schema(*sql.Context) sql.Schema { return t.schema }
func (*table) Collation() sql.CollationID       { return collation }

// whole is the only partition of a table.
type whole struct{}

func (whole) Key() []byte { return []byte("whole") }

func (*table) Partitions(*sql.Context) (sql.PartitionIter, error) {
	return sql.PartitionsToPartitionIter(whole{}), nil
}

func (t *table) PartitionRows(c *sql.Context, _ sql.Partition) (sql.RowIter, error) {
	s, _ := c.Value(seenKey{}).(*seen)
	return sql.RowsToRowIter(s.rows(t)...), nil
}

// seen has the rows that a statement has seen, so that it sees the same ones when it looks again.
type seen struct {
	mu     sync.Mutex // protects following fields
	tables map[*table][]sql.Row
}

type seenKey struct{}

func (s *seen) rows(t *table) []sql.Row {
	s.mu.Lock()
	defer s.mu.Unlock()
	if rows, ok := s.tables[t]; ok {
		return rows
	}
	all := t.view.Rows(t.source)
	rows := make([]sql.Row, len(all))
	for i, row := range all {
		for j, v := range row {
			if at, ok := v.(time.Time); ok {
				v = at.UTC()
			}
			if c := t.schema[j]; v != nil {
				if converted, _, err := c.Type.Convert(context.Background(), v); err == nil { // as the engine itself would have it
					row[j] = converted
				}
			}
		}
		rows[i] = sql.Row(row)
	}
	if s.tables == nil {
		s.tables = make(map[*table][]sql.Row)
	}
	s.tables[t] = rows
	return rows
}
