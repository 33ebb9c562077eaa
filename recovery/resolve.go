package recovery

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/xaproxy/xaproxy/xa"
)

// Resolution is what a person has had done with the branches of one transaction, against or without its decision. Its JSON form is part of
// the command line's interface.
type Resolution struct {
	GTRID    string           `json:"gtrid"`
	Verdict  Verdict          `json:"verdict"` // commit or rollback
	Decision string           `json:"decision"`
	Branches []ResolvedBranch `json:"branches"`
	Unseen   []string         `json:"unseen,omitempty"` // backends that could not be looked at, and why
}

// ResolvedBranch is one branch that was prepared.
type ResolvedBranch struct {
	Backend string `json:"backend"` // that listed it
	BQUAL   string `json:"bqual"`
	Result  string `json:"result"`
	Record  string `json:"record"` // where it is written down, or why it is not
	Done    bool   `json:"done"`
}

// ErrContradiction says that a decision is there, and another one than a person wants.
var ErrContradiction = errors.New("the decision says otherwise")

// Resolve commits or rolls back every branch of a transaction that is prepared, because by says so; that is written into the store as a
// heuristic outcome. It refuses what runs in this process, and what is decided otherwise.
func (j *Janitor) Resolve(ctx context.Context, gtrid string, verdict Verdict, by string) (Resolution, error) {
	g, err := xa.ParseGTRID(gtrid)
	if err != nil {
		return Resolution{}, fmt.Errorf("%w: branches that xaproxy has not made are never touched", err)
	}
	if j.o.InFlight.InFlight(g) {
		return Resolution{}, fmt.Errorf("%s is running: end its session with KILL instead", gtrid)
	}
	r := Resolution{GTRID: gtrid, Verdict: verdict, Branches: []ResolvedBranch{}}
	if r.Decision, err = j.decided(ctx, g, verdict); err != nil {
		return r, err
	}
	for _, w := range j.all() {
		w.turn <- struct{}{} // no sweep meanwhile
		err := w.resolve(ctx, g, verdict, by, &r)
		<-w.turn
		if err != nil {
			r.Unseen = append(r.Unseen, w.name+": "+err.Error())
		}
		j.Poke(w.name)
	}
	return r, nil
}

// decided says what the store says, and makes sure that it cannot say otherwise later.
func (j *Janitor) decided(ctx context.Context, g xa.GTRID, verdict Verdict) (string, error) {
	if owner, _ := Whose(Listed{FormatID: xa.FormatID, GTRID: g.String()}, j.o.Decisions.Coord()); owner != Ours {
		return "unknown: the store of another xaproxy has it", nil
	}
	ruling := j.o.Decisions.Lookup(ctx, []xa.GTRID{g}, verdict == Commit)[0]
	switch {
	case ruling.Err != nil:
		return "unknown: " + ruling.Err.Error(), nil
	case ruling.Running:
		return "", fmt.Errorf("%s is running: the xaproxy that runs it is alive", g)
	case ruling.Decided && verdict == Rollback:
		return "", fmt.Errorf("%w: %s is decided to commit, and recovery commits it", ErrContradiction, g)
	case ruling.Decided:
		return "commit", nil
	case verdict == Commit:
		return "none, so that recovery would roll back", nil
	}
	return "none", nil
}

// resolve finishes the branches of a transaction on one backend.
func (w *worker) resolve(ctx context.Context, g xa.GTRID, verdict Verdict, by string, r *Resolution) error {
	listed, err := w.list(ctx)
	if err != nil {
		return err
	}
	for _, l := range listed {
		if l.FormatID != xa.FormatID || l.GTRID != g.String() || l.BQUAL != w.name && w.j.find(l.BQUAL) != nil {
			continue // foreign, of another one, or to be found under another name of this server
		}
		x := named(g, l)
		verb := w.server.Commit
		if verdict == Rollback {
			verb = w.server.Rollback
		}
		b := ResolvedBranch{Backend: w.name, BQUAL: bqual(l), Record: "in the store of decisions"}
		asked, cancel := w.ask(ctx)
		err := verb(asked, x)
		if xa.IsErrno(err, xa.ErrnoNotA) && w.endHolder(asked, l) == nil { // its session was there; MariaDB knows no branch of one that is
			err = verb(asked, x)
		}
		if err != nil {
			b.Result = "failed: " + err.Error()
		} else {
			b.Result, b.Done = string(verdict)+" by hand", true
		}
		cancel()
		text := fmt.Sprintf("%s by hand, by %s; the decision was: %s; %s", verdict, by, r.Decision, b.Result)
		if err := w.j.o.Decisions.Heuristic(ctx, g, l.BQUAL, text); err != nil {
			b.Record = "not in the store of decisions: " + err.Error()
		}
		w.j.o.Logger.Warn().Str("gtrid", r.GTRID).Str("backend", w.name).Str("by", by).Str("verdict", string(verdict)).
			Str("decision", r.Decision).Str("result", b.Result).Msg("branch resolved by hand")
		r.Branches = append(r.Branches, b)
	}
	return nil
}

// Done reports whether every branch that was found is finished.
func (r *Resolution) Done() bool {
	return !slices.ContainsFunc(r.Branches, func(b ResolvedBranch) bool { return !b.Done })
}

// WriteText writes the resolution for people.
func (r *Resolution) WriteText(w io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %s by hand; the decision was: %s\n", r.GTRID, r.Verdict, r.Decision)
	for _, x := range r.Branches {
		fmt.Fprintf(&b, "  branch %s on %s: %s; recorded %s\n", x.BQUAL, x.Backend, x.Result, x.Record)
	}
	if len(r.Branches) == 0 {
		b.WriteString("  no branch of it is prepared\n")
	}
	for _, u := range r.Unseen {
		fmt.Fprintf(&b, "  not looked at: %s\n", u)
	}
	_, err := io.WriteString(w, b.String())
	return err
}
