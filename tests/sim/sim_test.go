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
	fixedSeeds = 120
	freshSeeds = 40
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

var stores = []string{"file", "participant"}

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
	for k, n := range o.keys {
		s.keys[k] += n
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
	fmt.Fprintf(&b, "%d branches finished by recovery, %d came back after their end\nwith commit keys:%s\nwhat went wrong:%s", s.inDoubt, s.cameBack, counted(s.keys), counted(s.faults))
	return b.String()
}

// counted lists counts, the highest first.
func counted(counts map[string]int) string {
	names := sorted(counts)
	slices.SortStableFunc(names, func(a, b string) int { return cmp.Compare(counts[b], counts[a]) })
	var b strings.Builder
	for i, name := range names {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, " %d %s", counts[name], name)
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
	for _, heard := range keyTellings {
		if s.keys[heard] == 0 {
			t.Errorf("with commit keys: never %s", heard)
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
