// Package clients runs client libraries of several languages against xaproxy. Each folder holds the programs of one
// language; its test boots a MariaDB and a MySQL server with a proxy in front and runs every program as a child.
//
// A program finds in its environment
//
//	DB_HOST, DB_PORT, DB_USER, DB_PASSWORD   where to log in
//	DB_PLAIN                                 a schema on one server, with the tables kinds and notes
//	DB_SHARDED                               a schema with the table accounts, sharded by id over both servers
//	DB_BASE                                  the first of ten ids in accounts that nobody else uses; it is even
//
// and does the same with each library: reads the row of kinds, writes notes with parameters, meets a duplicate key, keeps
// unicode and a large value, commits the accounts DB_BASE and DB_BASE+1 with 10 and 20 in one transaction and rolls back
// DB_BASE+2 and DB_BASE+3 in another. Even and odd ids are on different servers. It prints "ok N checks" and ends
// with status 0, or says what was different. What it left on the servers is then looked at there.
//
// Libraries are installed by setup.sh into the cache folder that tests/setup.sh uses, in fixed versions.
package clients
