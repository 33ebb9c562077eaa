package participant

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"github.com/xaproxy/xaproxy/xa"
)

// Server is the administrative side of one backend. It is safe for concurrent use; every call ends soon after its context.
type Server interface {
	Name() string
	// Translates reports whether the server is PostgreSQL, which takes statements of its own words behind a comment.
	Translates() bool
	// Exec runs a statement in a transaction of its own and returns how many rows it changed.
	Exec(ctx context.Context, statement string) (int64, error)
	// Each runs a query and calls row for every row.
	Each(ctx context.Context, query string, row func(scan func(...any) error) error) error
}

const (
	// beatEvery is the pause between two heartbeats.
	beatEvery = time.Second
	// chunk is how many transactions one statement asks for.
	chunk = 500
)

// DefaultComeBack is the ComeBack of Options that have none.
const DefaultComeBack = time.Hour

// Options of a Store. All fields are required, but for Host and ComeBack.
type Options struct {
	Servers  []Server
	Deciders []string      // the names of those that decide on transactions with commit keys; all proxies must have the same
	Grace    time.Duration // how old the heartbeat of a proxy may be before others finish its transactions
	Retain   time.Duration // how long decisions are kept
	Timeout  time.Duration // bounds every single question to a server
	// ComeBack is how long after its end a branch can be prepared again, because its server has crashed or a replica has taken its place.
	// Rows are kept that long after a branch of theirs was seen prepared; 0 = DefaultComeBack.
	ComeBack time.Duration
	Host     string // of this machine
	PID      int
	// Gone says that a process has ended, of a run of another proxy; nil if that is never known. What was its is finished without the grace.
	Gone   func(host string, pid int) bool
	Logger zerolog.Logger
}

// Store is the store as one proxy uses it. It is the xa.Log of its coordinator, but has no log: the deciders write the decisions. It is
// safe for concurrent use.
type Store struct {
	o     Options
	coord string
	epoch uint32
	began time.Time
	poked chan struct{} // holds one token when there is another server than Run knows of

	mu      sync.Mutex           // protects following fields
	servers []Server             // one for each name; replaced, never changed
	seen    map[string]time.Time // by gtrid, when recovery last asked for it; at least those of the last ComeBack
}

// New returns a Store with a coord of its own. It asks nothing of the servers.
func New(o Options) (*Store, error) {
	var b [4]byte
	if _, err := rand.Read(b[:]); err != nil {
		return nil, fmt.Errorf("draw a coord: %w", err)
	}
	if o.ComeBack == 0 {
		o.ComeBack = DefaultComeBack
	}
	s := &Store{
		o: o, servers: o.Servers, coord: hex.EncodeToString(b[:]), seen: make(map[string]time.Time), began: time.Now(), poked: make(chan struct{}, 1),
	}
	s.epoch = uint32(s.began.Unix())
	return s, nil
}

// Coord names this run of the proxy.
func (s *Store) Coord() string { return s.coord }

// Epoch is the time at which this run began.
func (s *Store) Epoch() uint32 { return s.epoch }

// Append refuses: a transaction of this store has a decider.
func (s *Store) Append(d xa.Decision) error {
	return fmt.Errorf("transaction %s has no decider: %w", d.GTRID, xa.ErrNotWritten)
}

// Done does nothing: rows are kept for the retention.
func (s *Store) Done(xa.GTRID, ...xa.BranchEnd) {}

// Fence makes sure that the decision on a transaction of this proxy cannot change any more, and says what it is.
func (s *Store) Fence(ctx context.Context, g xa.GTRID) (committed bool, err error) {
	r := s.lookup(ctx, g.Decider, []xa.GTRID{g}, false)[0]
	return r.Decided, r.Err
}

// Lookup rules on transactions, in the order of the argument: see recovery.Decisions. Those of which neither a living owner
// nor a row is found are fenced, unless dryRun is set.
func (s *Store) Lookup(ctx context.Context, all []xa.GTRID, dryRun bool) []xa.Ruling {
	s.note(all)
	byDecider := make(map[string][]int)
	for i, g := range all {
		byDecider[g.Decider] = append(byDecider[g.Decider], i)
	}
	rulings := make([]xa.Ruling, len(all))
	var running sync.WaitGroup
	for decider, at := range byDecider {
		running.Go(func() {
			for part := range slices.Chunk(at, chunk) {
				gtrids := make([]xa.GTRID, len(part))
				for i, n := range part {
					gtrids[i] = all[n]
				}
				for i, r := range s.lookup(ctx, decider, gtrids, dryRun) {
					rulings[part[i]] = r
				}
			}
		})
	}
	running.Wait()
	return rulings
}

