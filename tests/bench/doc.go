// Command bench measures what xaproxy costs beside haproxy in TCP mode, which moves the same bytes without reading
// them, and beside a direct connection.
//
//	tests/setup.sh bench && go run ./tests/bench
//
// It boots one MariaDB, haproxy and xaproxy as children, and sends the same statements over each path from connections
// of package wire, which cost less than the proxies do. Rounds are interleaved, each beginning with another path, so that a
// machine that is busy with something else slows all of them. CPU time is that of the proxy's process, user and system, so
// what the client and the server spend is not in it. Tables have the median over the rounds with the smallest and the largest
// value; ratios are taken within a round. Absolute figures say little about another machine; the ratios carry over.
//
// Memory is resident memory as the kernel counts it: VmHWM, the peak, and VmRSS. MB and KB are 2^20 and 2^10 bytes. What
// README and docs promise of it is checked: the exit status is 1 if a promise was not kept.
//
// With --against NAME=PROGRAM another build of xaproxy takes part in the same rounds, to compare a change.
//
//	go run ./tests/bench commit
//
// measures transactions that write on two servers instead, beside the same commit protocol written by hand as a client of both: the
// floors. Floor c has two branches and a local log, like the file store; floor e has one plain transaction that takes the decision
// along, like the participant store. It sends what has to go together in one packet, and to both servers at once, on connections
// that it keeps. Over haproxy the same floor has the way of a proxy and none of its work.
//
//	go run ./tests/bench postgres
//
// measures a PostgreSQL backend beside a MySQL backend with the same rows behind the same xaproxy, CPU time of the proxy and of the
// server's processes together, and transactions on both servers beside the floors.
package main
