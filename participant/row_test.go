package participant

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/xaproxy/xaproxy/xa"
)

// TestBranchesText: what is written is read again, and ends no string of SQL in any sql_mode or character set.
func TestBranchesText(t *testing.T) {
	for _, all := range [][]xa.BranchRef{
		nil,
		{{Backend: "b1"}},
		{{Backend: "b1", ConnID: 7, Voted: time.UnixMilli(1_800_000_000_123)}, {Backend: "b2"}},
		{{Backend: "b1", ConnID: 7, Server: "3e11fa47-71ca-11e1-9e33-c80aa9429562"}, {Backend: "b-2_x", ConnID: 1<<64 - 1, Server: `1@h,o:3306C:\data\'"%` + "`\x00\xff;--"}},
	} {
		text := branchesText(all)
		if i := strings.IndexFunc(text, func(r rune) bool { return r >= 0x80 || strings.ContainsRune("'\"\\`\x00", r) }); i >= 0 {
			t.Errorf("%q has %q", text, text[i])
		}
		got, err := parseBranches(text)
		if err != nil || !reflect.DeepEqual(got, all) {
			t.Errorf("%q read as %+v (%v), want %+v", text, got, err, all)
		}
	}
	for _, text := range []string{"b1", "b1:7", "b1:x:s:0", "b1:7:s", "b1:7:s:t", "b1:7:s:1:2", "b1:7:%zz:0", ",", "b1:7:s:0,"} {
		if all, err := parseBranches(text); err == nil {
			t.Errorf("%q read as %+v", text, all)
		}
	}
}

// TestUnknownVerdict: a row that no xaproxy has written is neither a commit nor a rollback.
func TestUnknownVerdict(t *testing.T) {
	g := xa.GTRID{Coord: "0123abcd", Decider: "b1"}
	for _, r := range []row{{verdict: "maybe"}, {verdict: "commit", branches: "?"}} {
		if got := r.ruling(g); got.Err == nil {
			t.Errorf("%+v: %+v", r, got)
		}
	}
}
