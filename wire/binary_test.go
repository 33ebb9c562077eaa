package wire

import (
	"fmt"
	"testing"
)

// The forms are those of the examples in page_protocol_binary_resultset.
func TestBinary(t *testing.T) {
	for _, c := range []struct {
		column Column
		text   string
		want   string
	}{
		{Column{Type: TypeLongLong}, "-2", "feffffffffffffff"},
		{Column{Type: TypeLongLong, Flags: FlagUnsigned}, "18446744073709551615", "ffffffffffffffff"},
		{Column{Type: TypeLongLong}, "x", ""},
		{Column{Type: TypeDouble}, "10.2", "6666666666662440"},
		{Column{Type: TypeDatetime}, "2010-10-17 19:27:30.000001", "da070a11131b1e01000000"},
		{Column{Type: TypeDatetime}, "soon", ""},
		{Column{Type: TypeNewDecimal}, "1.50", "312e3530"},
		{Column{Type: TypeVarString}, "", ""},
	} {
		if got := fmt.Sprintf("%x", Binary(&c.column, []byte(c.text))); got != c.want {
			t.Errorf("%s as %x: %s, want %s", c.text, byte(c.column.Type), got, c.want)
		}
	}
	if Binary(&Column{Type: TypeVarString}, nil) != nil || Binary(&Column{Type: TypeVarString}, []byte{}) == nil {
		t.Error("NULL and the empty string are the same")
	}
}
