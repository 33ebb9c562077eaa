//go:build !race

package proxytest

// raced says whether this binary was built with the race detector.
const raced = false
