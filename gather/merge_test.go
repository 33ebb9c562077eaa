package gather

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"math/big"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/xaproxy/xaproxy/router"
	"github.com/xaproxy/xaproxy/wire"
)

// given is a Source of rows that are there.
type given [][]byte

func (g *given) Next() ([]byte, error) {
	if len(*g) == 0 {
		return nil, nil
	}
	row := (*g)[0]
	*g = (*g)[1:]
	return slices.Clone(row), nil
}

// merged runs a merge over rows.
func merged(spec *router.Stream, inBinary bool, columns []wire.Column, parts ...[][]byte) (out [][]byte, err error) {
	lists := make([][]wire.Column, len(parts))
	sources := make([]Source, len(parts))
	for i := range parts {
		lists[i], sources[i] = columns, (*given)(&parts[i])
	}
	m, err := New(spec, inBinary, lists...)
	if err != nil {
		return nil, err
	}
	if err := m.Open(sources); err != nil {
		return nil, err
	}
	n, err := m.Run(func(row []byte) error {
		out = append(out, slices.Clone(row))
		return nil
	})
	if err == nil && n != uint64(len(out)) {
		err = fmt.Errorf("%d rows were counted, %d written", n, len(out))
	}
	return out, err
}

// kinds are columns with values of theirs in ascending order, as text and as in binary rows.
var kinds = []struct {
	column wire.Column
	text   []string
	binary []string
}{
	{
		wire.Column{Type: wire.TypeLongLong},
		[]string{"-9223372036854775808", "-256", "-1", "0", "1", "255", "9223372036854775807"},
		[]string{le8(math.MinInt64), le8(-256), le8(-1), le8(0), le8(1), le8(255), le8(math.MaxInt64)},
	},
	{wire.Column{Type: wire.TypeTiny}, []string{"-128", "-1", "0", "127"}, []string{"\x80", "\xff", "\x00", "\x7f"}},
	{wire.Column{Type: wire.TypeLong, Flags: wire.FlagUnsigned}, []string{"00000", "00007", "4294967295"}, []string{"\x00\x00\x00\x00", "\x07\x00\x00\x00", "\xff\xff\xff\xff"}},
	{wire.Column{Type: wire.TypeYear, Flags: wire.FlagUnsigned}, []string{"0000", "1999", "2155"}, []string{"\x00\x00", "\xcf\x07", "\x6b\x08"}},
	{
		wire.Column{Type: wire.TypeNewDecimal, Decimals: 3},
		[]string{"-1000.000", "-999.999", "-10.500", "-10.100", "-9.000", "-0.001", "0.000", "0.001", "0.010", "1.000", "1.100", "9.999", "10.000", "123456789012345678901234567890.123"},
		[]string{"-1000.000", "-999.999", "-10.500", "-10.100", "-9.000", "-0.001", "0.000", "0.001", "0.010", "1.000", "1.100", "9.999", "10.000", "123456789012345678901234567890.123"},
	},
	{wire.Column{Type: wire.TypeDouble}, []string{"-1e300", "-2.5", "-1e-300", "0", "1e-300", "0.1", "1e20"}, []string{f8(-1e300), f8(-2.5), f8(-1e-300), f8(0), f8(1e-300), f8(0.1), f8(1e20)}},
	{wire.Column{Type: wire.TypeDate}, []string{"0000-00-00", "0000-01-01", "1999-12-31", "2000-01-01", "9999-12-31"}, []string{"", "\x00\x00\x01\x01", "\xcf\x07\x0c\x1f", "\xd0\x07\x01\x01", "\x0f\x27\x0c\x1f"}},
	{
		wire.Column{Type: wire.TypeDatetime},
		[]string{"2000-01-01 00:00:00", "2000-01-01 00:00:00.000001", "2000-01-01 00:00:00.5", "2000-01-01 00:00:01.000", "2000-01-01 10:00:00"},
		[]string{"\xd0\x07\x01\x01", "\xd0\x07\x01\x01\x00\x00\x00\x01\x00\x00\x00", "\xd0\x07\x01\x01\x00\x00\x00\x20\xa1\x07\x00", "\xd0\x07\x01\x01\x00\x00\x01", "\xd0\x07\x01\x01\x0a\x00\x00"},
	},
	{
		wire.Column{Type: wire.TypeTime},
		[]string{"-838:59:59", "-100:00:00", "-00:00:01.5", "-00:00:01", "00:00:00", "00:00:00.10", "09:00:00", "100:00:00"},
		[]string{"\x01\x22\x00\x00\x00\x16\x3b\x3b", "\x01\x04\x00\x00\x00\x04\x00\x00", "\x01\x00\x00\x00\x00\x00\x00\x01\x20\xa1\x07\x00", "\x01\x00\x00\x00\x00\x00\x00\x01", "", "\x00\x00\x00\x00\x00\x00\x00\x00\xa0\x86\x01\x00", "\x00\x00\x00\x00\x00\x09\x00\x00", "\x00\x04\x00\x00\x00\x04\x00\x00"},
	},
	{wire.Column{Type: wire.TypeBit}, []string{"\x00\x00", "\x00\xff", "\x01\x00"}, []string{"\x00\x00", "\x00\xff", "\x01\x00"}},
}

