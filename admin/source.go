package admin

import (
	"time"

	"github.com/xaproxy/xaproxy/metric"
)

// Source is the running proxy. Its methods may be called at any time, by several goroutines at once, and wait for no backend and no client.
type Source interface {
	// Stopping reports whether no new clients are taken any more.
	Stopping() bool
	// Backends are those of the configuration in effect, in its order, and then those that are leaving it.
	Backends() []Backend
	// Snapshot is everything else.
	Snapshot() Snapshot
}

// Backend is the state of one backend.
type Backend struct {
	Name string
	Down string // why its statements are refused, or may be; "" if it is usable
	// Pool has its connections for statements: how many there may be and are, how many of them are idle, and who waits for one. The others
	// count since the start: connections opened, not opened because that failed, and not tried because it had failed before; statements that waited, for how long together, and
	// in vain; bytes of the protocol.
	Size, Open, Idle, Waiting int
	Dialled, Failed, Rejected uint64
	Waited, TimedOut          uint64
	InQueue                   time.Duration
	Received, Sent            uint64
	// Prepared are branches of ours that are prepared there, InDoubt those of them that no transaction works on, since Oldest at most. All as the last look of
	// recovery found it, which is Looked ago.
	Prepared, InDoubt int
	Oldest, Looked    time.Duration
}

// Snapshot is what a proxy tells of itself. What has the name of something in the plural counts since the start.
type Snapshot struct {
	Version    string
	Clients    int // that are connected
	InFlight   int // transactions
	Unfinished int // decisions, those in flight included
	Heuristics int // branches found finished against their decision, or finished by hand

	Accepted       uint64 // clients that ever connected
	Received, Sent uint64 // bytes of the protocol, from and to clients

	Statements    []Statements
	Durations     map[string]*metric.Durations // of statements, by kind
	Refused       map[string]uint64            // statements, by reason
	Errors        map[string]uint64            // by side
	Transactions  []Transactions
	Phases        map[string]*metric.Durations // of the ends of transactions
	CacheHits     uint64                       // of plans
	CacheMisses   uint64
	CachedShapes  int
	Syncs         *metric.Durations // of the decision log; nil without one
	SyncedRecords uint64
	Certificates  map[string]time.Time // when they end, by the key that names the file
}

// Statements counts those of a kind with a plan.
type Statements struct {
	Kind, Plan string
	Count      uint64
}

// Transactions counts those with an outcome and so many branches.
type Transactions struct {
	Outcome, Branches string
	Count             uint64
}
