package wire

import (
	"bytes"
	"testing"
)

// TestRecording: what is written as an answer can be read as one, whatever its size, and of one that is too large nothing is kept.
func TestRecording(t *testing.T) {
	for _, caps := range []Capability{DeprecateEOF, 0} {
		for _, limit := range []int64{0, 1 << 20} {
			r := NewRecording(caps, limit)
			var want [][]byte
			if err := r.WriteColumns([][]byte{Column{Name: "a", Type: TypeVarString}.Append(nil)}, 0); err != nil {
				t.Fatal(err)
			}
			for n := range 300 {
				row := AppendString(nil, bytes.Repeat([]byte{byte(n)}, n*n))
				want = append(want, row)
				if err := r.WritePacket(row); err != nil {
					t.Fatal(err)
				}
			}
			if err := r.WriteEOF(OK{Warnings: 7}); err != nil {
				t.Fatal(err)
			}
			if err := r.Rewind(); err != nil {
				t.Fatal(err)
			}
			if limit > 0 {
				if !r.Overrun() || r.Size() < limit {
					t.Errorf("%d bytes are not more than %d", r.Size(), limit)
				}
				continue
			}
			rows, err := r.ReadColumns()
			if err != nil || len(rows.Columns) != 1 || rows.Columns[0].Name != "a" {
				t.Fatal(rows, err)
			}
			for n := range want {
				if row, err := rows.Next(); err != nil || !bytes.Equal(row, want[n]) {
					t.Fatalf("row %d is of %d bytes, want %d; %v", n, len(row), len(want[n]), err)
				}
			}
			if row, err := rows.Next(); row != nil || err != nil || rows.End.Warnings != 7 {
				t.Fatal(row, err, rows.End)
			}
		}
	}
}
