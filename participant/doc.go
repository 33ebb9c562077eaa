// Package participant keeps commit decisions on the backends themselves: the participant store. The decision on a transaction is a row
// on its decider, the backend that it touched first, and commits together with what the transaction changed there. No proxy has
// anything that can be lost, and any proxy, or xaproxy recover on any machine, finishes what another one left behind.
//
// # The proof
//
// The row's primary key is the gtrid, and the gtrid names the decider. The owner inserts (gtrid, commit) and commits, in one packet, after
// every other branch has voted yes. Who recovers a branch and does not find that row inserts (gtrid, abort), its fence, and reads
// again. Whichever row is there then is the decision, for ever: of two inserts under one primary key one fails, and the owner's
// transaction cannot commit without its row. No clock, lease or liveness is needed for that. docs/model/participant.pml walks every way.
//
// # Heartbeats
//
// Recovery that knows nothing of a transaction would fence it between its first vote and its decision. Each proxy renews a row on every
// backend once in beatEvery, and recovery leaves the branches of a proxy alone until the row is older than the grace, by the clock of
// that backend. An owner that is late is fenced, and then rolls back: a nuisance and no danger. Nobody waits for a run whose process, on the
// same machine, is seen to be gone.
//
// # The tables
//
// They are in the schema xaproxy of each backend: xaproxy_decision, xaproxy_proxy, and xaproxy_incident for what a person must see.
// The account of the proxy needs SELECT, INSERT, UPDATE and DELETE on xaproxy_decision and xaproxy_proxy, SELECT and INSERT on
// xaproxy_incident.
//
// Rows are deleted once they are older than the retention, no branch of theirs is prepared on any backend, and none was seen prepared for
// as long as one can come back after its end: a branch that could be finished only after the retention must find its row if its server
// crashes then.
package participant
