package router

import (
	"cmp"
	"fmt"
	"hash/crc32"
	"iter"
	"math/bits"
	"slices"
	"strconv"
	"strings"

	"github.com/xaproxy/xaproxy/config"
)

// sharding is a shard map: it places keys. Immutable. docs/sharding.md defines the functions, which are part of where data
// is stored: they never change.
type sharding struct {
	name     string // of the [[shard_maps]] entry, "" if the table has the map to itself
	function string
	moments  bool     // the function takes dates
	shards   []string // names
	backends []int    // by shard
	slots    uint64   // of a function that has slots
	holder   []uint16 // the shard of each slot
	spans    []config.Span
	list     map[string]int // canonical forms of the values of function list
	others   int            // the shard of all other values, -1: there is none
	ring     []ringPoint    // of function consistent, sorted
	all      shardSet
}

// ringPoint is a place on the ring of function consistent: keys from the point before it up to itself are the shard's.
type ringPoint struct {
	at    uint64
	shard int
}

// pointsPerWeight is how many points a shard of weight 1 has on the ring.
const pointsPerWeight = 160

// shardSet is a set of shards.
type shardSet [1024 / 64]uint64

func (s *shardSet) add(shard int)      { s[shard/64] |= 1 << (shard % 64) }
func (s *shardSet) has(shard int) bool { return s[shard/64]&(1<<(shard%64)) != 0 }

// all goes through the shards of the set, however many there are in the map.
func (s *shardSet) all() iter.Seq[int] {
	return func(yield func(int) bool) {
		for i, word := range s {
			for ; word != 0; word &= word - 1 {
				if !yield(i*64 + bits.TrailingZeros64(word)) {
					return
				}
			}
		}
	}
}

func (s *shardSet) intersect(t *shardSet) {
	for i := range s {
		s[i] &= t[i]
	}
}

func (s *shardSet) unite(t *shardSet) {
	for i := range s {
		s[i] |= t[i]
	}
}

func newSharding(m *config.ShardMap, backend func(name string) (int, error)) (*sharding, error) {
	s := &sharding{name: m.Name, function: m.Function, others: -1, list: map[string]int{}}
	for i, one := range m.Shards {
		at, err := backend(one.Backend)
		if err != nil {
			return nil, err
		}
		s.shards, s.backends = append(s.shards, one.Name), append(s.backends, at)
		s.all.add(i)
		if one.Others {
			s.others = i
		}
	}
	switch m.Function {
	case config.Dates, config.Day, config.Month, config.Year:
		s.moments = true
	}
	switch m.Function {
	case config.List:
		for i, one := range m.Shards {
			for _, v := range one.Holds {
				var k key
				if fault := k.value(Value{Kind: ValueBytes, Bytes: []byte(v)}, false); fault != keyGood {
					return nil, fmt.Errorf("shard %s: %q %s", one.Name, v, keyFaults[fault])
				}
				s.list[string(k.canonical(nil))] = i
			}
		}
	case config.Consistent:
		for i, one := range m.Shards {
			for n := range max(one.Weight, 1) * pointsPerWeight {
				s.ring = append(s.ring, ringPoint{mix(fnv(offset, []byte(strings.ToLower(one.Name)+"-"+strconv.Itoa(n)))), i})
			}
		}
		slices.SortFunc(s.ring, func(a, b ringPoint) int {
			return cmp.Or(cmp.Compare(a.at, b.at), cmp.Compare(a.shard, b.shard))
		})
	case config.Hash, config.Modulo, config.CRC32, config.Day, config.Month, config.Year:
		s.slots, s.spans = uint64(m.SlotCount()), m.Spans()
		for n := range s.slots {
			shard, _ := s.held(config.Point{Low: n})
			s.holder = append(s.holder, uint16(shard))
		}
	case config.Range, config.Dates:
		s.spans = m.Spans()
	default:
		return nil, fmt.Errorf("there is no sharding function %q", m.Function)
	}
	return s, nil
}

// ordered tells whether neighbouring keys are in the same shard or in neighbouring ones, so that an interval is few shards.
func (m *sharding) ordered() bool { return m.moments || m.function == config.Range }

// shard is the shard of a key of one column, as it was read for this map.
func (m *sharding) shard(k *key) (int, keyFault) {
	switch m.function {
	case config.Hash:
		return m.slot(k.hash()), keyGood
	case config.Consistent:
		return m.around(k.hash()), keyGood
	case config.CRC32:
		if k.folded {
			return 0, keyFolded
		}
		var digits [24]byte
		return m.slot(uint64(checksum(0, k.canonical(digits[:0])))), keyGood
	case config.List:
		var digits [24]byte
		if i, held := m.list[string(k.canonical(digits[:0]))]; held {
			return i, keyGood
		}
		if m.others < 0 {
			return 0, keyNowhere
		}
		return m.others, keyGood
	case config.Modulo:
		if k.text {
			return 0, keyInteger
		}
		r := k.size % m.slots
		if k.negative && r != 0 {
			r = m.slots - r
		}
		return m.slot(r), keyGood
	case config.Range:
		if k.text {
			return 0, keyInteger
		}
		return m.held(k.point())
	case config.Dates:
		return m.held(k.moment)
	}
	return m.slot(m.period(k.moment)), keyGood
}

