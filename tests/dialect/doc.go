// Package dialect compares translations of MySQL's statements with the originals: each statement of backend/postgres/dialect/testdata runs on a MySQL
// server, and its translation on a PostgreSQL server through lib/pq. Rows, the names of columns and numbers of affected rows must be the same.
//
// Values are compared as text. PostgreSQL's are written as dialect.Type.Text does it, which is what a client is sent; nothing else is made
// alike. Rows of a statement without ORDER BY are compared as a set. Where MySQL fails the translation must be refused or fail too; where the
// translation is refused MySQL's answer does not matter. Any other difference is a mistake.
//
// TestRandomStatements does this with statements made at random, in the sessions that clients meet, and compares warnings and the types of columns, too.
// What it has found is in random.txt of that testdata.
package dialect
