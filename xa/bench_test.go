package xa_test

import (
	"fmt"
	"testing"

	"github.com/rs/zerolog"

	"github.com/xaproxy/xaproxy/xa"
	"github.com/xaproxy/xaproxy/xa/xatest"
)

// voidLog keeps nothing.
type voidLog struct{ xatest.Log }

func (*voidLog) Append(xa.Decision) error       { return nil }
func (*voidLog) Done(xa.GTRID, ...xa.BranchEnd) {}

// BenchmarkCommit is the coordinator's own cost of a commit: the branches and the log answer at once.
func BenchmarkCommit(b *testing.B) {
	for n := 1; n <= 2; n++ {
		b.Run(fmt.Sprintf("branches=%d", n), func(b *testing.B) {
			c := xa.NewCoordinator(xa.Options{
				Log: &voidLog{}, PrepareTimeout: prepareTimeout, CommitWait: commitWait, Logger: zerolog.Nop(),
				Orphaned: func(string) {}, Halt: func(err error) { b.Error(err) },
			})
			var branches []*xatest.Branch
			for range n {
				branches = append(branches, xatest.NewBranch("a"))
			}
			b.ReportAllocs()
			for b.Loop() {
				tx := c.Begin("")
				for i, branch := range branches {
					branch.Reset()
					tx.Add(branch, false)
					tx.Wrote(i)
				}
				if a := tx.Commit(); a.Outcome != xa.Committed {
					b.Fatal(a)
				}
			}
		})
	}
}

// BenchmarkStep is the pure part of a commit on two branches.
func BenchmarkStep(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		t := xa.Txn{Branches: []xa.Branch{{Wrote: true}, {Wrote: true}}}
		for _, e := range []xa.Event{
			{Kind: xa.EventCommit},
			{Kind: xa.EventReply, Branch: 0},
			{Kind: xa.EventReply, Branch: 1},
			{Kind: xa.EventLogged},
			{Kind: xa.EventReply, Branch: 0},
			{Kind: xa.EventReply, Branch: 1},
		} {
			t, _ = t.Step(e)
		}
		if t.State != xa.Done {
			b.Fatal(t.State)
		}
	}
}
