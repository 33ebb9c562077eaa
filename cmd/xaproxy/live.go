package main

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/xaproxy/xaproxy/admin/live"
	"github.com/xaproxy/xaproxy/config"
	"github.com/xaproxy/xaproxy/recovery"
	"github.com/xaproxy/xaproxy/xa"
)

// tables is the live.Source of the running proxy.
type tables struct{ s *service }

func (t tables) Sessions() []live.Session {
	of := make(map[uint64]string)
	for _, tx := range t.s.coordinator.Transactions() {
		of[tx.Session] = tx.GTRID.String() // the newest one comes last
	}
	all, now := []live.Session{}, time.Now()
	for _, one := range t.s.proxy.Shown() {
		x := live.Session{
			ID: one.ID, User: one.User, Host: one.Host, Schema: one.Schema, Since: one.Since, For: since(now, one.Since), Connected: one.Came,
			Statement: one.Statement, GTRID: of[one.ID], Backends: strings.Join(one.Backends, ", "), Keeps: strings.Join(one.Keeps, ", "),
		}
		switch {
		case one.User == "":
			x.State = "login"
		case one.Running:
			x.State = "running"
		case one.InTx:
			x.State = "idle in transaction"
		default:
			x.State = "idle"
		}
		all = append(all, x)
	}
	return all
}

func (t tables) Transactions() []live.Transaction {
	all, now := []live.Transaction{}, time.Now()
	for _, tx := range t.s.coordinator.Transactions() {
		all = append(all, live.Transaction{
			GTRID: tx.GTRID.String(), Session: tx.Session, State: tx.State.String(), Since: tx.Since, For: since(now, tx.Since), Begun: tx.Began, Age: since(now, tx.Began),
			Branches: len(tx.Branches), Backends: backendsOf(tx.Branches, func(b xa.ShownBranch) string { return b.Backend }), Recorded: tx.Recorded, Answered: tx.Answered, Key: tx.Key,
		})
	}
	return all
}

func (t tables) Branches() []live.Branch {
	all, now, running := []live.Branch{}, time.Now(), make(map[string]bool)
	for _, tx := range t.s.coordinator.Transactions() {
		gtrid := tx.GTRID.String()
		running[gtrid] = true
		for _, b := range tx.Branches {
			all = append(all, live.Branch{
				GTRID: gtrid, Backend: b.Backend, BQUAL: b.Backend, State: b.State.String(), Age: since(now, tx.Began), Verdict: string(recovery.Running), Reason: "its transaction is running",
				Owner: string(recovery.Ours), Wrote: b.Wrote, Session: tx.Session, Connection: b.ConnID,
			})
		}
	}
	for _, b := range t.s.janitor.Prepared() {
		if b.Owner == recovery.Ours && running[b.GTRID] {
			continue
		}
		reason := b.Reason
		if b.Result != "" {
			reason += "; " + b.Result
		}
		all = append(all, live.Branch{
			GTRID: b.GTRID, Backend: b.Backend, BQUAL: b.BQUAL, State: xa.BranchPrepared.String(), InDoubt: b.InDoubt,
			Age: since(now, b.Seen) + time.Duration(b.AgeSeconds*float64(time.Second)), Verdict: string(b.Verdict), Reason: reason, Owner: string(b.Owner),
		})
	}
	return all
}

func (t tables) Backends() []live.Backend {
	states := t.s.janitor.States()
	members, leaving := t.s.all()
	all := make([]live.Backend, len(members))
	for i, m := range members {
		b := m.backend.Load()
		facts := b.Facts()
		x := live.Backend{Name: b.Name(), Kind: b.Config.Kind, Address: b.Address(), Version: facts.Version, Identity: facts.Identity, State: "up", Breaker: "closed", Looked: live.Unknown()}
		if x.Reason = down(b, states); x.Reason != "" {
			x.State = "down"
		}
		if facts.Version == "" {
			x.State = "unchecked"
		}
		if err := b.Broken(); err != nil {
			x.State, x.Breaker, x.Reason = "down", "open", cmp.Or(x.Reason, err.Error())
		}
		if swept := looked(states, b); !swept.Swept.IsZero() {
			x.Prepared, x.InDoubt, x.Oldest, x.Looked = swept.Ours, swept.InDoubt, swept.OldestAge, time.Since(swept.Swept)
		}
		if paused := b.Paused(); paused != "" {
			x.State, x.Reason = "paused", paused
		}
		if i >= len(members)-leaving {
			x.State = "leaving"
		}
		all[i] = x
	}
	return all
}

func (t tables) Pools() []live.Pool {
	members, _ := t.s.all()
	all := make([]live.Pool, len(members))
	for i, m := range members {
		b := m.backend.Load()
		p := b.Stats()
		all[i] = live.Pool{
			Backend: b.Name(), Size: p.Size, Open: p.Open, Idle: p.Free, Used: p.Open - p.Free, Waiting: p.Waiting, Waits: p.Waited, TimedOut: p.TimedOut, InQueue: p.InQueue,
			Opened: p.Dialled, Failed: p.Failed, Rejected: p.Rejected, Received: p.Received, Sent: p.Sent,
		}
	}
	return all
}

