package wire

import (
	"bytes"
	"errors"
	"io"
	"net"
	"runtime"
	"testing"
)

// relayPair returns the two connections of a relay: what the server says is given, what the client receives is in out.
func relayPair(in io.Reader, clientCaps, serverCaps Capability) (client, server *Conn, out *bytes.Buffer) {
	out = new(bytes.Buffer)
	client, server = NewConn(bufferConn{Buffer: out}, 0), NewConn(readerConn{Reader: in}, 0)
	client.caps, server.caps, client.seq, server.seq = clientCaps, serverCaps, 1, 1
	return client, server, out
}

// TestRelayLargePackets relays rows of and around 16 MB: split packets keep their split, ids their order.
func TestRelayLargePackets(t *testing.T) {
	for _, caps := range bothForms {
		for _, n := range []int{maxChunk - 1, maxChunk, maxChunk + 1, 2 * maxChunk} {
			payloads := resultSet(caps, 2, 10)
			value := bytes.Repeat([]byte{headerErr}, n-10) // its chunks look like ERR packets
			row := append([]byte{0}, value...)
			if n >= maxChunk {
				row[0] = headerEOF // the start of a string of 16 MB or more
			}
			row = append(row, bytes.Repeat([]byte{'x'}, n-len(row))...)
			payloads[len(payloads)-2] = row

			client, server, out := relayPair(bytes.NewReader(pack(1, payloads...)), caps, caps)
			client.seq = 77
			r := Relay{}
			res, err := r.Response(client, server)
			if err != nil || res.Rows != 2 {
				t.Fatalf("%d bytes: %+v, %v", n, res, err)
			}
			if !bytes.Equal(out.Bytes(), pack(77, payloads...)) {
				t.Errorf("%d bytes: the client received something else", n)
			}
			if len(server.rbuf) > maxReadBuffer || cap(server.big) > 0 || cap(client.wbuf) > 2*writeBuffer {
				t.Errorf("%d bytes: buffers of %d, %d and %d bytes remain", n, len(server.rbuf), cap(server.big), cap(client.wbuf))
			}
		}
	}
}

// errConn is a net.Conn on which every write fails.
type errConn struct{ net.Conn }

func (errConn) Write([]byte) (int, error) { return 0, io.ErrClosedPipe }

// TestRelayTorn: after a server has gone, an ERR may follow exactly where the client can read one.
func TestRelayTorn(t *testing.T) {
	row := resultSet(testCaps, 3, 100)
	whole := pack(1, row...)
	upTo := func(n int) int { return len(pack(1, row[:n]...)) }
	large := pack(1, resultSet(testCaps, 3, 100_000)...)
	for _, c := range []struct {
		name string
		in   []byte
		torn bool
	}{
		{"nothing", nil, false},
		{"part of the column count", whole[:3], false},
		{"column count", whole[:upTo(1)], true},
		{"a column", whole[:upTo(2)], true},
		{"columns", whole[:upTo(3)], false},
		{"part of a small row", whole[:upTo(3)+50], false},
		{"a row", whole[:upTo(4)], false},
		{"part of the end", whole[:len(whole)-1], false},
		{"part of a large row", large[:50_000], true},
		{"out of order", append(whole[:upTo(4):upTo(4)], 1, 0, 0, 99, 1), false},
	} {
		client, server, out := relayPair(bytes.NewReader(c.in), testCaps, testCaps)
		_, err := new(Relay).Response(client, server)
		var side *SideError
		if !errors.As(err, &side) || !side.Backend || side.Torn != c.torn {
			t.Errorf("%s: %+v", c.name, err)
			continue
		}
		if c.torn {
			continue
		}
		gone := NewError(CodeBackendDown, "gone")
		if err := client.WriteErr(gone); err != nil {
			t.Fatal(err)
		}
		reader := NewConn(bufferConn{Buffer: out}, 0)
		reader.caps, reader.seq = testCaps, 1
		var got *Error
		if _, err := reader.ReadResult(1 << 20); !errors.As(err, &got) || *got != *gone {
			t.Errorf("%s: the client read %v", c.name, err)
		}
	}

	client, server, _ := relayPair(bytes.NewReader(whole), testCaps, testCaps)
	client.nc = errConn{}
	var side *SideError
	if _, err := new(Relay).Response(client, server); !errors.As(err, &side) || side.Backend || !side.Torn || !errors.Is(err, io.ErrClosedPipe) {
		t.Errorf("client gone: %+v", err)
	}
}

