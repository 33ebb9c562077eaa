package proxy

import (
	"runtime"
	"sync/atomic"
	"time"

	"github.com/xaproxy/xaproxy/metric"
	"github.com/xaproxy/xaproxy/router"
	"github.com/xaproxy/xaproxy/wire"
	"github.com/xaproxy/xaproxy/xa"
)

// counters are what sessions count. Each Server has several, so that sessions seldom meet at one.
type counters struct {
	statements     [statementKinds][plans]atomic.Uint64
	took           [statementKinds]metric.Histogram
	refused        [reasons]atomic.Uint64
	failed         [sides]atomic.Uint64
	received, sent atomic.Uint64 // bytes from and to clients
}

// moreCounters is how many counters there are for each processor.
const moreCounters = 2

func newCounters() []*counters {
	all := make([]*counters, moreCounters*runtime.GOMAXPROCS(0))
	for i := range all {
		all[i] = new(counters)
	}
	return all
}

// noted is what a session knows of its present statement, to be counted when it has been answered.
type noted struct {
	planned bool
	kind    statementKind
	plan    uint8
	reason  reason
	began   time.Time
	of      *router.Plan
	gtrid   xa.GTRID      // of the transaction that it has ended
	tally   *router.Tally // of its shape, nil: there is none
}

// side is who an error comes from.
type side uint8

const (
	clientSide side = iota
	proxySide
	backendSide
	sides
)

var sideNames = [sides]string{"client", "proxy", "backend"}

// plans are the ways in which statements are carried out: by the session, on one backend, or by a merge.
const plans = 2 + int(router.MergeListing)

// planOf is the way of a plan.
func planOf(p *router.Plan) uint8 {
	if p.Verb != router.Route && p.Verb != router.Handler {
		return 0
	}
	return 1 + uint8(p.Merge)
}

func planName(i int) string {
	switch {
	case i == 0:
		return "session"
	case router.Merge(i-1) == router.MergeNone:
		return "one_backend"
	}
	return router.Merge(i - 1).String()
}

// plans notes what the present statement is.
func (s *session) plans(p *router.Plan) {
	s.noted.planned, s.noted.kind, s.noted.plan, s.noted.of = true, kindOf(s.work.text), planOf(p), p
	s.work.times(p.Merge != router.MergeNone || p.Lookup != nil)
}

// counted counts the statement that has been answered by now.
func (s *session) counted(now time.Time) {
	c, n := s.counters, &s.noted
	if n.planned {
		c.statements[n.kind][n.plan].Add(1)
		took := now.Sub(n.began)
		c.took[n.kind].Observe(took)
		if limit := s.gen.cfg.Server.SlowStatement.Std(); limit > 0 && took >= limit {
			s.slow(now, took)
		}
		if n.tally != nil {
			n.tally.Add(took)
		}
		if s.traced != nil {
			s.trace(now)
		}
		n.planned, n.of = false, nil
	}
	n.gtrid = xa.GTRID{}
	s.traced.over(s.tx != nil)
	s.work.visited()
	if s.failed {
		if n.reason == notRefused {
			c.failed[backendSide].Add(1)
		} else {
			c.failed[proxySide].Add(1)
			c.refused[n.reason].Add(1)
			n.reason = notRefused
		}
	}
	received, sent := s.conn.Traffic()
	c.received.Add(received)
	c.sent.Add(sent)
	n.began = now
}

// Metrics is what all sessions have counted since the start.
type Metrics struct {
	Sessions int    // that are open
	Accepted uint64 // clients that ever connected
	// Statements are those that have a plan, by kind and plan; Took is how long their answers took, by kind; Refused are those that did
	// not reach a backend, by reason; Errors are what clients were told, and clients that were lost, by side.
	Statements []Statements
	Took       map[string]*metric.Durations
	Refused    map[string]uint64
	Errors     map[string]uint64

	Received, Sent uint64 // bytes of the protocol, from and to clients

	CacheHits, CacheMisses uint64 // of plans
	CachedShapes           int
}

// Statements counts those of a kind with a plan.
type Statements struct {
	Kind, Plan string
	Count      uint64
}

// Metrics adds up what was counted. Kinds and plans that have not been seen are left out.
func (s *Server) Metrics() Metrics {
	m := Metrics{
		Sessions: s.Sessions(), Accepted: uint64(s.lastID.Load()),
		Took: make(map[string]*metric.Durations), Refused: make(map[string]uint64), Errors: make(map[string]uint64),
	}
	for kind := range statementKinds {
		name, took := kindNames[kind], &metric.Durations{}
		for plan := range plans {
			sum := Statements{Kind: name, Plan: planName(plan)}
			for _, c := range s.counters {
				sum.Count += c.statements[kind][plan].Load()
			}
			if sum.Count > 0 {
				m.Statements = append(m.Statements, sum)
			}
		}
		for _, c := range s.counters {
			c.took[kind].AddTo(took)
		}
		if took.Sum > 0 {
			m.Took[name] = took
		}
	}
	for _, c := range s.counters {
		for i := range reasons - 1 {
			m.Refused[reasonNames[i+1]] += c.refused[i+1].Load()
		}
		for i := range sides {
			m.Errors[sideNames[i]] += c.failed[i].Load()
		}
		m.Received += c.received.Load()
		m.Sent += c.sent.Load()
	}
	m.CacheHits, m.CacheMisses, m.CachedShapes = s.newest.Load().router.CacheStats()
	return m
}

// reason is why a statement was not sent to any backend.
type reason uint8

const (
	notRefused reason = iota
	unsupported
	syntaxError
	noSuchName
	denied
	readOnly
	scattered
	overLimit
	noConnection
	backendDown
	otherReason
	reasons
)

var reasonNames = [reasons]string{
	"", "unsupported", "syntax", "unknown_name", "access_denied", "read_only", "scatter_writes", "limit", "pool_wait", "backend_down", "other",
}

var reasonOf = map[uint16]reason{
	wire.CodeNotSupported.Errno(): unsupported, 1064: syntaxError, 1065: syntaxError,
	1046: noSuchName, 1049: noSuchName, 1051: noSuchName, 1054: noSuchName, 1146: noSuchName,
	1044: denied, 1045: denied, 1095: denied, 1142: denied, wire.CodePrivilege.Errno(): denied,
	wire.CodeReadOnly.Errno(): readOnly, wire.CodeSafeUpdate.Errno(): scattered,
	wire.CodePacketTooLarge.Errno(): overLimit, 1461: overLimit, 1203: overLimit, 1104: overLimit,
	wire.CodeTooManyConnections.Errno(): noConnection, wire.CodeBackendDown.Errno(): backendDown,
}

// refusedFor is the reason that an error of the proxy's own stands for.
func refusedFor(errno uint16) reason {
	if r, ok := reasonOf[errno]; ok {
		return r
	}
	return otherReason
}
