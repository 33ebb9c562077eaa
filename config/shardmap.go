package config

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
)

// ShardMap says how the keys of rows choose shards, and on which backends these are: an entry of [[shard_maps]].
type ShardMap struct {
	// Name is 1 to 64 characters, unique. Required.
	Name string `toml:"name"`
	// Function turns a key into a slot (hash, modulo, crc32, day, month, year), or into a shard (range, dates, list,
	// consistent). Required. docs/sharding.md defines them.
	Function string `toml:"function"`
	// Slots is how many slots there are, 1 to 65536, for the functions that have slots. The number is part of the data: changing it moves
	// rows to other slots. Default 0: as many as shards.
	Slots int `toml:"slots"`
	// Shards are the shards, 1 to 1024. Several may be on one backend.
	Shards []Shard `toml:"shards"`
}

// Shard is one shard: an entry of [[shard_maps.shards]].
type Shard struct {
	// Name is 1 to 64 characters, unique within the map. Required.
	Name string `toml:"name"`
	// Backend is the name of a [[backends]] entry. Required.
	Backend string `toml:"backend"`
	// Holds says what the shard holds: slots and intervals of them ("0-127", "130"), for range and dates intervals without their
	// upper end ("..1000", "1000..2000", "2026-01-01.."), for list values. Default none: one slot for each shard, in their order.
	Holds []string `toml:"holds"`
	// Others lets the shard of a list hold every value that no shard names. Default false.
	Others bool `toml:"others"`
	// Weight is the shard's share for consistent, 1 to 1000. Default 0, which means 1.
	Weight int `toml:"weight"`
}

// Sharding functions.
const (
	Hash       = "hash"
	Modulo     = "modulo"
	CRC32      = "crc32"
	Consistent = "consistent"
	Range      = "range"
	Dates      = "dates"
	List       = "list"
	Day        = "day"
	Month      = "month"
	Year       = "year"
)

const (
	maxSlots  = 1 << 16
	maxShards = 1024
)

// Point is a place on the line of integers from -2^63 to 2^64-1, or of moments in microseconds since 1970-01-01 00:00:00.
type Point struct {
	Negative bool
	// Low is the value of a point that is not negative, and 2^64 more than that of one that is.
	Low uint64
}

// Compare is negative if p is before q, zero if they are the same, positive if p is behind q.
func (p Point) Compare(q Point) int {
	switch {
	case p.Negative && !q.Negative:
		return -1
	case q.Negative && !p.Negative:
		return 1
	}
	return cmp.Compare(p.Low, q.Low)
}

// Points of integers.
func signed(v int64) Point { return Point{v < 0, uint64(v)} }

var (
	first = signed(math.MinInt64)
	last  = Point{Low: math.MaxUint64}
)

// Span is what a shard holds of slots, integers or moments: those from From to To, both included.
type Span struct {
	From, To Point
	Shard    int // index into Shards
}

// hashes reports whether the function takes any number of columns.
func (m *ShardMap) hashes() bool {
	return m.Function == Hash || m.Function == CRC32 || m.Function == Consistent
}

// slotted reports whether the function has slots.
func (m *ShardMap) slotted() bool {
	switch m.Function {
	case Hash, Modulo, CRC32, Day, Month, Year:
		return true
	}
	return false
}

// SlotCount returns the number of slots of a function that has them.
func (m *ShardMap) SlotCount() int {
	if m.Slots == 0 {
		return len(m.Shards)
	}
	return m.Slots
}

// on reports whether a shard is on the backend.
func (m *ShardMap) on(backend string) bool {
	return slices.ContainsFunc(m.Shards, func(s Shard) bool { return s.Backend == backend })
}