// TestRelayAfterPreamble: the first result is for the proxy, the rest for the client, with the client's own ids.
func TestRelayAfterPreamble(t *testing.T) {
	rest := resultSet(testCaps, 2, 10)
	in := pack(1, append([][]byte{OK{Status: StatusMoreResults}.Append(nil, testCaps)}, rest...)...)
	client, server, out := relayPair(bytes.NewReader(in), testCaps, testCaps)
	if r, err := server.ReadResult(0); err != nil || r.OK.Status&StatusMoreResults == 0 {
		t.Fatal(r, err)
	}
	r := Relay{SetStatus: StatusInTrans}
	if _, err := r.Response(client, server); err != nil {
		t.Fatal(err)
	}
	rest[len(rest)-1] = OK{Header: headerEOF, Status: StatusAutocommit | StatusInTrans}.Append(nil, testCaps)
	if !bytes.Equal(out.Bytes(), pack(1, rest...)) {
		t.Errorf("%x", out.Bytes())
	}
}

// TestRelayConcat: three results of one shape are one result set for the client; another shape is refused before anything
// of it has been written.
func TestRelayConcat(t *testing.T) {
	for _, caps := range bothForms {
		part := resultSet(caps, 2, 10)
		part[len(part)-1] = OK{Header: headerEOF, Warnings: 3, Status: StatusNoIndexUsed}.Append(nil, caps)
		var out bytes.Buffer
		client := NewConn(bufferConn{Buffer: &out}, 0)
		client.caps, client.seq = caps, 1
		var r Relay
		for i := range 3 {
			_, server, _ := relayPair(bytes.NewReader(pack(1, part...)), 0, caps)
			if res, err := r.Concat(client, server, i == 0, i == 2); err != nil || res.Rows != 2 || res.OK.Warnings != 3 {
				t.Fatal(res, err)
			}
		}
		reader := NewConn(bufferConn{Buffer: &out}, 0)
		reader.caps, reader.seq = caps, 1
		got, err := reader.ReadResult(1000)
		if err != nil || len(got.Values) != 6 || len(got.Columns) != 2 || got.OK.Warnings != 9 || got.OK.Status != StatusNoIndexUsed || reader.Buffered() {
			t.Errorf("%+v, %v", got, err)
		}

		for _, other := range [][][]byte{{OK{}.Append(nil, caps)}, {{3}}} {
			out.Reset()
			_, server, _ := relayPair(bytes.NewReader(pack(1, other...)), 0, caps)
			var side *SideError
			if _, err := r.Concat(client, server, false, true); !errors.Is(err, ErrShape) || !errors.As(err, &side) || side.Torn || out.Len() > 0 {
				t.Errorf("another shape: %v", err)
			}
		}
	}
}

// TestRelayRows: the answer to a fetch is rows without columns.
func TestRelayRows(t *testing.T) {
	rows := resultSet(testCaps, 3, 10)[3:]
	client, server, out := relayPair(bytes.NewReader(pack(1, rows...)), testCaps, testCaps)
	if res, err := new(Relay).Rows(client, server); err != nil || res.Rows != 3 || !bytes.Equal(out.Bytes(), pack(1, rows...)) {
		t.Errorf("%+v, %v", res, err)
	}
}

