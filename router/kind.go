package router

import (
	"slices"
	"strings"
)

// KeyColumn is what a column of a shard key holds, as its definition on a backend says. What is of another kind is no key of it: MySQL
// compares it as something else, and INSERT IGNORE stores something else. The zero value is a column of which nothing is known.
type KeyColumn struct {
	Kind   KeyKind
	Low    int64  // of KeyIntegers: the least
	High   uint64 // and the greatest one
	Length int    // of KeyText: its characters
	Digits int    // of KeyDates: of the fraction of a second, -1 of a DATE
	Alike  string // two columns of a kind with the same one call the same values equal
	// Members are of KeyMembers: what it can hold, in the form in which keys are hashed.
	Members map[string]bool
}

// KeyKind is a kind of column.
type KeyKind uint8

// The kinds.
const (
	KeyAny KeyKind = iota
	KeyIntegers
	KeyNumbers // of other types
	KeyText
	KeyDates
	KeyMembers // ENUM and SET, whose members may also be written as numbers
	KeyYears   // YEAR, which makes 2024 of 24
	KeyZoned   // TIMESTAMP: no value is certain
	KeyMissing // there was no such column when it was looked for
)

// held is what the columns of a key hold.
type held struct {
	columns []KeyColumn
	doubted bool // they may have changed since
}

// Learn tells the router what the columns of a sharded table's key hold, in their order; none: there is no such table. It may be called
// while others plan.
func (r *Router) Learn(schema, name string, columns []KeyColumn) {
	t := r.learner(schema, name)
	if t == nil {
		return
	}
	if len(columns) != len(t.columns) {
		columns = slices.Repeat([]KeyColumn{{Kind: KeyMissing}}, len(t.columns))
	}
	now := &held{columns: columns}
	old := t.holds.Swap(now)
	if r.cache != nil && (old == nil || !slices.EqualFunc(old.columns, now.columns, KeyColumn.like)) {
		r.cache.clear() // which joins run on each shard may be another matter now
	}
}

// Learnt is how often the router was told anything new. Statements that were prepared before are to be prepared again.
func (r *Router) Learnt() uint64 { return r.cache.cleared.Load() }

// Doubt tells the router that the columns of the key may have changed.
func (r *Router) Doubt(schema, name string) {
	if t := r.learner(schema, name); t != nil {
		if old := t.holds.Load(); old != nil {
			t.holds.CompareAndSwap(old, &held{columns: old.columns, doubted: true})
		}
	}
}

func (r *Router) learner(schema, name string) *table {
	if s := r.catalog.schemas[strings.ToLower(schema)]; s != nil {
		return s.tables[strings.ToLower(name)]
	}
	return nil
}

// agrees tells whether values of the two columns that a server calls equal are surely the same key: it compares an ENUM with a number by
// the number of the member, and text with a number as numbers. While nobody could look, the configuration is believed; a table that was not
// there may have been made since, around xaproxy.
func (c *KeyColumn) agrees(d *KeyColumn) bool {
	if c == nil || d == nil {
		return (c == nil || c.Kind != KeyMissing) && (d == nil || d.Kind != KeyMissing)
	}
	return c.Kind == d.Kind && c.Alike == d.Alike && c.Kind != KeyNumbers && c.Kind != KeyZoned && c.Kind != KeyMissing
}

// like tells whether the columns are of one type.
func (c KeyColumn) like(d KeyColumn) bool {
	return c.Kind == d.Kind && c.Alike == d.Alike && c.Low == d.Low && c.High == d.High && c.Length == d.Length && c.Digits == d.Digits
}

// takes tells whether the column stores all values of d as they are.
func (c *KeyColumn) takes(d *KeyColumn) bool {
	return c.agrees(d) && (c == nil || d == nil || c.Low <= d.Low && c.High >= d.High && c.Length >= d.Length && c.Digits >= d.Digits)
}

// unfit is why a key that was read is none of the column. quoted tells that it is a string, stores that it is to be stored.
func (c *KeyColumn) unfit(k *key, quoted, stores bool) keyFault {
	var digits [24]byte
	switch {
	case c.Kind == KeyZoned:
		return keyZoned
	case c.Kind == KeyMembers && (k.date || !quoted || !c.Members[string(k.canonical(digits[:0]))]):
		return keyMember
	case c.Kind == KeyYears && (k.date || k.text || k.negative || k.size < 1901 || k.size > 2155):
		return keyYear
	case (c.Kind == KeyIntegers || c.Kind == KeyNumbers) && k.text:
		return keyText
	case c.Kind == KeyIntegers && stores && (k.negative && (c.Low == 0 || k.size > -uint64(c.Low)) || !k.negative && k.size > c.High):
		return keyOutside
	case c.Kind == KeyText && !quoted && !stores:
		return keyNumber
	case c.Kind == KeyText && stores && c.Length < maxKeyText:
		n := k.n
		if !k.text {
			n = len(k.canonical(digits[:0]))
		}
		if n > c.Length {
			return keyWide
		}
	}
	return keyGood
}

// unit is what the column rounds moments to, in microseconds. Of what is not known it is a second, the most that columns may round to.
func (c *KeyColumn) unit() int64 {
	unit := int64(1_000_000)
	if c != nil && c.Kind == KeyDates {
		for range c.Digits {
			unit /= 10
		}
	}
	return unit
}

