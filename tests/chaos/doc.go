// Package chaos breaks things around a running xaproxy and looks whether the money is still all there: the proxy and
// real servers are killed, frozen and cut off, at named steps of the commit protocol (the tests of this package) and at
// random (Run, and the program in cmd/chaos).
//
// Everything happens from outside, as it does in life: signals to processes, and a Tap on the connection between the
// proxy and each of its backends. Nothing in the program knows of it.
//
// What must hold, whatever died: a COMMIT that was answered with OK is on all backends, a transaction that was answered
// as rolled back is on none, one without an answer is on all or on none, the sum of all accounts never changes, and
// within seconds after everything runs again no branch is left prepared.
package chaos