// note remembers that branches of these transactions are prepared.
func (s *Store) note(all []xa.GTRID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, g := range all {
		s.seen[g.String()] = time.Now()
	}
}

// lookup rules on transactions of one decider.
func (s *Store) lookup(ctx context.Context, decider string, all []xa.GTRID, dryRun bool) []xa.Ruling {
	rulings := make([]xa.Ruling, len(all))
	fail := func(err error) []xa.Ruling {
		for i := range rulings {
			rulings[i] = xa.Ruling{Err: fmt.Errorf("decider %s: %w", decider, err)}
		}
		return rulings
	}
	server := s.server(decider)
	if server == nil {
		return fail(fmt.Errorf("it is not in the configuration: put the backend back there"))
	}
	found, err := s.rows(ctx, server, all)
	if err != nil {
		return fail(err)
	}
	alive, err := s.alive(ctx, server, all)
	if err != nil {
		return fail(err)
	}
	var open []xa.GTRID
	for _, g := range all {
		if _, ok := found[g]; !ok && !alive[g.Coord] {
			open = append(open, g)
		}
	}
	if len(found) > 0 && !dryRun {
		if err := s.durable(ctx, server); err != nil {
			return fail(err)
		}
	}
	var unfenced error
	if len(open) > 0 && !dryRun {
		unfenced = s.fence(ctx, server, open)
		fenced, err := s.rows(ctx, server, open)
		if err != nil {
			return fail(err)
		}
		maps.Copy(found, fenced)
	}
	for i, g := range all {
		r, ok := found[g]
		switch {
		case alive[g.Coord]: // and finishes itself what it has decided
			rulings[i].Running = true
		case ok:
			rulings[i] = r.ruling(g)
		case unfenced != nil:
			rulings[i].Err = fmt.Errorf("decider %s: %w", decider, unfenced)
		case !dryRun:
			rulings[i].Err = fmt.Errorf("decider %s: the row of %s, just inserted, is not there", decider, g)
		}
	}
	return rulings
}

// rows reads the rows of transactions.
func (s *Store) rows(ctx context.Context, server Server, all []xa.GTRID) (map[xa.GTRID]row, error) {
	var q strings.Builder
	w := wordsOf(server)
	q.WriteString("SELECT gtrid, verdict, branches, " + w.seconds("created_at") + " FROM " + w.decision + " WHERE gtrid IN (")
	for i, g := range all {
		if i > 0 {
			q.WriteByte(',')
		}
		q.WriteString("'" + g.String() + "'")
	}
	q.WriteByte(')')
	found := make(map[xa.GTRID]row)
	err := s.each(ctx, server, q.String(), func(scan func(...any) error) error {
		var r row
		if err := scan(&r.gtrid, &r.verdict, &r.branches, &r.created); err != nil {
			return err
		}
		g, err := xa.ParseGTRID(r.gtrid)
		if err != nil {
			return err
		}
		found[g] = r
		return nil
	})
	return found, err
}

// alive returns the coords, of those of the transactions, whose proxies may still decide. Ours is not among them: what is asked of ours is not
// in flight.
func (s *Store) alive(ctx context.Context, server Server, all []xa.GTRID) (map[string]bool, error) {
	coords := make(map[string]bool)
	for _, g := range all {
		if g.Coord != s.coord {
			coords["'"+g.Coord+"'"] = true
		}
	}
	alive := make(map[string]bool)
	if len(coords) == 0 {
		return alive, nil
	}
	w := wordsOf(server)
	// One from the future is from before the server's clock was set back; who lives renews it.
	q := "SELECT coord, host, pid FROM " + w.proxy + " WHERE beat_at BETWEEN " + w.exactlyAgo(s.o.Grace) + " AND " + w.exactlyAgo(-s.o.Grace) +
		" AND coord IN (" + strings.Join(slices.Sorted(maps.Keys(coords)), ",") + ")"
	err := s.each(ctx, server, q, func(scan func(...any) error) error {
		var coord, host string
		var pid int
		if err := scan(&coord, &host, &pid); err != nil {
			return err
		}
		alive[coord] = s.o.Gone == nil || !s.o.Gone(host, pid)
		return nil
	})
	return alive, err
}

