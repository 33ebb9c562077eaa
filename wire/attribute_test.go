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

// TestParseNamedExecute: parameters are those that a client without attributes sends, and attributes come behind them.
func TestParseNamedExecute(t *testing.T) {
	long := func(i int) bool { return i == 5 }
	var want Execute
	if err := want.Parse(executePacket(true), 6, nil, long, 0); err != nil {
		t.Fatal(err)
	}
	for _, typed := range []bool{true, false} { // without types those of attributes are unknown
		var got Execute
		if err := got.Parse(namedExecute(typed), 6, want.Types, long, QueryAttributes); err != nil {
			t.Fatal(err)
		}
		if got.ID != 7 || got.Flags != CursorReadOnly || !got.Null(1) || got.Null(5) || !bytes.Equal(got.Types, want.Types) || !bytes.Equal(got.Values, want.Values) {
			t.Errorf("got %+v, want %+v", got, want)
		}
		if a := got.Attributes; typed && (a.n != 2 || string(a.types) != "\xfe\x00\x02ab\x01\x00\x01c" || string(a.values) != "\x05value") || !typed && a.n != 0 {
			t.Errorf("attributes %+v", a)
		}
	}
	for n := range namedExecute(true) {
		var e Execute
		if err := e.Parse(namedExecute(true)[:n], 6, nil, long, QueryAttributes); err == nil {
			t.Errorf("cut at %d: %+v", n, e)
		}
	}
	var e Execute
	bare := []byte{7, 0, 0, 0, 0, 1, 0, 0, 0}
	if err := e.Parse(bare, 0, nil, nil, QueryAttributes); err != nil || e.Attributes.n != 0 {
		t.Errorf("no parameters: %+v, %v", e, err)
	}
	if err := e.Parse(onlyAttributes(), 0, nil, nil, QueryAttributes); err != nil || e.Flags != 0 || e.Attributes.n != 1 || string(e.Attributes.values) != "\x01v" {
		t.Errorf("attributes only: %+v, %v", e, err)
	}
	if err := e.Parse(append(bare, 5), 6, nil, nil, QueryAttributes); err == nil {
		t.Errorf("fewer parameters than the statement has: %+v", e)
	}
}

// onlyAttributes is an execution without parameters and with an attribute.
func onlyAttributes() []byte {
	return append([]byte{7, 0, 0, 0, executeCounted, 1, 0, 0, 0, 1, 0, 1}, "\xfe\x00\x01n\x01v"...)
}

// TestSendExecuteNamed: a server with QueryAttributes gets what a client with them has sent, with the attributes behind the
// parameters that it gets, and one without gets the parameters.
func TestSendExecuteNamed(t *testing.T) {
	sent := func(caps Capability, e *Execute, nulls, types []byte) []byte {
		var out bytes.Buffer
		conn := NewConn(bufferConn{Buffer: &out}, 0)
		conn.caps = caps
		if err := conn.SendExecuteWith(e.Attributes, 7, e.Flags, nulls, types, e.Values); err != nil {
			t.Fatal(err)
		}
		cmd, arg, err := NewConn(bufferConn{Buffer: &out}, 0).ReadCommand()
		if err != nil || cmd != ComStmtExecute {
			t.Fatalf("%s %x, %v", cmd, arg, err)
		}
		return arg
	}
	var e Execute
	if err := e.Parse(namedExecute(true), 6, nil, func(i int) bool { return i == 5 }, QueryAttributes); err != nil {
		t.Fatal(err)
	}
	if got := sent(QueryAttributes, &e, e.Nulls, e.Types); !bytes.Equal(got, namedExecute(true)) {
		t.Errorf("%x, want %x", got, namedExecute(true))
	}
	plain := executePacket(true)
	plain[9] = e.Nulls[0] // bits behind the last parameter mean nothing
	if got := sent(0, &e, e.Nulls, e.Types); !bytes.Equal(got, plain) {
		t.Errorf("without the capability %x, want %x", got, plain)
	}
	e.Values = nil
	for params := range 20 { // attributes of the same execution behind fewer and more parameters, all of them NULL
		nulls, types := bytes.Repeat([]byte{0xff}, (params+7)/8), bytes.Repeat([]byte{byte(TypeTiny), 0}, params)
		var again Execute
		if err := again.Parse(sent(QueryAttributes, &e, nulls, types), params, nil, nil, QueryAttributes); err != nil {
			t.Fatal(params, err)
		}
		a := again.Attributes
		null := func(i int) bool { return a.nulls[i/8]>>(i%8)&1 == 1 }
		if a.n != 2 || string(a.values) != "\x05value" || null(a.first) || !null(a.first+1) || params > 0 && !again.Null(params-1) {
			t.Errorf("%d parameters: %+v", params, again)
		}
	}
	if err := e.Parse(onlyAttributes(), 0, nil, nil, QueryAttributes); err != nil {
		t.Fatal(err)
	}
	if got := sent(QueryAttributes, &e, nil, nil); !bytes.Equal(got, onlyAttributes()) {
		t.Errorf("attributes only: %x", got)
	}
	e.Attributes = Attributes{}
	if got := sent(QueryAttributes, &e, nil, nil); !bytes.Equal(got, []byte{7, 0, 0, 0, 0, 1, 0, 0, 0}) {
		t.Errorf("no parameters: %x", got)
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

func FuzzNamedExecute(f *testing.F) {
	f.Add(namedExecute(true), 6)
	f.Add(namedExecute(false), 6)
	f.Add(onlyAttributes(), 0)
	f.Fuzz(func(t *testing.T, arg []byte, params int) {
		if params < 0 || params > maxParameters {
			return
		}
		var e, again Execute
		if e.Parse(arg, params, nil, nil, QueryAttributes) != nil {
			return
		}
		var out bytes.Buffer
		conn := NewConn(bufferConn{Buffer: &out}, 0)
		conn.caps = QueryAttributes
		if err := conn.SendExecuteWith(e.Attributes, e.ID, e.Flags, e.Nulls, e.Types, e.Values); err != nil {
			t.Fatal(err)
		}
		_, sent, err := NewConn(bufferConn{Buffer: &out}, 0).ReadCommand()
		if err != nil {
			t.Fatal(err)
		}
		if err := again.Parse(sent, params, nil, nil, QueryAttributes); err != nil || !bytes.Equal(again.Types, e.Types) || !bytes.Equal(again.Values, e.Values) ||
			again.Attributes.n != e.Attributes.n || !bytes.Equal(again.Attributes.types, e.Attributes.types) || !bytes.Equal(again.Attributes.values, e.Attributes.values) {
			t.Fatalf("%+v became %+v (%v)", e, again, err)
		}
	})
}
