// Package once looks whether commit keys keep their promise: clients that repeat an operation with its commit key, on new connections,
// until they hear OK or 20042 have done it exactly once, while xaproxy, the servers, and the connections of both break all the time.
//
// An operation changes accounts on one server or on two, and leaves a row for each account and attempt: a second application is seen,
// and so is by which attempt it was. All that clients were told is kept, and checked against those rows at the end.
package once
