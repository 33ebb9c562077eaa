package sim

import (
	"cmp"
	"encoding/hex"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/xaproxy/xaproxy/recovery"
	"github.com/xaproxy/xaproxy/xa"
)

// tables are those of package participant on one server.
type tables struct {
	decisions map[string]row       // committed rows, by gtrid
	beats     map[string]heartbeat // by coord
	incidents int
}

// heartbeat is a row of xaproxy_proxy.
type heartbeat struct {
	host, pid string
	at        time.Time // by the clock of the server
}

// row is one of xaproxy_decision.
type row struct {
	gtrid, verdict, branches string
	key                      string    // in hex; "" is NULL
	created                  time.Time // by the clock of the server
	made                     time.Time // the same moment
}

var (
	insertRow  = regexp.MustCompile(`^INSERT (IGNORE )?INTO .xaproxy.\..xaproxy_decision. \(gtrid, verdict, branches, (commit_key, )?created_at\) VALUES (.*)$`)
	values     = regexp.MustCompile(`\('([^']*)', ?'(commit|abort)', ?'([^']*)', ?(?:NULL, ?|X'([0-9a-f]+)', ?)?UTC_TIMESTAMP\(\)\)`)
	selectKey  = regexp.MustCompile(`^SELECT gtrid, verdict FROM .xaproxy.\..xaproxy_decision. WHERE commit_key = X'([0-9a-f]+)'$`)
	deleteRow  = regexp.MustCompile(`^DELETE FROM .xaproxy.\..xaproxy_decision. WHERE gtrid = '([^']*)' AND verdict = 'abort'$`)
	updateRow  = regexp.MustCompile(`^UPDATE .xaproxy.\..xaproxy_decision. SET gtrid = '([^']*)', created_at = UTC_TIMESTAMP\(\) WHERE gtrid = '([^']*)' AND verdict = 'abort'$`)
	selectRows = regexp.MustCompile(`^SELECT gtrid, verdict, branches, .* FROM .xaproxy.\..xaproxy_decision. WHERE gtrid IN \((.*)\)$`)
	selectOld  = regexp.MustCompile(`^SELECT gtrid, branches FROM .xaproxy.\..xaproxy_decision. WHERE created_at < UTC_TIMESTAMP\(\) - INTERVAL (\d+) SECOND AND gtrid > '([^']*)' ORDER BY gtrid LIMIT (\d+)$`)
	deleteRows = regexp.MustCompile(`^DELETE FROM .xaproxy.\..xaproxy_decision. WHERE gtrid IN \((.*)\) AND created_at < UTC_TIMESTAMP\(\) - INTERVAL (\d+) SECOND$`)
	beat       = regexp.MustCompile(`^INSERT INTO .xaproxy.\..xaproxy_proxy. .* VALUES \('([0-9a-f]{8}|-durable)', CONVERT\(X'([0-9a-f]*)' USING utf8mb4\), (\d+), .* ON DUPLICATE KEY UPDATE beat_at = UTC_TIMESTAMP\(6\)$`)
	selectBeat = regexp.MustCompile(`^SELECT coord, host, pid FROM .xaproxy.\..xaproxy_proxy. WHERE beat_at BETWEEN UTC_TIMESTAMP\(6\) - INTERVAL (\d+) MICROSECOND AND UTC_TIMESTAMP\(6\) - INTERVAL -(\d+) MICROSECOND AND coord IN \((.*)\)$`)
	deleteBeat = regexp.MustCompile(`^DELETE FROM .xaproxy.\..xaproxy_proxy. WHERE coord = '([0-9a-f]{8})'$`)
	deleteDead = regexp.MustCompile(`^DELETE FROM .xaproxy.\..xaproxy_proxy. WHERE beat_at < UTC_TIMESTAMP\(\) - INTERVAL (\d+) SECOND$`)
	incident   = regexp.MustCompile(`^INSERT INTO .xaproxy.\..xaproxy_incident. `)
)

