package chaos

import "github.com/xaproxy/xaproxy/tests/servers"

// Outcomes of a transaction with a decider.
var (
	onceDecided = outcome{committed, acknowledged}
	fencedOff   = outcome{rolledBack, refused}
	nobodyKnows = outcome{told: unknown}   // while the decider is down
	perhaps     = outcome{either, unknown} // a decider that stands still may do yet what it was asked to
)

// participantRows are moments with the participant store. The backend that a transaction touches first decides.
var participantRows = []row{
	{
		name: "x decides and the proxy has not heard COMMIT", end: "COMMIT",
		hold:    []at{{client, Commit, Asked}},
		outcome: fencedOff, killed: nobodyKnows, frozen: perhaps, thawed: onceDecided,
	},
	{
		name: "y decides and the proxy has not heard COMMIT", first: y, end: "COMMIT",
		hold:    []at{{client, Commit, Asked}},
		outcome: fencedOff, thawed: onceDecided,
	},
	{
		name: "y was not asked to prepare", end: "COMMIT",
		hold:    []at{{y, Prepare, Asked}},
		outcome: fencedOff, severed: onceDecided, killed: nobodyKnows, frozen: perhaps,
	},
	{
		name: "y has prepared and has not said so", end: "COMMIT",
		hold:  []at{{y, Prepare, Answered}},
		doubt: "y", outcome: fencedOff, severed: onceDecided, killed: nobodyKnows, frozen: perhaps,
	},
	{
		name: "x was not asked to prepare", first: y, end: "COMMIT",
		hold:    []at{{x, Prepare, Asked}},
		outcome: fencedOff,
	},
	{
		name: "x has prepared and has not said so", first: y, end: "COMMIT",
		hold:  []at{{x, Prepare, Answered}},
		doubt: "x", outcome: fencedOff, frozen: onceDecided,
	},
	{
		name: "x was not asked to decide", end: "COMMIT",
		hold: []at{{x, Decide, Asked}}, await: []at{{y, Prepare, Told}},
		doubt: "y", outcome: fencedOff, killed: nobodyKnows, frozen: perhaps, thawed: onceDecided,
	},
	{
		name: "y was not asked to decide", first: y, end: "COMMIT",
		hold: []at{{y, Decide, Asked}}, await: []at{{x, Prepare, Told}},
		doubt: "x", outcome: fencedOff, severed: onceDecided, killed: onceDecided, frozen: onceDecided, thawed: onceDecided,
	},
	{
		name: "x has decided and has not said so", end: "COMMIT",
		hold:  []at{{x, Decide, Answered}},
		doubt: "y", outcome: onceDecided, killed: nobodyKnows,
	},
	{
		name: "y has decided and has not said so", first: y, end: "COMMIT",
		hold:  []at{{y, Decide, Answered}},
		doubt: "x", outcome: onceDecided,
	},
	{
		name: "x has decided and y was not told", end: "COMMIT",
		hold: []at{{y, Commit, Asked}}, await: []at{{x, Decide, Told}},
		doubt: "y", outcome: onceDecided,
	},
	{
		name: "y has decided and x was not told", first: y, end: "COMMIT",
		hold: []at{{x, Commit, Asked}}, await: []at{{y, Decide, Told}},
		doubt: "x", outcome: onceDecided,
	},
	{
		name: "y has committed too and has not said so", end: "COMMIT",
		hold:    []at{{y, Commit, Answered}},
		outcome: onceDecided,
	},
	{
		name: "x has committed too and has not said so", first: y, end: "COMMIT",
		hold:    []at{{x, Commit, Answered}},
		outcome: onceDecided, reborn: true,
	},
	{
		name: "both have committed and the client was not told", first: y, end: "COMMIT",
		hold: []at{{client, Commit, Answered}}, await: []at{{y, Decide, Told}, {x, Commit, Told}},
		outcome: onceDecided, reborn: true,
	},
	{
		name: "x was not asked to decide, and was fenced", end: "COMMIT",
		cut: []at{{x, Decide, Asked}}, hold: []at{{client, Commit, Answered}}, await: []at{{y, Rollback, Told}},
		outcome: fencedOff,
	},
	{
		name: "the answer of x is lost, it was fenced, and y was not told", end: "COMMIT",
		cut: []at{{x, Decide, Answered}}, hold: []at{{y, Commit, Asked}},
		doubt: "y", outcome: onceDecided,
	},

	{
		name: "alone and x was not asked", work: inside, end: "COMMIT",
		hold:    []at{{x, Commit, Asked}},
		outcome: outcome{rolledBack, unknown}, frozen: perhaps, thawed: onceDecided,
	},
	{
		name: "alone and x has committed", work: inside, end: "COMMIT",
		hold:    []at{{x, Commit, Answered}},
		outcome: outcome{committed, unknown}, frozen: onceDecided, thawed: onceDecided,
	},
	{
		name: "beside a reader and x was not asked", work: insideReader, end: "COMMIT",
		hold: []at{{x, Commit, Asked}}, await: []at{{y, Rollback, Told}},
		outcome: outcome{rolledBack, unknown}, frozen: perhaps, thawed: onceDecided,
	},
	{
		name: "the decider has only read and x was not asked", work: insideReader, first: y, on: remembers, end: "COMMIT",
		hold: []at{{x, OnePhase, Asked}}, await: []at{{y, Rollback, Told}},
		outcome: outcome{rolledBack, unknown}, frozen: perhaps, thawed: onceDecided,
	},
	{
		name: "the decider has only read and was not asked", work: insideReader, first: y, on: forgets, end: "COMMIT",
		hold: []at{{y, Decide, Asked}}, await: []at{{x, Prepare, Told}},
		doubt: "x", outcome: fencedOff, severed: onceDecided, killed: onceDecided, frozen: onceDecided, thawed: onceDecided,
	},

	{
		name: "ROLLBACK and nobody was asked", end: "ROLLBACK",
		hold:    []at{{x, Rollback, Asked}, {y, Rollback, Asked}},
		outcome: outcome{rolledBack, acknowledged},
	},
	{
		name: "ROLLBACK and x has rolled back", end: "ROLLBACK",
		hold:    []at{{x, Rollback, Answered}, {y, Rollback, Asked}},
		outcome: outcome{rolledBack, acknowledged},
	},
	{
		name: "y has voted no and x was not told", end: "COMMIT",
		cut: []at{{y, Prepare, Asked}}, hold: []at{{x, Rollback, Asked}},
		outcome: fencedOff,
	},
}

// forgets reports whether a server may bring back as prepared what it has acknowledged as committed in one phase (MDEV-21469).
func forgets(k servers.Kind) bool { return k == servers.MariaDBBinlog }

func remembers(k servers.Kind) bool { return !forgets(k) }
