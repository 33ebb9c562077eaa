package wire

import (
	"bytes"
	"errors"
	"reflect"
	"testing"
)

// TestTextResult writes results and reads them back, with and without DeprecateEOF.
func TestTextResult(t *testing.T) {
	cols := []Column{
		{Schema: "s", Table: "t", OrgTable: "o", Name: "n", OrgName: "m", Charset: 45, Length: 80, Type: TypeVarString, Flags: 1, Decimals: 31},
		{Name: "v", Charset: 63, Type: TypeLongLong, Flags: 0x8021},
	}
	rows := [][][]byte{{[]byte("a"), nil}, {{}, bytes.Repeat([]byte("x"), 70_000)}, {nil, nil}}
	for _, caps := range []Capability{Protocol41, Protocol41 | DeprecateEOF} {
		for _, rows := range [][][][]byte{rows, nil} {
			var out bytes.Buffer
			w, r := NewConn(bufferConn{Buffer: &out}, 0), NewConn(bufferConn{Buffer: &out}, 0)
			w.caps, r.caps, w.seq, r.seq = caps, caps, 255, 255
			if err := w.WriteTextResult(cols, rows, OK{Status: StatusAutocommit | StatusMoreResults}); err != nil {
				t.Fatal(err)
			}
			size := out.Len()
			got, err := r.ReadResult(size)
			if err != nil {
				t.Fatal(err)
			}
			want := Rows{OK: OK{Header: headerEOF, Status: StatusAutocommit | StatusMoreResults}, Columns: cols, Values: rows}
			if !reflect.DeepEqual(got, want) {
				t.Errorf("%+v, want %+v", got, want)
			}
			if r.Seq() != w.Seq() || r.Buffered() {
				t.Errorf("next id %d, want %d", r.Seq(), w.Seq())
			}
			w.seq, r.seq = 0, 0
			if err := w.WriteTextResult(cols, rows, OK{}); err != nil {
				t.Fatal(err)
			}
			if _, err := r.ReadResult(20); !errors.Is(err, ErrResultTooLarge) {
				t.Errorf("over the limit: %v", err)
			}
		}
	}
}

// TestReadResult reads the answers that are no result sets.
func TestReadResult(t *testing.T) {
	cursor := OK{Header: headerEOF, Status: StatusCursorExists}.Append(nil, 0)
	infile := append([]byte{headerInfile}, "/etc/hosts"...)
	failed := (&Error{1064, "42000", "syntax"}).Append(nil, testCaps)
	cut := resultSet(testCaps, 3, 10)
	for _, c := range []struct {
		name    string
		caps    Capability
		in      []byte
		want    Rows
		wantErr string
	}{
		{"ok", testCaps, pack(0, OK{Affected: 1 << 40, InsertID: 300, Warnings: 2, Info: "i"}.Append(nil, 0)), Rows{OK: OK{Affected: 1 << 40, InsertID: 300, Warnings: 2, Info: "i"}}, ""},
		{"info without length", testCaps, pack(0, append(OK{}.Append(nil, 0), "Records"...)), Rows{OK: OK{Info: "Records"}}, ""},
		{"err", testCaps, pack(0, failed), Rows{}, "1064 (42000): syntax"},
		{"err amid rows", testCaps, pack(0, append(cut[:4:4], failed)...), Rows{}, "1064 (42000): syntax"},
		{"infile", testCaps, append(pack(0, infile), pack(2, OK{}.Append(nil, 0))...), Rows{}, ""},
		{"cursor of a procedure", Protocol41, pack(0, []byte{1}, Column{Name: "c"}.Append(nil), cursor, []byte("\x011"), cursor), Rows{OK: OK{Header: headerEOF, Status: StatusCursorExists}, Columns: []Column{{Name: "c"}}, Values: [][][]byte{{[]byte("1")}}}, ""},
		{"empty", testCaps, pack(0, nil), Rows{}, "answer: malformed packet"},
		{"no columns", testCaps, pack(0, []byte{0xfc, 0, 0}), Rows{}, "column count: malformed packet"},
		{"column count and more", testCaps, pack(0, []byte{1, 1}), Rows{}, "column count: malformed packet"},
		{"cut", testCaps, pack(0, cut[:3]...), Rows{}, "unexpected EOF"},
		{"bad row", testCaps, pack(0, append(cut[:3:3], []byte{5, 'a'})...), Rows{}, "text row: malformed packet"},
		{"bad column", testCaps, pack(0, []byte{1}, []byte("def")), Rows{}, "column definition: malformed packet"},
	} {
		r := NewConn(&cutConn{in: c.in}, 0)
		r.caps = c.caps
		got, err := r.ReadResult(1000)
		if err == nil {
			err = errors.New("")
		}
		if !reflect.DeepEqual(got, c.want) || err.Error() != c.wantErr {
			t.Errorf("%s: %+v, %v", c.name, got, err)
		}
	}
}

