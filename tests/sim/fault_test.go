package sim

import (
	"cmp"
	"fmt"
	"slices"
	"testing/synctest"
	"time"
)

// fault is something that goes wrong. do returns what it has done, "" if there was nothing to do it to.
type fault struct {
	name string
	do   func(w *world) string
}

var allFaults = []fault{
	{"connection cut", func(w *world) string {
		pk := pick(w, w.packets, func(pk *packet) bool { return !pk.lost })
		if pk == nil {
			return ""
		}
		w.lose(*pk, errLost, w.rng.IntN(2) == 0)
		return (*pk).key
	}},
	{"reply lost", func(w *world) string {
		pk := pick(w, w.packets, func(pk *packet) bool { return pk.ran })
		if pk == nil {
			return ""
		}
		w.lose(*pk, errLost, false)
		return (*pk).key
	}},
	{"KILL QUERY", func(w *world) string {
		pk := pick(w, w.packets, func(pk *packet) bool { return !pk.ran && pk.conn.session != nil && pk.stmts[0].verb != "KILL" })
		if pk == nil {
			return ""
		}
		(*pk).conn.session.killed = true
		return (*pk).key
	}},
	{"KILL CONNECTION", func(w *world) string {
		c := pick(w, w.conns, func(c *conn) bool { return !c.server.frozen })
		if c == nil {
			return ""
		}
		w.hear(*c)
		return fmt.Sprintf("%s session %d of %s", (*c).server.name, (*c).id, (*c).p.name)
	}},
	{"server crash", func(w *world) string {
		s := pick(w, w.servers, func(s *server) bool { return s.up })
		if s == nil {
			return ""
		}
		w.stats.cameBack += (*s).crash()
		(*s).until = w.lasts()
		return (*s).name
	}},
	{"all servers crash", func(w *world) string {
		for _, s := range w.servers {
			if s.up {
				w.stats.cameBack += s.crash()
			}
		}
		return "all"
	}},
	{"failover", func(w *world) string {
		s := pick(w, w.servers, func(s *server) bool { return s.up })
		if s == nil {
			return ""
		}
		w.stats.cameBack += (*s).crash() + (*s).replace()
		(*s).start()
		return (*s).name
	}},
	{"server frozen", func(w *world) string {
		s := pick(w, w.servers, func(s *server) bool { return s.up && !s.frozen })
		if s == nil {
			return ""
		}
		(*s).frozen, (*s).until = true, w.lasts()
		return (*s).name
	}},
	{"read_only", func(w *world) string {
		s := pick(w, w.servers, func(s *server) bool { return s.up && !s.readOnly })
		if s == nil {
			return ""
		}
		(*s).readOnly, (*s).until = true, w.lasts()
		return (*s).name
	}},
	{"flush lock", func(w *world) string {
		s := pick(w, w.servers, func(s *server) bool { return s.up && !s.flushLock })
		if s == nil {
			return ""
		}
		(*s).flushLock, (*s).until = true, w.lasts()
		return (*s).name
	}},
	{"clock jump", func(w *world) string {
		s := pick(w, w.servers, func(*server) bool { return true })
		by := time.Duration(w.rng.IntN(60)-30) * time.Second
		(*s).skew += by
		(*s).ahead += max(by, 0)
		return fmt.Sprintf("%s by %v", (*s).name, by)
	}},
	{"proxy crash", func(w *world) string {
		m := pick(w, w.machines, isRunning)
		if m == nil {
			return ""
		}
		w.kill(*m)
		return (*m).name
	}},
	{"all proxies crash", func(w *world) string {
		for _, m := range w.machines {
			w.kill(m)
		}
		return "all"
	}},
	{"proxy host loses power", func(w *world) string {
		m := pick(w, w.machines, isRunning)
		if m == nil {
			return ""
		}
		dead := (*m).p
		w.kill(*m)
		(*m).disk.powerFailure()
		for _, c := range w.conns { // nobody tells the servers
			c.silent = c.silent || w.halfOpen && c.p == dead
		}
		return (*m).name
	}},
	{"proxy stopped", func(w *world) string {
		m := pick(w, w.machines, func(m *machine) bool { return isRunning(m) && !m.stuck })
		if m == nil {
			return ""
		}
		(*m).stuck, (*m).until = true, w.lasts()
		return (*m).name
	}},
	{"disk", func(w *world) string {
		if w.rows {
			return ""
		}
		m := pick(w, w.machines, isRunning)
		if m == nil {
			return ""
		}
		(*m).disk.fails = []string{"sync", "write", "full"}[w.rng.IntN(3)]
		return (*m).name + " " + (*m).disk.fails
	}},
	{"a long time", func(w *world) string {
		by := time.Duration(1+w.rng.IntN(60)) * time.Second
		w.mu.Unlock()
		time.Sleep(by)
		synctest.Wait()
		w.mu.Lock()
		return by.String()
	}},
}

