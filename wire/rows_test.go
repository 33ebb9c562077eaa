package wire

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"testing"
)

// TestRows cuts random rows of both protocols into their values, and takes their last columns away.
func TestRows(t *testing.T) {
	types := []Type{TypeTiny, TypeShort, TypeLong, TypeLongLong, TypeFloat, TypeDouble, TypeYear, TypeNewDecimal, TypeVarString, TypeBlob, TypeDatetime, TypeTime, TypeBit}
	r := rand.New(rand.NewPCG(1, 1))
	for range 5000 {
		inBinary := r.IntN(2) > 0
		columns := make([]Column, 1+r.IntN(20))
		values := make([][]byte, len(columns))
		for i := range columns {
			columns[i].Type = types[r.IntN(len(types))]
			n := r.IntN(300)
			if fixed := int(fixedLength[columns[i].Type]); inBinary && fixed > 0 {
				n = fixed
			}
			if r.IntN(4) > 0 {
				values[i] = bytes.Repeat([]byte{byte(i)}, n)
			}
		}
		row := AppendRow(nil, inBinary, columns, values)
		got := make([]Value, len(columns))
		end, err := CutRow(row, inBinary, columns, len(columns), got)
		if err != nil || end != len(row) {
			t.Fatalf("%v; %d of %d bytes", err, end, len(row))
		}
		for i, v := range got {
			if v.Null != (values[i] == nil) || !v.Null && !bytes.Equal(row[v.From:v.To], values[i]) {
				t.Fatalf("column %d is %q, want %q", i, row[v.From:v.To], values[i])
			}
		}
		keep := 1 + r.IntN(len(columns))
		want := AppendRow(nil, inBinary, columns[:keep], values[:keep])
		if cut := TrimRow(row, inBinary, len(columns), keep, got[keep-1].To); !bytes.Equal(cut, want) {
			t.Fatalf("%d of %d columns: %q, want %q", keep, len(columns), cut, want)
		}
		if short := want[:len(want)-1]; keep == len(columns) {
			if _, err := CutRow(short, inBinary, columns, keep, got); err == nil && values[keep-1] != nil && len(values[keep-1]) > 0 {
				t.Fatal(fmt.Errorf("a row that is cut short was read: %q", short))
			}
		}
	}
}
