package proxy

import (
	"regexp"
	"strings"

	"github.com/xaproxy/xaproxy/backend"
	"github.com/xaproxy/xaproxy/router"
)

// learnRoutines asks for the stored functions in the schemas of the backend, if there are several backends.
func (g *generation) learnRoutines(conn *backend.Conn) error {
	b := conn.Backend()
	var names []string
	for name := range g.cfg.SchemasOn(b.Name()) {
		names = append(names, systemText(name))
	}
	if len(g.backends) < 2 || names == nil {
		return nil
	}
	all, err := routinesOf(conn, b.Index, names)
	if err == nil {
		g.routines[b.Index] = all
	}
	return err
}

// width is of integers, which MySQL shows no more.
var width = regexp.MustCompile(`int\(\d+\)`)

// routinesOf are the functions in the schemas, whose names are texts of SQL.
func routinesOf(conn *backend.Conn, index int, schemas []string) (all []router.Routine, err error) {
	in := " IN (" + strings.Join(schemas, ",") + ")"
	answers, err := conn.Batch(maxLearnt,
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
