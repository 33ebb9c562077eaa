/* What the protocol can see of MySQL and MariaDB, and what may go wrong on the way to them.
 *
 * A request is at its server until it is executed; the reply arrives, or is lost. A request whose sender has given up or died
 * may still be executed, however late, or never be: a "zombie". An unprepared branch that nobody holds is rolled back.
 */
#define BACKENDS 2

#ifndef FAULTS
#define FAULTS 2        /* replies lost, requests refused */
#endif
#ifndef CRASHES
#define CRASHES 2       /* of servers */
#endif

mtype = { working, inserted, prepared, committed, rolledback };    /* a branch */
mtype = { nothing, prepare, decide, commit, rollback };           /* a request */
mtype = { none, yes, no, lost };                                  /* a reply */
mtype = { hearsNothing, hearsCommitted, hearsRolledBack, hearsDoubt };

mtype heard = hearsNothing;
bool alive = true;      /* the proxy that runs the transaction */
byte faults = FAULTS;
byte crashes = CRASHES;

typedef Branch {
	mtype state;    /* on its server */
	mtype asked;    /* by whoever holds its session */
	mtype reply;
	bool held;      /* somebody holds the session */
};

Branch br[BACKENDS];

#define gone(b) (b.state == rolledback)
#define done(b) (b.state == committed)

/* abandon: nobody holds the session any more. What was asked is a zombie now. */
inline abandon(b) {
	b.held = false;
	b.reply = none;
	if
	:: b.asked == nothing && (b.state == working || b.state == inserted) -> b.state = rolledback
	:: else
	fi
}

/* ask sends a request on the session of the branch, if there still is one. */
inline ask(b, what) {
	atomic {
		if
		:: b.held -> b.asked = what; b.reply = none
		:: else -> b.reply = lost
		fi
	}
}

inline check() {
	assert(X1); assert(X2); assert(X3); assert(X5); assert(X6)
}

inline begin(b) {
	b.state = working; b.asked = nothing; b.reply = none; b.held = true
}

inline answer(what) {
	atomic {
		assert(heard == hearsNothing);  /* X7 */
		heard = what;
		check()
	}
}

/* Server executes what it was asked, refuses it, loses the reply, or crashes. */
proctype Server(byte b) {
end:	do
	:: atomic { br[b].asked == prepare ->
		if
		:: br[b].state == working -> br[b].state = prepared; br[b].reply = yes
		:: else -> br[b].reply = no
		fi;
		br[b].asked = nothing; check() }
	:: atomic { br[b].asked == prepare && faults > 0 -> faults--;         /* a vote of no: rolled back, or only refused */
		if
		:: br[b].state = rolledback
		:: br[b].state == working
		fi;
		br[b].reply = no; br[b].asked = nothing; check() }
	:: atomic { br[b].asked == commit ->
		if
		:: br[b].state == prepared -> br[b].state = committed; br[b].reply = yes
		:: else -> br[b].reply = no                                   /* XAER_NOTA */
		fi;
		br[b].asked = nothing; check() }
	:: atomic { br[b].asked == rollback ->
		if
		:: !done(br[b]) -> br[b].state = rolledback
		:: else
		fi;
		br[b].reply = yes; br[b].asked = nothing; check() }
	:: atomic { br[b].held && (br[b].asked != nothing || br[b].reply != none) && faults > 0 ->
		faults--; br[b].held = false; br[b].reply = lost; check() }   /* the connection breaks */
	:: atomic { !br[b].held && br[b].asked == nothing && (br[b].state == working || br[b].state == inserted) ->
		br[b].state = rolledback; check() }
	:: atomic { !br[b].held && br[b].asked != nothing -> br[b].asked = nothing }      /* a zombie that never runs */
	:: atomic { crashes > 0 -> crashes--;                                 /* kill -9 */
		if
		:: br[b].state == working || br[b].state == inserted -> br[b].state = rolledback
		:: else
		fi;
		br[b].asked = nothing;
		if
		:: br[b].held -> br[b].held = false; br[b].reply = lost
		:: else
		fi;
		check() }
	:: atomic { crashes > 0 && RETURNS(b) -> crashes--; br[b].state = prepared; check() }
	od
}

/* Crash ends the proxy at some moment, or doesn't. */
proctype Crash() {
	if
	:: alive = false
	:: skip
	fi
}

/* X4, when nothing can move any more: nothing is prepared, and both branches have the same end. */
inline rest() {
	assert(br[0].state != working && br[0].state != inserted && br[0].state != prepared);
	assert(br[1].state != working && br[1].state != inserted && br[1].state != prepared);
	assert(done(br[0]) == done(br[1]))
}