// around are the moments between which a server may move one when it stores it or compares it with the column: MySQL rounds, MariaDB cuts.
func (k *key) around(unit int64) (from, to uint64) {
	if from = cut(k.moment.Low, unit); from == k.moment.Low {
		return from, from
	}
	return from, from + uint64(unit)
}

// cut is the beginning of the unit that a moment is in.
func cut(moment uint64, unit int64) uint64 {
	past := int64(moment) % unit
	if past < 0 {
		past += unit
	}
	return moment - uint64(past)
}

// rounded is keyRounded if the column may round the key to another shard, or cuts it to a day there.
func (t *table) rounded(k *key, shard int, stores bool) keyFault {
	holds := t.column(0)
	if stores && (holds == nil || holds.Kind != KeyDates) {
		return keyGood // the client knows
	}
	from, to := k.around(holds.unit())
	if stores && holds.Digits < 0 {
		from, to = cut(from, microsPerDay), cut(to, microsPerDay)
	}
	for _, at := range []uint64{from, to} {
		if at == k.moment.Low {
			continue
		}
		other := key{date: true, moment: k.moment}
		other.moment.Low, other.moment.Negative = at, int64(at) < 0
		if s, fault := t.sharding.shard(&other); s != shard || fault != keyGood {
			return keyRounded
		}
	}
	return keyGood
}

// column is what the n-th column of the key holds, nil if that is not certain.
func (t *table) column(n int) *KeyColumn {
	if all := t.holds.Load(); all != nil && !all.doubted && all.columns[n].Kind != KeyMissing {
		return &all.columns[n]
	}
	return nil
}

// known is what the n-th column of the key held when it was looked for last, nil if nobody did.
func (t *table) known(n int) *KeyColumn {
	all := t.holds.Load()
	if all == nil {
		return nil
	}
	if all.columns[n].Kind == KeyMissing {
		t.missed.Store(true)
		t.some.Store(true)
	}
	return &all.columns[n]
}

// Missed returns once the tables whose keys a plan has depended on though they were not there when they were looked for. They may have been made since: once
// the router has learnt them the plan may be another one.
func (r *Router) Missed() (all []Object) {
	if !r.catalog.missed.Load() || !r.catalog.missed.Swap(false) {
		return nil
	}
	for _, s := range r.catalog.schemas {
		for _, t := range s.tables {
			if t.missed.Swap(false) {
				all = append(all, Object{t.schema, t.base})
			}
		}
	}
	return all
}

// ParseKeyColumn reads a type as information_schema.columns has it, such as int(10) unsigned; the collation and the length of a text and
// the precision of a date are columns of their own there.
func ParseKeyColumn(columnType, collation string, length, digits int) KeyColumn {
	words := strings.FieldsFunc(strings.ToLower(columnType), func(r rune) bool { return r == ' ' || r == '(' || r == ')' })
	if len(words) == 0 {
		return KeyColumn{}
	}
	bits := map[string]int{"tinyint": 8, "smallint": 16, "mediumint": 24, "int": 32, "bigint": 64}[words[0]]
	switch {
	case bits > 0 && strings.Contains(columnType, "unsigned"):
		return KeyColumn{Kind: KeyIntegers, High: 1<<bits - 1}
	case bits > 0:
		return KeyColumn{Kind: KeyIntegers, Low: -1 << (bits - 1), High: 1<<(bits-1) - 1}
	case words[0] == "decimal" || words[0] == "float" || words[0] == "double":
		return KeyColumn{Kind: KeyNumbers}
	case words[0] == "char" || words[0] == "varchar" || words[0] == "binary" || words[0] == "varbinary":
		return KeyColumn{Kind: KeyText, Length: length, Alike: collation}
	case words[0] == "enum" || words[0] == "set":
		return KeyColumn{Kind: KeyMembers, Members: members(columnType), Alike: columnType + collation}
	case words[0] == "year":
		return KeyColumn{Kind: KeyYears}
	case words[0] == "timestamp":
		return KeyColumn{Kind: KeyZoned}
	case words[0] == "date":
		return KeyColumn{Kind: KeyDates, Digits: -1}
	case words[0] == "datetime":
		return KeyColumn{Kind: KeyDates, Digits: digits}
	}
	return KeyColumn{Alike: columnType + collation}
}

// members are the values in a type such as enum('a','it”s') that can be keys.
func members(columnType string) map[string]bool {
	all := map[string]bool{}
	for rest := columnType; ; {
		_, after, more := strings.Cut(rest, "'")
		if !more {
			return all
		}
		var one strings.Builder
		for {
			text, behind, _ := strings.Cut(after, "'")
			one.WriteString(text)
			if after = behind; !strings.HasPrefix(after, "'") {
				break
			}
			one.WriteByte('\'')
			after = after[1:]
		}
		var k key
		if k.value(Value{Kind: ValueBytes, Bytes: []byte(one.String())}, false) == keyGood {
			all[string(k.canonical(nil))] = true
		}
		rest = after
	}
}

// faultErrnos are the errors of MySQL in strict mode for values that a column does not hold.
var faultErrnos = map[keyFault]uint16{keyText: 1366, keyOutside: 1264, keyWide: 1406}
