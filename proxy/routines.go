package proxy

import (
	"context"
	"regexp"
	"slices"
	"strings"

	"github.com/xaproxy/xaproxy/backend"
	"github.com/xaproxy/xaproxy/router"
)

// maxRoutines bounds what is read of the stored functions of one backend, in bytes.
const maxRoutines = 64 << 20

// learnRoutines tells the router of the stored functions on all backends, if there are several. Those of a backend that cannot be asked are the
// ones that it had.
func (s *Server) learnRoutines(ctx context.Context) {
	if len(s.backends) < 2 {
		return
	}
	for i, b := range s.backends {
		var names []string
		for name := range s.cfg.SchemasOn(b.Name()) {
			names = append(names, systemText(name))
		}
		if names == nil {
			continue
		}
		err := b.Apart(ctx, func(conn *backend.Conn) (err error) {
			s.routines[i], err = routinesOf(conn, i, names)
			return err
		})
		if err != nil {
			s.logger.Debug().Err(err).Str("backend", b.Name()).Msg("cannot ask for stored functions")
		}
	}
	s.router.LearnRoutines(slices.Concat(s.routines...))
}

// width is of integers, which MySQL shows no more.
var width = regexp.MustCompile(`int\(\d+\)`)

// routinesOf are the functions in the schemas, whose names are texts of SQL.
func routinesOf(conn *backend.Conn, index int, schemas []string) (all []router.Routine, err error) {
	if err := conn.Exec("SET NAMES utf8mb4"); err != nil {
		return nil, err
	}
	in := " IN (" + strings.Join(schemas, ",") + ")"
	answers, err := conn.Batch(maxRoutines,
		"SELECT ROUTINE_SCHEMA, ROUTINE_NAME, IF(ROUTINE_BODY = 'SQL', COALESCE(ROUTINE_DEFINITION, ''), ''), SQL_MODE, CONCAT_WS('\n', DTD_IDENTIFIER, CHARACTER_SET_NAME, COLLATION_NAME, CHARACTER_SET_CLIENT, COLLATION_CONNECTION, DATABASE_COLLATION)"+
			" FROM information_schema.ROUTINES WHERE ROUTINE_TYPE = 'FUNCTION' AND LOWER(ROUTINE_SCHEMA)"+in,
		"SELECT SPECIFIC_SCHEMA, SPECIFIC_NAME, PARAMETER_NAME, CONCAT_WS('\n', PARAMETER_NAME, DTD_IDENTIFIER, CHARACTER_SET_NAME, COLLATION_NAME)"+
			" FROM information_schema.PARAMETERS WHERE ROUTINE_TYPE = 'FUNCTION' AND ORDINAL_POSITION > 0 AND LOWER(SPECIFIC_SCHEMA)"+in+" ORDER BY ORDINAL_POSITION")
	if err != nil {
		return nil, err
	}
	at := map[string]int{}
	for _, r := range answers[0].Values {
		at[string(r[0])+"."+string(r[1])] = len(all)
		all = append(all, router.Routine{Backend: index, Schema: string(r[0]), Name: string(r[1]), Body: string(r[2]), SQLMode: string(r[3]), Rest: string(r[4])})
	}
	for _, p := range answers[1].Values {
		i, known := at[string(p[0])+"."+string(p[1])]
		if !known {
			continue
		}
		all[i].Parameters = append(all[i].Parameters, string(p[2]))
		all[i].Rest += "\n\n" + string(p[3])
	}
	for i := range all {
		all[i].Rest = width.ReplaceAllString(all[i].Rest, "int")
	}
	return all, nil
}
