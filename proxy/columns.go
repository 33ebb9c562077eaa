package proxy

import (
	"context"
	"strings"
	"sync"
	"time"

	"github.com/xaproxy/xaproxy/backend"
	"github.com/xaproxy/xaproxy/config"
	"github.com/xaproxy/xaproxy/router"
	"github.com/xaproxy/xaproxy/wire"
)

// columns are those of a sharded table, as a backend has named them.
type columns struct {
	backend       *backend.Backend
	schema, table string
	key           []string // lower case
	definition    definition

	mu    sync.Mutex // protects following fields
	names []string   // nil: nobody has asked yet, or they may have changed
	asked time.Time
}

// columnsLast is how long they are believed: another proxy, or somebody on the backend itself, may change the table.
const columnsLast = 10 * time.Second

// newColumns returns the sharded tables by name, as Plan.Columns has it.
func newColumns(cfg *config.Config, backends []*backend.Backend) map[string]*columns {
	all := make(map[string]*columns)
	for i := range cfg.Tables {
		if t := &cfg.Tables[i]; t.Sharded() {
			first := t.Map(cfg).Shards[0].Backend
			all[strings.ToLower(t.Schema+"."+t.Name)] = &columns{backend: backends[cfg.BackendIndex(first)], schema: t.Schema, table: t.Name, key: lowered(t.Key())}
		}
	}
	return all
}

// get returns the names.
func (c *columns) get(ctx context.Context) ([]string, error) {
	c.mu.Lock()
	names, asked := c.names, c.asked
	c.mu.Unlock()
	now := time.Now()
	if names != nil && now.Sub(asked) < columnsLast {
		return names, nil
	}
	names, err := c.backend.Columns(ctx, c.schema, c.table)
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	c.names, c.asked = names, now
	c.mu.Unlock()
	return names, nil
}

// forget says that the columns of all tables may have changed.
func (s *Server) forgetColumns() {
	for _, g := range s.generations() {
		for _, c := range g.columns {
			c.mu.Lock()
			c.names = nil
			c.mu.Unlock()
			c.definition.forget()
		}
	}
}

// doubtColumns asks anew if an error says that a table has other columns.
func (s *session) doubtColumns(e *wire.Error) {
	if e.Errno == errnoBadField || e.Errno == errnoValueCount {
		s.srv.forgetColumns()
	}
}

// ER_BAD_FIELD_ERROR and ER_WRONG_VALUE_COUNT_ON_ROW.
const (
	errnoBadField   = 1054
	errnoValueCount = 1136
)

// list writes the names of its table's columns into an INSERT that names none.
func (s *session) list(p *router.Plan, sql []byte, mode router.Mode) ([]byte, *wire.Error) {
	if e := s.forbidden(p); e != nil {
		return nil, e
	}
	names, err := s.gen.columns[p.Columns].get(s.ctx())
	if err != nil {
		return nil, clientError(err, false)
	}
	return s.router.List(sql, mode, names), nil
}