// sql runs what package participant writes, and nothing else. A query's value is a [][]any, the rows; that of another statement an int64.
// need waits for a lock, as in exec.
func (s *server) sql(c *session, text string, need func(string) bool) (value any, err *xa.ServerError, waits bool) {
	if s.flavour == postgres {
		text = inMySQLsWords(text)
	}
	if !strings.HasPrefix(text, "SELECT") && s.readOnly {
		return nil, refuse(1290), false
	}
	match := func(r *regexp.Regexp) []string { return r.FindStringSubmatch(text) }
	now := time.Now().Add(s.skew)
	switch {
	case match(insertRow) != nil:
		m := match(insertRow)
		return s.inOwn(c, func(t *trx) (int64, *xa.ServerError, bool) {
			return s.insert(c, t, m[1] != "", values.FindAllStringSubmatch(m[3], -1), need)
		})

	case match(deleteRow) != nil:
		return s.inOwn(c, func(t *trx) (int64, *xa.ServerError, bool) { return s.remove(c, t, match(deleteRow)[1], need) })

	case match(updateRow) != nil:
		m := match(updateRow)
		return s.inOwn(c, func(t *trx) (int64, *xa.ServerError, bool) {
			old := s.tables.decisions[m[2]]
			n, err, waits := s.remove(c, t, m[2], need)
			if n == 0 {
				return 0, err, waits
			}
			return s.insert(c, t, false, [][]string{{"", m[1], old.verdict, old.branches, old.key}}, need)
		})

	case match(selectKey) != nil:
		var rows [][]any
		for _, r := range s.tables.decisions {
			if r.key == match(selectKey)[1] { // unique
				rows = append(rows, []any{r.gtrid, r.verdict})
			}
		}
		return rows, nil, false

	case match(selectRows) != nil:
		var rows [][]any
		for _, g := range names(match(selectRows)[1]) {
			if r, ok := s.tables.decisions[g]; ok {
				rows = append(rows, []any{r.gtrid, r.verdict, r.branches, r.created.Unix()})
			}
		}
		return rows, nil, false

	case match(selectOld) != nil:
		m := match(selectOld)
		var rows [][]any
		for _, g := range sorted(s.tables.decisions) {
			if r := s.tables.decisions[g]; now.Sub(r.created) > number(m[1])*time.Second && g > m[2] && len(rows) < int(number(m[3])) {
				rows = append(rows, []any{r.gtrid, r.branches})
			}
		}
		return rows, nil, false

	case match(deleteRows) != nil:
		m := match(deleteRows)
		var n int64
		for _, g := range names(m[1]) {
			if r, ok := s.tables.decisions[g]; ok && now.Sub(r.created) > number(m[2])*time.Second {
				delete(s.tables.decisions, g)
				n++
			}
		}
		return n, nil, false

	case match(beat) != nil:
		m := match(beat)
		s.tables.beats[m[1]] = heartbeat{m[2], m[3], now}
		return int64(1), nil, false

	case match(selectBeat) != nil:
		m := match(selectBeat)
		var rows [][]any
		for _, coord := range names(m[3]) {
			if b, ok := s.tables.beats[coord]; ok && now.Sub(b.at) < number(m[1])*time.Microsecond && b.at.Sub(now) < number(m[2])*time.Microsecond {
				host, err := hex.DecodeString(b.host)
				if err != nil {
					panic(err)
				}
				rows = append(rows, []any{coord, string(host), int64(number(b.pid))})
			}
		}
		return rows, nil, false

	case match(deleteBeat) != nil:
		delete(s.tables.beats, match(deleteBeat)[1])
		return int64(1), nil, false

	case match(deleteDead) != nil:
		age := number(match(deleteDead)[1]) * time.Second
		maps.DeleteFunc(s.tables.beats, func(_ string, b heartbeat) bool { return now.Sub(b.at) > age })
		return int64(0), nil, false

	case match(incident) != nil:
		s.tables.incidents++
		return int64(1), nil, false
	}
	panic(fmt.Sprintf("the simulated server does not know %q", text))
}

// postgresWords are those of PostgreSQL, with MySQL's in their place.
var postgresWords = []struct {
	is *regexp.Regexp
	to string
}{
	{regexp.MustCompile(`\bxaproxy\.(xaproxy_\w+)`), "`xaproxy`.`$1`"},
	{regexp.MustCompile(`convert_from\('\\x([0-9a-f]*)'::bytea, 'UTF8'\)`), "CONVERT(X'$1' USING utf8mb4)"},
	{regexp.MustCompile(`'\\x([0-9a-f]*)'::bytea`), "X'$1'"},
	{regexp.MustCompile(`INTERVAL '(-?\d+) seconds'`), "INTERVAL $1 SECOND"},
	{regexp.MustCompile(`(\(clock_timestamp\(\) AT TIME ZONE 'UTC'\)) - INTERVAL '(-?\d+) microseconds'`), "UTC_TIMESTAMP(6) - INTERVAL $2 MICROSECOND"},
	{regexp.MustCompile(`ON CONFLICT \(coord\) DO UPDATE SET beat_at = \(clock_timestamp\(\) AT TIME ZONE 'UTC'\)$`), "ON DUPLICATE KEY UPDATE beat_at = UTC_TIMESTAMP(6)"},
	{regexp.MustCompile(`^INSERT (INTO .*) ON CONFLICT DO NOTHING$`), "INSERT IGNORE $1"},
	{regexp.MustCompile(`\(clock_timestamp\(\) AT TIME ZONE 'UTC'\)`), "UTC_TIMESTAMP()"},
}

