package decision

import (
	"errors"
	"path/filepath"
	"testing"
	"time"

	"github.com/xaproxy/xaproxy/xa"
)

func mustOpen(t testing.TB, o FileOptions) *File {
	t.Helper()
	f, err := OpenFile(o)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func decisionOf(f *File, seq uint64) xa.Decision {
	return xa.Decision{
		GTRID: xa.GTRID{Coord: f.Coord(), Epoch: f.Epoch(), Seq: seq},
		Branches: []xa.BranchRef{
			{Backend: "orders-1", Server: "5b1c8a2e-0000-11f0-a1b2-0242ac120002", ConnID: 17 + seq},
			{Backend: "orders-2", Server: "", ConnID: 4},
		},
		OnePhase: seq%2 == 1,
		Time:     time.Unix(1_700_000_000+int64(seq), 0).UTC(),
	}
}

func TestReopen(t *testing.T) {
	o := FileOptions{Dir: filepath.Join(t.TempDir(), "log")}
	f := mustOpen(t, o)
	if err := f.Append(decisionOf(f, 1)); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenFile(o); !errors.Is(err, ErrLocked) {
		t.Fatalf("second opening: %v", err)
	} else {
		t.Log(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	g := mustOpen(t, o)
	if g.Epoch() != 2 || g.Coord() != f.Coord() {
		t.Fatal(g.Epoch(), g.Coord())
	}
	if n := len(g.Unfinished()); n != 1 {
		t.Fatal(n)
	}
}