func le8(n int64) string  { return string(binary.LittleEndian.AppendUint64(nil, uint64(n))) }
func f8(f float64) string { return le8(int64(math.Float64bits(f))) }
func row(v ...any) [][]byte { // nil is NULL
	out := make([][]byte, len(v))
	for i, x := range v {
		if x != nil {
			out[i] = []byte(fmt.Sprint(x))
		}
	}
	return out
}

// TestKeys: keys are in the order of the values, NULL before all, DESC the other way round.
func TestKeys(t *testing.T) {
	for _, k := range kinds {
		for inBinary, values := range map[bool][]string{false: k.text, true: k.binary} {
			for _, desc := range []bool{false, true} {
				one := key{kind: kindOf(&k.column, inBinary), invert: desc}
				last, err := appendKey(nil, &one, inBinary, nil, true)
				if err != nil {
					t.Fatal(err)
				}
				for i, v := range values {
					next, err := appendKey(nil, &one, inBinary, []byte(v), false)
					if err != nil {
						t.Fatalf("type %d: %q: %v", k.column.Type, v, err)
					}
					if c := bytes.Compare(last, next); c == 0 || c < 0 == desc {
						t.Errorf("type %d, binary %v, desc %v: key %x of value %d, %q, and %x of the one before", k.column.Type, inBinary, desc, next, i, v, last)
					}
					last = next
				}
			}
		}
	}
	for _, bad := range []string{"", "-", "x", "1.2.3", "1-1"} {
		if _, err := appendDecimal(nil, []byte(bad)); err == nil {
			t.Errorf("decimal %q was taken", bad)
		}
	}
}

// TestPadded: strings that end in spaces are equal to those that do not; what is less than a space comes before the end.
func TestPadded(t *testing.T) {
	inOrder := []string{"\x01", "a\x01", "a \x01", "a", "a !", "a!", "b"}
	for i, s := range inOrder {
		for j, u := range inOrder {
			for _, spaces := range []string{"", " ", "   "} {
				a, b := appendPadded(nil, []byte(s), []byte(" ")), appendPadded(nil, []byte(u+spaces), []byte(" "))
				if spaces != "" && strings.HasSuffix(u, "\x01") { // not at the end of what counts
					continue
				}
				if got := bytes.Compare(a, b); (got < 0) != (i < j) || (got > 0) != (i > j) {
					t.Errorf("%q and %q compare as %d", s, u+spaces, got)
				}
			}
		}
	}
}

