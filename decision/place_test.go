package decision

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
)

// A log whose directory was moved away decides nothing until it is back, and then goes on: what it would write in the meantime, the next
// opening would not find.
func TestMovedAway(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "log")
	o := FileOptions{Dir: dir, SegmentSize: minSegmentSize}
	f := mustOpen(t, o)
	segment := filepath.Join(dir, "0000000001.seg")
	for i, c := range []struct {
		what     string
		do, undo func() error
	}{
		{"the directory is elsewhere", func() error { return os.Rename(dir, dir+".away") }, func() error { return os.Rename(dir+".away", dir) }},
		{"the file is elsewhere", func() error { return os.Rename(segment, segment+".away") }, func() error { return os.Rename(segment+".away", segment) }},
		{
			"another file has its name",
			func() error {
				return errors.Join(os.Rename(segment, segment+".away"), os.WriteFile(segment, nil, 0o600))
			},
			func() error { return os.Rename(segment+".away", segment) },
		},
	} {
		seq := uint64(3 * i)
		mustAppend(t, f, seq+1, seq+1)
		if err := c.do(); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			if err := f.Append(decisionOf(f, seq+2)); !errors.Is(err, ErrNotWritten) || errors.Is(err, ErrBroken) {
				t.Errorf("%s: %v", c.what, err)
			}
		}
		if !lookup(t, f, decisionOf(f, seq+1)) || lookup(t, f, decisionOf(f, seq+2)) {
			t.Errorf("%s: it says something else than it has said", c.what)
		}
		if err := c.undo(); err != nil {
			t.Fatal(err)
		}
		mustAppend(t, f, seq+3, seq+3)
	}
	written := decisionAt(f, f.Epoch(), 3)
	mustClose(t, f)
	f = mustOpen(t, o)
	if !lookup(t, f, written) {
		t.Error("what was written afterwards is lost")
	}
	if len(f.Unfinished()) != 6 {
		t.Errorf("%d decisions, want 6", len(f.Unfinished()))
	}
	mustClose(t, f)
}
