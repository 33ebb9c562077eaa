// Package xatest has a fake branch and a fake decision log for tests of what is built on package xa.
//
// A fake does what it is asked for at once and says OK, until a test gives it another Reply for one verb:
//
//	b := xatest.NewBranch("orders-1")
//	b.On(xatest.Prepare, xatest.Refuse(xa.ErrnoRBDeadlock))
//	b.On(xatest.Commit, xatest.After(time.Second, xatest.OK))
//
// The fakes wait with timers and nothing else, so in a testing/synctest bubble they take no time.
package xatest
