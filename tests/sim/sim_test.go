package sim

import (
	"cmp"
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/xaproxy/xaproxy/xa"
)

var (
	seedFlag = flag.Uint64("seed", 0, "run this seed alone and print what happens, step by step")
	forFlag  = flag.Duration("for", 0, "run fresh seeds for this long, and tell how it goes every five seconds")
)

const (
	fixedSeeds = 150
	freshSeeds = 50
)

// TestSimulation runs whole lives of proxies and servers, each from a seed, and checks the invariants of package xa after every step. Without
// a flag these are seeds 1 to fixedSeeds, and a few fresh ones.
func TestSimulation(t *testing.T) {
	if *seedFlag != 0 {
		r := simulate(t, options{seed: *seedFlag})
		t.Logf("seed %d:\n%s", *seedFlag, r.trace)
		if r.violation != "" {
			t.Errorf("seed %d: %s", *seedFlag, r.violation)
		}
		return
	}
	fresh := rand.Uint64() >> 16
	began, told := time.Now(), time.Now()
	sum, seeds := newStats(), 0
	one := func(seed uint64) (ok bool) {
		r := simulate(t, options{seed: seed})
		sum.add(r.stats)
		seeds++
		if time.Since(told) >= 5*time.Second && *forFlag > 0 {
			told = time.Now()
			t.Logf("%3.0f s: %d seeds, the last was %d; %d steps", time.Since(began).Seconds(), seeds, seed, sum.steps)
		}
		if r.violation != "" {
			t.Errorf("%s\n  again, with every step: go test ./tests/sim -run TestSimulation -v -seed %d\n  the last steps:\n%s", r.violation, seed, lastLines(r.trace, 40))
		}
		return r.violation == ""
	}
	if *forFlag > 0 {
		t.Logf("seeds from %d", fresh)
		for one(fresh) && time.Since(began) < *forFlag {
			fresh++
		}
	} else {
		t.Logf("seeds 1 to %d, and %d from %d", fixedSeeds, freshSeeds, fresh)
		for seed := range uint64(fixedSeeds) {
			one(seed + 1)
		}
		for i := range uint64(freshSeeds) {
			one(fresh + i)
		}
	}
	t.Logf("%d seeds in %v\n%s", seeds, time.Since(began).Round(time.Millisecond), sum)
	if !t.Failed() {
		sum.nothingMissing(t)
	}
}

// TestReplay: a seed is everything. The same steps happen at the same times, byte for byte.
func TestReplay(t *testing.T) {
	first := rand.Uint64() >> 16
	t.Logf("seeds from %d", first)
	for i := range uint64(10) {
		for _, store := range stores {
			o := options{seed: first + i, store: store}
			a, b := simulate(t, o), simulate(t, o)
			if a.trace != b.trace || a.violation != b.violation {
				t.Errorf("seed %d, store %s: two runs differ, %q and %q, from\n%s", o.seed, store, a.violation, b.violation, difference(a.trace, b.trace))
			}
			if strings.Count(a.trace, "\n") < 50 {
				t.Errorf("seed %d, store %s: only\n%s", o.seed, store, a.trace)
			}
		}
	}
}

var stores = []string{"file", "participant"}

// difference returns the first lines in which two traces differ.
func difference(a, b string) string {
	la, lb := strings.Split(a, "\n"), strings.Split(b, "\n")
	for i := range min(len(la), len(lb)) {
		if la[i] != lb[i] {
			return la[i] + "\n" + lb[i]
		}
	}
	return "where the shorter one ends"
}

func lastLines(text string, n int) string {
	lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}

func (s *stats) add(o stats) {
	s.steps += o.steps
	s.unheard += o.unheard
	s.inDoubt += o.inDoubt
	s.cameBack += o.cameBack
	for k, n := range o.outcomes {
		s.outcomes[k] += n
	}
	for k, n := range o.faults {
		s.faults[k] += n
	}
}

var outcomes = []xa.Outcome{xa.Committed, xa.CommittedLate, xa.RolledBack, xa.InDoubt}

func (s stats) String() string {
	var b strings.Builder
	sum := s.unheard
	for _, o := range outcomes {
		sum += s.outcomes[o]
	}
	fmt.Fprintf(&b, "%d steps, %d transactions:", s.steps, sum)
	for _, o := range outcomes {
		fmt.Fprintf(&b, " %d %s,", s.outcomes[o], o)
	}
	fmt.Fprintf(&b, " %d whose proxy died first\n", s.unheard)
	fmt.Fprintf(&b, "%d branches finished by recovery, %d came back after their end\nwhat went wrong:", s.inDoubt, s.cameBack)
	names := sorted(s.faults)
	slices.SortStableFunc(names, func(a, b string) int { return cmp.Compare(s.faults[b], s.faults[a]) })
	for i, name := range names {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, " %d %s", s.faults[name], name)
	}
	return b.String()
}

// nothingMissing fails where something that is to be tested has never happened.
func (s stats) nothingMissing(t *testing.T) {
	for _, o := range outcomes {
		if s.outcomes[o] == 0 {
			t.Errorf("no transaction ended %v", o)
		}
	}
	for _, f := range allFaults {
		if s.faults[f.name] == 0 {
			t.Errorf("never happened: %s", f.name)
		}
	}
	if s.inDoubt == 0 || s.cameBack == 0 || s.unheard == 0 || s.faults["proxy halts"] == 0 {
		t.Errorf("%d branches were finished by recovery, %d came back, %d transactions were unheard of, %d proxies halted", s.inDoubt, s.cameBack, s.unheard, s.faults["proxy halts"])
	}
}
