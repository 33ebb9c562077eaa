package xa

import (
	"fmt"
	"strconv"
	"strings"
)

// FormatID marks every XID of xaproxy. It is below 2^31, the largest value that MariaDB accepts. Neither MySQL nor
// MariaDB compares it when it looks an XID up, so gtrid and bqual alone must be unique.
const FormatID = 20041

// MaxPartLength is the longest gtrid or bqual in bytes (X/Open XA, MAXGTRIDSIZE and MAXBQUALSIZE).
const MaxPartLength = 64

// The prefixes say where the decision on a transaction is.
const (
	logPrefix     = "xp1" // in the log of the coord
	deciderPrefix = "xp2" // in a row on the decider
)

// MaxDecider is the longest name of a Decider in bytes: a GTRID with it fits into MaxPartLength, whatever its numbers.
const MaxDecider = MaxPartLength - len(deciderPrefix+".01234567.01234567.0123456789abcdef.")

// GTRID names a global transaction: "xp1.<coord>.<epoch>.<seq>", numbers in hex without leading zeros; or, with the participant store,
// "xp2.<coord>.<epoch>.<seq>.<decider>", so that whoever finds a branch knows whom to ask.
//
// Coord is drawn once per decision log, Epoch is raised and made durable at every start before the first transaction,
// Seq counts within the epoch; so a GTRID never repeats, also when a process dies without writing anything. With the participant store
// Coord is drawn at every start, and Epoch is the time of it.
type GTRID struct {
	Coord   string // 8 lower-case hex characters
	Epoch   uint32
	Seq     uint64
	Decider string // the backend that has the decision; "" when a log has it
}

// String returns the ASCII form that the servers see.
func (g GTRID) String() string {
	b := make([]byte, 0, MaxPartLength)
	if g.Decider == "" {
		b = append(b, logPrefix...)
	} else {
		b = append(b, deciderPrefix...)
	}
	b = append(b, '.')
	b = append(b, g.Coord...)
	b = append(b, '.')
	b = strconv.AppendUint(b, uint64(g.Epoch), 16)
	b = append(b, '.')
	b = strconv.AppendUint(b, g.Seq, 16)
	if g.Decider != "" {
		b = append(b, '.')
		b = append(b, g.Decider...)
	}
	return string(b)
}

// ParseGTRID reads the form that String writes and accepts nothing else, so that a foreign XID is never taken for ours.
func ParseGTRID(s string) (GTRID, error) {
	parts := strings.SplitN(s, ".", 5)
	switch {
	case len(parts) == 4 && parts[0] == logPrefix && ValidCoord(parts[1]):
	case len(parts) == 5 && parts[0] == deciderPrefix && ValidCoord(parts[1]) && validDecider(parts[4]):
	default:
		return GTRID{}, fmt.Errorf("gtrid %q: of the form neither of %s.<coord>.<epoch>.<seq> nor of %s.<coord>.<epoch>.<seq>.<decider>", s, logPrefix, deciderPrefix)
	}
	epoch, err := strconv.ParseUint(parts[2], 16, 32)
	if err != nil {
		return GTRID{}, fmt.Errorf("gtrid %q: epoch: %w", s, err)
	}
	seq, err := strconv.ParseUint(parts[3], 16, 64)
	if err != nil {
		return GTRID{}, fmt.Errorf("gtrid %q: sequence: %w", s, err)
	}
	g := GTRID{Coord: parts[1], Epoch: uint32(epoch), Seq: seq}
	if len(parts) == 5 {
		g.Decider = parts[4]
	}
	if g.String() != s {
		return GTRID{}, fmt.Errorf("gtrid %q: not in canonical form", s)
	}
	return g, nil
}

// validDecider reports whether s can be the name of a backend, of the characters that config allows.
func validDecider(s string) bool {
	if s == "" || len(s) > MaxDecider {
		return false
	}
	for _, c := range []byte(s) {
		if (c < '0' || c > '9') && (c < 'a' || c > 'z') && c != '_' && c != '-' {
			return false
		}
	}
	return true
}

// ValidCoord reports whether s can be the coord of a GTRID.
func ValidCoord(s string) bool {
	if len(s) != 8 {
		return false
	}
	for _, c := range []byte(s) {
		if (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}

// XID names one branch: the transaction and, as bqual, the name of the backend that runs the branch. A transaction has one branch on a
// backend at most.
type XID struct {
	GTRID GTRID
	BQUAL string
	// Session says which session prepares the branch, where the backend wants recovery to know; servers see it behind the name
	// and a dot. It is "" where an XID only tells branches apart.
	Session string
}

// SQL returns the argument of XA START, END, PREPARE, COMMIT and ROLLBACK. Both parts are plain ASCII without quotes:
// the prefix form fixes the gtrid, config allows only [a-z0-9_-] in backend names, and Session has no others but the dot.
func (x XID) SQL() string {
	bqual := x.BQUAL
	if x.Session != "" {
		bqual += "." + x.Session
	}
	return "'" + x.GTRID.String() + "','" + bqual + "'," + strconv.Itoa(FormatID)
}

// CutSession splits the bqual of a server's XID into the backend's name and Session.
func CutSession(bqual string) (backend, session string) {
	backend, session, _ = strings.Cut(bqual, ".")
	return backend, session
}

// String returns gtrid and bqual separated by a slash, as logs and reports show a branch.
func (x XID) String() string { return x.GTRID.String() + "/" + x.BQUAL }