func (t tables) Shards() []live.Shard {
	cfg, all := t.s.cfg.Load(), []live.Shard{}
	for i := range cfg.Tables {
		table := &cfg.Tables[i]
		if !table.Sharded() {
			continue
		}
		for at, one := range table.Map(cfg).Shards {
			holds := strings.Join(one.Holds, ", ")
			if one.Others {
				holds = strings.TrimPrefix(holds+", every other value", ", ")
			}
			all = append(all, live.Shard{Schema: table.Schema, Table: table.Name, Shard: one.Name, Position: at, Backend: one.Backend, Holds: holds, Weight: one.Weight})
		}
	}
	return all
}

func (t tables) Tables() []live.Table {
	cfg, all := t.s.cfg.Load(), []live.Table{}
	for _, one := range cfg.Schemas {
		all = append(all, live.Table{Schema: one.Name, Table: "*", Placement: "single", Backends: one.Backend})
	}
	for i := range cfg.Tables {
		table := &cfg.Tables[i]
		x := live.Table{Schema: table.Schema, Table: table.Name, Placement: "single", Backends: table.Backend}
		switch {
		case table.Broadcast:
			x.Placement, x.Backends = "broadcast", strings.Join(table.Copies(cfg), ", ")
		case table.Sharded():
			m := table.Map(cfg)
			x.Placement, x.Map, x.Function, x.Key, x.LookupOf = "sharded", table.ShardMap, m.Function, strings.Join(table.Key(), ", "), table.LookupOf
			x.Backends, x.Changes = backendsOf(m.Shards, func(s config.Shard) string { return s.Backend }), cmp.Or(table.KeyChanges, config.KeyChangesDeny)
		}
		all = append(all, x)
	}
	return all
}

func (t tables) Decisions() []live.Decision {
	all, seen := []live.Decision{}, make(map[xa.GTRID]bool)
	sessions := make(map[xa.GTRID]uint64)
	for _, tx := range t.s.coordinator.Transactions() {
		sessions[tx.GTRID] = tx.Session
	}
	for _, d := range t.s.store.decisions.Unfinished() {
		seen[d.GTRID] = true
		session, inFlight := sessions[d.GTRID]
		x := live.Decision{
			GTRID: d.GTRID.String(), Outcome: "commit", State: "unfinished", Time: d.Time, Took: live.Unknown(), Branches: len(d.Branches),
			Backends: backendsOf(d.Branches, func(b xa.BranchRef) string { return b.Backend }), Recorded: true, OnePhase: d.OnePhase, Session: session, Key: d.Key.Name,
		}
		if inFlight {
			x.State = "in flight"
		}
		all = append(all, x)
	}
	for _, tx := range t.s.coordinator.Ended() {
		if seen[tx.GTRID] {
			continue
		}
		x := live.Decision{
			GTRID: tx.GTRID.String(), Outcome: "commit", State: "finished", Time: tx.Since, Took: tx.Since.Sub(tx.Began), Branches: tx.Size, Backends: strings.Join(tx.Backends, ", "),
			Recorded: tx.Recorded, OnePhase: tx.Size == 1, Session: tx.Session, Key: tx.Key,
		}
		switch tx.Outcome {
		case xa.RolledBack:
			x.Outcome = "rollback"
		case xa.InDoubt:
			x.Outcome, x.State = "in doubt", "unfinished"
		}
		all = append(all, x)
	}
	return all
}

func (t tables) Plans() []live.Plan {
	all := []live.Plan{}
	for _, one := range t.s.proxy.Cached() {
		x := live.Plan{Statement: one.Text, Plan: one.Plan, Count: one.Count, Total: one.Total, Average: live.Unknown(), Longest: one.Longest, Bytes: one.Bytes}
		if one.Count > 0 {
			x.Average = one.Total / time.Duration(one.Count)
		}
		all = append(all, x)
	}
	return all
}

func (t tables) SlowStatements() []live.SlowStatement {
	all := []live.SlowStatement{}
	for _, one := range slices.Backward(t.s.proxy.SlowStatements()) {
		waits := make([]string, len(one.Backends))
		for i, b := range one.Backends {
			waits[i] = fmt.Sprintf("%s %.3f", b.Backend, b.Took.Seconds())
		}
		all = append(all, live.SlowStatement{
			Time: one.Ended, Took: one.Took, Queued: one.Queued, Session: uint64(one.Conn), User: one.User, Schema: one.Schema, Statement: one.Text, Plan: one.Plan,
			Outline: strings.Join(one.Outline, "\n"), Backends: strings.Join(waits, ", "), Rows: int(one.Rows), Errno: int(one.Errno), GTRID: one.GTRID,
		})
	}
	return all
}

func (t tables) Config() []live.Setting {
	settings := t.s.cfg.Load().Settings()
	all := make([]live.Setting, len(settings))
	for i, one := range settings {
		all[i] = live.Setting{Key: one.Path, Value: one.Value}
	}
	return all
}

func (t tables) Events() []live.Event { return t.s.events.latest() }

func since(now, at time.Time) time.Duration { return max(now.Sub(at), 0) }

// backendsOf lists the backends of some things, each once, in the order in which they come.
func backendsOf[T any](all []T, name func(T) string) string {
	var names []string
	for _, one := range all {
		if n := name(one); !slices.Contains(names, n) {
			names = append(names, n)
		}
	}
	return strings.Join(names, ", ")
}
