package proxy

import (
	"context"
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
			s.learnOnce(ctx)
			last = time.Now()
		}
	}
}

// forgetKeys says that the columns of shard keys may have changed: until they are looked at nothing is known of them.
func (s *Server) forgetKeys() {
	for _, c := range s.columns {
		s.router.Learn(c.schema, c.table, nil)
	}
	s.keysDoubted.Store(true)
}

// learnOnce asks each backend for the keys of the tables that are asked for there.
func (s *Server) learnOnce(ctx context.Context) {
	of := map[*backend.Backend][]*columns{}
	for _, c := range s.columns {
		of[c.backend] = append(of[c.backend], c)
	}
	var asking sync.WaitGroup
	for b, tables := range of {
		asking.Go(func() {
			if err := b.Apart(ctx, func(conn *backend.Conn) error { return s.learnFrom(conn, tables) }); err != nil {
				s.logger.Debug().Err(err).Str("backend", b.Name()).Msg("cannot ask what the columns of shard keys hold")
			}
		})
	}
	asking.Wait()
	s.learnViews(ctx)
	s.learnRoutines(ctx)
}

// maxViews bounds what is read of the views of one backend, in bytes.
const maxViews = 64 << 20

// learnViews tells the router of the views in schemas with tables on other backends than the schema's own. Those of a backend that cannot be
// asked are the ones that it had.
func (s *Server) learnViews(ctx context.Context) {
	var all []router.View
	for i, b := range s.backends {
		var names []string
		for _, schema := range s.cfg.Schemas {
			apart := func(t config.Table) bool {
				return strings.EqualFold(t.Schema, schema.Name) && t.Backend != b.Name() && !t.Broadcast
			}
			if schema.Backend == b.Name() && slices.ContainsFunc(s.cfg.Tables, apart) {
				names = append(names, systemText(schema.Name))
			}
		}
		if names == nil {
			continue
		}
		err := b.Apart(ctx, func(conn *backend.Conn) error {
			if err := conn.Exec("SET NAMES utf8mb4"); err != nil {
				return err
			}
			answers, err := conn.Batch(maxViews, "SELECT TABLE_SCHEMA, TABLE_NAME, VIEW_DEFINITION FROM information_schema.VIEWS WHERE TABLE_SCHEMA IN ("+strings.Join(names, ",")+")")
			if err != nil {
				return err
			}
			s.views[i] = s.views[i][:0]
			for _, r := range answers[0].Values {
				s.views[i] = append(s.views[i], router.View{Schema: string(r[0]), Name: string(r[1]), Definition: string(r[2])})
			}
			return nil
		})
		if err != nil {
			s.logger.Debug().Err(err).Str("backend", b.Name()).Msg("cannot ask for views")
		}
		all = append(all, s.views[i]...)
	}
	s.router.LearnViews(all)
}

func (s *Server) learnFrom(conn *backend.Conn, tables []*columns) error {
	if err := conn.Exec("SET NAMES utf8mb4"); err != nil {
		return err
	}
	for some := range slices.Chunk(tables, 100) {
		names := make([]string, len(some))
		for i, c := range some {
			names[i] = "(" + systemText(c.schema) + "," + systemText(c.table) + ")"
		}
		rows, err := conn.Ask("SELECT LOWER(TABLE_SCHEMA), LOWER(TABLE_NAME), LOWER(COLUMN_NAME), COLUMN_TYPE, COALESCE(CHARACTER_MAXIMUM_LENGTH, 0), COALESCE(DATETIME_PRECISION, 0)" +
			" FROM information_schema.COLUMNS WHERE (TABLE_SCHEMA, TABLE_NAME) IN (" + strings.Join(names, ",") + ")")
		if err != nil {
			return err
		}
		held := map[string]router.KeyColumn{}
		for _, r := range rows.Values {
			length, _ := strconv.Atoi(string(r[4])) // of LONGTEXT it is more than an int may hold, and no key
			digits, _ := strconv.Atoi(string(r[5]))
			held[string(r[0])+"."+string(r[1])+"."+string(r[2])] = router.ParseKeyColumn(string(r[3]), length, digits)
		}
		for _, c := range some {
			var all []router.KeyColumn
			for _, name := range c.key {
				if one, known := held[strings.ToLower(c.schema+"."+c.table)+"."+name]; known {
					all = append(all, one)
				}
			}
			s.router.Learn(c.schema, c.table, all)
		}
	}
	return nil
}

func lowered(names []string) (lower []string) {
	for _, n := range names {
		lower = append(lower, strings.ToLower(n))
	}
	return lower
}