func (m *ShardMap) validate(at section, shards []section, c *Config) {
	at.text("name", m.Name, maxIdentifier)
	if !at.has("function") {
		at.missing("function", "say how a key chooses its shard: hash, modulo, crc32, consistent, range, dates, list, day, month or year")
		return
	}
	at.oneOf("function", m.Function, Hash, Modulo, CRC32, Consistent, Range, Dates, List, Day, Month, Year)
	switch {
	case at.has("slots") && !m.slotted():
		at.wrong("slots", "function %s has no slots; take it out", m.Function)
	case at.has("slots"):
		within(at, "slots", m.Slots, 1, maxSlots)
	}
	if len(m.Shards) < 1 || len(m.Shards) > maxShards {
		at.missing("shards", "a shard map has 1 to %d shards; add [[shard_maps.shards]] entries", maxShards)
		return
	}
	var backends []string
	for i, shard := range shards {
		s := &m.Shards[i]
		shard.text("name", s.Name, maxIdentifier)
		if !shard.has("backend") {
			shard.missing("backend", "name the backend that holds the shard")
			continue
		}
		shard.backend("backend", -1, s.Backend, c)
		if before := c.sameServer(s.Backend, backends); before != "" {
			shard.wrong("backend", "backends %q and %q are the same server, so their shards would be one table; use one backend for both", before, s.Backend)
		}
		backends = append(backends, s.Backend)
		if shard.has("others") && m.Function != List {
			shard.wrong("others", "is for function list; take it out")
		}
		if shard.has("weight") {
			if m.Function != Consistent {
				shard.wrong("weight", "is for function consistent; take it out")
			}
			within(shard, "weight", s.Weight, 1, 1000)
		}
		if shard.has("holds") && m.Function == Consistent {
			shard.wrong("holds", "function consistent spreads all keys by weight; take it out")
		}
	}
	unique(shards, "shard", func(i int) string { return m.Shards[i].Name })
	m.validateHolds(shards, at)
}

// validateHolds checks that the shards hold everything that they must, and nothing twice.
func (m *ShardMap) validateHolds(shards []section, at section) {
	switch m.Function {
	case List:
		m.validateList(shards)
		return
	case Consistent:
		return
	}
	spans := m.read(func(shard, item int, text string) {
		shards[shard].wrongItem("holds", item, "%s", text)
	})
	if at.report.within(at.prefix) {
		return
	}
	for i := range m.Shards {
		if !slices.ContainsFunc(spans, func(s Span) bool { return s.Shard == i }) {
			shards[i].missing("holds", "the shard holds nothing, while others do")
		}
	}
	next := Point{}
	for i, s := range spans {
		if i > 0 && s.From.Compare(spans[i-1].To) <= 0 {
			shards[s.Shard].wrong("holds", "%s is held by shard %q too", m.format(s.From), m.Shards[spans[i-1].Shard].Name)
			return
		}
		if m.slotted() && s.From != next {
			at.wrong("shards", "no shard holds slot %d; every slot from 0 to %d needs one", next.Low, m.SlotCount()-1)
			return
		}
		next = Point{Low: s.To.Low + 1}
	}
	if m.slotted() && len(spans) > 0 && next.Low != uint64(m.SlotCount()) {
		at.wrong("shards", "no shard holds slot %d; every slot from 0 to %d needs one", next.Low, m.SlotCount()-1)
	}
}

func (m *ShardMap) validateList(shards []section) {
	holder, others := map[string]int{}, -1
	for i := range m.Shards {
		s := &m.Shards[i]
		if len(s.Holds) == 0 && !s.Others {
			shards[i].missing("holds", `list the values, or write "others = true" for all that no shard names`)
		}
		if s.Others && others >= 0 {
			shards[i].wrong("others", "shard %q has it already", m.Shards[others].Name)
		}
		if s.Others {
			others = i
		}
		for j, v := range s.Holds {
			if before, held := holder[fold(v)]; held {
				shards[i].wrongItem("holds", j, "%q is held by shard %q already", v, m.Shards[before].Name)
			}
			holder[fold(v)] = i
		}
	}
}

