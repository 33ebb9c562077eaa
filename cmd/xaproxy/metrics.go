package main

import (
	"crypto/x509"
	"encoding/pem"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/xaproxy/xaproxy/admin"
	"github.com/xaproxy/xaproxy/metric"
	"github.com/xaproxy/xaproxy/xa"
)

// maxBranches is the largest number of branches that transactions are told apart by; the others count with it.
const maxBranches = 8

// ends counts how transactions end. It implements xa.Observer.
type ends struct {
	phases   [xa.Done]metric.Histogram
	outcomes [xa.InDoubt + 1][maxBranches + 1]atomic.Uint64
}

// Left implements xa.Observer.
func (e *ends) Left(s xa.State, took time.Duration) { e.phases[s].Observe(took) }

// Ended implements xa.Observer.
func (e *ends) Ended(o xa.Outcome, branches int) { e.outcomes[o][min(branches, maxBranches)].Add(1) }

// phaseNames are the states in which time passes, as metrics call them.
var phaseNames = map[xa.State]string{
	xa.Preparing: "prepare", xa.Deciding: "decision", xa.Committing: "commit", xa.OnePhase: "one_phase", xa.Aborting: "rollback", xa.Fencing: "fence",
}

func (e *ends) addTo(s *admin.Snapshot) {
	s.Phases = make(map[string]*metric.Durations)
	for state, name := range phaseNames {
		d := &metric.Durations{}
		e.phases[state].AddTo(d)
		s.Phases[name] = d
	}
	for o := xa.Committed; o <= xa.InDoubt; o++ {
		for n := range e.outcomes[o] {
			if count := e.outcomes[o][n].Load(); count > 0 {
				branches := strconv.Itoa(n)
				if n == maxBranches {
					branches += "+"
				}
				s.Transactions = append(s.Transactions, admin.Transactions{Outcome: strings.ReplaceAll(o.String(), " ", "_"), Branches: branches, Count: count})
			}
		}
	}
}

// syncs counts those of the decision log.
type syncs struct {
	took    metric.Histogram
	records atomic.Uint64
}

func (s *syncs) on(took time.Duration, records int) {
	s.took.Observe(took)
	s.records.Add(uint64(records))
}

func (l monitored) Snapshot() admin.Snapshot {
	m := l.s.proxy.Metrics()
	s := admin.Snapshot{
		Version: version(), Clients: m.Sessions, InFlight: l.s.coordinator.Running(), Unfinished: len(l.s.store.decisions.Unfinished()),
		Accepted: m.Accepted, Received: m.Received, Sent: m.Sent, Durations: m.Took, Refused: m.Refused, Errors: m.Errors,
		CacheHits: m.CacheHits, CacheMisses: m.CacheMisses, CachedShapes: m.CachedShapes, Certificates: l.s.certificates(),
	}
	for _, one := range m.Statements {
		s.Statements = append(s.Statements, admin.Statements(one))
	}
	l.s.ends.addTo(&s)
	if l.s.store.file != nil {
		s.Heuristics = len(l.s.store.file.Heuristics())
		s.Syncs, s.SyncedRecords = &metric.Durations{}, l.s.syncs.records.Load()
		l.s.syncs.took.AddTo(s.Syncs)
	}
	return s
}

// certificates says when those that the configuration names end. A file that cannot be read is left out: what has read it before says so.
func (s *service) certificates() map[string]time.Time {
	cfg := s.cfg.Load()
	files := map[string]string{"server.tls_cert": cfg.Server.TLSCert, "admin.tls_cert": cfg.Admin.TLSCert}
	for _, b := range cfg.Backends {
		files["backends["+b.Name+"].tls_cert"] = b.TLSCert
	}
	found := make(map[string]time.Time)
	for key, file := range files {
		if ends, ok := certificateEnds(file); ok {
			found[key] = ends
		}
	}
	return found
}

// certificateEnds is when the first certificate in a file ends.
func certificateEnds(file string) (time.Time, bool) {
	if file == "" {
		return time.Time{}, false
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return time.Time{}, false
	}
	block, _ := pem.Decode(text)
	if block == nil {
		return time.Time{}, false
	}
	c, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return time.Time{}, false
	}
	return c.NotAfter, true
}