// FuzzMerge: the merge of sorted parts is what sorting all rows gives, in both protocols, with hidden keys, groups and limits.
func FuzzMerge(f *testing.F) {
	for seed := range uint64(64) {
		f.Add(seed, byte(seed), byte(seed*7))
	}
	f.Fuzz(func(t *testing.T, seed uint64, how, limits byte) {
		r := rand.New(rand.NewPCG(seed, 1))
		inBinary, group := how&1 > 0, how&2 > 0
		columns := []wire.Column{{Type: wire.TypeLongLong}, {Type: wire.TypeNewDecimal, Decimals: 2}, {Type: wire.TypeVarString}}
		hidden := r.IntN(3)
		for range hidden {
			columns = append(columns, wire.Column{Type: wire.TypeLongLong})
		}
		spec := &router.Stream{Hidden: hidden, Count: math.MaxUint64, Group: group}
		for range r.IntN(3) {
			at := r.IntN(2)
			if hidden > 0 && r.IntN(2) > 0 {
				at = -1 - r.IntN(hidden)
			}
			spec.Keys = append(spec.Keys, router.SortKey{Column: at, Desc: r.IntN(2) > 0})
		}
		if group {
			spec.Folds = []router.Fold{{Column: 0, Func: router.FoldSum}, {Column: 1, Func: router.FoldMax, Key: router.SortKey{Column: 1}}}
			for _, k := range spec.Keys {
				spec.Folds = slices.DeleteFunc(spec.Folds, func(f router.Fold) bool { return f.Column == k.Column })
			}
		}
		if len(spec.Folds) > 0 && how&4 > 0 {
			spec.Sort = append(spec.Sort, router.GroupSort{Key: -1, Fold: r.IntN(len(spec.Folds)), Desc: how&8 > 0})
			if len(spec.Keys) > 0 {
				spec.Sort = slices.Insert(spec.Sort, r.IntN(2), router.GroupSort{Key: r.IntN(len(spec.Keys)), Fold: -1, Desc: how&16 > 0})
			}
		}
		if limits&1 > 0 {
			spec.Offset = uint64(limits >> 4)
		}
		if limits&2 > 0 {
			spec.Count = uint64(limits >> 2 & 15)
		}
		type line struct {
			n    [3]*int64 // column 0, and column 1 in hundredths
			rest []*int64  // hidden ones
		}
		number := func() *int64 {
			if r.IntN(6) == 0 {
				return nil
			}
			n := r.Int64N(7) - 3
			return &n
		}
		value := func(l *line, at int) *int64 {
			if at < 0 {
				at += len(columns)
			}
			if at > 2 {
				return l.rest[at-3]
			}
			return l.n[at]
		}
		encode := func(l *line) []byte {
			values := make([][]byte, len(columns))
			for i := range columns {
				v := value(l, i)
				switch {
				case i == 2:
					values[i] = []byte(strings.Repeat("x", int(seed%5)))
				case v == nil:
				case i == 1:
					values[i] = decimal(big.NewInt(*v), 2)
				case inBinary:
					values[i] = binary.LittleEndian.AppendUint64(nil, uint64(*v))
				default:
					values[i] = fmt.Append(nil, *v)
				}
			}
			return wire.AppendRow(nil, inBinary, columns, values)
		}
		by := func(a, b *line, column int, desc bool) int {
			x, y := value(a, column), value(b, column)
			c := 0
			switch {
			case x == nil && y != nil, x != nil && y != nil && *x < *y:
				c = -1
			case y == nil && x != nil, x != nil && y != nil && *x > *y:
				c = 1
			}
			if desc {
				c = -c
			}
			return c
		}
		order := func(a, b *line) int {
			for _, k := range spec.Keys {
				if c := by(a, b, k.Column, k.Desc); c != 0 {
					return c
				}
			}
			return 0
		}
		var parts [][][]byte
		var all []*line
		for range 1 + r.IntN(5) {
			var part []*line
			for range r.IntN(12) {
				l := &line{n: [3]*int64{number(), number()}}
				for range hidden {
					l.rest = append(l.rest, number())
				}
				part = append(part, l)
			}
			slices.SortStableFunc(part, order)
			rows := [][]byte{}
			for _, l := range part {
				rows = append(rows, encode(l))
			}
			parts, all = append(parts, rows), append(all, part...)
		}
		slices.SortStableFunc(all, order)
		var want []*line
		for _, l := range all {
			if group && len(want) > 0 && order(want[len(want)-1], l) == 0 {
				last := want[len(want)-1]
				for _, f := range spec.Folds {
					x, y := last.n[f.Column], l.n[f.Column]
					switch {
					case y == nil:
					case x == nil:
						last.n[f.Column] = y
					case f.Func == router.FoldSum:
						sum := *x + *y
						last.n[f.Column] = &sum
					default:
						most := max(*x, *y)
						last.n[f.Column] = &most
					}
				}
				continue
			}
			one := *l
			want = append(want, &one)
		}
		slices.SortStableFunc(want, func(a, b *line) int {
			for _, o := range spec.Sort {
				column := 0
				if o.Key >= 0 {
					column = spec.Keys[o.Key].Column
				} else {
					column = spec.Folds[o.Fold].Column
				}
				if c := by(a, b, column, o.Desc); c != 0 {
					return c
				}
			}
			return 0
		})
		want = want[min(len(want), int(min(spec.Offset, 1<<20))):]
		want = want[:min(len(want), int(min(spec.Count, 1<<20)))]
		got, err := merged(spec, inBinary, columns, parts...)
		if err != nil {
			t.Fatal(err)
		}
		visible := columns[:3]
		if len(got) != len(want) {
			t.Fatalf("%d rows, want %d", len(got), len(want))
		}
		for i, l := range want {
			full := encode(l)
			values := make([]wire.Value, len(columns))
			if _, err := wire.CutRow(full, inBinary, columns, len(columns), values); err != nil {
				t.Fatal(err)
			}
			cut := make([][]byte, 3)
			for i, v := range values[:3] {
				if !v.Null {
					cut[i] = full[v.From:v.To]
				}
			}
			if plain := wire.AppendRow(nil, inBinary, visible, cut); !bytes.Equal(got[i], plain) {
				t.Fatalf("row %d is %q, want %q", i, got[i], plain)
			}
		}
	})
}

