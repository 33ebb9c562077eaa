package wire

import (
	"bytes"
	"net"
	"testing"
)

// tcpPair returns the two ends of a connection over the loopback interface.
func tcpPair(tb testing.TB) (a, b net.Conn) {
	tb.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	defer ln.Close()
	if a, err = net.Dial("tcp", ln.Addr().String()); err != nil {
		tb.Fatal(err)
	}
	if b, err = ln.Accept(); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { a.Close(); b.Close() })
	return a, b
}

const testCaps = Protocol41 | PluginAuth | DeprecateEOF | MultiResults

// bothForms are the capabilities of connections whose results end in an OK, and in an EOF.
var bothForms = []Capability{testCaps, testCaps &^ DeprecateEOF}

// pack returns the packets of payloads, with ids from seq on.
func pack(seq byte, payloads ...[]byte) []byte {
	var out bytes.Buffer
	c := NewConn(bufferConn{Buffer: &out}, 0)
	c.seq = seq
	for _, p := range payloads {
		if err := c.WritePacket(p); err != nil {
			panic(err)
		}
	}
	if err := c.Flush(); err != nil {
		panic(err)
	}
	return out.Bytes()
}

// resultSet returns the payloads of a result set of two columns.
func resultSet(caps Capability, rows, width int) [][]byte {
	end := OK{Header: headerEOF, Status: StatusAutocommit}.Append(nil, caps)
	out := [][]byte{{2}, Column{Name: "id", Type: TypeLongLong}.Append(nil), Column{Name: "v", Type: TypeVarString}.Append(nil)}
	if !caps.Has(DeprecateEOF) {
		out = append(out, end)
	}
	row := AppendTextRow(nil, [][]byte{[]byte("12345"), bytes.Repeat([]byte("x"), width)})
	for range rows {
		out = append(out, row)
	}
	return append(out, end)
}

// benchmarkRelay measures one query through a proxy that only relays. The server answers with the same bytes again and
// again: what is measured is bytes, not a database.
func benchmarkRelay(b *testing.B, answer []byte, caps Capability) {
	clientEnd, front := tcpPair(b)
	back, serverEnd := tcpPair(b)
	go func() {
		s := NewConn(serverEnd, 0)
		for {
			if _, _, err := s.ReadCommand(); err != nil {
				return
			}
			if _, err := serverEnd.Write(answer); err != nil {
				return
			}
		}
	}()
	go func() {
		client, server := NewConn(front, 0), NewConn(back, 0)
		client.caps, server.caps = caps, caps
		var relay Relay
		for {
			cmd, arg, err := client.ReadCommand()
			if err != nil || server.SendCommand(cmd, arg) != nil {
				return
			}
			if _, err := relay.Response(client, server); err != nil {
				return
			}
		}
	}()
	c := NewConn(clientEnd, 0)
	query := []byte("SELECT id, v FROM t WHERE id = 12345")
	var received int
	buf := make([]byte, 256<<10)
	b.SetBytes(int64(len(answer)))
	b.ReportAllocs()
	for b.Loop() {
		if err := c.SendCommand(ComQuery, query); err != nil {
			b.Fatal(err)
		}
		for received = 0; received < len(answer); {
			n, err := clientEnd.Read(buf)
			if err != nil {
				b.Fatal(err)
			}
			received += n
		}
	}
}

func BenchmarkRelay(b *testing.B) {
	b.Run("ok", func(b *testing.B) { benchmarkRelay(b, pack(1, OK{Affected: 1}.Append(nil, testCaps)), testCaps) })
	b.Run("point", func(b *testing.B) { benchmarkRelay(b, pack(1, resultSet(testCaps, 1, 100)...), testCaps) })
	b.Run("100rows", func(b *testing.B) { benchmarkRelay(b, pack(1, resultSet(testCaps, 100, 100)...), testCaps) })
	b.Run("20MB", func(b *testing.B) { benchmarkRelay(b, pack(1, resultSet(testCaps, 200_000, 100)...), testCaps) })
	b.Run("100rows-eof", func(b *testing.B) {
		benchmarkRelay(b, pack(1, resultSet(testCaps&^DeprecateEOF, 100, 100)...), testCaps&^DeprecateEOF)
	})
}

func BenchmarkScan(b *testing.B) {
	answer := pack(1, resultSet(testCaps, 1000, 100)...)
	client, server := NewConn(nil, 0), NewConn(nil, 0)
	client.caps, server.caps = testCaps, testCaps
	work := make([]byte, len(answer))
	server.rbuf = work
	b.SetBytes(int64(len(answer)))
	b.ReportAllocs()
	for b.Loop() {
		copy(work, answer)
		client.seq, server.seq = 1, 1
		s := stream{relay: &Relay{}, client: client, backend: server, multi: true, head: true, tail: true}
		for next := stepPass; next != stepDone; {
			var err error
			if _, next, err = s.scan(work); err != nil {
				b.Fatal(err)
			}
			s.keep = true
		}
	}
}
