// Package recovery finishes the branches that the commit protocol left behind: it commits what the decision log says is
// committed, rolls back what the log does not know, and touches nothing that is not ours.
//
// A Janitor sweeps every backend, all the time, each at its own pace. One sweep of one backend is
//
//	note which decisions are unfinished and not in flight, and which sessions were lost
//	end the lost sessions, because a branch that a session still holds can change or hide
//	list the prepared branches
//	for each of ours: look at the transactions in flight, then at the decisions, and Judge
//	commit or roll back, a few at a time, and list once more
//
// The order is what makes it right. A transaction is in flight before its first branch exists, and its decision is
// visible before it stops being in flight; so a branch that was listed and is neither in flight nor decided can never
// be decided any more. Looked up before the listing, the same facts would prove nothing.
//
// An answer "unknown XID" proves nothing either: some servers give it while another session still holds the branch.
// A decision is finished when every branch of it was looked for on the very server that it was prepared on, after its
// session had ended, and was not there. Until then it is kept and reported. The log keeps decisions also after that,
// because a server that crashes can bring an acknowledged branch back.
//
// A Report says what one pass over all backends found and did. Serve and Ask carry it between a running proxy and the
// recover command.
package recovery
