package sim

import (
	"cmp"
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
	beats     map[string]time.Time // by coord
	incidents int
}

// row is one of xaproxy_decision.
type row struct {
	gtrid, verdict, branches string
	created                  time.Time
}

var (
	insertRow  = regexp.MustCompile(`^INSERT (IGNORE )?INTO .xaproxy.\..xaproxy_decision. \(gtrid, verdict, branches, (commit_key, )?created_at\) VALUES (.*)$`)
	values     = regexp.MustCompile(`\('([^']*)', ?'(commit|abort)', ?'([^']*)', ?(?:NULL, ?)?UTC_TIMESTAMP\(\)\)`)
	selectRows = regexp.MustCompile(`^SELECT gtrid, verdict, branches, .* FROM .xaproxy.\..xaproxy_decision. WHERE gtrid IN \((.*)\)$`)
	selectOld  = regexp.MustCompile(`^SELECT gtrid, branches FROM .xaproxy.\..xaproxy_decision. WHERE created_at < UTC_TIMESTAMP\(\) - INTERVAL (\d+) SECOND AND gtrid > '([^']*)' ORDER BY gtrid LIMIT (\d+)$`)
	deleteRows = regexp.MustCompile(`^DELETE FROM .xaproxy.\..xaproxy_decision. WHERE gtrid IN \((.*)\) AND created_at < UTC_TIMESTAMP\(\) - INTERVAL (\d+) SECOND$`)
	beat       = regexp.MustCompile(`^INSERT INTO .xaproxy.\..xaproxy_proxy. .* VALUES \('([0-9a-f]{8}|-durable)', .* ON DUPLICATE KEY UPDATE beat_at = UTC_TIMESTAMP\(6\)$`)
	selectBeat = regexp.MustCompile(`^SELECT coord FROM .xaproxy.\..xaproxy_proxy. WHERE beat_at > UTC_TIMESTAMP\(6\) - INTERVAL (\d+) MICROSECOND AND coord IN \((.*)\)$`)
	deleteBeat = regexp.MustCompile(`^DELETE FROM .xaproxy.\..xaproxy_proxy. WHERE coord = '([0-9a-f]{8})'$`)
	deleteDead = regexp.MustCompile(`^DELETE FROM .xaproxy.\..xaproxy_proxy. WHERE beat_at < UTC_TIMESTAMP\(\) - INTERVAL (\d+) SECOND$`)
	incident   = regexp.MustCompile(`^INSERT INTO .xaproxy.\..xaproxy_incident. `)
)

// sql runs what package participant writes, and nothing else. A query's value is a [][]any, the rows; that of another statement an int64.
// need waits for a lock, as in exec.
func (s *server) sql(c *session, text string, need func(string) bool) (value any, err *xa.ServerError, waits bool) {
	if !strings.HasPrefix(text, "SELECT") && s.readOnly {
		return nil, refuse(1290), false
	}
	match := func(r *regexp.Regexp) []string { return r.FindStringSubmatch(text) }
	now := time.Now().Add(s.skew)
	switch {
	case match(insertRow) != nil:
		m := match(insertRow)
		return s.insert(c, m[1] != "", values.FindAllStringSubmatch(m[3], -1), need)

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
		s.tables.beats[match(beat)[1]] = now
		return int64(1), nil, false

	case match(selectBeat) != nil:
		m := match(selectBeat)
		var rows [][]any
		for _, coord := range names(m[2]) {
			if at, ok := s.tables.beats[coord]; ok && now.Sub(at) < number(m[1])*time.Microsecond {
				rows = append(rows, []any{coord})
			}
		}
		return rows, nil, false

	case match(deleteBeat) != nil:
		delete(s.tables.beats, match(deleteBeat)[1])
		return int64(1), nil, false

	case match(deleteDead) != nil:
		age := number(match(deleteDead)[1]) * time.Second
		maps.DeleteFunc(s.tables.beats, func(_ string, at time.Time) bool { return now.Sub(at) > age })
		return int64(0), nil, false

	case match(incident) != nil:
		s.tables.incidents++
		return int64(1), nil, false
	}
	panic(fmt.Sprintf("the simulated server does not know %q", text))
}

// insert adds decision rows, in the session's transaction or, without one, in one of its own. gtrid is the primary key: an insert waits for
// the transaction that has inserted the same and not ended.
func (s *server) insert(c *session, ignore bool, all [][]string, need func(string) bool) (any, *xa.ServerError, bool) {
	own := c.trx == nil
	if own {
		c.trx = &trx{state: active, session: c}
	}
	if own || c.trx.part == nil { // it may have waited before
		own = true
		c.trx.inserts = nil
	}
	t := c.trx
	for _, m := range all {
		if need("row " + m[1]) {
			if c.waits != "" {
				return nil, nil, true
			}
			if own {
				s.rollback(t)
			}
			return nil, refuse(1205), false
		}
		if _, there := s.tables.decisions[m[1]]; there {
			if !ignore {
				return nil, refuse(1062), false
			}
			continue
		}
		t.inserts = append(t.inserts, row{gtrid: m[1], verdict: m[2], branches: m[3], created: time.Now().Add(s.skew)})
	}
	n := int64(len(t.inserts))
	if own {
		s.commit(t, false)
	}
	return n, nil, false
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
