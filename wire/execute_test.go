package wire

import (
	"bytes"
	"net"
	"testing"
)

// executePacket is an EXECUTE of statement 7 with parameters of every length class: TINY unsigned 200, NULL, VAR_STRING
// "ab", LONGLONG -2, DATETIME of 4 bytes, and a BLOB sent as long data.
func executePacket(types bool) []byte {
	p := []byte{7, 0, 0, 0, CursorReadOnly, 1, 0, 0, 0, 0b00000010}
	if types {
		p = append(p, 1, byte(TypeTiny), unsignedFlag, byte(TypeLong), 0, byte(TypeVarString), 0, byte(TypeLongLong), 0,
			byte(TypeDatetime), 0, byte(TypeBlob), 0)
	} else {
		p = append(p, 0)
	}
	p = append(p, 200, 2, 'a', 'b')
	p = append(p, 0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff)
	return append(p, 4, 0xe8, 7, 1, 1)
}

func TestParseExecute(t *testing.T) {
	long := func(i int) bool { return i == 5 }
	var e Execute
	if err := e.Parse(executePacket(true), 6, nil, long, 0); err != nil {
		t.Fatal(err)
	}
	types := bytes.Clone(e.Types)
	for _, again := range []bool{true, false} { // the second time without types
		if err := e.Parse(executePacket(again), 6, types, long, 0); err != nil {
			t.Fatal(err)
		}
		if v, ok := e.Integer(0); e.ID != 7 || e.Flags != CursorReadOnly || !ok || v != 200 {
			t.Errorf("first parameter: %d %v", v, ok)
		}
		if v, ok := e.Integer(3); !ok || int64(v) != -2 {
			t.Errorf("a negative number: %d %v", int64(v), ok)
		}
		if text, ok := e.Text(2); !ok || string(text) != "ab" {
			t.Errorf("a string: %q %v", text, ok)
		}
		if _, ok := e.Text(4); ok || !e.Null(1) || e.Null(0) || len(e.Raw(1)) != 0 || len(e.Raw(5)) != 0 || len(e.Raw(4)) != 5 {
			t.Errorf("parts: %q %q %q", e.Raw(1), e.Raw(4), e.Raw(5))
		}
	}
	if err := e.Parse(executePacket(false), 6, nil, long, 0); err == nil {
		t.Error("a first execution without types is accepted")
	}
	p := executePacket(true)
	for n := range p {
		if err := e.Parse(p[:n], 6, nil, long, 0); err == nil {
			t.Errorf("an argument cut after %d bytes is accepted", n)
		}
	}
	if err := e.Parse(p[:executeHead], 0, nil, nil, 0); err != nil {
		t.Errorf("no parameters: %v", err)
	}
}

// TestSendExecute sends what Parse found and parses it again.
func TestSendExecute(t *testing.T) {
	a, b := net.Pipe()
	defer a.Close()
	defer b.Close()
	client, server := NewConn(a, 0), NewConn(b, 0)
	var e, got Execute
	if err := e.Parse(executePacket(true), 6, nil, func(i int) bool { return i == 5 }, 0); err != nil {
		t.Fatal(err)
	}
	go func() {
		if err := client.SendExecute(9, e.Flags, e.Nulls, e.Types, e.Values); err != nil {
			t.Error(err)
		}
	}()
	cmd, arg, err := server.ReadCommand()
	if err != nil || cmd != ComStmtExecute {
		t.Fatal(cmd, err)
	}
	if err := got.Parse(arg, 6, nil, func(i int) bool { return i == 5 }, 0); err != nil || got.ID != 9 || !bytes.Equal(got.Values, e.Values) {
		t.Errorf("got %+v, %v", got, err)
	}
}

func FuzzParseExecute(f *testing.F) {
	f.Add(executePacket(true), 6)
	f.Add(executePacket(false), 6)
	f.Fuzz(func(t *testing.T, p []byte, params int) {
		if params < 0 || params > 1<<16 {
			return
		}
		var e Execute
		if e.Parse(p, params, nil, nil, 0) != nil {
			return
		}
		total := 0
		for i := range params {
			total += len(e.Raw(i))
			if !e.Null(i) {
				e.Integer(i)
				e.Text(i)
			}
		}
		if total > len(p) {
			t.Errorf("values of %d bytes in a packet of %d", total, len(p))
		}
	})
}

// TestAppendMoment: the forms of https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_binary_resultset.html
func TestAppendMoment(t *testing.T) {
	for _, c := range []struct {
		kind Type
		raw  []byte
		want string
	}{
		{TypeDate, []byte{4, 0xea, 7, 1, 31}, "2026-01-31"},
		{TypeDatetime, []byte{0}, "0000-00-00"},
		{TypeDatetime, []byte{4, 0xea, 7, 12, 1}, "2026-12-01"},
		{TypeTimestamp, []byte{7, 0xea, 7, 1, 31, 23, 59, 8}, "2026-01-31 23:59:08"},
		{TypeDatetime, []byte{11, 0xea, 7, 1, 31, 0, 0, 0, 0x20, 0xa1, 7, 0}, "2026-01-31 00:00:00.500000"},
	} {
		arg := append([]byte{1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, byte(c.kind), 0}, c.raw...)
		arg = append(arg, 0xff) // what comes behind is not the value's
		var e Execute
		if err := e.Parse(arg[:len(arg)-1], 1, nil, func(int) bool { return false }, 0); err != nil {
			t.Fatal(err)
		}
		if got, ok := e.AppendMoment(nil, 0); !ok || string(got) != c.want {
			t.Errorf("%v is %q, %t; want %q", c.raw, got, ok, c.want)
		}
		if arg[len(arg)-1] != 0xff {
			t.Error("the packet was changed")
		}
	}
}