// together is the shard of a key of several columns.
func (m *sharding) together(keys []key) (int, keyFault) {
	var digits [24]byte
	if m.function == config.CRC32 {
		sum := uint32(0)
		for i := range keys {
			if keys[i].folded {
				return 0, keyFolded
			}
			if i > 0 {
				sum = checksum(sum, separator)
			}
			sum = checksum(sum, keys[i].canonical(digits[:0]))
		}
		return m.slot(uint64(sum)), keyGood
	}
	h := uint64(offset)
	for i := range keys {
		if i > 0 {
			h = fnv(h, separator)
		}
		h = fnv(h, keys[i].canonical(digits[:0]))
	}
	if m.function == config.Consistent {
		return m.around(mix(h)), keyGood
	}
	return m.slot(mix(h)), keyGood
}

var separator = []byte{0} // no key contains it

// checksum goes on with CRC32 as of MySQL's function. That of hash/crc32 would move every key to the heap.
func checksum(sum uint32, bytes []byte) uint32 {
	sum = ^sum
	for _, c := range bytes {
		sum = crc32.IEEETable[byte(sum)^c] ^ sum>>8
	}
	return ^sum
}

// slot is the shard that holds a number's slot.
func (m *sharding) slot(n uint64) int {
	return int(m.holder[n%m.slots])
}

// held is the shard that holds a point.
func (m *sharding) held(p config.Point) (int, keyFault) {
	i, found := slices.BinarySearchFunc(m.spans, p, func(s config.Span, p config.Point) int { return s.From.Compare(p) })
	if !found {
		i--
	}
	if i < 0 || m.spans[i].To.Compare(p) < 0 {
		return 0, keyNowhere
	}
	return m.spans[i].Shard, keyGood
}

// around is the shard of a place on the ring.
func (m *sharding) around(h uint64) int {
	i, _ := slices.BinarySearchFunc(m.ring, h, func(p ringPoint, h uint64) int {
		if p.at < h {
			return -1
		}
		return 1
	})
	if i == len(m.ring) {
		i = 0
	}
	return m.ring[i].shard
}

const microsPerDay = 24 * 60 * 60 * 1_000_000

// period is the number of the day, month or year of a moment, counted from the year 0 on.
func (m *sharding) period(p config.Point) uint64 {
	const toYear0 = 719528 // days from 0000-01-01 to 1970-01-01
	micros := int64(p.Low)
	days := micros / microsPerDay
	if micros < 0 && micros%microsPerDay != 0 {
		days--
	}
	days += toYear0
	if m.function == config.Day {
		return uint64(days)
	}
	year, month := civil(days)
	if m.function == config.Month {
		return uint64(year*12 + month - 1)
	}
	return uint64(year)
}

// civil is the year and month of a day counted from 0000-01-01, in the proleptic Gregorian calendar.
func civil(days int64) (year, month int64) {
	days -= 60 // from 0000-03-01, so that leap days end a year
	era := days / 146097
	if days < 0 {
		era = (days - 146096) / 146097
	}
	of := days - era*146097
	y := (of - of/1460 + of/36524 - of/146096) / 365
	day := of - (365*y + y/4 - y/100)
	m := (5*day + 2) / 153
	year, month = y+era*400, m+3
	if month > 12 {
		year, month = year+1, month-12
	}
	return year, month
}

// between adds the shards of all keys from a to b; a nil one is an open end. It may add more than those.
func (m *sharding) between(a, b *key, to *shardSet) {
	if !m.ordered() || a != nil && a.text || b != nil && b.text {
		*to = m.all
		return
	}
	var low, high config.Point
	switch {
	case m.moments && m.function != config.Dates:
		if a == nil || b == nil {
			*to = m.all
			return
		}
		from, end := m.period(a.moment), m.period(b.moment)
		if end >= from && end-from >= m.slots {
			*to = m.all
			return
		}
		for n := from; n <= end; n++ {
			to.add(m.slot(n))
		}
		return
	case m.function == config.Dates:
		if a != nil {
			low = a.moment
		}
		if b != nil {
			high = b.moment
		}
	default:
		if a != nil {
			low = a.point()
		}
		if b != nil {
			high = b.point()
		}
	}
	for _, s := range m.spans {
		if (a == nil || s.To.Compare(low) >= 0) && (b == nil || s.From.Compare(high) <= 0) {
			to.add(s.Shard)
		}
	}
}