// TestUnsorted: rows that do not come in the order of their keys are an error, not a wrong answer.
func TestUnsorted(t *testing.T) {
	columns := []wire.Column{{Type: wire.TypeLong}}
	rows := func(v ...any) (out [][]byte) {
		for _, x := range v {
			out = append(out, wire.AppendTextRow(nil, row(x)))
		}
		return out
	}
	spec := &router.Stream{Keys: []router.SortKey{{}}, Count: math.MaxUint64}
	if got, err := merged(spec, false, columns, rows(1, 2, 4, 3), rows(2, 5)); !errors.Is(err, ErrMerge) || len(got) != 4 {
		t.Errorf("%d rows, %v", len(got), err)
	}
}

// TestUnfit: what cannot be compared by itself is found before anything is written.
func TestUnfit(t *testing.T) {
	for _, c := range []struct {
		column wire.Column
		binary bool
		want   router.Form
	}{
		{wire.Column{Type: wire.TypeFloat}, false, router.Double},
		{wire.Column{Type: wire.TypeTimestamp}, true, router.Moment},
		{wire.Column{Type: wire.TypeVarString}, false, router.Weight},
		{wire.Column{Type: wire.TypeString, Flags: flagEnum}, false, router.Number},
		{wire.Column{Type: wire.TypeJSON}, false, router.Impossible},
		{wire.Column{Type: wire.TypeGeometry}, true, router.Impossible},
	} {
		_, err := New(&router.Stream{Keys: []router.SortKey{{}}}, c.binary, []wire.Column{c.column})
		var unfit *Unfit
		if !errors.As(err, &unfit) || unfit.I != 0 || unfit.Form != c.want {
			t.Errorf("type %d: %v, want form %d", c.column.Type, err, c.want)
		}
	}
	// A weight of a collation that is not known.
	columns := []wire.Column{{Type: wire.TypeVarString}, {Type: wire.TypeVarString}, {Type: wire.TypeVarString}}
	spec := &router.Stream{Keys: []router.SortKey{{Form: router.Weight, At: -2}}, Hidden: 2, Count: 9}
	_, err := merged(spec, false, columns, [][]byte{wire.AppendTextRow(nil, row("a", "A", "klingon_ci"))})
	var unfit *Unfit
	if !errors.As(err, &unfit) || unfit.Form != router.Impossible {
		t.Errorf("an unknown collation: %v", err)
	}
	if _, err = merged(spec, false, columns, [][]byte{wire.AppendTextRow(nil, row("a", nil, "latin1_bin"))}); !errors.Is(err, ErrMerge) {
		t.Errorf("a weight that is missing: %v", err)
	}
	sum := &router.Stream{Group: true, Folds: []router.Fold{{Func: router.FoldSum}}}
	if _, err := New(sum, false, []wire.Column{{Type: wire.TypeDouble}}); !errors.As(err, &unfit) || unfit.Form != router.Impossible {
		t.Errorf("a sum of floating point: %v", err)
	}
}

