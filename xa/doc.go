// Package xa owns the commit protocol: two-phase commit with presumed abort over branches on several backends.
//
// A transaction is a value of type Txn. Step applies one event to it and returns the next value with the actions that
// are due; it does no I/O, knows no clock and never blocks. The Coordinator runs it: it performs the actions on the
// branches and on the decision log and feeds what comes back into Step, until the transaction is Done:
//
//	t, actions := t.Step(event)
//	for _, a := range actions { perform a; its outcome is a later event }
//
// Timeouts, retries and parallelism live in the Coordinator. What it cannot finish (a branch whose connection was
// lost, a process that died) is finished by package recovery, which asks the decision log and nobody else.
//
// # Invariants
//
// They hold at every moment, whatever crashes. The explorer in this package's tests walks every interleaving and
// checks them by these numbers.
//
//	X1  No prepared branch is committed before the decision is durable.
//	X2  A decision never changes: once the record was handed to the log, no branch is rolled back, unless the log
//	    said that nothing was written. (The record of a one-phase commit only decides what becomes of its branch
//	    should it turn up prepared: the server may still refuse it.)
//	X3  A transaction ends on all its writing branches or on none: no branch is committed while another one is,
//	    or will be, rolled back.
//	X4  At rest, with every server up and recovery run, no branch is left prepared.
//	X5  The client hears "committed" only if every branch is committed or will be, whatever happens later.
//	X6  The client hears "rolled back" only if no branch is committed or ever will be.
//	X7  The client hears exactly one answer, and a transaction leaves the in-flight table exactly once, after the
//	    decision has become visible to recovery.
//	X8  A transaction with a commit key is committed only with its record.
//
// Those of commit keys are kept by the stores too. They hold for as long as a store keeps a key:
//
//	K1  Of the transactions with one commit key one is committed at most.
//	K2  Somebody hears that a key is committed only if a transaction with it is, for good.
//	K3  Somebody hears that a key is rolled back only if no transaction that had begun with it is committed or
//	    ever will be.
//	K4  Whoever tries again until he hears one of "OK" and "already committed" hears it.
package xa
