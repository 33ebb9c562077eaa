// Command bench measures what xaproxy costs beside haproxy in TCP mode, which moves the same bytes without reading
// them, and beside a direct connection.
//
//	tests/setup.sh bench && go run ./tests/bench
//
// It boots one MariaDB, haproxy and xaproxy as children, and sends the same statements over each path from connections
// of package wire, which cost less than the proxies do. Rounds are interleaved: direct, haproxy, xaproxy, direct, ... so
// that a machine that is busy with something else slows all of them. CPU time is that of the proxy's process (user and
// system, from /proc), so what the client and the server spend is not in it. The table has medians over the rounds, and
// the smallest and largest value; ratios are taken within a round.
//
// Absolute figures say little about another machine; the ratios carry over.
package main
