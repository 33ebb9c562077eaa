package proxy

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/xaproxy/xaproxy/backend"
	"github.com/xaproxy/xaproxy/config"
	"github.com/xaproxy/xaproxy/router"
)

// How often the definitions of shard keys are looked at, and how long the first look may take before clients are served without.
const (
	keysEvery   = 10 * time.Second
	keysPatient = 2 * time.Second
)

// learn tells the router what the columns of shard keys hold, now and again until ctx ends: somebody may change them on the backends
// themselves. What cannot be asked stays as it was.
func (s *Server) learn(ctx context.Context) {
	soon := time.NewTicker(time.Second)
	defer soon.Stop()
	for last := time.Now(); ; {
		select {
		case <-ctx.Done():
			return
		case <-soon.C:
		}
		if s.keysDoubted.Swap(false) || time.Since(last) > keysEvery {
			for _, g := range s.generations() {
				g.learnOnce(ctx)
			}
			last = time.Now()
		}
	}
}

// doubtKeys says that the columns of shard keys may have changed: they are looked at soon.
func (s *Server) doubtKeys() {
	for _, g := range s.generations() {
		for _, c := range g.columns {
			g.router.Doubt(c.schema, c.table)
		}
	}
	s.keysDoubted.Store(true)
}

// learnObjects looks at the keys of the tables that DDL was about, before its client can use them.
func (s *Server) learnObjects(ctx context.Context, of []router.Object) {
	for _, g := range s.generations() {
		for _, o := range of {
			c := g.columns[strings.ToLower(o.Schema+"."+o.Name)]
			if c == nil {
				continue
			}
			if err := c.backend.Apart(ctx, func(conn *backend.Conn) error { return g.learnKeys(conn, []*columns{c}) }); err != nil {
				s.logger.Debug().Err(err).Str("backend", c.backend.Name()).Msg("cannot ask for definitions")
			}
		}
	}
}

// learnOnce asks all backends at once, each on one connection: for the keys of the tables that are asked for there, its views and its
// stored functions. Those of a backend that cannot be asked are the ones that it had.
func (g *generation) learnOnce(ctx context.Context) {
	g.learning.Lock()
	defer g.learning.Unlock()
	tables := make([][]*columns, len(g.backends))
	for _, c := range g.columns {
		tables[c.backend.Index] = append(tables[c.backend.Index], c)
	}
	var asking sync.WaitGroup
	for i, b := range g.backends {
		if tables[i] == nil && len(g.backends) == 1 {
			return
		}
		asking.Go(func() {
			err := b.Apart(ctx, func(conn *backend.Conn) error {
				return errors.Join(g.learnKeys(conn, tables[i]), g.learnViews(conn), g.learnRoutines(conn))
			})
			if err != nil {
				g.logger.Debug().Err(err).Str("backend", b.Name()).Msg("cannot ask for definitions")
			}
		})
	}
	asking.Wait()
	g.router.LearnViews(slices.Concat(g.views...))
	if len(g.backends) > 1 {
		g.router.LearnRoutines(slices.Concat(g.routines...))
	}
}

// maxLearnt bounds what is read of one kind of definitions of one backend, in bytes.
const maxLearnt = 64 << 20

// learnViews asks for the views in schemas with tables on other backends than the schema's own.
func (g *generation) learnViews(conn *backend.Conn) error {
	b := conn.Backend()
	var names []string
	for _, schema := range g.cfg.Schemas {
		apart := func(t config.Table) bool {
			return strings.EqualFold(t.Schema, schema.Name) && t.Backend != b.Name() && !t.Broadcast
		}
		if schema.Backend == b.Name() && slices.ContainsFunc(g.cfg.Tables, apart) {
			names = append(names, systemText(schema.Name))
		}
	}
	if names == nil {
		return nil
	}
	question := "SELECT TABLE_SCHEMA, TABLE_NAME, VIEW_DEFINITION FROM information_schema.VIEWS WHERE TABLE_SCHEMA IN (" + strings.Join(names, ",") + ")"
	if b.Translates() {
		question = postgresViews
	}
	answers, err := conn.Batch(maxLearnt, question)
	if err != nil {
		return err
	}
	var all []router.View
	for _, r := range answers[0].Values {
		all = append(all, router.View{Schema: string(r[0]), Name: string(r[1]), Definition: string(r[2])})
	}
	g.views[b.Index] = all
	return nil
}

// postgresViews has, in place of each view's definition in PostgreSQL's words, a query of the tables that it reads.
const postgresViews = "/* xaproxy: dialect=postgres */ SELECT n.nspname, c.relname, 'SELECT 1 FROM ' || string_agg(DISTINCT '`' || sn.nspname || '`.`' || s.relname || '`', ', ') " +
	"FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_rewrite r ON r.ev_class = c.oid " +
	"JOIN pg_depend d ON d.classid = 'pg_rewrite'::regclass AND d.objid = r.oid AND d.refclassid = 'pg_class'::regclass AND d.refobjid <> c.oid " +
	"JOIN pg_class s ON s.oid = d.refobjid AND s.relkind IN ('r', 'p', 'v', 'm', 'f') JOIN pg_namespace sn ON sn.oid = s.relnamespace " +
	"WHERE c.relkind IN ('v', 'm') AND n.nspname NOT LIKE 'pg\\_%' AND n.nspname NOT IN ('information_schema', 'xaproxy') GROUP BY n.nspname, c.relname"

// learnKeys asks for the columns of the tables' shard keys. One question about the names of columns costs a server a tenth of what one about
// the names of tables does.
func (g *generation) learnKeys(conn *backend.Conn, tables []*columns) error {
	if tables == nil {
		return nil
	}
	var schemas, names []string
	for _, c := range tables {
		schemas = append(schemas, systemText(c.schema))
		for _, key := range c.key {
			names = append(names, systemText(key))
		}
	}
	list := func(all []string) string {
		slices.Sort(all)
		return " IN (" + strings.Join(slices.Compact(all), ",") + ")"
	}
	answers, err := conn.Batch(maxLearnt, "SELECT LOWER(TABLE_SCHEMA), LOWER(TABLE_NAME), LOWER(COLUMN_NAME), COLUMN_TYPE, COALESCE(COLLATION_NAME, ''), COALESCE(CHARACTER_MAXIMUM_LENGTH, 0), COALESCE(DATETIME_PRECISION, 0)"+
		" FROM information_schema.COLUMNS WHERE TABLE_SCHEMA"+list(schemas)+" AND COLUMN_NAME"+list(names))
	if err != nil {
		return err
	}
	held := map[string]router.KeyColumn{}
	for _, r := range answers[0].Values {
		length, _ := strconv.Atoi(string(r[5])) // of LONGTEXT it is more than an int may hold, and no key
		digits, _ := strconv.Atoi(string(r[6]))
		held[string(r[0])+"."+string(r[1])+"."+string(r[2])] = router.ParseKeyColumn(string(r[3]), string(r[4]), length, digits)
	}
	for _, c := range tables {
		var all []router.KeyColumn
		for _, name := range c.key {
			if one, known := held[strings.ToLower(c.schema+"."+c.table)+"."+name]; known {
				all = append(all, one)
			}
		}
		g.router.Learn(c.schema, c.table, all)
	}
	return nil
}

func lowered(names []string) (lower []string) {
	for _, n := range names {
		lower = append(lower, strings.ToLower(n))
	}
	return lower
}
