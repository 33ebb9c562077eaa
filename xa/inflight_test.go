package xa_test

import (
	"fmt"
	"testing"

	"github.com/rs/zerolog"

	"github.com/xaproxy/xaproxy/xa"
	"github.com/xaproxy/xaproxy/xa/xatest"
)

// A transaction is listed from its beginning to its end, with its branches, and among those that have ended from then on, the newest first.
func TestTransactions(t *testing.T) {
	c := xa.NewCoordinator(xa.Options{
		Log: &voidLog{}, PrepareTimeout: prepareTimeout, CommitWait: commitWait, Logger: zerolog.Nop(), Orphaned: func(string) {}, Halt: func(err error) { t.Error(err) },
	})
	begin := func(session uint64) *xa.Tx {
		tx := c.Begin("")
		tx.Serves(session)
		for i, name := range []string{"a", "b"} {
			tx.Add(xatest.NewBranch(name), false)
			tx.Wrote(i)
		}
		return tx
	}
	first, second := begin(7), begin(8)
	listed := func(all []xa.Shown) (text string) {
		for _, s := range all {
			text += fmt.Sprintf("%d:%d %s", s.GTRID.Seq, s.Session, s.State)
			for _, b := range s.Branches {
				text += fmt.Sprintf(" %s=%s,%t", b.Backend, b.State, b.Wrote)
			}
			if s.State == xa.Done {
				text += fmt.Sprintf(" %s %v %t", s.Outcome, s.Backends, s.Recorded)
			}
			text += "; "
		}
		return text
	}
	if got := listed(c.Transactions()); got != "1:7 active a=active,true b=active,true; 2:8 active a=active,true b=active,true; " {
		t.Errorf("in flight: %s", got)
	}
	first.Commit()
	second.Rollback(nil)
	if got := listed(c.Transactions()); got != "" {
		t.Errorf("in flight after the end: %s", got)
	}
	if got := listed(c.Ended()); got != "2:8 done rolled back [a b] false; 1:7 done committed [a b] true; " {
		t.Errorf("ended: %s", got)
	}
	for range 300 {
		begin(9).Commit()
	}
	if all := c.Ended(); len(all) != 256 || all[0].GTRID.Seq != 302 || all[255].GTRID.Seq != 47 {
		t.Errorf("%d are remembered, from %d on", len(all), all[0].GTRID.Seq)
	}
}
