package wire

import (
	"bytes"
	"testing"
)

// attributeBlock holds three attributes: a string, NULL and a number, as a client sends them before a statement.
var attributeBlock = append(append([]byte{3, 1, 0b010, 1},
	"\xfe\x00\x05trace\x03\x00\x04none\x08\x80\x01n"...), "\x03abc\x07\x00\x00\x00\x00\x00\x00\x00"...)

// TestSplitQueryAttributes: where the statement begins, and what is no block of attributes.
func TestSplitQueryAttributes(t *testing.T) {
	for _, block := range [][]byte{noAttributes, attributeBlock} {
		arg := append(bytes.Clone(block), "SELECT 1"...)
		attrs, sql, err := SplitQueryAttributes(arg, QueryAttributes)
		if err != nil || !bytes.Equal(attrs, block) || string(sql) != "SELECT 1" {
			t.Errorf("%q, %q, %v", attrs, sql, err)
		}
		if attrs, sql, err := SplitQueryAttributes(arg, 0); err != nil || attrs != nil || !bytes.Equal(sql, arg) {
			t.Errorf("without the capability: %q, %q, %v", attrs, sql, err)
		}
		for n := range block {
			if attrs, sql, err := SplitQueryAttributes(block[:n], QueryAttributes); err == nil {
				t.Errorf("cut at %d: %q, %q", n, attrs, sql)
			}
		}
	}
	for _, bad := range []string{"\x00\x02SELECT 1", "\xfd\xff\xff\xff\x01", "\x01\x01\x00\x00\xfe\x00\x00\x00", "\x01\x01\x00\x01\xf0\x00\x00\x00"} {
		if attrs, sql, err := SplitQueryAttributes([]byte(bad), QueryAttributes); err == nil {
			t.Errorf("%q: %q, %q", bad, attrs, sql)
		}
	}
}

// TestSendQuery: the block goes only to servers that read one, there always, in one packet and without allocation.
func TestSendQuery(t *testing.T) {
	for _, c := range []struct {
		caps  Capability
		attrs []byte
		want  string
	}{
		{0, nil, "SELECT 1"},
		{0, attributeBlock, "SELECT 1"},
		{QueryAttributes, nil, "\x00\x01SELECT 1"},
		{QueryAttributes, attributeBlock, string(attributeBlock) + "SELECT 1"},
	} {
		var out bytes.Buffer
		conn := NewConn(bufferConn{Buffer: &out}, 0)
		conn.caps, conn.seq = c.caps, 9
		if err := conn.SendQuery(c.attrs, []byte("SELECT "), []byte("1")); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(out.Bytes(), pack(0, append([]byte{byte(ComQuery)}, c.want...))) {
			t.Errorf("%q, want %q", out.Bytes(), c.want)
		}
	}
	sink := &countConn{}
	conn, query := NewConn(sink, 0), []byte("SELECT 1")
	conn.caps = QueryAttributes
	if n := testing.AllocsPerRun(100, func() {
		if err := conn.SendQuery(nil, query, query); err != nil {
			t.Fatal(err)
		}
	}); n != 0 || sink.writes != 101 {
		t.Errorf("%v allocations, %d writes for 101 statements", n, sink.writes)
	}
}

// namedExecute is executePacket from a client with QueryAttributes: its parameters have no names, and two attributes follow.
func namedExecute(types bool) []byte {
	p := []byte{7, 0, 0, 0, CursorReadOnly | executeCounted, 1, 0, 0, 0, 8, 0b10000010}
	if types {
		p = append(p, 1, byte(TypeTiny), unsignedFlag, 0, byte(TypeLong), 0, 0, byte(TypeVarString), 0, 0, byte(TypeLongLong), 0, 0,
			byte(TypeDatetime), 0, 0, byte(TypeBlob), 0, 0, byte(TypeString), 0, 2, 'a', 'b', byte(TypeTiny), 0, 1, 'c')
	} else {
		p = append(p, 0)
	}
	plain := executePacket(types)
	values := plain[len(plain)-17:]
	return append(append(p, values...), 5, 'v', 'a', 'l', 'u', 'e')
}

