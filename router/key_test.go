package router

import (
	"fmt"
	"strconv"
	"testing"

	"github.com/xaproxy/xaproxy/config"
)

// TestHash holds the vectors of the sharding functions. They are where data is stored: a change here loses rows.
func TestHash(t *testing.T) {
	for _, v := range []struct {
		literal      string
		minus        bool
		hash         uint64
		hash4, mod4  int
		hash3, mod10 int
	}{
		{"0", false, 0xc1e42af088ff1b2c, 0, 0, 1, 0},
		{"1", false, 0x7c3832dde020d3d6, 2, 1, 1, 1},
		{"2", false, 0xbd857afbb04f894e, 2, 2, 1, 2},
		{"5", true, 0x5af012c7cf07a0b2, 2, 3, 1, 5},
		{"1234567890", false, 0x69b37da874833280, 0, 2, 0, 0},
		{"18446744073709551615", false, 0xa415ffaf93606d58, 0, 3, 2, 5},
		{"9223372036854775808", true, 0x677f31897ff3dc32, 2, 0, 0, 2},
		{"'alice'", false, 0x3507d047a67c08f4, 0, -1, 2, -1},
		{"'550e8400-e29b-41d4-a716-446655440000'", false, 0x65023cca21d643bf, 3, -1, 0, -1},
	} {
		kd := kInt
		if v.literal[0] == '\'' {
			kd = kString
		}
		var k key
		if fault := k.parse([]byte(v.literal), kd, v.minus, 0); fault != keyGood {
			t.Errorf("%s: %s", v.literal, keyFaults[fault])
			continue
		}
		h4, _ := slots("hash", 4).shard(&k)
		h3, _ := slots("hash", 3).shard(&k)
		m4, m10 := -1, -1
		if !k.text {
			m4, _ = slots("modulo", 4).shard(&k)
			m10, _ = slots("modulo", 10).shard(&k)
		}
		if k.hash() != v.hash || h4 != v.hash4 || h3 != v.hash3 || m4 != v.mod4 || m10 != v.mod10 {
			t.Errorf("{%q, %t, %#x, %d, %d, %d, %d},", v.literal, v.minus, k.hash(), h4, m4, h3, m10)
		}
	}
}

// TestSameKey: literals that MySQL may call equal are the same key.
func TestSameKey(t *testing.T) {
	for _, same := range [][]string{
		{"7", "007", "7.0", "7.", "'7'", `"7"`, `'\7'`},
		{"0", "-0", "00", ".0", "0.00", "'0'"},
		{"-7", "-07", "-7.000", "'-7'"},
		{"'Bob'", "'bob'", "'BOB  '", `"bob"`, `'b\ob'`},
		{"'it''s'", `'it\'s'`, `"it's"`},
	} {
		first := hashOf(t, same[0])
		for _, other := range same[1:] {
			if hashOf(t, other) != first {
				t.Errorf("%s and %s are different keys", same[0], other)
			}
		}
	}
}

// hashOf is the hash of a literal that may have a minus sign.
func hashOf(t *testing.T, sql string) uint64 {
	t.Helper()
	l := lexer{src: []byte(sql)}
	tok := l.next()
	minus := tok.kind == kOp
	if minus {
		tok = l.next()
	}
	var k key
	if fault := k.parse([]byte(sql)[tok.start:tok.end], tok.kind, minus, 0); fault != keyGood {
		t.Fatalf("%s: %s", sql, keyFaults[fault])
	}
	return k.hash()
}

// TestSpread: consecutive integers and names fill all shards about equally.
func TestSpread(t *testing.T) {
	const n, shards = 10_000, 7
	for _, form := range []string{"%d", "'user%d'"} {
		var count [shards]int
		for i := range n {
			lit := fmt.Sprintf(form, i)
			kd := kInt
			if lit[0] == '\'' {
				kd = kString
			}
			var k key
			if fault := k.parse([]byte(lit), kd, false, 0); fault != keyGood {
				t.Fatal(keyFaults[fault])
			}
			s, _ := slots("hash", shards).shard(&k)
			count[s]++
		}
		for s, c := range count {
			if c < n/shards*9/10 || c > n/shards*11/10 {
				t.Errorf("%s: shard %d has %d of %d", form, s, c, n)
			}
		}
	}
}

// FuzzInteger: all ways to write an integer are one key, and modulo agrees with Go's arithmetic.
func FuzzInteger(f *testing.F) {
	f.Add(int64(0), byte(3))
	f.Add(int64(-1<<63), byte(7))
	f.Fuzz(func(t *testing.T, v int64, shards byte) {
		n := int64(shards%100) + 1
		text := strconv.FormatInt(v, 10)
		var a, b key
		if fault := a.string([]byte("'"+text+"'"), 0); fault != keyGood {
			t.Fatal(keyFaults[fault])
		}
		digits, minus := text, false
		if v < 0 {
			digits, minus = text[1:], true
		}
		if fault := b.parse([]byte("00"+digits+".00"), kDecimal, minus, 0); fault != keyGood {
			t.Fatal(keyFaults[fault])
		}
		if a.hash() != b.hash() {
			t.Fatalf("%d is two keys", v)
		}
		if m, _ := slots("modulo", int(n)).shard(&a); int64(m) != (v%n+n)%n {
			t.Fatalf("%d modulo %d is %d", v, n, m)
		}
	})
}

// slots is a shard map with one shard for each slot.
func slots(function string, n int) *sharding {
	m := &config.ShardMap{Function: function, Shards: make([]config.Shard, n)}
	for i := range m.Shards {
		m.Shards[i].Name = strconv.Itoa(i)
	}
	s, err := newSharding(m, func(string) (int, error) { return 0, nil })
	if err != nil {
		panic(err)
	}
	return s
}
