package proxy

import (
	"strings"

	"github.com/xaproxy/xaproxy/backend"
	"github.com/xaproxy/xaproxy/router"
	"github.com/xaproxy/xaproxy/wire"
)

// tracker tells a client with SessionTrack what has changed in its session, as the trackers of one server would. What only a
// connection knows is heard from there; transactions, the schema and autocommit are the session's own. It is the wire.Tracker
// of the session's relay.
//
// MySQL tells of beginnings and ends of transactions even if session_track_transaction_info is OFF, MariaDB does not; of
// characteristics that have changed both tell, without an entry, even if those are not tracked.
//
// Source: MySQL manual, "Server Tracking of Client Session State" and "session_track_transaction_info".
type tracker struct {
	s       *session
	on      bool             // the client has SessionTrack
	watched backend.Tracking // what its session tells of

	variables []byte                // entries to tell
	schema    bool                  // to tell
	touched   bool                  // to tell: something has changed
	changed   bool                  // to tell, even if nothing else is
	restart   bool                  // to tell: what would start the transaction again
	anew      bool                  // state is to be told, even if it is what was told
	told      wire.TransactionState // what the client knows
	state     wire.TransactionState
	level     string // of SET TRANSACTION, for this transaction or the next: READ COMMITTED
	access    string // of SET or START TRANSACTION: READ ONLY
	snapshot  bool
	scratch   []byte
	muted     bool // what is due is not for who is answered now
}

// Values of session_track_transaction_info.
const (
	trackNothing         = "OFF"
	trackCharacteristics = "CHARACTERISTICS"
)

// start begins anew: with a login or a reset nothing is left to be told.
func (t *tracker) start(s *session) {
	*t = tracker{s: s, on: s.conn.Caps().Has(wire.SessionTrack), told: wire.NoTransaction, state: wire.NoTransaction, scratch: t.scratch}
	t.watched = t.settings()
	if s.relay.Tracker = nil; t.on {
		s.relay.Tracker = t
	}
}

// settings are the values of the session_track_... variables.
func (t *tracker) settings() backend.Tracking {
	w := t.s.gen.backends[0].Facts().Tracking
	set := func(name string, to func(value string)) {
		if v := find(t.s.variables, name); v.literal != "" {
			to(strings.Trim(v.literal, "'"))
		}
	}
	set("session_track_schema", func(v string) { w.Schema = v == "1" })
	set("session_track_state_change", func(v string) { w.StateChange = v == "1" })
	set("session_track_system_variables", func(v string) { w.Variables = v })
	set("session_track_transaction_info", func(v string) { w.Transactions = v })
	return w
}

// set notes what a SET has done that is the session's own, and to the tracker itself.
func (t *tracker) set(assignments []router.Assignment) {
	if !t.on {
		return
	}
	before := t.watched
	t.watched = t.settings()
	if t.watched.Transactions != before.Transactions {
		t.switched(before.Transactions)
	}
	for _, a := range assignments {
		switch {
		case a.Scope == router.ScopeSession && a.Name == "autocommit":
			t.autocommit()
		case a.Scope == router.ScopeTransaction && a.Name == "transaction":
			t.characterize(a.Expr)
		case t.s.tx != nil:
		case a.Scope == router.ScopeTransaction:
			for words := range strings.SplitSeq(strings.ToUpper(a.Expr), ",") {
				t.reverts(strings.Contains(words, "LEVEL"))
			}
		case a.Scope == router.ScopeSession:
			if words, ok := characteristic(a); ok {
				t.reverts(strings.Contains(words, "LEVEL"))
			}
		}
	}
}

// switched notes another value of session_track_transaction_info.
func (t *tracker) switched(before string) {
	mariadb := t.s.srv.style.mariadb
	if before == trackNothing || t.watched.Transactions == trackNothing && mariadb {
		t.state, t.told = wire.NoTransaction, wire.NoTransaction
	}
	if t.watched.Transactions != trackNothing {
		t.anew = before == trackNothing && mariadb
		t.changed, t.restart = true, t.watched.Transactions == trackCharacteristics
	}
}

// autocommit notes that it was set, be it to what it was.
func (t *tracker) autocommit() {
	value := "OFF"
	if t.s.autocommit {
		value = "ON"
	}
	for name := range strings.SplitSeq(t.watched.Variables, ",") {
		if name = strings.TrimSpace(name); name == "*" || strings.EqualFold(name, "autocommit") {
			t.variables = wire.AppendTrackVariable(t.variables, "autocommit", value)
			break
		}
	}
	t.touch()
}

// touch notes that something has changed that session_track_state_change is about.
func (t *tracker) touch() { t.touched = t.on && t.watched.StateChange }

// uses notes that a schema was selected.
func (t *tracker) uses() {
	t.schema = t.on && t.watched.Schema
	t.touch()
}

// transactions says whether the client is told of transactions.
func (t *tracker) transactions() bool {
	return t.on && (t.watched.Transactions != trackNothing || !t.s.srv.style.mariadb)
}

// begins notes the beginning of an explicit transaction.
func (t *tracker) begins(snapshot bool) {
	if !t.transactions() {
		return
	}
	t.state, t.snapshot = wire.NoTransaction, snapshot
	t.state[0] = 'T'
	if snapshot {
		t.state[2] = 'R'
	}
	t.changed, t.restart = true, true
}

// ends notes the end of the transaction, if there is one; tables stay locked.
func (t *tracker) ends() {
	if !t.transactions() {
		return
	}
	if t.state[0] == 'T' {
		t.changed, t.restart = true, true
	}
	locked := t.state[7]
	t.state, t.snapshot = wire.NoTransaction, false
	t.state[7] = locked
}

