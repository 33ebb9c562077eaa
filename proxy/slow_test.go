package proxy

import (
	"slices"
	"testing"
)

// The ring has the last statements in their order, whatever its limit was before.
func TestSlowStatementsKept(t *testing.T) {
	s := new(Server)
	for i, limit := range []int{3, 3, 3, 3, 3, 2, 2, 4, 4, 4, 0, 1} {
		s.slow.keep(SlowStatement{Rows: int64(i)}, limit)
		var got, want []int64
		for _, one := range s.SlowStatements() {
			got = append(got, one.Rows)
		}
		have := [...]int{1, 2, 3, 3, 3, 2, 2, 3, 4, 4, 0, 1}[i]
		for j := i - have + 1; j <= i; j++ {
			want = append(want, int64(j))
		}
		if !slices.Equal(got, want) {
			t.Errorf("after %d with limit %d: %v, want %v", i, limit, got, want)
		}
	}
}
