package wire

import (
	"bytes"
	"errors"
	"testing"
)

// TestSetOption: 0 allows several statements, 1 does not, all else is refused as servers do.
func TestSetOption(t *testing.T) {
	for _, c := range []struct {
		arg   string
		on    bool
		errno uint16
	}{{"\x00\x00", true, 0}, {"\x01\x00", false, 0}, {"\x02\x00", false, 1047}, {"\x00\x01", false, 1047}, {"\x00", false, 1835}, {"", false, 1835}, {"\x00\x00\x00", false, 1835}} {
		on, err := ParseSetOption([]byte(c.arg))
		var refused *Error
		if errors.As(err, &refused) && refused.Errno != c.errno || (err != nil) != (c.errno != 0) || on != c.on {
			t.Errorf("%q: %v, %v", c.arg, on, err)
		}
	}
	c := NewConn(nil, 0)
	c.caps = testCaps
	for _, on := range []bool{true, false, true} {
		if c.SetMultiStatements(on); c.Caps().Has(MultiStatements) != on || !c.Caps().Has(testCaps) {
			t.Errorf("%v: %b", on, c.Caps())
		}
	}
}

// TestWriteAnswers: what is neither an OK, an ERR nor a result set.
func TestWriteAnswers(t *testing.T) {
	for caps, want := range map[Capability]string{0: "\xfe\x00\x00\x02\x00", DeprecateEOF: "\xfe\x00\x00\x02\x00\x00\x00"} {
		var out bytes.Buffer
		c := NewConn(bufferConn{Buffer: &out}, 0)
		c.caps, c.seq = caps, 1
		if err := c.WriteEOF(OK{Status: StatusAutocommit}); err != nil {
			t.Fatal(err)
		}
		if err := c.WriteString("Uptime: 1"); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(out.Bytes(), pack(1, []byte(want), []byte("Uptime: 1"))) {
			t.Errorf("%q", out.Bytes())
		}
	}
}

// TestRelayFields: definitions and their end, in both forms.
func TestRelayFields(t *testing.T) {
	answer := func(caps Capability, st Status) [][]byte {
		def := append(Column{Name: "id"}.Append(nil), 1, '0')
		return [][]byte{def, append(def[:len(def):len(def)], 0), OK{Header: headerEOF, Status: st}.Append(nil, caps)}
	}
	for _, caps := range bothForms {
		client, server, out := relayPair(bytes.NewReader(pack(1, answer(caps, StatusAutocommit)...)), caps, caps)
		r := Relay{SetStatus: StatusInTrans}
		res, err := r.Fields(client, server)
		if err != nil || res.Columns != 2 || res.Rows != 0 || res.Err != nil {
			t.Fatal(res, err)
		}
		if !bytes.Equal(out.Bytes(), pack(1, answer(caps, StatusAutocommit|StatusInTrans)...)) {
			t.Errorf("%q", out.Bytes())
		}
	}
	failed := pack(1, (&Error{1146, "42S02", "absent"}).Append(nil, testCaps))
	client, server, out := relayPair(bytes.NewReader(failed), testCaps, testCaps)
	if res, err := new(Relay).Fields(client, server); err != nil || res.Err == nil || !bytes.Equal(out.Bytes(), failed) {
		t.Errorf("%+v, %v", res, err)
	}
}
