package clients

import (
	"fmt"
	"strings"
	"testing"
)

// judge compares how something ended through the proxy, "" or what went wrong, with what is known of it: known is "" or a
// text of the failure that it is known to end with, until it does not. docs/compatibility.md has the reasons. It reports
// whether all went well.
func judge(t *testing.T, failure, known string) bool {
	t.Helper()
	switch {
	case known == "" && failure != "":
		t.Error(failure)
	case known != "" && failure == "":
		t.Errorf("this works, though it is known to fail with %q: take that out of the table, and out of docs/compatibility.md", known)
	case !strings.Contains(failure, known):
		t.Errorf("it is known to fail with %q, but it failed with:\n%s", known, failure)
	case known != "":
		countKnown()
	}
	return failure == ""
}

// firstDifference shows where two outputs part; "" says that they do not.
func firstDifference(got, want string) string {
	g, w := strings.Split(got, "\n"), strings.Split(want, "\n")
	for i := range max(len(g), len(w)) {
		line := func(all []string) string {
			if i < len(all) {
				return all[i]
			}
			return "the end"
		}
		if line(g) != line(w) {
			return fmt.Sprintf("line %d is\n  %.500s\nnot\n  %.500s", i+1, line(g), line(w))
		}
	}
	return ""
}
