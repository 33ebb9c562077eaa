// Package dialect translates statements of MySQL to PostgreSQL. It is pure: text and a catalog in, text out.
//
// A statement passes three stages.
//
//  1. source.go cuts the client's text with the router's lexer, puts markers in the place of literals and gives the result to the
//     SQL parser. A marker leads from the tree back to the token, so a literal is read from the client's bytes, and a refusal has a position.
//  2. The names are looked up in the catalog (scope.go), so that each expression has a type of MySQL's (value.go).
//  3. The printer (query.go, expr.go, compare.go, write.go, define.go and their neighbours) writes text of PostgreSQL's from the tree. What it means
//     depends on the types: '5' = column is a comparison of numbers if the column is one.
//
// Functions are a table (functions.go), of which docs/postgres.md has a copy.
//
// What MySQL does and PostgreSQL has no words for is done by functions, collations and views of a schema "xaproxy" in the database (setup.sql),
// which the owner of the connections creates with Setup.
//
// The rule is exact or refused: what cannot be proved to have MySQL's result is an *Error that says what, where and what to do.
package dialect