// characterize notes what SET TRANSACTION or START TRANSACTION say.
func (t *tracker) characterize(words string) {
	level, access := t.level, t.access
	for one := range strings.SplitSeq(strings.ToUpper(words), ",") {
		one = strings.Join(strings.Fields(one), " ")
		if name, ok := strings.CutPrefix(one, "ISOLATION LEVEL "); ok {
			level = name
		} else {
			access = one
		}
	}
	if level != t.level || access != t.access {
		t.level, t.access = level, access
		t.recharacterized()
	}
}

// reverts notes that the isolation level or the access mode are the session's again.
func (t *tracker) reverts(level bool) {
	of := &t.access
	if level {
		of = &t.level
	}
	if *of != "" {
		*of = ""
		t.recharacterized()
	}
}

// over notes that what SET TRANSACTION said does not hold any more.
func (t *tracker) over() {
	t.reverts(true)
	t.reverts(false)
}

func (t *tracker) recharacterized() {
	if t.on && t.watched.Transactions != trackNothing {
		t.changed, t.restart = true, true
	}
}

// characteristics are the statements that would start the transaction again.
func (t *tracker) characteristics() string {
	var b strings.Builder
	if t.level != "" {
		b.WriteString("SET TRANSACTION ISOLATION LEVEL " + t.level + "; ")
	}
	switch {
	case t.state[0] == 'T' && t.snapshot && t.access != "":
		b.WriteString("START TRANSACTION WITH CONSISTENT SNAPSHOT, " + t.access + ";")
	case t.state[0] == 'T' && t.snapshot:
		b.WriteString("START TRANSACTION WITH CONSISTENT SNAPSHOT;")
	case t.state[0] == 'T':
		b.WriteString(strings.TrimSpace("START TRANSACTION "+t.access) + ";")
	case t.access != "":
		b.WriteString("SET TRANSACTION " + t.access + ";")
	}
	return strings.TrimSpace(b.String())
}

// hears takes over what a server said to a statement whose answer is not relayed.
func (t *tracker) hears(ok wire.OK) {
	if !t.on || ok.Status&wire.StatusSessionStateChanged == 0 {
		return
	}
	t.changed = t.changed || len(ok.SessionState) == 0
	for state := ok.SessionState; len(state) > 0; {
		one, rest, err := wire.NextTrack(state)
		if err != nil {
			return // a client can do without
		}
		switch {
		case one.Type == wire.TrackStateChange:
			t.touched = true
		case t.Hear(one):
			t.variables = append(t.variables, state[:len(state)-len(rest)]...)
		}
		state = rest
	}
}

// Hear takes over what a connection says of transactions. Inside of the client's, it speaks of a branch.
func (t *tracker) Hear(one wire.Track) bool {
	switch {
	case one.Type == wire.TrackCharacteristics:
		if t.s.tx == nil && len(one.Value) == 0 { // a statement that is its own transaction has used them up
			t.over()
		}
	case one.Type != wire.TrackTransactionState:
		return true
	case len(one.Value) != len(t.state):
	case t.s.tx == nil:
		t.state = wire.TransactionState(one.Value)
	default:
		t.add(wire.TransactionState(one.Value))
	}
	return false
}

// add adds what was done on a branch, but for result sets, which shown counts: some are the proxy's own. To MySQL everything is
// unsafe on a branch that has written, so that says nothing there.
func (t *tracker) add(branch wire.TransactionState) {
	if t.state[0] == '_' {
		if t.s.autocommit || string(branch[1:5]) == "____" {
			return
		}
		t.state[0] = 'I'
	}
	for i := 1; i < len(branch); i++ {
		wrote := string(branch[3:5]) != "__"
		if branch[i] == '_' || branch[i] == 'S' || branch[i] == 's' && wrote && t.s.gen.hasMySQL() {
			continue
		}
		t.state[i] = branch[i]
	}
}

// Due says whether the client is to be told something with an answer, even if the server says nothing.
func (t *tracker) Due(rows bool) bool {
	if t.muted {
		return false
	}
	t.shown(rows)
	return t.changed || t.touched || t.schema || t.anew || len(t.variables) > 0 || t.state != t.told
}

// shown notes that the client gets a result set.
func (t *tracker) shown(rows bool) {
	if rows && t.state[0] != '_' && t.watched.Transactions != trackNothing {
		t.state[6] = 'S'
	}
}

// Tell appends what is due, which is told once.
func (t *tracker) Tell(state []byte, rows bool) (_ []byte, changed bool) {
	if t.muted {
		return state, false
	}
	t.shown(rows)
	state = append(state, t.variables...)
	if t.schema {
		state = wire.AppendTrackSchema(state, t.s.state.Schema)
	}
	if t.touched {
		state = wire.AppendTrackStateChange(state)
	}
	if t.anew || t.state != t.told {
		state = wire.AppendTrackTransactionState(state, t.state)
	}
	if t.restart && t.watched.Transactions == trackCharacteristics {
		state = wire.AppendTrackCharacteristics(state, t.characteristics())
	}
	changed = t.changed
	t.variables, t.schema, t.touched, t.changed, t.restart, t.anew, t.told = t.variables[:0], false, false, false, false, false, t.state
	return state, changed
}

// tell puts what is due into an OK of the proxy's own, behind rows or not.
func (t *tracker) tell(o *wire.OK, rows bool) {
	if !t.on || !t.Due(rows) {
		return
	}
	t.scratch, _ = t.Tell(t.scratch[:0], rows)
	o.SessionState, o.Status = t.scratch, o.Status|wire.StatusSessionStateChanged
}
