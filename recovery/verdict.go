package recovery

import (
	"fmt"

	"github.com/xaproxy/xaproxy/xa"
)

// Listed is one row of a server's list of prepared branches, as the server has it. It is an alias so that a backend
// can have the methods of Server without an import of this package.
type Listed = struct {
	FormatID              int64
	GTRID, BQUAL, Session string // raw bytes, as long as gtrid_length and bqual_length say; Session is cut from ours, as xa.XID has it
}

// Owner says who made a branch.
type Owner string

// Owners, as reports spell them.
const (
	Ours    Owner = "ours"    // our decision log has the last word, or a decider that we may ask
	Other   Owner = "other"   // another xaproxy installation: its own store decides
	Foreign Owner = "foreign" // not made by xaproxy
)

// Verdict is what is to be done with a listed branch.
type Verdict string

// Verdicts, as reports spell them.
const (
	Commit      Verdict = "commit"      // it was decided
	Rollback    Verdict = "rollback"    // it was not, and it cannot be any more: presumed abort
	Running     Verdict = "in flight"   // its transaction is running, here or elsewhere: leave it alone
	Elsewhere   Verdict = "elsewhere"   // of another configured backend, which judges it by its own listing
	Unclaimed   Verdict = "unclaimed"   // of a backend that is not configured: nobody here may conclude anything
	Untouched   Verdict = "untouched"   // not ours
	Fenced      Verdict = "fenced"      // made by a later run of our log: we are the one that must stop
	Undecidable Verdict = "undecidable" // nobody could be asked
)

// Evidence is all that a judgement rests on. Invariant: it was gathered in the order of the fields from Listed on.
type Evidence struct {
	Backend string // the configured name of the backend that listed the branch
	Coord   string // of our decision log; "" where deciders have the decisions
	Epoch   uint32 // of this run

	Listed   Listed
	InFlight bool      // this process runs the transaction
	Ruling   xa.Ruling // what the store says; zero if it was not asked, as of what is in flight, not ours or another backend's
	Sibling  bool      // the branch's bqual is the name of another configured backend
}

// Judgement is a verdict on one listed branch with its reason.
type Judgement struct {
	Owner   Owner
	Verdict Verdict
	Reason  string // a clause without a full stop
}

// Whose reads a listed XID. The GTRID is valid unless the owner is Foreign.
func Whose(l Listed, coord string) (Owner, xa.GTRID) {
	if l.FormatID != xa.FormatID {
		return Foreign, xa.GTRID{}
	}
	g, err := xa.ParseGTRID(l.GTRID)
	switch {
	case err != nil:
		return Foreign, xa.GTRID{}
	case coord == "" && g.Decider != "", coord != "" && g.Decider == "" && g.Coord == coord:
		return Ours, g
	}
	return Other, g
}

// Judge decides what is to be done with a listed branch. It is a pure function.
func Judge(e Evidence) Judgement {
	owner, gtrid := Whose(e.Listed, e.Coord)
	switch {
	case owner == Foreign:
		return Judgement{owner, Untouched, "not made by xaproxy"}
	case owner == Other:
		if gtrid.Decider != "" {
			return Judgement{owner, Untouched, fmt.Sprintf("made by an xaproxy with the participant store: one with that store decides, or xaproxy recover with its configuration; the decider is %s", gtrid.Decider)}
		}
		return Judgement{owner, Untouched, fmt.Sprintf("made by the xaproxy installation %s, whose log decides", gtrid.Coord)}
	case gtrid.Decider == "" && gtrid.Epoch > e.Epoch:
		return Judgement{owner, Fenced, fmt.Sprintf(
			"made in epoch %d of our log while this process runs in epoch %d: another process uses a copy of the log", gtrid.Epoch, e.Epoch)}
	case e.InFlight:
		return Judgement{owner, Running, "its transaction is running"}
	case e.Listed.BQUAL != e.Backend && e.Sibling:
		return Judgement{owner, Elsewhere, fmt.Sprintf("belongs to backend %s, which judges it", e.Listed.BQUAL)}
	case e.Listed.BQUAL != e.Backend:
		return Judgement{owner, Unclaimed, fmt.Sprintf(
			"belongs to backend %q, which is not in the configuration: put it back there", e.Listed.BQUAL)}
	case e.Ruling.Err != nil:
		return Judgement{owner, Undecidable, e.Ruling.Err.Error()}
	case e.Ruling.Running:
		return Judgement{owner, Running, "the xaproxy that runs its transaction is alive"}
	case !e.Ruling.Decided && gtrid.Decider != "":
		return Judgement{owner, Rollback, fmt.Sprintf("decider %s has no decision to commit it", gtrid.Decider)}
	case !e.Ruling.Decided:
		return Judgement{owner, Rollback, "no decision in the log"}
	}
	for _, b := range e.Ruling.Decision.Branches {
		if b.Backend == e.Backend {
			return Judgement{owner, Commit, "decided " + e.Ruling.Decision.Time.UTC().Format("2006-01-02 15:04:05Z")}
		}
	}
	return Judgement{owner, Rollback, "its transaction is decided, but this branch only read"}
}
