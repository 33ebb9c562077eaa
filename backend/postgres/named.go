package postgres

import (
	"bytes"
	"container/list"
	"hash/maphash"
	"strconv"
)

// maxNamed and maxNamedText bound the statements that a session of PostgreSQL keeps prepared, and their text in bytes: what PostgreSQL makes of it takes
// some twenty times as much memory.
const (
	maxNamed     = 200
	maxNamedText = 256 << 10
	// maxNamable is the length of the longest one.
	maxNamable = 32 << 10
)

// named are the statements that PostgreSQL has prepared for the session under names, by what they are sent: statements of the client that become the
// same one share a name. The least recently used one makes room for another.
type named struct {
	zone   string // PostgreSQL's time zone, if it was set: a prepared statement has the moments in its text as they were in it
	last   uint64 // name
	known  map[namedKey]*list.Element
	recent list.List         // of *namedStatement, the one used last in front
	size   int               // of their texts, in bytes
	gone   []string          // names that PostgreSQL is to forget with the next message
	sent   []*namedStatement // with the last message
	seen   [256]seen
}

type namedKey struct{ text, zone string }

// namedStatement is one of them.
type namedStatement struct {
	namedKey
	name     string
	prepared bool    // PostgreSQL has it
	refused  bool    // PostgreSQL cannot prepare it: it is sent as text
	fields   []field // of its rows
}

// of finds or makes the statement of a text. PostgreSQL hears of it when it is executed.
func (n *named) of(text string) *namedStatement {
	key := namedKey{text, n.zone}
	if e := n.known[key]; e != nil {
		n.recent.MoveToFront(e)
		return e.Value.(*namedStatement)
	}
	if n.known == nil {
		n.known = make(map[namedKey]*list.Element)
	}
	for n.size += len(text); len(n.known) >= maxNamed || n.size > maxNamedText; {
		n.drop(n.recent.Back().Value.(*namedStatement))
	}
	n.last++
	one := &namedStatement{namedKey: key, name: "x" + strconv.FormatUint(n.last, 36)}
	n.known[key] = n.recent.PushFront(one)
	return one
}

// drop forgets one of them.
func (n *named) drop(one *namedStatement) {
	e := n.known[one.namedKey]
	if e == nil || e.Value != one {
		return
	}
	n.recent.Remove(e)
	delete(n.known, one.namedKey)
	n.size -= len(one.text)
	if one.prepared {
		n.gone = append(n.gone, one.name)
	}
}

// forget forgets all, which PostgreSQL has done already. Their names are not used again.
func (n *named) forget() { *n = named{zone: n.zone, last: n.last} }

// status takes the value of a setting that PostgreSQL tells when it changes.
//
// Source: PostgreSQL manual, "Asynchronous Operations".
func (n *named) status(body []byte) {
	if name, value, _ := bytes.Cut(body, []byte{0}); string(name) == "TimeZone" {
		n.zone = string(bytes.TrimSuffix(value, []byte{0}))
	}
}

// oftenIs is how many times a statement that was not prepared by the client comes before it gets a name.
const oftenIs = 5

// seen counts statements of one hash. Another one's takes its place: those that come all the time do so again.
type seen struct {
	hash  uint64
	times uint8
}

var seenSeed = maphash.MakeSeed()

// often counts a statement, and tells whether it comes often.
func (n *named) often(text string) bool {
	hash := maphash.String(seenSeed, text)
	s := &n.seen[hash%uint64(len(n.seen))]
	if s.hash != hash {
		*s = seen{hash: hash}
	}
	if s.times < oftenIs {
		s.times++
	}
	return s.times == oftenIs
}
