package sim

import (
	"fmt"
	"strings"
	"time"
)

// choice is one thing that can happen next: do is called with what it happens to.
type choice struct {
	step     int
	at       time.Time
	what, of string
	weight   int
	call     *call
	pk       *packet
	conn     *conn
	server   *server
	machine  *machine
	do       func(w *world, c *choice)
}

// choices lists what can happen.
func (w *world) choices() []choice {
	all := w.list[:0]
	add := func(c choice, call *call) {
		c.step, c.at, c.of = call.step, call.at, call.key
		if w.style.starved != "" && (strings.Contains(c.what, w.style.starved) || strings.Contains(c.of, w.style.starved)) {
			c.weight = 1
		}
		all = append(all, c)
	}
	for _, c := range w.calls {
		if (c.ready == nil || c.ready()) && !c.p.m.stuck {
			add(choice{weight: 100, call: c, do: happen}, c)
		}
	}
	for _, pk := range w.packets {
		s := pk.conn.server
		switch {
		case pk.ran && !pk.p.m.stuck:
			add(choice{what: "reply ", weight: 100, pk: pk, do: reply}, &pk.call)
		case !pk.ran && !s.frozen && (pk.conn.session == nil || s.ready(pk.conn.session)):
			add(choice{what: executes[pk.stmts[len(pk.values)].verb], weight: 100, pk: pk, do: execute}, &pk.call)
		}
		if !pk.ran && pk.lost && !s.frozen && len(pk.values) == 0 {
			add(choice{what: "never arrives: ", weight: 30, pk: pk, do: vanish}, &pk.call)
		}
	}
	now := time.Now()
	repair := func(c choice) {
		c.step, c.at = w.step, now
		all = append(all, c)
	}
	for _, c := range w.conns {
		if c.cut && !c.silent && !c.server.frozen && !c.busy {
			repair(choice{what: c.server.name, of: " notices the end of a session", weight: 20, conn: c, do: hear})
		}
	}
	for _, s := range w.servers {
		if !now.Before(s.until) && (!s.up || s.frozen || s.readOnly || s.flushLock) {
			repair(choice{what: s.name, of: " is repaired", weight: 5, server: s, do: repairServer})
		}
	}
	for _, m := range w.machines {
		switch {
		case m.p == nil:
			repair(choice{what: m.name, of: " boots", weight: 10, machine: m, do: boot})
		case m.stuck && !now.Before(m.until):
			repair(choice{what: m.name, of: " goes on", weight: 5, machine: m, do: unstick})
		}
	}
	w.list = all
	return all
}

// executes names the choices to run a statement.
var executes = func() map[string]string {
	all := make(map[string]string)
	for _, verb := range []string{
		"XA START", "BEGIN", "WRITE", "XA END", "XA PREPARE", "XA COMMIT", "XA COMMIT ONE PHASE", "XA ROLLBACK", "COMMIT", "ROLLBACK", "RESET",
		"XA RECOVER", "KILL", "IDENTITY", "UPTIME", "SQL", "HOLDER",
	} {
		all[verb] = "exec " + verb + " of "
	}
	return all
}()

func happen(w *world, c *choice) {
	w.dropCall(c.call)
	c.call.run()
}

func vanish(w *world, c *choice) {
	w.dropPacket(c.pk)
	w.hear(c.pk.conn)
}

func hear(w *world, c *choice)    { w.hear(c.conn) }
func boot(w *world, c *choice)    { w.boot(c.machine) }
func unstick(_ *world, c *choice) { c.machine.stuck = false }

// repairServer repairs one thing.
func repairServer(_ *world, c *choice) {
	switch s := c.server; {
	case !s.up:
		s.start()
	case s.frozen:
		s.frozen = false
	case s.readOnly:
		s.readOnly = false
	default:
		s.flushLock = false
	}
}

func (w *world) choose(all []choice) *choice {
	switch w.style.name {
	case "oldest first":
		if w.rng.IntN(4) > 0 {
			return &all[0]
		}
	case "newest first":
		if w.rng.IntN(4) > 0 {
			return &all[len(all)-1-w.rng.IntN(min(3, len(all)))]
		}
	}
	sum := 0
	for i := range all {
		sum += all[i].weight
	}
	n := w.rng.IntN(sum)
	for i := range all {
		if n -= all[i].weight; n < 0 {
			return &all[i]
		}
	}
	panic("not reached")
}

// execute lets the server run the next statement of a packet.
func execute(w *world, next *choice) {
	pk := next.pk
	if pk.conn.session == nil {
		if err := pk.conn.accept(); err != nil {
			w.lose(pk, err, false)
			w.dropPacket(pk)
			return
		}
	}
	s, c := pk.conn.server, pk.conn.session
	st := pk.stmts[len(pk.values)]
	if w.voteYes > 0 && (st.verb == "XA PREPARE" || st.verb == "XA COMMIT ONE PHASE") && w.rng.Float64() >= w.voteYes {
		c.killed = true
	}
	value, refused, waits := s.exec(c, st)
	switch {
	case waits:
		w.note("  waits for " + c.waits)
		return
	case refused != nil:
		w.note(fmt.Sprintf("  %d", refused.Errno))
		pk.refused, pk.ran = refused, true
	default:
		pk.values = append(pk.values, value)
		pk.ran = len(pk.values) == len(pk.stmts)
		if pk.conn.admin && (st.verb == "XA COMMIT" || st.verb == "XA ROLLBACK") {
			w.stats.inDoubt++
		}
	}
	if pk.ran && pk.lost {
		w.dropPacket(pk)
	}
}

// reply lets the process have its answer.
func reply(w *world, c *choice) {
	pk := c.pk
	w.dropPacket(pk)
	pk.finish(nil)
	if pk.conn.admin {
		w.hear(pk.conn)
	}
}