// lasts draws how long something stays broken at least.
func (w *world) lasts() time.Time {
	longest := []time.Duration{time.Millisecond, time.Millisecond, 30 * time.Second, 5 * time.Minute}[w.rng.IntN(4)]
	return time.Now().Add(time.Duration(w.rng.Int64N(int64(longest))))
}

func isRunning(m *machine) bool { return m.p != nil }

// pick draws one that qualifies, nil if there is none.
func pick[T any](w *world, all []T, qualifies func(T) bool) *T {
	var fit []int
	for i, x := range all {
		if qualifies(x) {
			fit = append(fit, i)
		}
	}
	if len(fit) == 0 {
		return nil
	}
	return &all[fit[w.rng.IntN(len(fit))]]
}

// injectFault lets one thing go wrong, and reports whether one has.
func (w *world) injectFault() bool {
	if len(w.faults) == 0 {
		return false
	}
	f := w.faults[w.rng.IntN(len(w.faults))]
	what := f.do(w)
	if what == "" {
		return false
	}
	w.stats.faults[f.name]++
	w.note("*** " + f.name + ": " + what)
	return true
}

// kill is kill -9 of the proxy on a machine.
func (w *world) kill(m *machine) {
	p := m.p
	if p == nil {
		return
	}
	m.p, m.stuck = nil, false
	p.dead.Store(true)
	for _, c := range w.conns {
		if c.p == p {
			c.cut, c.silent = true, false
		}
	}
	var waiting []*call
	for _, pk := range w.packets {
		if pk.p == p {
			pk.lost, pk.conn.cut = true, true
			waiting = append(waiting, &pk.call)
		}
	}
	w.calls = slices.DeleteFunc(w.calls, func(c *call) bool {
		if c.p == p {
			waiting = append(waiting, c)
		}
		return c.p == p
	})
	for _, c := range waiting { // the others are woken when everything is as it will be
		c.finish(errDead)
	}
	p.die() // what is finished is not given up as well
}

// buryHalted ends the processes that have ended themselves.
func (w *world) buryHalted() {
	slices.SortFunc(w.halted, func(a, b *process) int { return cmp.Compare(a.name, b.name) })
	for _, p := range w.halted {
		if p.m.p == p {
			w.note("*** " + p.name + " halts")
			w.stats.faults["proxy halts"]++
			w.kill(p.m)
		}
	}
	w.halted = nil
}

// heal repairs everything, after a crash of every server if crash is set. From here on nothing goes wrong, but requests that nobody waits
// for are still carried out.
func (w *world) heal(crash bool) {
	w.quiet, w.left, w.style = true, 0, style{name: "uniform"}
	for _, s := range w.servers {
		if crash && s.up {
			w.note("*** the last crash of " + s.name)
			w.stats.cameBack += s.crash()
		}
		if !s.up {
			s.start()
		}
		s.frozen, s.readOnly, s.flushLock, s.until = false, false, false, time.Time{}
	}
	for _, m := range w.machines {
		if m.stuck, m.disk.fails = false, ""; m.p == nil {
			w.boot(m)
		}
	}
	for _, c := range w.conns {
		// Recovery does not end sessions that may be of the server that was there before, nor those whose transaction nobody knows any
		// more. TCP's keepalive does.
		c.silent = c.silent && c.server.failover == 0 && !c.p.dead.Load()
	}
	w.hangUp()
}
