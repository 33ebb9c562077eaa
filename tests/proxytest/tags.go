//go:build gms_pure_go

package proxytest

// tags are those that this binary was built with, and the program is.
const tags = "gms_pure_go"
