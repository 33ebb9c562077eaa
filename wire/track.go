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

// Tracker decides what a client is told of the state of its session, where no single server knows it.
type Tracker interface {
	// Hear is told each entry of a server's session state and says whether the client gets it.
	Hear(t Track) bool
	// Due reports whether the client is to be told something even if the server says nothing. rows: the packet ends a result set.
	Due(rows bool) bool
	// Tell appends what the client is to be told to the entries that it gets from the server. changed without an entry is
	// something that servers say, too.
	Tell(state []byte, rows bool) (_ []byte, changed bool)
}

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

// AppendTrackStateChange appends an entry: something in the session has changed. NB: its text has no length of its own, whatever
// the documents say.
func AppendTrackStateChange(dst []byte) []byte { return append(dst, byte(TrackStateChange), 1, '1') }

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
	case TrackSchema, TrackCharacteristics, TrackTransactionState:
		t.Value = entry.lenencBytes()
	default:
		t.Value = entry.rest
	}
	if c.bad || entry.bad {
		return Track{}, nil, malformed("session state")
	}
	return t, c.rest, nil
}

// hearTracks lets t hear a session state, and returns what of it the client gets, in place.
func hearTracks(state []byte, t Tracker) ([]byte, error) {
	kept := state[:0:len(state)]
	for len(state) > 0 {
		one, rest, err := NextTrack(state)
		if err != nil {
			return nil, err
		}
		if t.Hear(one) {
			kept = append(kept, state[:len(state)-len(rest)]...)
		}
		state = rest
	}
	return kept, nil
}
