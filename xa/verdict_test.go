package xa_test

import (
	"github.com/xaproxy/xaproxy/recovery"
	"github.com/xaproxy/xaproxy/xa"
)

// judge is package recovery's verdict on a listed branch of ours, unless a mutant has its own.
func (m *model) judge(inFlight, decided, named bool) verdict {
	if m.bug.judge != nil {
		return m.bug.judge(inFlight, decided)
	}
	k := facts{inFlight, decided, named}
	v, ok := m.verdicts[k]
	if !ok {
		v = k.judge()
		m.verdicts[k] = v
	}
	return v
}

// facts are the part of recovery's evidence that changes in the model.
type facts struct {
	inFlight bool
	decided  bool
	named    bool // the decision names the branch
}

func (k facts) judge() verdict {
	g := xa.GTRID{Coord: "0123abcd", Epoch: 1, Seq: 1}
	e := recovery.Evidence{
		Backend: "a", Coord: g.Coord, Epoch: g.Epoch,
		Listed:   recovery.Listed{FormatID: xa.FormatID, GTRID: g.String(), BQUAL: "a"},
		InFlight: k.inFlight, Ruling: xa.Ruling{Decided: k.decided},
	}
	if k.decided {
		e.Ruling.Decision.GTRID = g
	}
	if k.decided && k.named {
		e.Ruling.Decision.Branches = []xa.BranchRef{{Backend: "a"}}
	}
	switch recovery.Judge(e).Verdict {
	case recovery.Commit:
		return commit
	case recovery.Rollback:
		return rollback
	}
	return leave
}
