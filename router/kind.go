package router

import "strings"

// KeyColumn is what a column of a shard key holds, as its definition on a backend says. What is of another kind is no key of it: MySQL
// compares it as something else, and INSERT IGNORE stores something else. The zero value is a column of which nothing is known.
type KeyColumn struct {
	Kind   KeyKind
	Low    int64  // of KeyIntegers: the least
	High   uint64 // and the greatest one
	Length int    // of KeyText: its characters
	Digits int    // of KeyDates: of the fraction of a second
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
)

// Learn tells the router what the columns of a sharded table's key hold, in their order; nil: nobody knows any more. It may be called
// while others plan.
func (r *Router) Learn(schema, name string, columns []KeyColumn) {
	s := r.catalog.schemas[strings.ToLower(schema)]
	if s == nil {
		return
	}
	switch t := s.tables[strings.ToLower(name)]; {
	case t == nil:
	case len(columns) == len(t.columns):
		t.holds.Store(&columns)
	default:
		t.holds.Store(nil)
	}
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
	past := int64(k.moment.Low) % unit
	if past < 0 {
		past += unit
	}
	if past == 0 {
		return k.moment.Low, k.moment.Low
	}
	return k.moment.Low - uint64(past), k.moment.Low + uint64(unit-past)
}

// rounded is keyRounded if the column may round the key to another shard.
func (pl *placing) rounded(t *table, k *key, shard int) keyFault {
	holds := t.column(0)
	if pl.stores && (holds == nil || holds.Kind != KeyDates) {
		return keyGood // the client knows
	}
	from, to := k.around(holds.unit())
	if from == to {
		return keyGood
	}
	for _, at := range []uint64{from, to} {
		other := key{date: true, moment: k.moment}
		other.moment.Low, other.moment.Negative = at, int64(at) < 0
		if s, fault := t.sharding.shard(&other); s != shard || fault != keyGood {
			return keyRounded
		}
	}
	return keyGood
}

// column is what the n-th column of the key holds, nil if nothing is known.
func (t *table) column(n int) *KeyColumn {
	if all := t.holds.Load(); all != nil {
		return &(*all)[n]
	}
	return nil
}

// ParseKeyColumn reads a type as information_schema.columns has it, such as int(10) unsigned; the precision of a date and the length of
// a text are columns of their own there.
func ParseKeyColumn(columnType string, length, digits int) KeyColumn {
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
		return KeyColumn{Kind: KeyText, Length: length}
	case words[0] == "enum" || words[0] == "set":
		return KeyColumn{Kind: KeyMembers, Members: members(columnType)}
	case words[0] == "year":
		return KeyColumn{Kind: KeyYears}
	case words[0] == "timestamp":
		return KeyColumn{Kind: KeyZoned}
	case words[0] == "date" || words[0] == "datetime":
		return KeyColumn{Kind: KeyDates, Digits: digits}
	}
	return KeyColumn{}
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
