package proxy

import (
	"maps"
	"slices"
	"strings"

	"github.com/xaproxy/xaproxy/backend"
	"github.com/xaproxy/xaproxy/wire"
)

// snapshot has every backend make its snapshot now, for START TRANSACTION WITH CONSISTENT SNAPSHOT: XA START has no such
// clause, but at REPEATABLE READ the first row that is read fixes what a branch sees. Each backend's snapshot is consistent in
// itself; a transaction on several of them that commits in between can be in one and not in the other.
//
// Source: MySQL manual, "Consistent Nonlocking Reads".
func (s *session) snapshot() *wire.Error {
	branches := make([]*txBranch, 0, len(s.gen.backends))
	defer func() { s.leave(branches) }()
	for _, b := range s.gen.backends {
		br, err := s.tx.branch(b, s.acquire)
		if err != nil {
			return clientError(err, false)
		}
		s.work.uses(br.Conn())
		branches = append(branches, br)
	}
	errs := make([]error, len(branches))
	parallel(len(branches), func(i int) {
		errs[i] = s.tx.begin(branches[i], &s.state, &request{sql: []byte("DO 0")}, false)
		if errs[i] == nil {
			_, errs[i] = branches[i].Conn().Result()
		}
		if errs[i] == nil {
			errs[i] = readAny(branches[i].Conn(), s.gen.cfg.SchemasOn(branches[i].Conn().Backend().Name()))
		}
	})
	for i, err := range errs {
		if err != nil {
			return s.lose(branches[i], err)
		}
	}
	return nil
}

// readAny reads from a table in one of the schemas. Where there is none there is nothing to see either. A LIMIT would be unsafe
// for the binary log, of which clients are told.
func readAny(c *backend.Conn, schemas map[string]bool) error {
	for _, schema := range slices.Sorted(maps.Keys(schemas)) {
		rows, err := c.Query("SELECT MIN(table_name) FROM information_schema.tables WHERE table_schema = '" + strings.ReplaceAll(schema, "'", "''") +
			"' AND engine = 'InnoDB' AND table_type = 'BASE TABLE'")
		if err != nil {
			return err
		}
		if table := rows.Values[0][0]; table != nil {
			return c.Exec("SELECT EXISTS (SELECT 1 FROM " + backend.Quote(schema) + "." + backend.Quote(string(table)) + ")")
		}
	}
	return nil
}
