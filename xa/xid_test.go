package xa_test

import (
	"math"
	"strings"
	"testing"

	"github.com/xaproxy/xaproxy/xa"
)

func TestGTRIDForm(t *testing.T) {
	longest := strings.Repeat("z", xa.MaxDecider)
	for text, want := range map[string]xa.GTRID{
		"xp1.0123abcd.0.0":                       {Coord: "0123abcd"},
		"xp1.3fa94c07.1b.2e4":                    {Coord: "3fa94c07", Epoch: 0x1b, Seq: 0x2e4},
		"xp1.ffffffff.ffffffff.ffffffffffffffff": {Coord: "ffffffff", Epoch: math.MaxUint32, Seq: math.MaxUint64},
		"xp2.0123abcd.0.0.b1":                    {Coord: "0123abcd", Decider: "b1"},
		"xp2.ffffffff.ffffffff.ffffffffffffffff." + longest: {
			Coord: "ffffffff", Epoch: math.MaxUint32, Seq: math.MaxUint64, Decider: longest,
		},
	} {
		got, err := xa.ParseGTRID(text)
		if err != nil || got != want || want.String() != text {
			t.Errorf("%q: parsed %+v (%v), printed %q", text, got, err, want)
		}
		if len(text) > xa.MaxPartLength {
			t.Errorf("%q is %d bytes, longer than %d", text, len(text), xa.MaxPartLength)
		}
	}
}

// TestForeignNames: what is nearly one of our names is nobody's but its maker's.
func TestForeignNames(t *testing.T) {
	for _, text := range []string{
		"", "xp1", "xp1.0123abcd.1", "xp1.0123abcd.1.1.1", "xp2.0123abcd.1.1", "XP1.0123abcd.1.1",
		"xp1.0123ABCD.1.1", "xp1.0123abc.1.1", "xp1.0123abcde.1.1", "xp1.0123abcg.1.1",
		"xp1.0123abcd.01.1", "xp1.0123abcd.1.01", "xp1.0123abcd.A.1", "xp1.0123abcd.+1.1", "xp1.0123abcd.1.0x1",
		"xp2.0123abcd.1.1.", "xp2.0123abcd.1.1.b.1", "xp2.0123abcd.1.1.B1", "xp2.0123abcd.1.1.b'1", "xp2.0123abcd.01.1.b1", "xp1.0123abcd.1.1.b1",
		"xp2.0123abcd.1.1." + strings.Repeat("z", xa.MaxDecider+1), "xp3.0123abcd.1.1.b1",
		"xp1.0123abcd..1", "xp1.0123abcd.1.", "xp1.0123abcd.100000000.1", "xp1.0123abcd.1.10000000000000000",
		" xp1.0123abcd.1.1", "xp1.0123abcd.1.1\x00", "xp1.0123abcd.1.1\n", "xp1.0123abcd.1_0.1",
	} {
		if g, err := xa.ParseGTRID(text); err == nil {
			t.Errorf("%q: parsed as %+v", text, g)
		}
	}
}

func TestXIDAsSQL(t *testing.T) {
	x := xa.XID{GTRID: xa.GTRID{Coord: "0123abcd", Epoch: 10, Seq: 255}, BQUAL: "orders-1"}
	if got, want := x.SQL(), "'xp1.0123abcd.a.ff','orders-1',20041"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

// FuzzParseGTRID: whatever is accepted prints as it was, so no two texts name one transaction, and needs no quoting.
func FuzzParseGTRID(f *testing.F) {
	f.Add("xp1.3fa94c07.1b.2e4")
	f.Add("xp1.0123abcd.01.1")
	f.Add("xp1.'--.1.1")
	f.Add("xp2.0123abcd.1.1.shard-1_a")
	f.Fuzz(func(t *testing.T, text string) {
		g, err := xa.ParseGTRID(text)
		if err != nil {
			return
		}
		if g.String() != text || strings.Trim(text, ".-_0123456789abcdefghijklmnopqrstuvwxyz") != "" {
			t.Errorf("%q parsed as %+v, which prints as %q", text, g, g)
		}
	})
}
