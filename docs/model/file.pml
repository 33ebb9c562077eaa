/* The file store: one transaction that writes on two backends, the log of its proxy, and a second proxy with a log of its own, which
 * finds the same branches on the servers. docs/protocol.md has the protocol, xa/doc.go the invariants.
 *
 * Run by `make model`. -DBUG=n plants a bug that must be found:
 *   1  phase two begins before the record is durable (RadonDB)
 *   2  a failed append is taken for one that has written nothing
 *   3  recovery looks into the log before it lists (Citus)
 *   4  recovery looks into the in-flight table before it lists
 *   5  a proxy rolls back what is in no log of its own (MyCat2)
 *   6  what was acknowledged is forgotten at once
 *   7  a second process is started on the log of a living one
 *   8  "unknown xid" is taken for "finished" and nobody looks again (Seata, PgDog)
 */
#ifndef BUG
#define BUG 0
#endif

mtype = { norecord, handed, written, visible, unknown };
mtype record = norecord;  /* the decision, in the log of the proxy */
bool durable = false;     /* it was on disk at some time */
bool inflight = false;

/* The invariants of xa/doc.go, with their numbers. X4 is in rest, X7 in answer. */
#define ANYDONE (done(br[0]) || done(br[1]))
#define ANYGONE (gone(br[0]) || gone(br[1]))
#define X1 (!ANYDONE || durable)
#define X2 (!durable || !ANYGONE)
#define X3 (!(ANYDONE && ANYGONE))
#define X5 (heard != hearsCommitted || durable)
#define X6 (heard != hearsRolledBack || !ANYDONE)

/* A branch that was rolled back, or committed, may be prepared again: the one was not flushed (MariaDB), the other not on a replica. */
#define RETURNS(b) (gone(br[b]) || done(br[b]))
#include "servers.pml"

byte epoch = 0;           /* how often the proxy was started anew */

/* Owner is the proxy that runs the transaction. The unless is its crash, at any moment. */
proctype Owner() {
	{
		atomic { inflight = true; begin(br[0]); begin(br[1]) };
		ask(br[0], prepare);
		ask(br[1], prepare);
		do
		:: br[0].reply == no || br[0].reply == lost || br[1].reply == no || br[1].reply == lost -> goto abort
		:: br[0].reply == yes && br[1].reply == yes -> break
		od;
		record = handed;
		if
		:: BUG == 1 -> ask(br[0], commit)
		:: else
		fi;
		if
		:: atomic { record == handed -> record = written; durable = true }; record = visible
		:: atomic { faults > 0 -> faults--; record = norecord }; goto abort      /* certainly not written */
		:: atomic { faults > 0 -> faults--; record = unknown };                  /* an error: nobody knows */
			if
			:: BUG == 2 -> goto abort
			:: else -> answer(hearsDoubt); alive = false; goto out
			fi
		fi;
		ask(br[0], commit);
		ask(br[1], commit);
		if
		:: br[0].reply != none && br[1].reply != none
		:: skip                                                                  /* commit_wait is over */
		fi;
		answer(hearsCommitted);
		br[0].reply != none && br[1].reply != none;
		if
		:: BUG == 6 && br[0].reply == yes && br[1].reply == yes -> record = norecord
		:: else
		fi;
		goto out;
abort:		(br[0].reply != none || !br[0].held) && (br[1].reply != none || !br[1].held);
		ask(br[0], rollback);
		ask(br[1], rollback);
		answer(hearsRolledBack);
		br[0].reply != none && br[1].reply != none;
out:		atomic {
			abandon(br[0]); abandon(br[1]);
			if
			:: alive -> inflight = false
			:: else
			fi;
			check() }
	} unless { !alive }
}

/* Restart is the next start of the proxy: everything but the log is forgotten, and the log is read. */
proctype Restart() {
end:	atomic { !alive || BUG == 7 && inflight ->
		if
		:: !alive -> abandon(br[0]); abandon(br[1])
		:: else
		fi;
		inflight = false;
		if
		:: record == written -> record = visible
		:: record == handed -> record = norecord
		:: record == unknown -> record = norecord
		:: record == unknown -> record = visible; durable = true
		:: else
		fi;
		epoch++;
		check() }
}

/* A pass of recovery over one backend: list, look into the in-flight table, look into the log, act. A restart makes it forget its looks;
 * its request may still arrive. The record cannot be read while an append of it has failed.
 */
proctype Recovery(byte b) {
	bool listed, flying, decided;
	byte since;
	bool given_up = false;
end:	do
	:: (br[b].state == prepared || BUG == 3 || BUG == 4 && !listed) && !given_up ->
		since = epoch;
		if
		:: BUG == 3 -> decided = (record == visible); listed = (br[b].state == prepared); flying = inflight
		:: BUG == 4 -> flying = inflight; listed = (br[b].state == prepared); decided = (record == visible)
		:: BUG != 3 && BUG != 4 -> listed = (br[b].state == prepared); flying = inflight;
			if
			:: flying
			:: !flying -> record != unknown || BUG == 2; decided = (record == visible)
			fi
		fi;
		if
		:: since != epoch || !listed || flying
		:: since == epoch && listed && !flying ->
			if
			:: atomic { br[b].state == prepared && !br[b].held && decided -> br[b].state = committed; check() }
			:: atomic { br[b].state == prepared && !br[b].held && !decided -> br[b].state = rolledback; check() }
			:: br[b].state != prepared || br[b].held -> given_up = (BUG == 8)    /* XAER_NOTA: a session still has it */
			fi
		fi
	od
}

/* The second proxy lists the branch, too, and does not know it. */
proctype Other(byte b) {
end:	do
	:: atomic { BUG == 5 && br[b].state == prepared -> br[b].state = rolledback; check() }
	od
}

init {
	atomic {
		run Server(0); run Server(1); run Owner(); run Crash(); run Restart();
		run Recovery(0); run Recovery(1); run Other(0); run Other(1)
	};
	timeout;
	rest()
}
