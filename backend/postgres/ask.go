package postgres

import (
	"cmp"
	"regexp"
	"strconv"
	"strings"

	"github.com/xaproxy/xaproxy/wire"
)

// question is one that xaproxy asks of its servers in MySQL's words, with what it is in PostgreSQL's: $1 is what the first parentheses
// have found.
type question struct {
	mysql    *regexp.Regexp
	postgres string
	missing  string // the error 1049 where there are no rows
}

var questions = []question{
	{
		regexp.MustCompile(`^SHOW GLOBAL STATUS LIKE 'Uptime'$`),
		`SELECT 'Uptime' AS "Variable_name", floor(extract(epoch FROM now() - pg_postmaster_start_time()))::bigint AS "Value"`, "",
	},
	{
		regexp.MustCompile(`^SELECT COUNT\(\*\) FROM information_schema\.processlist WHERE id = (\d+) AND user = .*$`),
		`SELECT count(*) FROM pg_stat_activity WHERE usename = current_user AND $session`, "",
	},
	{
		regexp.MustCompile(`^SHOW CREATE DATABASE ` + "`(.*)`$"),
		`SELECT nspname AS "Database", 'CREATE DATABASE ' || quote_ident(nspname) AS "Create Database" FROM pg_namespace WHERE nspname = '$1'`, "Unknown database",
	},
}

// question answers a question of xaproxy's own; done is false if the statement is none.
func (s *session) question(st *statement, a *answer) (done bool, err error) {
	if len(st.text) > maxQuestion {
		return false, nil
	}
	asked := strings.TrimSpace(string(st.text))
	for _, q := range questions {
		m := q.mysql.FindStringSubmatch(asked)
		if m == nil {
			continue
		}
		sql := q.postgres
		if len(m) > 1 {
			id, _ := strconv.ParseUint(m[1], 10, 32) // 0 is no session
			sql = strings.NewReplacer("$session", isSession(id), "$1", strings.ReplaceAll(strings.ReplaceAll(m[1], "``", "`"), "'", "''")).Replace(sql)
		}
		if q.missing != "" {
			if found, err := s.ask(sql); err != nil || len(found) == 0 {
				return true, cmp.Or[error](err, wire.NewError(wire.CodeUnknownDatabase, "%s '%s'", q.missing, m[1]))
			}
		}
		return true, s.direct(sql, false, a)
	}
	return false, nil
}