// TestPlainExecute: attributes are taken off and what is left is what a client without them sends.
func TestPlainExecute(t *testing.T) {
	long := func(i int) bool { return i == 5 }
	var want Execute
	if err := want.Parse(executePacket(true), 6, nil, long); err != nil {
		t.Fatal(err)
	}
	for _, typed := range []bool{true, false} {
		plain, err := PlainExecute(namedExecute(typed), 6, QueryAttributes)
		if err != nil {
			t.Fatal(err)
		}
		var got Execute
		if err := got.Parse(plain, 6, want.Types, long); err != nil {
			t.Fatal(err)
		}
		if got.ID != 7 || got.Flags != CursorReadOnly || !bytes.Equal(got.Nulls, want.Nulls) || !bytes.Equal(got.Types, want.Types) || !bytes.Equal(got.Values, want.Values) {
			t.Errorf("got %+v, want %+v", got, want)
		}
		if arg := namedExecute(typed); !bytes.Equal(must(PlainExecute(arg, 6, 0)), namedExecute(typed)) {
			t.Error("changed without the capability")
		}
	}
	for n := range len(namedExecute(true)) - 23 { // less the values
		if plain, err := PlainExecute(namedExecute(true)[:n], 6, QueryAttributes); err == nil {
			t.Errorf("cut at %d: %x", n, plain)
		}
	}
	bare := []byte{7, 0, 0, 0, 0, 1, 0, 0, 0}
	if got, err := PlainExecute(bytes.Clone(bare), 0, QueryAttributes); err != nil || !bytes.Equal(got, bare) {
		t.Errorf("no parameters: %x, %v", got, err)
	}
	only := append([]byte{7, 0, 0, 0, executeCounted, 1, 0, 0, 0, 1, 0, 1}, "\xfe\x00\x01n\x01v"...)
	if got, err := PlainExecute(only, 0, QueryAttributes); err != nil || !bytes.Equal(got, bare) {
		t.Errorf("attributes only: %x, %v", got, err)
	}
	if got, err := PlainExecute(append(bytes.Clone(bare), 5), 6, QueryAttributes); err == nil {
		t.Errorf("fewer parameters than the statement has: %x", got)
	}
}

func must(p []byte, err error) []byte {
	if err != nil {
		panic(err)
	}
	return p
}

// TestSendExecuteNamed: a server with QueryAttributes gets the form that they ask for, which is the plain one again when
// they are taken off.
func TestSendExecuteNamed(t *testing.T) {
	var out bytes.Buffer
	conn := NewConn(bufferConn{Buffer: &out}, 0)
	conn.caps = QueryAttributes
	var e Execute
	if err := e.Parse(executePacket(true), 6, nil, func(i int) bool { return i == 5 }); err != nil {
		t.Fatal(err)
	}
	if err := conn.SendExecute(7, e.Flags, e.Nulls, e.Types, e.Values); err != nil {
		t.Fatal(err)
	}
	cmd, arg, err := NewConn(bufferConn{Buffer: &out}, 0).ReadCommand()
	if err != nil || cmd != ComStmtExecute || arg[4] != CursorReadOnly|executeCounted || arg[9] != 6 {
		t.Fatalf("%s %x, %v", cmd, arg, err)
	}
	if got := must(PlainExecute(arg, 6, QueryAttributes)); !bytes.Equal(got, executePacket(true)) {
		t.Errorf("%x, want %x", got, executePacket(true))
	}
	if err := conn.SendExecute(7, 0, nil, nil); err != nil {
		t.Fatal(err)
	}
	if _, arg, err := NewConn(bufferConn{Buffer: &out}, 0).ReadCommand(); err != nil || !bytes.Equal(arg, []byte{7, 0, 0, 0, 0, 1, 0, 0, 0}) {
		t.Errorf("no parameters: %x, %v", arg, err)
	}
}

func FuzzQueryAttributes(f *testing.F) {
	f.Add(append(bytes.Clone(attributeBlock), "SELECT 1"...))
	f.Add([]byte("\x00\x01SELECT 1"))
	f.Fuzz(func(t *testing.T, arg []byte) {
		attrs, sql, err := SplitQueryAttributes(arg, QueryAttributes)
		if err != nil {
			return
		}
		if !bytes.Equal(append(bytes.Clone(attrs), sql...), arg) {
			t.Fatalf("%x and %x of %x", attrs, sql, arg)
		}
		if again, rest, err := SplitQueryAttributes(append(bytes.Clone(attrs), 'x'), QueryAttributes); err != nil || !bytes.Equal(again, attrs) || string(rest) != "x" {
			t.Fatalf("%x became %x and %x (%v)", attrs, again, rest, err)
		}
	})
}

func FuzzPlainExecute(f *testing.F) {
	f.Add(namedExecute(true), 6)
	f.Add(namedExecute(false), 6)
	f.Fuzz(func(t *testing.T, arg []byte, params int) {
		if params < 0 || params > maxParameters {
			return
		}
		before := bytes.Clone(arg)
		plain, err := PlainExecute(arg, params, QueryAttributes)
		if err != nil {
			return
		}
		if len(plain) > len(before) || !bytes.Equal(plain[:4], before[:4]) || plain[4] != before[4]&^executeCounted {
			t.Fatalf("%x became %x", before, plain)
		}
		var e Execute
		if e.Parse(plain, params, nil, nil) == nil && !bytes.Contains(before, e.Values) {
			t.Fatalf("values %x are not in %x", e.Values, before)
		}
	})
}
