package chaos

import (
	"slices"

	"github.com/xaproxy/xaproxy/tests/servers"
)

// row is a moment in the life of a transaction at which something breaks. The transaction moves money between two
// backends, which the row calls x and y; x is the one that breaks. At the moment some requests or answers are held at
// the taps and some have gone through.
type row struct {
	name  string
	work  work
	first side                    // that the transaction touches first; "" is x
	on    func(servers.Kind) bool // the kinds that x may be of; nil: all
	end   string                  // the client's last statement
	cut   []at                    // requests that never arrive: how a branch comes to vote no
	hold  []at                    // bytes that have come so far and no further
	await []at                    // what has happened when the moment has come

	// doubt says which of x and y hold the branch prepared at the moment.
	doubt string
	// outcome is what there is in the end, and what the client hears of it unless the proxy is killed.
	outcome
	// What differs from it, and "" where nothing does: when the held connections to x are cut; when x dies; when x stands
	// still for as long as the client waits, gets what was held, and goes on; when the proxy stands still, what was held
	// goes on, another proxy takes over, and the first one goes on too.
	severed, killed, frozen, thawed outcome
	// reborn says that x may list a branch as prepared when it is back from a crash though it was not at the moment:
	// MariaDB does not make every acknowledged end of a branch durable.
	reborn bool
}

// plain reports whether the only writer commits a transaction of the server's own.
func (r *row) plain() bool {
	return slices.ContainsFunc(r.hold, func(h at) bool { return h.side == x && h.step == Commit && r.work != transfer })
}

// outcome is what the data say in the end, and what the client heard.
type outcome struct {
	want fate
	told verdict
}

// or is o, with what is not in it as in the base.
func (o outcome) or(base outcome) outcome {
	if o.want == "" {
		o.want = base.want
	}
	if o.told == "" {
		o.told = base.told
	}
	return o
}

// at is a step of a transaction on one side of it.
type at struct {
	side  side
	step  Step
	point Point
}

type side string

const (
	x      side = "x"
	y      side = "y"
	client side = "client" // the connection from the client to the proxy
)

// work is what a transaction does before its end.
type work uint8

const (
	transfer     work = iota // from x to y
	inside                   // between two accounts of x
	insideReader             // the same, and a look at y
)

// fate is what became of a transaction, as the data show it.
type fate string

const (
	committed  fate = "committed"
	rolledBack fate = "rolled back"
	either     fate = "committed or rolled back"
	torn       fate = "torn" // neither
)

// verdict is what a client heard.
type verdict string

const (
	acknowledged verdict = "ok"
	refused      verdict = "rolled back"
	unknown      verdict = "unknown" // the connection was lost, or SQLSTATE 08007
)

