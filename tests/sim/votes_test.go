package sim

import (
	"fmt"
	"math"
	"testing"

	"github.com/xaproxy/xaproxy/xa"
)

// TestVotes: if each of n branches votes yes with probability p, and nothing else goes wrong, then p^n of the transactions commit. With the
// participant store the decider has no vote, so that is p^(n-1), and with one branch all.
func TestVotes(t *testing.T) {
	const seeds, p = 30, 0.8
	for _, store := range stores {
		for _, n := range []int{1, 2, 3, 5} {
			t.Run(fmt.Sprintf("%s, %d branches", store, n), func(t *testing.T) {
				sum := newStats()
				for seed := range uint64(seeds) {
					r := simulate(t, options{seed: seed + 1, store: store, branches: n, voteYes: p})
					if r.violation != "" {
						t.Fatalf("seed %d: %s", seed+1, r.violation)
					}
					sum.add(r.stats)
				}
				votes := n
				if store == "participant" {
					votes--
				}
				all := float64(sum.outcomes[xa.Committed] + sum.outcomes[xa.RolledBack])
				share, want := float64(sum.outcomes[xa.Committed])/all, math.Pow(p, float64(votes))
				allowed := 4 * math.Sqrt(want*(1-want)/all)
				t.Logf("%.4f of %.0f committed, p^%d = %.4f ± %.4f", share, all, votes, want, allowed)
				if math.Abs(share-want) > allowed || all < 1000 {
					t.Errorf("%.4f of %.0f committed, want %.4f ± %.4f", share, all, want, allowed)
				}
				if n := sum.outcomes[xa.CommittedLate] + sum.outcomes[xa.InDoubt]; n > 0 || len(sum.faults) > 0 {
					t.Errorf("nothing else was to go wrong: %s", sum)
				}
			})
		}
	}
}
