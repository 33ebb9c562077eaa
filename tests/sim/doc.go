// Package sim runs whole lives of proxies on simulated servers: the real xa.Coordinator, the real stores (decision.File on a disk that forgets,
// participant.Store) and the real recovery.Janitor. What is simulated is what they stand on: servers with the ways of MySQL, MariaDB and PostgreSQL
// (server_test.go, engine_test.go), the network, disks, machines, and time.
//
// A scheduler lets one thing happen at a time: a server runs one statement, an answer arrives, a disk syncs, a process looks something up. In
// between it waits until every goroutine waits for it (testing/synctest). So a seed decides everything, and the same seed makes the
// same steps at the same times. The seed also draws what goes wrong: which of the faults in fault_test.go, how often, for how long, and whom
// the scheduler neglects.
//
// Some of the transactions have commit keys. Their clients lose their connections at any moment and try again, on any proxy that can know the
// key, until they hear that it is committed; two may be at it at once, and some ask for the outcome, or try long after it is committed.
//
// After every step the invariants of package xa are checked, X1 to X8 and K1 to K3; at the end everything is repaired and must come to rest: nothing
// prepared, no transaction half committed, what was acknowledged is there, what was rolled back is not. Then every server crashes once
// more, and it must come to rest again.
//
//	make sim                                                          a minute of fresh seeds, and every planted bug
//	go test ./tests/sim                                               a fixed set of seeds, some fresh ones, most planted bugs
//	go test ./tests/sim -run TestSimulation -v -seed 42               one seed, with every step
//	go test ./tests/sim -run TestSimulation -v -for 10m -timeout 0    fresh seeds for ten minutes
//
// TestPlantedBugsAreFound shows that the simulation finds what it is there for, TestReplay that a seed is everything.
package sim
