// Package router decides where a statement goes: SQL text and the sharding configuration in, a Plan out. It does no I/O.
//
// A statement passes three stages.
//
//  1. The lexer (lexer.go) cuts the client's text into tokens with byte offsets, as the MySQL server does, and the mask
//     (mask.go) makes a shape of them: literals become one placeholder byte that says only their class, runs of white space
//     and comments become one space, rows of an INSERT that look alike are kept once.
//  2. The shape is looked up in the plan cache (cache.go). On a miss it is analysed (analyse.go and its neighbours) with the
//     SQL parser, which is given the shape and never the client's text: a plan cannot depend on anything that is not in the
//     cache key. The result says which backend, or which literals are shard keys.
//  3. The keys of this statement are read from the literals' bytes and hashed (hash.go), which picks one of the plans that
//     were built in advance, or cuts the statement into parts (shape.go).
//
// A prepared statement (statement.go) passes the first two stages once; each execution then reads its keys from the text and from
// the values that the client bound.
//
// What a comment asks of xaproxy (hint.go) is a part of the cache key and of the analysis.
//
// Explain (explain.go) writes a plan down for people.
//
// What a statement leaves on its backend connection is a part of its plan (pin.go); temporary tables are known to the router of
// their session only (temporary.go). Statements whose plan has values of the text in it (SET, PREPARE, KILL, LOAD DATA) are read
// from the client's text by own readers and are not cached.
//
// What a backend gets is always the client's own bytes, whole or spliced at token borders; a printed syntax tree never leaves
// this package. A statement whose right place is not certain is refused with the reason, the position and what to do.
//
// The text must be in a character set in which a byte below 0x80 never is part of a longer character (utf8mb4, latin1 and so
// on, but not gbk, gb18030, big5, sjis or cp932): a session must refuse those as character_set_client, and Plan refuses the SET
// statements that ask for them.
package router