var rows = []row{
	{
		name: "the proxy has not heard COMMIT", end: "COMMIT",
		hold:    []at{{client, Commit, Asked}},
		outcome: outcome{rolledBack, refused},
	},
	{
		name: "nobody was asked to prepare", end: "COMMIT",
		hold:    []at{{x, Prepare, Asked}, {y, Prepare, Asked}},
		outcome: outcome{rolledBack, refused},
	},
	{
		name: "y has prepared and x was not asked", end: "COMMIT",
		hold: []at{{x, Prepare, Asked}}, await: []at{{y, Prepare, Told}},
		doubt: "y", outcome: outcome{rolledBack, refused},
	},
	{
		name: "x has prepared and y was not asked", end: "COMMIT",
		hold:  []at{{x, Prepare, Answered}, {y, Prepare, Asked}},
		doubt: "x", outcome: outcome{rolledBack, refused},
		frozen: outcome{committed, acknowledged},
	},
	{
		name: "both have prepared and no vote is in", end: "COMMIT",
		hold:  []at{{x, Prepare, Answered}, {y, Prepare, Answered}},
		doubt: "xy", outcome: outcome{rolledBack, refused},
		frozen: outcome{committed, acknowledged},
	},
	{
		name: "all votes but one are in", end: "COMMIT",
		hold: []at{{x, Prepare, Answered}}, await: []at{{y, Prepare, Told}},
		doubt: "xy", outcome: outcome{rolledBack, refused},
		frozen: outcome{committed, acknowledged},
	},
	{
		name: "decided and nobody knows", end: "COMMIT",
		hold:  []at{{x, Commit, Asked}, {y, Commit, Asked}},
		doubt: "xy", outcome: outcome{committed, acknowledged},
	},
	{
		name: "decided and y has committed", end: "COMMIT",
		hold: []at{{x, Commit, Asked}}, await: []at{{y, Commit, Told}},
		doubt: "x", outcome: outcome{committed, acknowledged},
	},
	{
		name: "decided and x has committed", end: "COMMIT",
		hold:  []at{{x, Commit, Answered}, {y, Commit, Asked}},
		doubt: "y", outcome: outcome{committed, acknowledged}, reborn: true,
	},
	{
		name: "both have committed and x has not said so", end: "COMMIT",
		hold: []at{{x, Commit, Answered}}, await: []at{{y, Commit, Told}},
		outcome: outcome{committed, acknowledged}, reborn: true,
	},
	{
		name: "both have committed and the client was not told", end: "COMMIT",
		hold: []at{{client, Commit, Answered}}, await: []at{{x, Commit, Told}, {y, Commit, Told}},
		outcome: outcome{committed, acknowledged}, reborn: true,
	},

	{
		name: "one-phase and x was not asked", work: inside, end: "COMMIT",
		hold:    []at{{x, OnePhase, Asked}},
		outcome: outcome{rolledBack, unknown}, frozen: outcome{want: either},
	},
	{
		name: "one-phase and x has committed", work: inside, end: "COMMIT",
		hold:    []at{{x, OnePhase, Answered}},
		outcome: outcome{committed, unknown}, frozen: outcome{told: acknowledged}, reborn: true,
	},
	{
		name: "one-phase and the client was not told", work: inside, end: "COMMIT",
		hold: []at{{client, Commit, Answered}}, await: []at{{x, OnePhase, Told}},
		outcome: outcome{committed, acknowledged}, reborn: true,
	},
	{
		name: "one-phase beside a reader and x was not asked", work: insideReader, first: y, end: "COMMIT",
		hold: []at{{x, OnePhase, Asked}}, await: []at{{y, Rollback, Told}},
		outcome: outcome{rolledBack, unknown}, frozen: outcome{want: either},
	},
	{
		name: "one-phase beside a reader and the client was not told", work: insideReader, first: y, end: "COMMIT",
		hold: []at{{client, Commit, Answered}}, await: []at{{x, OnePhase, Told}},
		outcome: outcome{committed, acknowledged}, reborn: true,
	},

	{
		name: "ROLLBACK and nobody was asked", end: "ROLLBACK",
		hold:    []at{{x, Rollback, Asked}, {y, Rollback, Asked}},
		outcome: outcome{rolledBack, acknowledged},
	},
	{
		name: "ROLLBACK and y has rolled back", end: "ROLLBACK",
		hold: []at{{x, Rollback, Asked}}, await: []at{{y, Rollback, Told}},
		outcome: outcome{rolledBack, acknowledged},
	},
	{
		name: "ROLLBACK and x has rolled back", end: "ROLLBACK",
		hold:    []at{{x, Rollback, Answered}, {y, Rollback, Asked}},
		outcome: outcome{rolledBack, acknowledged},
	},
	{
		name: "ROLLBACK and the client was not told", end: "ROLLBACK",
		hold: []at{{client, Rollback, Answered}}, await: []at{{x, Rollback, Told}, {y, Rollback, Told}},
		outcome: outcome{rolledBack, acknowledged},
	},
	{
		name: "y has voted no and x was not told", end: "COMMIT",
		cut: []at{{y, Prepare, Asked}}, hold: []at{{x, Rollback, Asked}},
		doubt: "x", outcome: outcome{rolledBack, refused},
	},
	{
		name: "y has voted no and x has rolled back", end: "COMMIT",
		cut: []at{{y, Prepare, Asked}}, hold: []at{{x, Rollback, Answered}},
		outcome: outcome{rolledBack, refused}, reborn: true,
	},
	{
		name: "y has voted no and the client was not told", end: "COMMIT",
		cut: []at{{y, Prepare, Asked}}, hold: []at{{client, Commit, Answered}}, await: []at{{x, Rollback, Told}},
		outcome: outcome{rolledBack, refused}, reborn: true,
	},
}
