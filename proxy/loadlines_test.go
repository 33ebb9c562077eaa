package proxy

import (
	"errors"
	"testing"

	"github.com/xaproxy/xaproxy/wire"
)

func TestLineNumbers(t *testing.T) {
	var n lineNumbers
	for _, line := range []uint64{3, 4, 500, 70_000} {
		n.add(line)
	}
	for text, want := range map[string]string{
		"line 3 of the file, field 2: x": "line 3 of the file, field 2: x",
		"line 5 of the file: x":          "line 500 of the file: x",
		"line 6 of the file: x":          "line 70000 of the file: x",
		"line 7 of the file: x":          "line 7 of those for this backend: x",
		"another error in line 3":        "another error in line 3",
	} {
		if got := n.placed(&wire.Error{Message: text}, 2).(*wire.Error).Message; got != want {
			t.Errorf("%q is %q, want %q", text, got, want)
		}
	}
	if lost := errors.New("lost"); n.placed(lost, 0) != lost {
		t.Error("another error is another one")
	}
}
