package router

import (
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/xaproxy/xaproxy/config"
)

// vectors are the rows of the table with this heading in docs/sharding.md, in cells.
func vectors(t *testing.T, heading string) (rows [][]string) {
	t.Helper()
	page, err := os.ReadFile("../docs/sharding.md")
	if err != nil {
		t.Fatal(err)
	}
	m := regexp.MustCompile(`(?m)^\| ` + heading + ` \|.*\n\|[-|]+\|\n((?:\|.*\n)+)`).FindSubmatch(page)
	if m == nil {
		t.Fatalf("no table %q", heading)
	}
	for line := range strings.Lines(string(m[1])) {
		var cells []string
		for cell := range strings.SplitSeq(strings.Trim(line, "|\n"), "|") {
			cells = append(cells, strings.Trim(cell, " `"))
		}
		rows = append(rows, cells)
	}
	return rows
}

// TestVectors: the functions are those of the documentation. They are where data is stored: a change here loses rows.
func TestVectors(t *testing.T) {
	ring := &config.ShardMap{Function: config.Consistent, Shards: []config.Shard{{Name: "a"}, {Name: "b"}, {Name: "c"}}}
	consistent, err := newSharding(ring, func(string) (int, error) { return 0, nil })
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range vectors(t, "key") {
		got := []string{row[0]}
		keys := readKeys(t, row[0])
		place := func(m *sharding) string {
			shard, fault := m.together(keys)
			if len(keys) == 1 {
				one, alone := m.shard(&keys[0])
				if m.function != config.Modulo && (one != shard || alone != fault) {
					t.Errorf("%s: %d alone, %d as one of several", row[0], one, shard)
				}
				shard, fault = one, alone
			}
			if fault != keyGood || len(keys) > 1 && m.function == config.Modulo {
				return "–"
			}
			return fmt.Sprint(m.shards[shard])
		}
		h := "–"
		if len(keys) == 1 {
			h = fmt.Sprintf("%016x", keys[0].hash())
		}
		got = append(got, h, place(slots("hash", 4)), place(slots("crc32", 16)), place(slots("modulo", 4)), place(consistent))
		if fmt.Sprint(got) != fmt.Sprint(row) {
			t.Errorf("| `%s` |", strings.Join(got, "` | `"))
		}
	}
	for _, row := range vectors(t, "date") {
		got := []string{row[0]}
		k := key{date: true}
		if fault := k.value(Value{Kind: ValueBytes, Bytes: []byte(row[0])}, false); fault != keyGood {
			t.Fatalf("%s %s", row[0], keyFaults[fault])
		}
		for _, m := range []*sharding{slots("day", 31), slots("month", 12), slots("year", 4)} {
			shard, _ := m.shard(&k)
			got = append(got, m.shards[shard])
		}
		if fmt.Sprint(got) != fmt.Sprint(row) {
			t.Errorf("| `%s` |", strings.Join(got, "` | `"))
		}
	}
}

// readKeys reads a key as the documentation has it: literals with commas between them.
func readKeys(t *testing.T, text string) (keys []key) {
	t.Helper()
	for lit := range strings.SplitSeq(text, ", ") {
		digits, minus := strings.CutPrefix(lit, "-")
		kd := kInt
		if lit[0] == '\'' {
			kd = kString
		}
		var k key
		if fault := k.parse([]byte(digits), kd, minus, 0); fault != keyGood {
			t.Fatalf("%s %s", lit, keyFaults[fault])
		}
		keys = append(keys, k)
	}
	return keys
}