// Spans returns what the shards of a valid map hold, in order, for all functions but list and consistent.
func (m *ShardMap) Spans() []Span { return m.read(func(int, int, string) {}) }

// read reads Holds; wrong is told of what cannot be read.
func (m *ShardMap) read(wrong func(shard, item int, text string)) (spans []Span) {
	given := slices.ContainsFunc(m.Shards, func(s Shard) bool { return len(s.Holds) > 0 })
	for i := range m.Shards {
		if m.slotted() && !given { // even shares, in order
			n, all := uint64(m.SlotCount()), uint64(len(m.Shards))
			if low, end := uint64(i)*n/all, (uint64(i)+1)*n/all; low < end {
				spans = append(spans, Span{Point{Low: low}, Point{Low: end - 1}, i})
			}
			continue
		}
		for j, text := range m.Shards[i].Holds {
			s, err := m.span(text)
			if err != "" {
				wrong(i, j, err)
				continue
			}
			s.Shard = i
			spans = append(spans, s)
		}
	}
	slices.SortStableFunc(spans, func(a, b Span) int { return a.From.Compare(b.From) })
	return spans
}

// span reads one item of Holds. The text says what is wrong.
func (m *ShardMap) span(item string) (s Span, _ string) {
	if m.slotted() {
		from, to, interval := strings.Cut(item, "-")
		if !interval {
			to = from
		}
		low, err := strconv.ParseUint(from, 10, 64)
		high, err2 := strconv.ParseUint(to, 10, 64)
		if err != nil || err2 != nil || low > high || high >= uint64(m.SlotCount()) {
			return s, fmt.Sprintf(`%q is not a slot from 0 to %d, nor an interval of slots such as "0-%d"`, item, m.SlotCount()-1, m.SlotCount()-1)
		}
		return Span{From: Point{Low: low}, To: Point{Low: high}}, ""
	}
	read, example := integer, `"..1000", "1000..2000" or "2000.."`
	if m.Function == Dates {
		read, example = Moment, `"..2026-01-01", "2026-01-01..2026-07-01" or "2026-07-01.."`
	}
	from, to, interval := strings.Cut(item, "..")
	bad := fmt.Sprintf("%q is no interval; write it without its upper end, as %s", item, example)
	if !interval {
		return s, bad
	}
	s = Span{From: first, To: last}
	if from != "" {
		p, ok := read(from)
		if !ok {
			return s, bad
		}
		s.From = p
	}
	if to != "" {
		p, ok := read(to)
		if !ok || p.Compare(s.From) <= 0 {
			return s, bad
		}
		s.To = Point{p.Negative || p.Low == 0, p.Low - 1}
	}
	return s, ""
}

// integer reads a number from -2^63 to 2^64-1.
func integer(text string) (Point, bool) {
	if v, err := strconv.ParseInt(text, 10, 64); err == nil {
		return signed(v), true
	}
	v, err := strconv.ParseUint(text, 10, 64)
	return Point{Low: v}, err == nil
}

// Moment reads a date or a date with a time of day, as MySQL writes them: 2026-01-31, 2026-01-31 23:59:59.5.
func Moment(text string) (Point, bool) {
	layout := "2006-01-02 15:04:05.999999"
	if len(text) == len("2006-01-02") {
		layout = time.DateOnly
	}
	t, err := time.Parse(layout, text)
	if err != nil || len(text) > len("2006-01-02 15:04:05.999999") {
		return Point{}, false
	}
	return signed(t.UnixMicro()), true
}

// format writes a place for a message.
func (m *ShardMap) format(p Point) string {
	switch {
	case m.Function == Dates:
		return time.UnixMicro(int64(p.Low)).UTC().Format(time.DateTime)
	case p.Negative:
		return strconv.FormatInt(int64(p.Low), 10)
	case m.slotted():
		return "slot " + strconv.FormatUint(p.Low, 10)
	}
	return strconv.FormatUint(p.Low, 10)
}