// TestReadResultAllocations: the answer to a preamble costs nothing.
func TestReadResultAllocations(t *testing.T) {
	in := pack(0, OK{Status: StatusMoreResults}.Append(nil, testCaps))
	source := &cutConn{in: in}
	c := NewConn(source, 0)
	c.caps = testCaps
	if n := testing.AllocsPerRun(100, func() {
		source.in, c.seq = in, 0
		if r, err := c.ReadResult(0); err != nil || r.OK.Status != StatusMoreResults {
			t.Fatal(r, err)
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// TestEndsRows: a row that starts with 0xFE is told from what ends the rows by its length.
func TestEndsRows(t *testing.T) {
	for _, c := range []struct {
		caps   Capability
		first  byte
		length int
		want   bool
	}{
		{0, headerEOF, 5, true},
		{0, headerEOF, 8, true},
		{0, headerEOF, 9, false},
		{0, headerEOF, maxChunk, false},
		{0, headerOK, 5, false},
		{DeprecateEOF, headerEOF, 7, true},
		{DeprecateEOF, headerEOF, maxChunk - 1, true},
		{DeprecateEOF, headerEOF, maxChunk, false},
		{DeprecateEOF, headerEOF, 3 * maxChunk, false},
		{DeprecateEOF, headerOK, 7, false},
	} {
		if got := endsRows(c.first, c.length, c.caps); got != c.want {
			t.Errorf("%+v: %v", c, got)
		}
	}
}

// TestAnswered: a connection knows whether the answer to its last command was read to the end.
func TestAnswered(t *testing.T) {
	more := OK{Status: StatusMoreResults}.Append(nil, testCaps)
	ok, end := OK{}.Append(nil, testCaps), OK{Header: headerEOF}.Append(nil, testCaps)
	refused := (&Error{1064, "42000", "no"}).Append(nil, testCaps)
	column, row := Column{Name: "c"}.Append(nil), AppendTextRow(nil, [][]byte{[]byte("v")})
	read := func(c *Conn) { c.ReadResult(1 << 20) } // its error is not what this is about
	relay := func(c *Conn) {
		client := NewConn(bufferConn{Buffer: &bytes.Buffer{}}, 0)
		client.caps = testCaps
		(&Relay{}).Response(client, c)
	}
	prepare := func(c *Conn) { c.ReadPrepared() }
	prepared := append([]byte{0, 1, 0, 0, 0, 1, 0, 0, 0, 0}, 0, 0)
	for name, x := range map[string]struct {
		cmd     Command
		answer  [][]byte
		read    func(*Conn)
		twice   bool
		settled bool
	}{
		"OK":              {ComQuery, [][]byte{ok}, read, false, true},
		"ERR":             {ComQuery, [][]byte{refused}, read, false, true},
		"first of two":    {ComQuery, [][]byte{more, ok}, read, false, false},
		"both of two":     {ComQuery, [][]byte{more, ok}, read, true, true},
		"ERR after one":   {ComQuery, [][]byte{more, refused}, read, true, true},
		"rows":            {ComQuery, [][]byte{{1}, column, row, end}, read, false, true},
		"cut rows":        {ComQuery, [][]byte{{1}, column, row}, read, false, false},
		"malformed":       {ComQuery, [][]byte{{0xfc}}, read, false, false},
		"relayed":         {ComQuery, [][]byte{more, {1}, column, row, end}, relay, false, true},
		"relayed in part": {ComQuery, [][]byte{more, {1}, column, row}, relay, false, false},
		"relayed ERR":     {ComQuery, [][]byte{{1}, column, row, refused}, relay, false, true},
		"unread":          {ComPing, [][]byte{ok}, func(*Conn) {}, false, false},
		"no answer":       {ComStmtClose, nil, func(*Conn) {}, false, true},
		"prepared":        {ComStmtPrepare, [][]byte{prepared, column}, prepare, false, true},
		"half prepared":   {ComStmtPrepare, [][]byte{prepared}, prepare, false, false},
		"not prepared":    {ComStmtPrepare, [][]byte{refused}, prepare, false, true},
	} {
		c := NewConn(&talkConn{cutConn: cutConn{in: pack(1, x.answer...)}}, 0)
		c.caps = testCaps
		if err := c.SendCommand(x.cmd, []byte("x")); err != nil {
			t.Fatal(err)
		}
		x.read(c)
		if x.twice {
			x.read(c)
		}
		if c.Answered() != x.settled {
			t.Errorf("%s: answered %v", name, c.Answered())
		}
	}
}
