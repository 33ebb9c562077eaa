package xa_test

import (
	"fmt"
	"slices"
	"strings"
)

// counterexample is the shortest way to a world in which invariants do not hold.
type counterexample struct {
	violated violations
	panicked any // Step panicked: an event reached it that it says cannot happen
	trace    string
}

func (c *counterexample) String() string {
	if c.panicked != nil {
		return fmt.Sprintf("panic: %v\n%s", c.panicked, c.trace)
	}
	return fmt.Sprintf("violated: %s\n%s", c.violated, c.trace)
}

// explore walks every world that m can reach, breadth first, and returns how many there are and the first one, if any,
// in which an invariant does not hold.
func (m *model) explore() (worlds int, found *counterexample) {
	start := m.initial()
	seen := map[world]struct{}{start.canonical(): {}}
	queue := []world{start.canonical()}
	parents := []int32{-1}
	at := 0
	defer func() {
		if p := recover(); p != nil {
			found = &counterexample{panicked: p, trace: m.trace(queue, parents, at)}
		}
	}()
	for ; at < len(queue); at++ {
		if bad := m.check(&queue[at]) & m.watch; bad != 0 {
			return len(queue), &counterexample{violated: bad, trace: m.trace(queue, parents, at)}
		}
		m.successors(queue[at], func(_ move, next world) {
			next = next.canonical()
			if _, ok := seen[next]; !ok {
				seen[next] = struct{}{}
				queue = append(queue, next)
				parents = append(parents, int32(at))
			}
		})
	}
	return len(queue), nil
}

// trace prints the moves to queue[at]. Branches change places in canonical worlds, so it follows the way from the
// start with the branches where they are.
func (m *model) trace(queue []world, parents []int32, at int) string {
	var path []world
	for ; at > 0; at = int(parents[at]) {
		path = append(path, queue[at])
	}
	slices.Reverse(path)
	var out strings.Builder
	w := m.initial()
	for i, want := range path {
		taken := false
		m.successors(w, func(v move, next world) {
			if taken || next.canonical() != want {
				return
			}
			taken = true
			fmt.Fprintf(&out, "%3d  %s\n", i+1, v)
			w = next
		})
	}
	fmt.Fprintf(&out, "     then %s\n", w.describe())
	return out.String()
}

// canonical returns w with its branches in a fixed order, because the protocol treats them alike.
func (w world) canonical() world {
	b := w.b[:]
	for i := 1; i < len(b); i++ {
		for j := i; j > 0 && b[j].key() > b[j-1].key(); j-- {
			b[j], b[j-1] = b[j-1], b[j]
		}
	}
	return w
}

// key is a number that differs for different branches.
func (b branch) key() uint64 {
	k := uint64(0)
	put := func(v uint8, bits int) { k = k<<bits | uint64(v) }
	flag := func(v bool) {
		if v {
			put(1, 1)
		} else {
			put(0, 1)
		}
	}
	flag(b.exists)
	flag(b.writes)
	flag(b.decides)
	put(uint8(b.co.State), 4)
	flag(b.co.Wrote)
	flag(b.co.Refused)
	put(uint8(b.conn), 2)
	put(uint8(b.req), 4)
	flag(b.asked)
	put(uint8(b.reply), 2)
	put(uint8(b.server), 3)
	flag(b.returns)
	flag(b.named)
	put(b.pass.looks, 2)
	flag(b.pass.inFlight)
	flag(b.pass.decided)
	put(uint8(b.pass.act), 2)
	return k
}

// describe says in one line what the world is like.
func (w world) describe() string {
	var s strings.Builder
	if w.alive {
		fmt.Fprintf(&s, "transaction %v", w.state)
	} else {
		s.WriteString("no transaction in the process")
	}
	if w.inFlight {
		s.WriteString(", in flight")
	}
	fmt.Fprintf(&s, "; log %s; row %s; client heard %v", [...]string{"empty", "handed", "written", "visible", "refused", "unknown"}[w.log],
		[...]string{"none", "commit", "abort"}[w.row], w.answer)
	for i, b := range w.b {
		if b.exists {
			kind := "reader"
			if b.writes {
				kind = "writer"
			}
			if b.decides {
				kind += ", decides"
			}
			fmt.Fprintf(&s, "; b%d (%s) %s", i+1, kind, [...]string{"working", "prepared", "committed", "committed in one phase", "rolled back"}[b.server])
			if b.asked {
				fmt.Fprintf(&s, ", asked to %v", b.req)
			}
		}
	}
	return s.String()
}
