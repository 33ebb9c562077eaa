package participant

import (
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/xaproxy/xaproxy/xa"
)

// The verdicts of a row.
const (
	verdictCommit = "commit"
	verdictAbort  = "abort"
)

// Insert returns the statements with which the decider takes a decision along in its transaction. A duplicate key says that it was
// fenced, or that its commit key is taken. PostgreSQL gets them in one message with the COMMIT behind them.
func (s *Store) Insert(d xa.Decision) []string {
	w, key := wordsOf(s.server(d.GTRID.Decider)), "NULL"
	if d.Key.Name != "" {
		key = w.bytes(d.Key.Name)
	}
	insert := w.record + "INSERT INTO " + w.decision + " (gtrid, verdict, branches, commit_key, created_at) VALUES ('" +
		d.GTRID.String() + "', '" + verdictCommit + "', '" + branchesText(d.Branches) + "', " + key + ", " + w.now + ")"
	if d.Key.Over == "" {
		return []string{insert}
	}
	return []string{w.record + "DELETE FROM " + w.decision + " WHERE gtrid = '" + d.Key.Over + "' AND verdict = '" + verdictAbort + "'", insert}
}

// fencedBy begins what a fence has in place of branches: the coord of the xaproxy that has made it.
const fencedBy = "by:"

// branchesText has the branches as backend:session:server:voted, with commas between; voted is in milliseconds since 1970, and 0 where that is
// not known. It has no character that could end a string of SQL in
// any sql_mode.
func branchesText(all []xa.BranchRef) string {
	var b strings.Builder
	for i, r := range all {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(r.Backend)
		b.WriteByte(':')
		b.WriteString(strconv.FormatUint(r.ConnID, 10))
		b.WriteByte(':')
		b.WriteString(url.QueryEscape(r.Server))
		b.WriteByte(':')
		voted := int64(0)
		if !r.Voted.IsZero() {
			voted = r.Voted.UnixMilli()
		}
		b.WriteString(strconv.FormatInt(voted, 10))
	}
	return b.String()
}

// parseBranches reads what branchesText wrote.
func parseBranches(s string) ([]xa.BranchRef, error) {
	if s == "" {
		return nil, nil
	}
	var all []xa.BranchRef
	for part := range strings.SplitSeq(s, ",") {
		fields := strings.Split(part, ":")
		if len(fields) != 4 {
			return nil, fmt.Errorf("branch %q: not of the form backend:session:server:voted", part)
		}
		id, err := strconv.ParseUint(fields[1], 10, 64)
		if err != nil {
			return nil, fmt.Errorf("branch %q: session: %w", part, err)
		}
		server, err := url.QueryUnescape(fields[2])
		if err != nil {
			return nil, fmt.Errorf("branch %q: server: %w", part, err)
		}
		voted, err := strconv.ParseInt(fields[3], 10, 64)
		if err != nil {
			return nil, fmt.Errorf("branch %q: vote: %w", part, err)
		}
		ref := xa.BranchRef{Backend: fields[0], ConnID: id, Server: server}
		if voted != 0 {
			ref.Voted = time.UnixMilli(voted)
		}
		all = append(all, ref)
	}
	return all, nil
}

// row is one of the table of decisions.
type row struct {
	gtrid, verdict, branches string
	created                  int64 // Unix time
}

// ruling reads a row.
func (r row) ruling(g xa.GTRID) xa.Ruling {
	switch r.verdict {
	case verdictAbort:
		return xa.Ruling{}
	case verdictCommit:
	default:
		return xa.Ruling{Err: fmt.Errorf("decider %s: row %s has verdict %q, which no xaproxy writes", g.Decider, r.gtrid, r.verdict)}
	}
	branches, err := parseBranches(r.branches)
	if err != nil {
		return xa.Ruling{Err: fmt.Errorf("decider %s: row %s: %w", g.Decider, r.gtrid, err)}
	}
	return xa.Ruling{Decided: true, Decision: xa.Decision{GTRID: g, Branches: branches, Time: time.Unix(r.created, 0)}}
}
