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
	server := "\x00\x0f\x0aautocommit\x03OFF\x01\x05\x04shop\x05\x09\x08T_______"
	if got, err := readTracks([]byte(server)); err != nil || fmt.Sprintf("%q", got) != `[{'\x00' "autocommit" "OFF"} {'\x01' "" "shop"} {'\x05' "" "T_______"}]` {
		t.Errorf("%q, %v", got, err)
	}
	for n := 1; n < 17; n++ {
		if got, err := readTracks([]byte(server[:n])); err == nil {
			t.Errorf("cut at %d: %q", n, got)
		}
	}
	kept, err := dropTracks(bytes.Clone(state), Tracks(TrackSchema, TrackTransactionState, TrackVariable))
	if err != nil {
		t.Fatal(err)
	}
	got, err := readTracks(kept)
	if want := []Track{want[3], want[4], want[5], want[8]}; err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("kept %q, want %q (%v)", got, want, err)
	}
}

// TestRelayTracks: a session state reaches a client that knows of it, less what the relay drops, and no other; the info and
// the numbers stay.
func TestRelayTracks(t *testing.T) {
	state := AppendTrackSchema(AppendTrackVariable(nil, "autocommit", "ON"), "s")
	ok := OK{Affected: 3, Status: StatusAutocommit | StatusSessionStateChanged, Info: "Records: 3", SessionState: state}
	const both = testCaps | SessionTrack
	variable := ok
	variable.SessionState = AppendTrackVariable(nil, "autocommit", "ON")
	for _, c := range []struct {
		name           string
		client, server Capability
		drop           TrackSet
		in, want       OK
	}{
		{"verbatim", both, both, 0, ok, ok},
		{"client without", testCaps, both, 0, ok, ok},
		{"schema dropped", both, both, Tracks(TrackSchema), ok, variable},
		{"all dropped", both, both, Tracks(TrackSchema, TrackVariable), ok, OK{Affected: 3, Status: StatusAutocommit, Info: "Records: 3"}},
		{"server without", both, testCaps, 0, ok, ok},
	} {
		client, server, out := relayPair(bytes.NewReader(pack(1, c.in.Append(nil, c.server))), c.client, c.server)
		r := Relay{DropTracks: c.drop}
		if _, err := r.Response(client, server); err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		want := c.want.Append(nil, c.client)
		if !c.server.Has(SessionTrack) {
			want = OK{Affected: 3, Status: StatusAutocommit, Info: "Records: 3"}.Append(nil, c.client)
		}
		if !bytes.Equal(out.Bytes(), pack(1, want)) {
			t.Errorf("%s: %q, want %q", c.name, out.Bytes(), want)
		}
	}
}

func FuzzTracks(f *testing.F) {
	f.Add(AppendTrackTransactionState(AppendTrackSchema(AppendTrackVariable(nil, "a", "b"), "s"), NoTransaction), uint16(2))
	f.Add([]byte("\x03\x05\x00\x03a:1\x09\x02hi"), uint16(8))
	f.Fuzz(func(t *testing.T, state []byte, drop uint16) {
		all, err := readTracks(state)
		kept, dropErr := dropTracks(bytes.Clone(state), TrackSet(drop))
		if (err != nil) != (dropErr != nil) && drop != 0 {
			t.Fatalf("read: %v, drop: %v", err, dropErr)
		}
		if err != nil {
			return
		}
		var want []Track
		for _, e := range all {
			if !TrackSet(drop).Has(e.Type) {
				want = append(want, e)
			}
		}
		if got, err := readTracks(kept); err != nil || fmt.Sprintf("%q", got) != fmt.Sprintf("%q", want) {
			t.Fatalf("%q, want %q (%v)", got, want, err)
		}
	})
}
