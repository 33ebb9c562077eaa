package integration

import "strings"

// endless is a result of some gigabytes.
var endless = "SELECT REPEAT('x', 1000000) FROM single JOIN " + strings.Join([]string{digits("a"), digits("b"), digits("c"), digits("d")}, " JOIN ")
