package recovery

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/xaproxy/xaproxy/xa"
)

// Report says what one pass over all backends found and did. Its JSON form is part of the command line's interface:
// keys may be added, not changed.
type Report struct {
	DryRun    bool             `json:"dry_run"`
	Coord     string           `json:"coord"` // of our log
	Epoch     uint32           `json:"epoch"`
	Fenced    string           `json:"fenced,omitempty"` // why nothing may be finished by this process
	Backends  []BackendReport  `json:"backends"`
	Decisions []DecisionReport `json:"decisions"` // those that were unfinished and not in flight

	Committed   int `json:"committed"`   // branches
	RolledBack  int `json:"rolled_back"` // branches
	InFlight    int `json:"in_flight"`   // branches of running transactions
	NotOurs     int `json:"not_ours"`    // branches of others, each server counted once
	Heuristics  int `json:"heuristics"`  // branches that a server had finished against the decision
	Left        int `json:"left"`        // transactions of ours that are not finished and not in flight
	Unreachable int `json:"unreachable"` // backends that could not be looked at
}

// BackendReport says what was found on one backend.
type BackendReport struct {
	Name      string         `json:"name"`
	Server    string         `json:"server,omitempty"` // its identity
	Reachable bool           `json:"reachable"`
	Error     string         `json:"error,omitempty"` // why it could not be looked at
	Branches  []BranchReport `json:"branches"`
}

// BranchReport is one branch that a server listed as prepared.
type BranchReport struct {
	GTRID      string  `json:"gtrid"` // in hex after 0x, as is BQUAL, when it is not plain ASCII
	BQUAL      string  `json:"bqual"`
	FormatID   int64   `json:"format_id"`
	Owner      Owner   `json:"owner"`
	AgeSeconds float64 `json:"age_seconds"` // it is at least this old
	Decided    bool    `json:"decided"`     // the log commits its transaction
	Verdict    Verdict `json:"verdict"`
	Reason     string  `json:"reason"`
	Result     string  `json:"result,omitempty"` // what was done
	Left       bool    `json:"left"`             // it is ours, not in flight, and still prepared

	gtrid    xa.GTRID
	ended    ending
	prepared bool
}

// DecisionReport is one decision without a proof that all of its branches are finished.
type DecisionReport struct {
	GTRID    string    `json:"gtrid"`
	Decided  time.Time `json:"decided"`
	Branches []string  `json:"branches"` // backends
	OnePhase bool      `json:"one_phase"`
	Finished bool      `json:"finished"`       // the proof was found
	Open     []string  `json:"open,omitempty"` // per branch, why there is no proof

	gtrid xa.GTRID
}

// Clean says that every backend was looked at, nothing of ours is left and no decision was found to be broken.
func (r *Report) Clean() bool {
	return r.Unreachable == 0 && r.Left == 0 && r.Heuristics == 0 && r.Fenced == ""
}

func decisionReport(d xa.Decision) DecisionReport {
	r := DecisionReport{GTRID: d.GTRID.String(), Decided: d.Time.UTC(), OnePhase: d.OnePhase, gtrid: d.GTRID}
	for _, b := range d.Branches {
		r.Branches = append(r.Branches, b.Backend)
	}
	return r
}

// report turns the sweep of one backend into words.
func (s *sweep) report() BackendReport {
	r := BackendReport{Name: s.backend, Server: s.identity, Reachable: s.err == nil, Branches: []BranchReport{}}
	if s.err != nil {
		r.Error = s.err.Error()
		return r
	}
	for _, b := range s.branches {
		br := BranchReport{
			GTRID: plain(b.listed.GTRID), BQUAL: plain(bqual(b.listed)), FormatID: b.listed.FormatID,
			Owner: b.Owner, AgeSeconds: b.age.Seconds(), Decided: b.evidence.Ruling.Decided,
			Verdict: b.Verdict, Reason: b.Reason, Result: b.result,
			gtrid: b.gtrid, ended: b.ended, prepared: s.prepared[bare(b.listed)],
		}
		br.Left = b.Owner == Ours && b.Verdict != Running && br.prepared
		switch {
		case br.Left && (b.ended == committed || b.ended == rolledBack):
			br.Result += ", but the server lists it still"
		case !br.prepared && b.ended == notEnded && b.Owner == Ours:
			br.Result = "gone"
		}
		r.Branches = append(r.Branches, br)
	}
	return r
}

// state sums the sweep up.
func (s *sweep) state() State {
	st := State{Backend: s.backend, Swept: s.ended, Err: s.err}
	for _, b := range s.branches {
		switch {
		case !s.prepared[bare(b.listed)] || b.Verdict == Elsewhere:
		case b.Owner != Ours:
			st.NotOurs++
		default:
			st.Ours++
			if b.Verdict != Running {
				st.InDoubt++
				st.OldestAge = max(st.OldestAge, b.age)
			}
		}
	}
	return st
}

