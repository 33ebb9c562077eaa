// Package oracle compares xaproxy over three shards with one server that holds all the data: the same statements must have
// the same rows, the same column definitions, the same counts and the same errors. What xaproxy refuses is counted by reason.
//
// The statements are those of testdata, from which docs/sql-support.md is made, random ones from a seed, and the random writes of several
// sessions with transactions and savepoints, as text and prepared:
//
//	go test ./tests/oracle                                     the files, and a few hundred random statements and writes
//	go test ./tests/oracle -random 10000 -seed 7 -v            more of them; -v prints the counts
//	go test ./tests/oracle -writes 10000 -seed 7 -v            more writes
//	go test ./tests/oracle -rewrite                            writes docs/sql-support.md, and testdata/postgres/refused.txt
//	go test ./tests/oracle -run TestPostgres -whole            all of it with shards on PostgreSQL and MySQL; without -whole a part
//
// TestPlaces holds where rows are, for every sharding function, against a model of docs/sharding.md.
//
// A difference is printed with the statement, and with -random the seed that makes it again.
package oracle
