package wire

import (
	"bytes"
	"fmt"
	"reflect"
	"strings"
	"testing"
)

// readTracks decodes a whole session state.
func readTracks(state []byte) (out []Track, err error) {
	for len(state) > 0 {
		var t Track
		if t, state, err = NextTrack(state); err != nil {
			return nil, err
		}
		out = append(out, t)
	}
	return out, nil
}

// TestTracks reads what the helpers write, and bytes that servers sent.
func TestTracks(t *testing.T) {
	long := strings.Repeat("v", 300)
	state := AppendTrackVariable(nil, "autocommit", "OFF")
	state = AppendTrackVariable(state, "init_connect", long)
	state = AppendTrackSchema(state, "shop")
	state = AppendTrackStateChange(state)
	state = append(state, "\x03\x05\x00\x03a:1"...)
	state = AppendTrackCharacteristics(state, "START TRANSACTION READ ONLY;")
	state = AppendTrackTransactionState(state, TransactionState([]byte("T_R_W_S_")))
	state = AppendTrackTransactionState(state, NoTransaction)
	state = append(state, "\x09\x02hi"...)
	want := []Track{
		{TrackVariable, []byte("autocommit"), []byte("OFF")},
		{TrackVariable, []byte("init_connect"), []byte(long)},
		{TrackSchema, nil, []byte("shop")},
		{TrackStateChange, nil, []byte("1")},
		{TrackGTIDs, nil, []byte("a:1")},
		{TrackCharacteristics, nil, []byte("START TRANSACTION READ ONLY;")},
		{TrackTransactionState, nil, []byte("T_R_W_S_")},
		{TrackTransactionState, nil, []byte("________")},
		{9, nil, []byte("hi")},
	}
	if got, err := readTracks(state); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%v\n%q, want\n%q", err, got, want)
	}
	server := "\x00\x0f\x0aautocommit\x03OFF\x01\x05\x04shop\x02\x011\x05\x09\x08T_______"
	if got, err := readTracks([]byte(server)); err != nil || fmt.Sprintf("%q", got) != `[{'\x00' "autocommit" "OFF"} {'\x01' "" "shop"} {'\x02' "" "1"} {'\x05' "" "T_______"}]` {
		t.Errorf("%q, %v", got, err)
	}
	for n := 1; n < 17; n++ {
		if got, err := readTracks([]byte(server[:n])); err == nil {
			t.Errorf("cut at %d: %q", n, got)
		}
	}
	kept, err := hearTracks(bytes.Clone(state), &dropper{types: drops(TrackSchema, TrackTransactionState, TrackVariable)})
	if err != nil {
		t.Fatal(err)
	}
	got, err := readTracks(kept)
	if want := []Track{want[3], want[4], want[5], want[8]}; err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("kept %q, want %q (%v)", got, want, err)
	}
}

// dropper is a Tracker that drops types of entries, and tells an entry if it has one.
type dropper struct {
	types uint16
	due   []byte
}

func drops(types ...TrackType) (set uint16) {
	for _, t := range types {
		set |= 1 << t
	}
	return set
}

func (d *dropper) Hear(t Track) bool { return t.Type > 15 || d.types>>t.Type&1 == 0 }
func (d *dropper) Due(bool) bool     { return len(d.due) > 0 }
func (d *dropper) Tell(state []byte, _ bool) ([]byte, bool) {
	defer func() { d.due = nil }()
	return append(state, d.due...), false
}

// TestRelayTracks: a session state reaches a client that knows of it, less what the tracker drops and with what it tells, and no
// other; the info and the numbers stay.
func TestRelayTracks(t *testing.T) {
	state := AppendTrackSchema(AppendTrackVariable(nil, "autocommit", "ON"), "s")
	ok := OK{Affected: 3, Status: StatusAutocommit | StatusSessionStateChanged, Info: "Records: 3", SessionState: state}
	plain := OK{Affected: 3, Status: StatusAutocommit, Info: "Records: 3"}
	const both = testCaps | SessionTrack
	with := func(state []byte) OK {
		o := ok
		o.SessionState = state
		return o
	}
	told := AppendTrackTransactionState(nil, NoTransaction)
	for _, c := range []struct {
		name           string
		client, server Capability
		tracker        Tracker
		in, want       OK
	}{
		{"verbatim", both, both, nil, ok, ok},
		{"client without", testCaps, both, &dropper{due: told}, ok, ok},
		{"schema dropped", both, both, &dropper{types: drops(TrackSchema)}, ok, with(AppendTrackVariable(nil, "autocommit", "ON"))},
		{"all dropped", both, both, &dropper{types: drops(TrackSchema, TrackVariable)}, ok, plain},
		{"replaced", both, both, &dropper{types: drops(TrackSchema, TrackVariable), due: told}, ok, with(told)},
		{"added", both, both, &dropper{due: told}, ok, with(append(bytes.Clone(state), told...))},
		{"told", both, both, &dropper{due: told}, plain, with(told)},
		{"nothing told", both, both, &dropper{}, plain, plain},
		{"changed, without an entry", both, both, &dropper{}, with(nil), with(nil)},
		{"server without", both, testCaps, nil, ok, plain},
	} {
		client, server, out := relayPair(bytes.NewReader(pack(1, c.in.Append(nil, c.server))), c.client, c.server)
		r := Relay{Tracker: c.tracker}
		if _, err := r.Response(client, server); err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		if want := pack(1, c.want.Append(nil, c.client)); !bytes.Equal(out.Bytes(), want) {
			t.Errorf("%s: %q, want %q", c.name, out.Bytes(), want)
		}
	}
}

func FuzzTracks(f *testing.F) {
	f.Add(AppendTrackTransactionState(AppendTrackSchema(AppendTrackVariable(nil, "a", "b"), "s"), NoTransaction), uint16(2))
	f.Add([]byte("\x03\x05\x00\x03a:1\x09\x02hi"), uint16(8))
	f.Fuzz(func(t *testing.T, state []byte, drop uint16) {
		d := &dropper{types: drop}
		all, err := readTracks(state)
		kept, dropErr := hearTracks(bytes.Clone(state), d)
		if (err != nil) != (dropErr != nil) {
			t.Fatalf("read: %v, heard: %v", err, dropErr)
		}
		if err != nil {
			return
		}
		var want []Track
		for _, e := range all {
			if d.Hear(e) {
				want = append(want, e)
			}
		}
		if got, err := readTracks(kept); err != nil || fmt.Sprintf("%q", got) != fmt.Sprintf("%q", want) {
			t.Fatalf("%q, want %q (%v)", got, want, err)
		}
	})
}