// TestAverage: the digits of AVG, as both servers give them.
func TestAverage(t *testing.T) {
	for _, c := range []struct {
		sum           int64
		scale, digits int
		count         int64
		want          string
	}{
		{10, 0, 4, 3, "3.3333"},
		{20, 0, 4, 3, "6.6667"},
		{-20, 0, 4, 3, "-6.6667"},
		{1, 0, 4, 20000, "0.0001"},
		{-1, 0, 4, 30000, "0.0000"},
		{300002, 5, 9, 3, "1.000006666"}, // nine digits are a word: the rest is cut off
		{3000020, 6, 10, 3, "1.0000066667"},
		{100, 2, 6, 8, "0.125000"},
	} {
		f := fold{scale: c.scale}
		f.total.SetInt64(c.sum)
		f.n.SetInt64(c.count)
		if got := string(f.average(c.digits)); got != c.want {
			t.Errorf("%d / %d: %s, want %s", c.sum, c.count, got, c.want)
		}
	}
}

// TestTooMuchToSort: groups that are too many to be sorted in memory are found before anything is written; those of a LIMIT are not kept.
func TestTooMuchToSort(t *testing.T) {
	columns := []wire.Column{{Type: wire.TypeLong}, {Type: wire.TypeLongLong}}
	spec := &router.Stream{
		Keys: []router.SortKey{{}}, Group: true, Folds: []router.Fold{{Column: 1}}, Sort: []router.GroupSort{{Key: -1, Desc: true}}, Count: math.MaxUint64,
	}
	var rows [][]byte
	for i := range maxSorted / 16 {
		rows = append(rows, wire.AppendTextRow(nil, row(i, i%1000)))
	}
	var unfit *Unfit
	if got, err := merged(spec, false, columns, rows); !errors.As(err, &unfit) || unfit.Form != router.Impossible || len(got) > 0 {
		t.Errorf("%d rows, %v", len(got), err)
	}
	spec.Count, spec.Offset = 2, 1
	got, err := merged(spec, false, columns, rows)
	if want := [][]byte{wire.AppendTextRow(nil, row(1999, 999)), wire.AppendTextRow(nil, row(2999, 999))}; err != nil || !slices.EqualFunc(got, want, bytes.Equal) {
		t.Errorf("%q, %v, want %q", got, err, want)
	}
}

// TestMakers: servers of different makers send hidden numbers in different lengths and strings as different types; what the client gets must
// be one type.
func TestMakers(t *testing.T) {
	mine := []wire.Column{{Type: wire.TypeVarString}, {Type: wire.TypeLong}}
	theirs := []wire.Column{{Type: wire.TypeBlob}, {Type: wire.TypeLongLong}}
	rows := func(columns []wire.Column, n int, keys ...byte) *given {
		var g given
		for _, k := range keys {
			key := make([]byte, n)
			key[0] = k
			g = append(g, wire.AppendRow(nil, true, columns, [][]byte{{'a' + k}, key}))
		}
		return &g
	}
	spec := &router.Stream{Keys: []router.SortKey{{Column: -1}}, Hidden: 1, Count: math.MaxUint64}
	m, err := New(spec, true, mine, theirs)
	if err != nil {
		t.Fatal(err)
	}
	if err := m.Open([]Source{rows(mine, 4, 1, 3), rows(theirs, 8, 0, 2, 4)}); err != nil {
		t.Fatal(err)
	}
	var got []byte
	if _, err := m.Run(func(row []byte) error { got = append(got, row[len(row)-1]); return nil }); err != nil || string(got) != "abcde" {
		t.Errorf("%q, %v", got, err)
	}
	spec.Keys, spec.Hidden = nil, 0
	if _, err := New(spec, true, mine, theirs); !errors.Is(err, wire.ErrShape) {
		t.Errorf("INT and BIGINT for the client: %v", err)
	}
}