// TestRelayPrepare: ids, statement id and EOF packets of the answer to a prepare, in both forms.
func TestRelayPrepare(t *testing.T) {
	answer := func(caps Capability, id byte, eof OK) [][]byte {
		def := Column{Name: "?"}.Append(nil)
		out := [][]byte{{0, id, 0, 0, 0, 1, 0, 2, 0, 0, 5, 0}, def, def}
		if !caps.Has(DeprecateEOF) {
			out = append(out, eof.Append(nil, caps))
		}
		out = append(out, def)
		if !caps.Has(DeprecateEOF) {
			out = append(out, eof.Append(nil, caps))
		}
		return out
	}
	for _, caps := range bothForms {
		in := pack(1, answer(caps, 9, OK{Header: headerEOF, Status: StatusAutocommit, Warnings: 2})...)
		for n := range in {
			client, server, _ := relayPair(bytes.NewReader(in[:n]), caps, caps)
			var side *SideError
			if _, err := new(Relay).Prepare(client, server, 7); !errors.As(err, &side) || !side.Backend {
				t.Fatalf("cut at %d: %v", n, err)
			}
		}
		client, server, out := relayPair(bytes.NewReader(in), caps, caps)
		r := Relay{SetStatus: StatusInTrans}
		got, err := r.Prepare(client, server, 7)
		if err != nil || got != (Prepared{ID: 9, Columns: 1, Params: 2, Warnings: 5}) {
			t.Errorf("%+v, %v", got, err)
		}
		want := pack(1, answer(caps, 7, OK{Header: headerEOF, Status: StatusAutocommit | StatusInTrans, Warnings: 2})...)
		if !bytes.Equal(out.Bytes(), want) {
			t.Errorf("%x, want %x", out.Bytes(), want)
		}
	}
	failed := pack(1, (&Error{1064, "42000", "syntax"}).Append(nil, testCaps))
	client, server, out := relayPair(bytes.NewReader(failed), testCaps, testCaps)
	if got, err := new(Relay).Prepare(client, server, 7); err != nil || got.Err == nil || got.Err.Errno != 1064 || !bytes.Equal(out.Bytes(), failed) {
		t.Errorf("%+v, %v", got, err)
	}
}

// TestRelayAllocations: in steady state an answer costs no allocation, in both forms, and one write per read.
func TestRelayAllocations(t *testing.T) {
	changed := OK{Status: StatusSessionStateChanged, Info: "Records: 1", SessionState: AppendTrackSchema(nil, "s")}
	for _, c := range []struct {
		name       string
		serverCaps Capability
		payloads   [][]byte
		writes     int
	}{
		{"session state", testCaps | SessionTrack, [][]byte{changed.Append(nil, testCaps|SessionTrack)}, 1},
		{"ok", testCaps, [][]byte{OK{Affected: 1, Info: "Records: 1"}.Append(nil, testCaps)}, 1},
		{"point", testCaps, resultSet(testCaps, 1, 100), 1},
		{"rows", testCaps, resultSet(testCaps, 100, 100), 1},
		{"many rows", testCaps, resultSet(testCaps, 20_000, 100), 0},
		{"rows with EOF packets", testCaps &^ DeprecateEOF, resultSet(testCaps&^DeprecateEOF, 100, 100), 1},
	} {
		in := pack(1, c.payloads...)
		source, sink := &cutConn{}, &countConn{}
		client, server := NewConn(sink, 0), NewConn(source, 0)
		client.caps, server.caps = c.serverCaps^SessionTrack, c.serverCaps
		relay := new(Relay)
		once := func() {
			source.in, client.seq, server.seq = in, 1, 1
			if _, err := relay.Response(client, server); err != nil {
				t.Fatal(err)
			}
		}
		for range 5 {
			once() // buffers grow
		}
		sink.writes = 0
		runtime.GC() // not in between, where it would empty the pool of buffers
		if n := testing.AllocsPerRun(20, once); n != 0 {
			t.Errorf("%s: %v allocations", c.name, n)
		}
		if c.writes != 0 && sink.writes != 21*c.writes {
			t.Errorf("%s: %d writes for 21 answers", c.name, sink.writes)
		}
	}
}