// inMySQLsWords is what package participant would have written for MySQL. A statement without the comment would be translated there, and no decision
// must rest on that.
func inMySQLsWords(text string) string {
	_, text, hinted := strings.Cut(text, " */ ")
	if !hinted {
		panic(fmt.Sprintf("the simulated server would translate %q", text))
	}
	for _, w := range postgresWords {
		text = w.is.ReplaceAllString(text, w.to)
	}
	return text
}

// inOwn runs a statement about decision rows in the session's transaction or, without one, in one of its own. A statement that has to wait
// begins anew afterwards.
func (s *server) inOwn(c *session, run func(*trx) (int64, *xa.ServerError, bool)) (any, *xa.ServerError, bool) {
	if c.trx == nil {
		c.trx = &trx{state: active, session: c}
	}
	t, own := c.trx, c.trx.part == nil
	if t.state == rollbackOnly {
		return int64(0), refuse(xa.ErrnoRMFail), false
	}
	inserts, deletes := len(t.inserts), len(t.deletes)
	n, err, waits := run(t)
	switch {
	case err != nil && own:
		s.rollback(t)
	case err != nil, waits:
		t.inserts, t.deletes = t.inserts[:inserts], t.deletes[:deletes]
	case own:
		s.commit(t, false)
	}
	return n, err, waits
}

// insert adds decision rows. gtrid is the primary key, and commit_key unique: an insert waits for the transaction that has inserted, or
// deleted, the same and not ended.
func (s *server) insert(c *session, t *trx, ignore bool, all [][]string, need func(string) bool) (n int64, err *xa.ServerError, waits bool) {
	for _, m := range all {
		locks := []string{"row " + m[1]}
		if m[4] != "" {
			locks = append(locks, "key "+m[4])
		}
		for _, lock := range locks {
			if need(lock) {
				if c.waits != "" {
					return 0, nil, true
				}
				return 0, refuse(1205), false
			}
		}
		if s.duplicate(t, m[1], m[4]) {
			if !ignore {
				return 0, refuse(1062), false
			}
			continue
		}
		t.inserts = append(t.inserts, row{gtrid: m[1], verdict: m[2], branches: m[3], key: m[4], created: time.Now().Add(s.skew), made: time.Now()})
		n++
	}
	return n, nil, false
}

// duplicate reports whether there is a row with the gtrid or the key that the transaction has not deleted.
func (s *server) duplicate(t *trx, gtrid, key string) bool {
	for _, r := range s.tables.decisions {
		if (r.gtrid == gtrid || key != "" && r.key == key) && !slices.Contains(t.deletes, r.gtrid) {
			return true
		}
	}
	return false
}

// remove deletes the fence of a commit key.
func (s *server) remove(c *session, t *trx, gtrid string, need func(string) bool) (n int64, err *xa.ServerError, waits bool) {
	r, there := s.tables.decisions[gtrid]
	if !there || r.verdict != "abort" {
		return 0, nil, false
	}
	for _, lock := range []string{"row " + gtrid, "key " + r.key} {
		if need(lock) {
			if c.waits != "" {
				return 0, nil, true
			}
			return 0, refuse(1205), false
		}
	}
	t.deletes = append(t.deletes, gtrid)
	return 1, nil, false
}

// listed is the answer to XA RECOVER: the branches of everybody.
func (s *server) listed() []recovery.Listed {
	var all []recovery.Listed
	for _, xid := range sorted(s.branches) {
		if t := s.branches[xid]; t.state == prepared && !t.orphaned {
			gtrid, bqual, _ := strings.Cut(xid, "/")
			all = append(all, recovery.Listed{FormatID: xa.FormatID, GTRID: gtrid, BQUAL: bqual})
		}
	}
	return all
}

// names reads 'a','b'.
func names(list string) []string {
	all := strings.Split(list, ",")
	for i := range all {
		all[i] = strings.Trim(all[i], " '")
	}
	return all
}

func number(s string) time.Duration {
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		panic(err)
	}
	return time.Duration(n)
}

func sorted[K cmp.Ordered, V any](m map[K]V) []K { return slices.Sorted(maps.Keys(m)) }
