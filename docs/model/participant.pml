/* The participant store: one transaction that writes on two backends, two recoverers that know nothing but the backends, and a
 * row on the first one that says what became of it. docs/protocol.md has the protocol, xa/doc.go the invariants.
 *
 * Backend 0 is the decider: its branch is a plain transaction, in which the row is inserted, and whose COMMIT is the decision.
 * Backend 1 has an XA branch. A recoverer fences: it inserts an "abort" row under the same primary key. Either that is a
 * duplicate, then the transaction is committed, or the decider's COMMIT cannot happen any more.
 *
 * Run by `make model`. -DBUG=n plants a bug that must be found:
 *   1  the other branch is committed before the decider (MyCat2)
 *   2  a lost reply of the decider is taken for a refusal
 *   3  a recoverer reads the row and does not fence
 *   4  a recoverer commits what has no row
 *   5  nobody recovers
 *   6  the decider's COMMIT is sent before the vote is there
 *   7  the client is told "rolled back" when the fence gets no answer
 */
#ifndef BUG
#define BUG 0
#endif

mtype = { norow, commitrow, abortrow };
mtype row = norow;       /* the decision, on backend 0 */

/* The invariants of xa/doc.go, with their numbers. X4 is in rest, X7 in answer. */
#define X1 (!done(br[1]) || row == commitrow)
#define X2 (!(row == commitrow && gone(br[1])) && !(row == abortrow && done(br[0])))
#define X3 (!((done(br[0]) && gone(br[1])) || (done(br[1]) && gone(br[0]))))
#define X5 (heard != hearsCommitted || row == commitrow)
#define X6 (heard != hearsRolledBack || (!done(br[0]) && !done(br[1])))

/* A branch that was rolled back, or committed, may be prepared again: the one was not flushed (MariaDB), the other not on a replica. */
#define RETURNS(b) (b == 1 && (gone(br[b]) || done(br[b])))
#include "servers.pml"

/* fence is one autocommitted INSERT on a session of its own. It waits for a decider that has inserted its row, unless that is killed. */
inline fence(verdict) {
	if
	:: atomic { br[0].state != inserted ->
		if
		:: BUG == 3
		:: BUG != 3 && row == norow -> row = abortrow
		:: else
		fi;
		verdict = row; check() }
	:: atomic { br[0].state == inserted && !br[0].held -> br[0].state = rolledback; br[0].asked = nothing }  /* KILL */
	fi
}

/* Decider is what backend 0 does with the packet INSERT; COMMIT. Between the two it holds the lock on the row. */
proctype Decider() {
end:	do
	:: atomic { br[0].asked == decide && br[0].state == working && row == norow -> br[0].state = inserted; check() }
	:: atomic { br[0].asked == decide && br[0].state == inserted ->
		br[0].state = committed; row = commitrow; br[0].reply = yes; br[0].asked = nothing; check() }
	:: atomic { br[0].asked == decide && (br[0].state == working && row != norow || gone(br[0])) ->
		br[0].reply = no; br[0].asked = nothing }                   /* 1062, or no transaction */
	od
}

/* Owner is the proxy that runs the transaction. The unless is its crash, at any moment. */
proctype Owner() {
	mtype verdict = norow;
	{
		ask(br[1], prepare);
		if
		:: BUG == 6
		:: BUG != 6 && br[1].reply == yes
		:: BUG != 6 && (br[1].reply == no || br[1].reply == lost) -> goto abort
		fi;
		if
		:: BUG == 1 -> ask(br[1], commit); br[1].reply != none
		:: else
		fi;
		ask(br[0], decide);
		if
		:: br[0].reply == yes -> goto commits
		:: br[0].reply == no || BUG == 2 && br[0].reply == lost -> goto abort
		:: br[0].reply == lost && BUG != 2              /* only the row can say */
		fi;
		do
		:: verdict == norow -> fence(verdict);
			if
			:: BUG == 3 && verdict == norow -> goto abort
			:: else
			fi
		:: atomic { verdict == norow && faults > 0 -> faults-- };    /* the fence gets no answer */
			if
			:: BUG == 7 -> answer(hearsRolledBack)
			:: else -> answer(hearsDoubt)
			fi;
			goto out
		:: verdict == commitrow -> goto commits
		:: verdict == abortrow -> goto abort
		od;
commits:	answer(hearsCommitted);
		ask(br[1], commit);
		br[1].reply != none;
		goto out;
abort:		ask(br[0], rollback);
		ask(br[1], rollback);
		answer(hearsRolledBack);
		br[0].reply != none && br[1].reply != none;
out:		skip
	} unless { !alive };
	atomic { alive = false; abandon(br[0]); abandon(br[1]); check() }
}

/* A recoverer needs nothing of the owner: it lists, fences, and finishes what it has listed. It may do so while the owner is alive. */
proctype Recoverer() {
	mtype verdict;
end:	do
	:: BUG != 5 && br[1].state == prepared ->               /* listed */
		verdict = norow;
		do
		:: verdict == norow && BUG != 4 && BUG != 3 -> fence(verdict)
		:: BUG == 4 && verdict == norow -> verdict = commitrow
		:: BUG == 3 && verdict == norow -> fence(verdict); if :: verdict == norow -> verdict = abortrow :: else fi
		:: verdict != norow -> break
		od;
		atomic {
			if
			:: br[1].state == prepared && verdict == commitrow -> br[1].state = committed
			:: br[1].state == prepared && verdict == abortrow -> br[1].state = rolledback
			:: else
			fi;
			check() }
	od
}

init {
	atomic {
		begin(br[0]); begin(br[1]);
		run Server(0); run Server(1); run Decider(); run Owner(); run Crash(); run Recoverer(); run Recoverer()
	};
	timeout;
	rest()
}
