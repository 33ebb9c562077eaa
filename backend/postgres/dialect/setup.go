package dialect

import _ "embed"

// Setup makes the schema xaproxy in a database: the collations and functions that translations name. It may run again at any time, and needs
// a database in UTF8.
//
//go:embed setup.sql
var Setup string