// report sums a pass up. The sweeps are in the order of the workers.
func (j *Janitor) report(sweeps []*sweep, decisions []DecisionReport, dryRun bool) Report {
	r := Report{
		DryRun: dryRun, Coord: j.o.Decisions.Coord(), Epoch: j.o.Decisions.Epoch(),
		Backends: []BackendReport{}, Decisions: decisions,
	}
	if decisions == nil {
		r.Decisions = []DecisionReport{}
	}
	if err := j.isFenced(); err != nil {
		r.Fenced = err.Error()
	}
	lists := make(map[string]*sweep) // by backend, if it could be looked at
	for _, s := range sweeps {
		if s.err == nil {
			lists[s.backend] = s
		}
	}
	left := make(map[xa.GTRID]bool)
	counted := make(map[string]bool) // by server and XID: two backends can be on one server
	for _, s := range sweeps {
		b := s.report()
		if !b.Reachable {
			r.Unreachable++
		}
		kept := b.Branches[:0]
		for _, br := range b.Branches {
			if br.Verdict == Elsewhere {
				name, _ := xa.CutSession(br.BQUAL)
				own := lists[name]
				if own == nil || own.identity == s.identity {
					continue // its own backend answers for it
				}
				br.Reason = fmt.Sprintf("belongs to backend %s, which is another server now: correct the configuration", name)
			}
			if (br.Verdict == Unclaimed || br.Owner != Ours) && s.identity != "" {
				key := fmt.Sprintf("%s %d %s %s", s.identity, br.FormatID, br.GTRID, br.BQUAL)
				if counted[key] {
					continue
				}
				counted[key] = true
			}
			if br.Left {
				left[br.gtrid] = true
			}
			r.count(br)
			kept = append(kept, br)
		}
		b.Branches = kept
		r.Backends = append(r.Backends, b)
	}
	for _, d := range decisions {
		if !d.Finished {
			left[d.gtrid] = true
		}
	}
	r.Left = len(left)
	return r
}

func (r *Report) count(b BranchReport) {
	switch b.ended {
	case committed:
		r.Committed++
	case rolledBack:
		r.RolledBack++
	case heuristic:
		r.Heuristics++
	}
	switch {
	case b.Owner != Ours:
		r.NotOurs++
	case b.Verdict == Running:
		r.InFlight++
	}
}

// plain returns a part of an XID as it is when it is printable ASCII, and in hex otherwise: others choose theirs freely.
func plain(s string) string {
	for _, c := range []byte(s) {
		if c <= ' ' || c > '~' {
			return fmt.Sprintf("0x%x", s)
		}
	}
	return s
}

// WriteText writes the report for people: a table of branches, the decisions that are not finished, and a last line
// that says how it stands.
func (r *Report) WriteText(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	row := func(cells ...string) { fmt.Fprintln(t, strings.Join(cells, "\t")) } // its errors come back from Flush
	row("BACKEND", "BRANCH", "OWNER", "AGE", "VERDICT", "RESULT", "REASON")
	for _, b := range r.Backends {
		switch {
		case !b.Reachable:
			row(b.Name, "-", "-", "-", "-", "not reachable", b.Error)
		case len(b.Branches) == 0:
			row(b.Name, "none prepared", "-", "-", "-", "-", "-")
		}
		for _, br := range b.Branches {
			row(b.Name, br.GTRID+"/"+br.BQUAL, string(br.Owner), br.age(), string(br.Verdict), r.result(br), br.Reason)
		}
	}
	if err := t.Flush(); err != nil {
		return err
	}
	for _, d := range r.Decisions {
		if d.Finished {
			continue
		}
		if _, err := fmt.Fprintf(w, "decision %s of %s is not finished: %s\n", d.GTRID, d.Decided.Format(time.RFC3339), strings.Join(d.Open, "; ")); err != nil {
			return err
		}
	}
	_, err := fmt.Fprintln(w, r.Verdict())
	return err
}

func (b *BranchReport) age() string {
	if b.AgeSeconds < 1 {
		return "new"
	}
	return "> " + (time.Duration(b.AgeSeconds) * time.Second).String()
}

func (r *Report) result(b BranchReport) string {
	switch {
	case b.Result != "":
		return b.Result
	case r.DryRun && b.Verdict == Commit:
		return "would commit"
	case r.DryRun && b.Verdict == Rollback:
		return "would roll back"
	}
	return "left alone"
}

// Verdict says in one line how it stands.
func (r *Report) Verdict() string {
	var said []string
	add := func(n int, one, many string) {
		switch {
		case n == 1:
			said = append(said, "1 "+one)
		case n > 1:
			said = append(said, fmt.Sprintf("%d %s", n, many))
		}
	}
	if r.Fenced != "" {
		said = append(said, "fenced: "+r.Fenced)
	}
	add(r.Unreachable, "backend could not be looked at", "backends could not be looked at")
	add(r.Heuristics, "branch was finished against its decision by its server", "branches were finished against their decisions by their servers")
	add(r.Left, "transaction of ours is not finished", "transactions of ours are not finished")
	if len(said) == 0 {
		said = append(said, "clean: nothing of ours is left")
	}
	add(r.Committed, "branch committed", "branches committed")
	add(r.RolledBack, "branch rolled back", "branches rolled back")
	add(r.InFlight, "branch in flight", "branches in flight")
	add(r.NotOurs, "branch of others not touched", "branches of others not touched")
	return strings.Join(said, "; ")
}
