package recovery

import (
	"errors"
	"testing"
	"time"

	"github.com/xaproxy/xaproxy/xa"
)

const testCoord = "0badcafe"

// ours returns the gtrid of a transaction of the tests' log.
func ours(epoch uint32, seq uint64) xa.GTRID {
	return xa.GTRID{Coord: testCoord, Epoch: epoch, Seq: seq}
}

// prepared returns the row that a server lists for a branch of ours.
func prepared(g xa.GTRID, bqual string) Listed {
	return Listed{FormatID: xa.FormatID, GTRID: g.String(), BQUAL: bqual}
}

func decide(g xa.GTRID, branches ...xa.BranchRef) xa.Decision {
	return xa.Decision{GTRID: g, Branches: branches, Time: time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)}
}

// Every kind of listed branch gets its verdict, and the reason says why.
func TestJudge(t *testing.T) {
	g := ours(3, 7)
	decided := decide(g, xa.BranchRef{Backend: "a"}, xa.BranchRef{Backend: "b"})
	evidence := func(l Listed, change func(*Evidence)) Evidence {
		e := Evidence{Backend: "a", Coord: testCoord, Epoch: 3, Listed: l}
		if change != nil {
			change(&e)
		}
		return e
	}
	withDecision := func(e *Evidence) { e.Ruling = xa.Ruling{Decided: true, Decision: decided} }
	other := xa.GTRID{Coord: "11111111", Epoch: 3, Seq: 7}
	rowed := xa.GTRID{Coord: "22222222", Epoch: 9, Seq: 7, Decider: "d"}
	participant := func(e *Evidence) { e.Coord = "" }
	for _, c := range []struct {
		name     string
		evidence Evidence
		want     Judgement
	}{
		{"undecided", evidence(prepared(g, "a"), nil), Judgement{Ours, Rollback, "no decision in the log"}},
		{"undecided, of an earlier run", evidence(prepared(ours(1, 9), "a"), nil), Judgement{Ours, Rollback, "no decision in the log"}},
		{"decided", evidence(prepared(g, "a"), withDecision), Judgement{Ours, Commit, "decided 2026-03-04 05:06:07Z"}},
		{
			"decided, but the branch is no part of the decision",
			evidence(prepared(g, "a"), func(e *Evidence) {
				e.Ruling = xa.Ruling{Decided: true, Decision: decide(g, xa.BranchRef{Backend: "b"})}
			}),
			Judgement{Ours, Rollback, "its transaction is decided, but this branch only read"},
		},
		{"in flight", evidence(prepared(g, "a"), func(e *Evidence) { e.InFlight = true }), Judgement{Ours, Running, "its transaction is running"}},
		{
			"in flight and decided",
			evidence(prepared(g, "a"), func(e *Evidence) { e.InFlight = true; withDecision(e) }),
			Judgement{Ours, Running, "its transaction is running"},
		},
		{
			"of another backend on the same server",
			evidence(prepared(g, "b"), func(e *Evidence) { e.Sibling = true; withDecision(e) }),
			Judgement{Ours, Elsewhere, "belongs to backend b, which judges it"},
		},
		{
			"of a backend that is not configured",
			evidence(prepared(g, "gone"), withDecision),
			Judgement{Ours, Unclaimed, `belongs to backend "gone", which is not in the configuration: put it back there`},
		},
		{
			"of a later run",
			evidence(prepared(ours(4, 1), "a"), nil),
			Judgement{Ours, Fenced, "made in epoch 4 of our log while this process runs in epoch 3: another process uses a copy of the log"},
		},
		{
			"of another installation",
			evidence(prepared(other, "a"), nil),
			Judgement{Other, Untouched, "made by the xaproxy installation 11111111, whose log decides"},
		},
		{
			"of the participant store",
			evidence(prepared(rowed, "a"), nil),
			Judgement{Other, Untouched, "made by an xaproxy with the participant store: one with that store decides, or xaproxy recover with its configuration; the decider is d"},
		},
		{"undecided by its decider", evidence(prepared(rowed, "a"), participant), Judgement{Ours, Rollback, "decider d has no decision to commit it"}},
		{
			"decided by its decider",
			evidence(prepared(rowed, "a"), func(e *Evidence) { participant(e); withDecision(e) }),
			Judgement{Ours, Commit, "decided 2026-03-04 05:06:07Z"},
		},
		{
			"running in another process",
			evidence(prepared(rowed, "a"), func(e *Evidence) { participant(e); e.Ruling.Running = true }),
			Judgement{Ours, Running, "the xaproxy that runs its transaction is alive"},
		},
		{
			"decider does not answer",
			evidence(prepared(rowed, "a"), func(e *Evidence) { participant(e); e.Ruling.Err = errors.New("decider d: gone") }),
			Judgement{Ours, Undecidable, "decider d: gone"},
		},
		{
			"of a log, seen by the participant store",
			evidence(prepared(other, "a"), participant),
			Judgement{Other, Untouched, "made by the xaproxy installation 11111111, whose log decides"},
		},
		{"our text in another format", evidence(Listed{1, g.String(), "a", ""}, nil), Judgement{Foreign, Untouched, "not made by xaproxy"}},
		{"our format, another text", evidence(Listed{xa.FormatID, "xp1.0badcafe.3", "a", ""}, nil), Judgement{Foreign, Untouched, "not made by xaproxy"}},
		{"not our canonical text", evidence(Listed{xa.FormatID, "xp1.0badcafe.03.7", "a", ""}, nil), Judgement{Foreign, Untouched, "not made by xaproxy"}},
		{"binary", evidence(Listed{xa.FormatID, "\x00\xff", "", ""}, nil), Judgement{Foreign, Untouched, "not made by xaproxy"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := Judge(c.evidence); got != c.want {
				t.Errorf("got  %+v\nwant %+v", got, c.want)
			}
		})
	}
}