// fence inserts that transactions are rolled back, where there is no row. It waits for those that are being decided at this moment; one
// for which it waits in vain does not keep it from the others.
func (s *Store) fence(ctx context.Context, server Server, all []xa.GTRID) error {
	names := make([]string, len(all))
	for i, g := range all {
		names[i] = g.String()
	}
	slices.Sort(names) // two recoverers lock in one order
	err := s.insertAborts(ctx, server, names)
	if err == nil || len(names) == 1 {
		return err
	}
	for _, name := range names {
		if failed := s.insertAborts(ctx, server, []string{name}); failed != nil {
			err = failed
		}
	}
	return err
}

func (s *Store) insertAborts(ctx context.Context, server Server, gtrids []string) error {
	w, values := wordsOf(server), make([]string, len(gtrids))
	for i, g := range gtrids {
		values[i] = "('" + g + "','" + verdictAbort + "','" + fencedBy + s.coord + "'," + w.now + ")"
	}
	_, err := s.exec(ctx, server, w.insertNew("(gtrid, verdict, branches, created_at)", strings.Join(values, ",")))
	return err
}

// Decisions is the store as recovery uses it.
type Decisions struct{ *Store }

// Coord returns "": recovery finishes the transactions of every proxy.
func (Decisions) Coord() string { return "" }

// Unfinished returns nothing: which branches are left is seen from the branches.
func (Decisions) Unfinished() []xa.Decision { return nil }

// Prune deletes rows: see recovery.Decisions.
func (d Decisions) Prune(ctx context.Context, listed []struct {
	FormatID              int64
	GTRID, BQUAL, Session string
}, age time.Duration,
) (int, error) {
	if time.Since(d.began) < d.o.ComeBack {
		return 0, nil // what was prepared before that, nobody here knows
	}
	prepared := d.lately()
	for _, l := range listed {
		prepared[l.GTRID] = true
	}
	n := 0
	for _, server := range d.all() {
		pruned, err := d.prune(ctx, server, prepared, age)
		n += pruned
		if err != nil {
			return n, err
		}
	}
	return n, nil
}

// lately returns the transactions of which a branch may come back, and forgets the others.
func (s *Store) lately() map[string]bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := make(map[string]bool, len(s.seen))
	for g, at := range s.seen {
		if time.Since(at) > s.o.ComeBack {
			delete(s.seen, g)
		} else {
			all[g] = true
		}
	}
	return all
}

// prune deletes the rows of one decider. Rows that name a backend that is not in the configuration stay: nobody has listed it.
func (d Decisions) prune(ctx context.Context, server Server, prepared map[string]bool, age time.Duration) (n int, err error) {
	seconds := int64((d.o.Retain+age)/time.Second) + 1
	w := wordsOf(server)
	old := " created_at < " + w.ago(seconds)
	for after := ""; ; {
		var due []string
		rows, last := 0, after
		err := d.each(ctx, server, "SELECT gtrid, branches FROM "+w.decision+" WHERE"+old+" AND gtrid > '"+after+"' ORDER BY gtrid LIMIT "+strconv.Itoa(chunk),
			func(scan func(...any) error) error {
				var gtrid, branches string
				if err := scan(&gtrid, &branches); err != nil {
					return err
				}
				rows, last = rows+1, gtrid
				if !prepared[gtrid] && d.configured(branches) {
					due = append(due, "'"+gtrid+"'")
				}
				return nil
			})
		if err != nil {
			return n, err
		}
		if len(due) > 0 {
			deleted, err := d.exec(ctx, server, "DELETE FROM "+w.decision+" WHERE gtrid IN ("+strings.Join(due, ",")+") AND"+old)
			n += int(deleted)
			if err != nil {
				return n, err
			}
		}
		if rows < chunk {
			break
		}
		after = last
	}
	_, err = d.exec(ctx, server, "DELETE FROM "+w.proxy+" WHERE beat_at < "+w.ago(seconds))
	return n, err
}

// configured reports whether all branches of a row are on backends of the configuration.
func (d Decisions) configured(branches string) bool {
	if strings.HasPrefix(branches, fencedBy) {
		return true
	}
	all, err := parseBranches(branches)
	return err == nil && !slices.ContainsFunc(all, func(r xa.BranchRef) bool { return d.server(r.Backend) == nil })
}

func (s *Store) each(ctx context.Context, server Server, query string, row func(scan func(...any) error) error) error {
	ctx, cancel := context.WithTimeout(ctx, s.o.Timeout)
	defer cancel()
	return server.Each(ctx, wordsOf(server).hint+query, row)
}

func (s *Store) exec(ctx context.Context, server Server, statement string) (int64, error) {
	ctx, cancel := context.WithTimeout(ctx, s.o.Timeout)
	defer cancel()
	return server.Exec(ctx, wordsOf(server).hint+statement)
}