// TestPicksAreEnough: a row that a condition lets through is on one of the backends that the statement goes to, for every function,
// and so is a row that is inserted.
func TestPicksAreEnough(t *testing.T) {
	r := newRouter(t, parseConfig(t, `backend a
backend b
backend c
map hashed hash 8 x=a=0-3 y=b=4-5,7 z=c=6
map crc crc32 5 x=a=0-1 y=b=2 z=c=3-4
map mod modulo 7 x=a=0-1 y=b=2,5 z=c=3-4,6
map ring consistent 0 a=a b=b c=c
map ranged range 0 low=a=..2 mid=b=2..5,7..9 high=c=5..7,9..
map listed list 0 one=a=0,3,4 two=b=1,5 rest=c=*
table s.hashed by k map hashed
table s.crc by k map crc
table s.modulo by k map mod
table s.ring by k map ring
table s.ranged by k map ranged
table s.listed by k map listed
table s.pair by k,j map hashed
table s.pairs by j,k map ring
`))
	random := rand.New(rand.NewPCG(1, 2))
	for range 20_000 {
		name := []string{"hashed", "crc", "modulo", "ring", "ranged", "listed", "pair", "pairs"}[random.IntN(8)]
		where, holds := anyCondition(random, 3)
		p, err := r.Plan([]byte("SELECT * FROM "+name+" WHERE "+where), "s", 0)
		if err != nil {
			t.Fatalf("%s: %v", where, err)
		}
		for k := -2; k < 12; k++ {
			j := (k*k + 3) % 5
			if !holds(k, j) {
				continue
			}
			in, err := r.Plan(fmt.Appendf(nil, "INSERT INTO %s (j, k) VALUES (%d, %d)", name, j, k), "s", 0)
			if err != nil {
				t.Fatal(err)
			}
			if !slices.ContainsFunc(p.Parts, func(x Part) bool { return x.Backend == in.Parts[0].Backend }) {
				t.Fatalf("%s WHERE %s goes to %v, and the row (k %d, j %d) is on %d", name, where, p.Parts, k, j, in.Parts[0].Backend)
			}
		}
	}
}

// anyCondition is a random condition on the integers k and j, and what it means.
func anyCondition(random *rand.Rand, depth int) (sql string, holds func(k, j int) bool) {
	n := func() int { return random.IntN(14) - 2 }
	if depth > 0 && random.IntN(3) > 0 {
		l, left := anyCondition(random, depth-1)
		r, right := anyCondition(random, depth-1)
		if random.IntN(2) == 0 {
			return "(" + l + " AND " + r + ")", func(k, j int) bool { return left(k, j) && right(k, j) }
		}
		return "(" + l + " OR " + r + ")", func(k, j int) bool { return left(k, j) || right(k, j) }
	}
	a, b := n(), n()
	switch random.IntN(11) {
	case 0:
		return fmt.Sprintf("k BETWEEN %d AND %d", a, b), func(k, _ int) bool { return a <= k && k <= b }
	case 1:
		return fmt.Sprintf("k < %d", a), func(k, _ int) bool { return k < a }
	case 2:
		return fmt.Sprintf("%d <= k", a), func(k, _ int) bool { return a <= k }
	case 3:
		return fmt.Sprintf("k IN (%d, '%d')", a, b), func(k, _ int) bool { return k == a || k == b }
	case 4:
		return fmt.Sprintf("j IN (%d, %d)", a, b), func(_, j int) bool { return j == a || j == b }
	case 5:
		return fmt.Sprintf("(j, k) = (%d, %d)", a, b), func(k, j int) bool { return j == a && k == b }
	case 6:
		return fmt.Sprintf("(k, j) IN ((%d, %d), (%d, %d))", a, b, b, a), func(k, j int) bool { return k == a && j == b || k == b && j == a }
	case 7:
		return fmt.Sprintf("NOT k = %d", a), func(k, _ int) bool { return k != a }
	case 8:
		return fmt.Sprintf("k > %d.5", a), func(k, _ int) bool { return float64(k) > float64(a)+math.Copysign(0.5, float64(a)) }
	case 9:
		return fmt.Sprintf("j = %d", a), func(_, j int) bool { return j == a }
	}
	return fmt.Sprintf("%d = k", a), func(k, _ int) bool { return k == a }
}

// TestConsistent: a new shard takes keys from all others, about its share, and no key moves between others.
func TestConsistent(t *testing.T) {
	ring := func(n int) *sharding {
		m := &config.ShardMap{Function: config.Consistent}
		for i := range n {
			m.Shards = append(m.Shards, config.Shard{Name: fmt.Sprint("s", i), Weight: 1 + i%2})
		}
		s, err := newSharding(m, func(string) (int, error) { return 0, nil })
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	before, after := ring(4), ring(5)
	moved := 0
	var count [5]int
	for i := range 20_000 {
		var k key
		if fault := k.value(Value{Kind: ValueInt, Int: int64(i)}, false); fault != keyGood {
			t.Fatal(keyFaults[fault])
		}
		a, _ := before.shard(&k)
		b, _ := after.shard(&k)
		count[b]++
		switch {
		case b == 4:
			moved++
		case a != b:
			t.Fatalf("%d moved from %d to %d", i, a, b)
		}
	}
	for i, c := range count { // weights 1 2 1 2 1
		if want := 20_000 * (1 + i%2) / 7; c < want*8/10 || c > want*12/10 {
			t.Errorf("shard %d has %d keys, its share is %d", i, c, want)
		}
	}
}
