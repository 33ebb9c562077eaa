package chaos

import "strings"

// Step says what a request is in the commit protocol.
type Step string

// The steps. A client's statements and those of the proxy to a backend go by the same names.
const (
	Start    Step = "start"     // XA START, with the first statement behind it; BEGIN
	Prepare  Step = "prepare"   // XA END; XA PREPARE
	Decide   Step = "decide"    // the participant store's record, with the COMMIT of its decider
	Fence    Step = "fence"     // the participant store's record that a transaction is rolled back
	Commit   Step = "commit"    // XA COMMIT of a prepared branch; COMMIT
	OnePhase Step = "one-phase" // XA END; XA COMMIT ... ONE PHASE
	Rollback Step = "rollback"  // XA ROLLBACK, perhaps with XA END in front; ROLLBACK
	Other    Step = "other"     // every other request
)

// Point says where a request or its answer is.
type Point string

// The points, in order.
const (
	Asked    Point = "asked"    // the request has arrived at the tap and was not forwarded
	Answered Point = "answered" // the server has answered; the end of the answer was not forwarded
	Told     Point = "told"     // the whole answer was forwarded
)

// Event is a request or its answer at a tap.
type Event struct {
	Tap   string // its name
	Step  Step
	Point Point
	Text  string // of the request, if it is a COM_QUERY
	// Opening is the text of the last Start on the same connection: its first statement tells which transaction this
	// is. Recovery's connections, which start nothing, have none.
	Opening string
	Failed  bool // the answer is or ends in an error; false at Asked
}

// Verdict is what becomes of the bytes that an event is about.
type Verdict uint8

// The verdicts.
const (
	Pass  Verdict = iota // go on
	Cut                  // lose them, and close the connection on both sides
	Spoil                // at Answered: put an error in place of the end of the answer
)

// spoilt is the error that Spoil puts there: one that a server gives when something failed around a commit, and it does not say what.
const spoilt = "\xff\x02\x04#HY000Error writing file '/binlog' (errno: 28 \"No space left on device\")" // 1026, ER_ERROR_ON_WRITE

// stepOf classifies a statement.
func stepOf(text string) Step {
	upper := strings.ToUpper(text)
	has := func(s string) bool { return strings.Contains(upper, s) }
	switch {
	case has("INSERT IGNORE INTO `XAPROXY`.`XAPROXY_DECISION`"):
		return Fence
	case has("INSERT INTO `XAPROXY`.`XAPROXY_DECISION`"):
		return Decide
	case has("XA PREPARE "):
		return Prepare
	case has(" ONE PHASE"):
		return OnePhase
	case has("XA COMMIT "), strings.HasPrefix(upper, "COMMIT"):
		return Commit
	case has("XA ROLLBACK "), strings.HasPrefix(upper, "ROLLBACK") && !strings.HasPrefix(upper, "ROLLBACK TO"):
		return Rollback
	case has("XA START "), has("START TRANSACTION"), strings.HasPrefix(upper, "BEGIN"):
		return Start
	}
	return Other
}
