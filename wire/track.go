package wire

// TrackType is the type of an entry in the session state of an OK packet.
//
// Source: MySQL page_protocol_basic_ok_packet, "enum_session_state_type".
type TrackType byte

// The types of entries. Servers send those that the session asked for with session_track_... variables.
const (
	TrackVariable         TrackType = iota // a system variable has changed: name and value
	TrackSchema                            // the current schema has changed
	TrackStateChange                       // "1": something has changed
	TrackGTIDs                             // the GTIDs of what was committed
	TrackCharacteristics                   // what would start the present transaction again: "START TRANSACTION READ ONLY;"
	TrackTransactionState                  // eight characters; see TransactionState
)

// TrackSet is a set of types.
type TrackSet uint16

// Tracks returns the set of types.
func Tracks(types ...TrackType) TrackSet {
	var s TrackSet
	for _, t := range types {
		s |= 1 << t
	}
	return s
}

// Has reports whether t is in the set. Types that this package does not know never are.
func (s TrackSet) Has(t TrackType) bool { return t <= TrackTransactionState && s>>t&1 == 1 }

// TransactionState is the value of a TrackTransactionState entry: for each of its eight places '_' or one letter.
//
// Source: MySQL "Server Tracking of Client Session State", session_track_transaction_info.
type TransactionState [8]byte

// NoTransaction is the state outside of a transaction. Place 0 is 'T' in an explicit transaction and 'I' in an implicit
// one; 1, 2: 'r', 'R' non-transactional and transactional tables were read; 3, 4: 'w', 'W' written; 5: 's' an unsafe
// statement ran; 6: 'S' a result set was sent; 7: 'L' tables are locked.
var NoTransaction = TransactionState([]byte("________"))

// AppendTrackVariable appends an entry: a variable has changed. NB: to a session state, OK.SessionState.
func AppendTrackVariable(dst []byte, name, value string) []byte {
	dst = append(dst, byte(TrackVariable))
	dst = AppendInt(dst, uint64(stringSize(len(name))+stringSize(len(value))))
	return AppendString(AppendString(dst, name), value)
}

// AppendTrackSchema appends an entry: the current schema is now this one, "" for none.
func AppendTrackSchema(dst []byte, schema string) []byte {
	return appendTrack(dst, TrackSchema, schema)
}

// AppendTrackStateChange appends an entry: something in the session has changed.
func AppendTrackStateChange(dst []byte) []byte { return appendTrack(dst, TrackStateChange, "1") }

// AppendTrackCharacteristics appends an entry: the statements that would start the present transaction again, "" for none.
func AppendTrackCharacteristics(dst []byte, statements string) []byte {
	return appendTrack(dst, TrackCharacteristics, statements)
}

// AppendTrackTransactionState appends an entry: what the transaction has done so far.
func AppendTrackTransactionState(dst []byte, state TransactionState) []byte {
	return appendTrack(dst, TrackTransactionState, state[:])
}

// appendTrack appends an entry that is one length-encoded string.
func appendTrack[S ~string | ~[]byte](dst []byte, t TrackType, value S) []byte {
	dst = append(dst, byte(t))
	dst = AppendInt(dst, uint64(stringSize(len(value))))
	return AppendString(dst, value)
}

// stringSize is the length of a length-encoded string of n bytes.
func stringSize(n int) int {
	switch {
	case n < 0xfb:
		return n + 1
	case n <= 0xffff:
		return n + 3
	case n <= 0xffffff:
		return n + 4
	}
	return n + 9
}

// Track is one entry of a session state. Its slices are parts of that.
type Track struct {
	Type  TrackType
	Name  []byte // of a TrackVariable
	Value []byte // of a type that this package does not know: all of the entry
}

// NextTrack reads the first entry of a session state (OK.SessionState) and returns what follows it. It is called until
// nothing is left.
//
// Source: MySQL page_protocol_basic_ok_packet.
func NextTrack(state []byte) (t Track, rest []byte, err error) {
	c := cursor{rest: state}
	t.Type = TrackType(c.uint8())
	entry := cursor{rest: c.lenencBytes()}
	switch t.Type {
	case TrackVariable:
		t.Name = entry.lenencBytes()
		t.Value = entry.lenencBytes()
	case TrackGTIDs:
		entry.bytes(1) // encoding, always 0: text
		t.Value = entry.lenencBytes()
	case TrackSchema, TrackStateChange, TrackCharacteristics, TrackTransactionState:
		t.Value = entry.lenencBytes()
	default:
		t.Value = entry.rest
	}
	if c.bad || entry.bad {
		return Track{}, nil, malformed("session state")
	}
	return t, c.rest, nil
}

// dropTracks takes the entries of the given types out of a session state, in place.
func dropTracks(state []byte, drop TrackSet) ([]byte, error) {
	if drop == 0 {
		return state, nil
	}
	kept := state[:0]
	for len(state) > 0 {
		t, rest, err := NextTrack(state)
		if err != nil {
			return nil, err
		}
		if !drop.Has(t.Type) {
			kept = append(kept, state[:len(state)-len(rest)]...)
		}
		state = rest
	}
	return kept, nil
}
