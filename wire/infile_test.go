package wire

import (
	"bytes"
	"errors"
	"io"
	"runtime"
	"testing"
	"time"
)

// talkConn reads in pieces from one script and keeps what is written.
type talkConn struct {
	cutConn
	out bytes.Buffer
	err error // of every write
}

func (c *talkConn) Write(p []byte) (int, error) {
	if c.err != nil {
		return 0, c.err
	}
	return c.out.Write(p)
}

// infilePair returns a client that sends chunks, up to the end, when it is asked for a file, and a server that asks for one
// and then answers.
func infilePair(chunks ...[]byte) (client, server *Conn, toClient, toServer *talkConn) {
	request, answer := append([]byte{headerInfile}, "/tmp/f"...), OK{Affected: 3, Info: "Records: 3"}.Append(nil, testCaps)
	chunks = append(chunks, nil)
	file := pack(5, chunks...)
	packets := 0
	for _, c := range chunks {
		packets += 1 + len(c)/maxChunk
	}
	toClient, toServer = &talkConn{cutConn: cutConn{in: file}}, &talkConn{}
	toServer.in = append(pack(1, request), pack(byte(2+packets), answer)...)
	client, server = NewConn(toClient, 0), NewConn(toServer, 0)
	client.caps, server.caps, client.seq, server.seq = testCaps|LocalFiles, testCaps|LocalFiles, 4, 1
	return client, server, toClient, toServer
}

// TestRelayInfile relays a request for a file and files of all sizes, whole and in pieces: what the server gets is what the
// client sent but for the ids, and the buffers stay small.
func TestRelayInfile(t *testing.T) {
	small, large, huge := []byte("1\tone\n"), bytes.Repeat([]byte("x"), 100_000), bytes.Repeat([]byte("y"), maxChunk)
	for _, chunks := range [][][]byte{{}, {small}, {small, large, small}, {huge, small}, {append(huge, small...)}} {
		for _, cuts := range [][]byte{nil, {2, 200, 0}} {
			if len(cuts) > 0 && len(chunks) > 0 && len(chunks[0]) >= maxChunk {
				continue
			}
			client, server, toClient, toServer := infilePair(chunks...)
			toClient.cuts = cuts
			r := Relay{Infile: true, SetStatus: StatusInTrans}
			res, err := r.Response(client, server)
			if err != nil || res.OK.Affected != 3 {
				t.Fatalf("%+v, %v", res, err)
			}
			if want := pack(2, append(append([][]byte(nil), chunks...), nil)...); !bytes.Equal(toServer.out.Bytes(), want) {
				t.Errorf("the server received %d bytes, want %d", toServer.out.Len(), len(want))
			}
			answer := OK{Affected: 3, Info: "Records: 3", Status: StatusInTrans}.Append(nil, testCaps)
			want := append(pack(4, append([]byte{headerInfile}, "/tmp/f"...)), pack(client.seq-1, answer)...)
			if !bytes.Equal(toClient.out.Bytes(), want) || client.seq != server.seq+3 {
				t.Errorf("the client received %q, want %q", toClient.out.Bytes(), want)
			}
			if len(client.rbuf) > maxReadBuffer || cap(client.big) > 0 || cap(server.wbuf) > 2*writeBuffer {
				t.Errorf("buffers of %d, %d and %d bytes remain", len(client.rbuf), cap(client.big), cap(server.wbuf))
			}
		}
	}
}

// TestRelayInfileRefused: without Infile, or for a client that serves no files, or in a result that is one of many, the
// client hears nothing of the request and the server gets an empty file.
func TestRelayInfileRefused(t *testing.T) {
	for name, answer := range map[string]func(client, server *Conn) (Result, error){
		"not allowed": (&Relay{}).Response,
		"not served": func(client, server *Conn) (Result, error) {
			client.caps &^= LocalFiles
			return (&Relay{Infile: true}).Response(client, server)
		},
		"concatenated": func(client, server *Conn) (Result, error) {
			return (&Relay{Infile: true}).Concat(client, server, true, true)
		},
	} {
		client, server, toClient, toServer := infilePair()
		if res, err := answer(client, server); err != nil || res.OK.Affected != 3 {
			t.Fatalf("%s: %+v, %v", name, res, err)
		}
		if !bytes.Equal(toServer.out.Bytes(), pack(2, nil)) || bytes.Contains(toClient.out.Bytes(), []byte("/tmp/f")) {
			t.Errorf("%s: the server received %q, the client %q", name, toServer.out.Bytes(), toClient.out.Bytes())
		}
	}
}

// TestRelayInfileLost: when the server goes away, the file is read to its end, so that the client can hear of it; when the
// client does, nothing can be told.
func TestRelayInfileLost(t *testing.T) {
	chunk := bytes.Repeat([]byte("x"), 100_000)
	client, server, toClient, toServer := infilePair(chunk, chunk)
	toServer.err = io.ErrClosedPipe
	r := Relay{Infile: true}
	var side *SideError
	if _, err := r.Response(client, server); !errors.As(err, &side) || !side.Backend || side.Torn || !errors.Is(err, io.ErrClosedPipe) {
		t.Errorf("server gone: %+v", err)
	}
	if len(toClient.in) > 0 || client.Buffered() {
		t.Error("the file was not read to its end")
	}
	client, server, toClient, _ = infilePair(chunk, chunk)
	toClient.in = toClient.in[:150_000]
	if _, err := r.Response(client, server); !errors.As(err, &side) || side.Backend || !side.Torn || !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("client gone: %+v", err)
	}
	client, server, toClient, _ = infilePair(chunk)
	toClient.in[3] = 77
	if _, err := r.Response(client, server); !errors.As(err, &side) || side.Backend || !errors.Is(err, ErrSequence) {
		t.Errorf("out of order: %+v", err)
	}
}

// TestFileChunks sends a file between the two ends of a connection, with none of a relay.
func TestFileChunks(t *testing.T) {
	a, b := tcpPair(t)
	front, back := NewConn(a, 0), NewConn(b, 0)
	file := [][]byte{[]byte("1\n"), bytes.Repeat([]byte("x"), 70_000)}
	sent := make(chan error, 1)
	go func() {
		name, err := back.ReadFileRequest()
		if err == nil && name != "/tmp/f" {
			err = errors.New(name)
		}
		for _, p := range append(file, nil) {
			if err == nil {
				err = back.WriteFileChunk(p)
			}
		}
		sent <- err
	}()
	f, err := front.RequestFile("/tmp/f")
	if err != nil {
		t.Fatal(err)
	}
	if p, err := readFile(&f); err != nil || !bytes.Equal(p, bytes.Join(file, nil)) {
		t.Errorf("%d bytes, %v", len(p), err)
	}
	if err := <-sent; err != nil {
		t.Error(err)
	}
	for _, c := range []struct {
		in   []byte
		want string
	}{
		{(&Error{1146, "42S02", "no table"}).Append(nil, testCaps), "1146 (42S02): no table"},
		{OK{}.Append(nil, testCaps), "LOCAL INFILE request: malformed packet"},
		{nil, "LOCAL INFILE request: malformed packet"},
	} {
		conn := NewConn(readerConn{Reader: bytes.NewReader(pack(0, c.in))}, 0)
		if _, err := conn.ReadFileRequest(); err == nil || err.Error() != c.want {
			t.Errorf("%q: %v", c.in, err)
		}
	}
}

// readFile reads a file to its end.
func readFile(f *File) (all []byte, err error) {
	for {
		p, err := f.Next()
		if err != nil || len(p) == 0 {
			return all, err
		}
		all = append(all, p...)
	}
}

// TestFileLost: a client that goes away within its file, or sends something else, is an error.
func TestFileLost(t *testing.T) {
	whole := pack(1, []byte("line\n"), []byte("line\n"), nil)
	for n := range len(whole) {
		for _, cuts := range [][]byte{nil, {1}} {
			f := File{conn: NewConn(&cutConn{in: bytes.Clone(whole[:n]), cuts: cuts}, 0)}
			f.conn.seq = 1
			if p, err := readFile(&f); !errors.Is(err, io.ErrUnexpectedEOF) || !bytes.HasPrefix([]byte("line\nline\n"), p) {
				t.Errorf("cut at %d: %q, %v", n, p, err)
			}
		}
	}
	f := File{conn: NewConn(&cutConn{in: pack(7, []byte("x"))}, 0)}
	if _, err := f.Next(); !errors.Is(err, ErrSequence) {
		t.Errorf("out of order: %v", err)
	}
}

// TestFileMemory: packets as large as they get do not leave the read buffer, and cost no allocation.
func TestFileMemory(t *testing.T) {
	in := pack(1, bytes.Repeat([]byte("x"), maxChunk), bytes.Repeat([]byte("y"), 60_000), nil)
	source := &cutConn{}
	conn := NewConn(source, 0)
	once := func() {
		source.in, conn.seq = in, 1
		f, n := File{conn: conn}, 0
		for {
			p, err := f.Next()
			if err != nil {
				t.Fatal(err)
			}
			if n += len(p); len(p) == 0 {
				break
			}
		}
		if n != maxChunk+60_000 {
			t.Fatalf("%d bytes", n)
		}
	}
	once() // the buffer grows
	if n := testing.AllocsPerRun(3, once); n != 0 {
		t.Errorf("%v allocations", n)
	}
	if len(conn.rbuf) > maxReadBuffer || cap(conn.big) > 0 {
		t.Errorf("buffers of %d and %d bytes remain", len(conn.rbuf), cap(conn.big))
	}
}

// TestAwait: an answer is noticed while the file is still being sent, and is there to be read afterwards.
func TestAwait(t *testing.T) {
	a, b := tcpPair(t)
	front, back := NewConn(a, 0), NewConn(b, 0)
	front.caps, back.caps = testCaps, testCaps
	answered := make(chan error, 1)
	go func() { answered <- back.Await() }()
	for range 3 {
		if err := back.WriteFileChunk(bytes.Repeat([]byte("x"), 20_000)); err != nil {
			t.Fatal(err)
		}
	}
	select {
	case err := <-answered:
		t.Fatalf("nothing was said: %v", err)
	default:
	}
	front.seq = 3
	for _, p := range [][]byte{(&Error{1317, "70100", "interrupted"}).Append(nil, testCaps), OK{}.Append(nil, testCaps)} {
		if err := front.send(p); err != nil {
			t.Fatal(err)
		}
	}
	if err := <-answered; err != nil {
		t.Fatal(err)
	}
	if err := back.Await(); err != nil {
		t.Errorf("it is there already: %v", err)
	}
	back.seq = 77 // more was sent than the server has read
	var said *Error
	if err := back.ReadEarly(); !errors.As(err, &said) || said.Errno != 1317 {
		t.Errorf("%v", err)
	}
	if err := back.ReadEarly(); !errors.Is(err, errMalformed) {
		t.Errorf("an OK: %v", err)
	}
	front.Close()
	if back.Await() == nil || back.ReadEarly() == nil {
		t.Error("the server is gone")
	}
}

// FuzzFile compares a file as it is read with the plainest way to put a client's packets together.
func FuzzFile(f *testing.F) {
	f.Add([]byte{3}, pack(250, []byte("line\n"), bytes.Repeat([]byte("x"), 300), nil))
	f.Add([]byte{}, pack(250, nil))
	f.Add([]byte{0}, append(pack(250, []byte("cut"))[:5], 9))
	f.Fuzz(func(t *testing.T, cuts, in []byte) {
		var want []byte
		ok, continued, seq := false, false, byte(250)
		for rest := in; len(rest) >= headerSize && rest[3] == seq; seq++ {
			n := min(len(rest), headerSize+chunkLength(rest))
			want = append(want, rest[headerSize:n]...)
			if ok = chunkLength(rest) == 0 && !continued; ok {
				break
			}
			continued = chunkLength(rest) == maxChunk
			rest = rest[n:]
		}
		file := File{conn: NewConn(&cutConn{in: bytes.Clone(in), cuts: cuts}, 0)}
		file.conn.seq = 250
		got, err := readFile(&file)
		if (err == nil) != ok || !bytes.Equal(got, want) {
			t.Fatalf("got %x, %v, want %x, success: %v", got, err, want, ok)
		}
	})
}

// TestUploadAllocations: in steady state a file costs no allocation.
func TestUploadAllocations(t *testing.T) {
	file := pack(1, bytes.Repeat([]byte("x"), 60_000), bytes.Repeat([]byte("y"), 60_000), nil)
	in, source, sink := make([]byte, len(file)), &cutConn{}, &countConn{}
	client, server := NewConn(source, 0), NewConn(sink, 0)
	once := func() {
		copy(in, file)
		source.in, client.seq = in, 1
		up := upload{client: client, backend: server}
		if _, err := up.run(); err != nil {
			t.Fatal(err)
		}
	}
	for range 5 {
		once() // buffers grow
	}
	runtime.GC()
	if n := testing.AllocsPerRun(20, once); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// FuzzUpload compares what a server receives with the plainest way to renumber a client's packets.
func FuzzUpload(f *testing.F) {
	f.Add([]byte{3}, pack(250, []byte("line\n"), bytes.Repeat([]byte("x"), 300), nil))
	f.Add([]byte{}, pack(250, nil))
	f.Add([]byte{0}, append(pack(250, []byte("cut"))[:5], 9))
	f.Fuzz(func(t *testing.T, cuts, in []byte) {
		var want []byte
		ok, continued, seq := false, false, byte(250)
		for rest := in; len(rest) >= headerSize && rest[3] == seq; seq++ {
			n := min(len(rest), headerSize+chunkLength(rest))
			want = append(append(want, rest[0], rest[1], rest[2], seq+10), rest[headerSize:n]...)
			if ok = chunkLength(rest) == 0 && !continued; ok {
				break
			}
			continued = chunkLength(rest) == maxChunk
			rest = rest[n:]
		}
		server := &talkConn{}
		u := upload{
			client:  NewConn(&cutConn{in: bytes.Clone(in), cuts: cuts}, 0),
			backend: NewConn(server, 0),
		}
		u.client.seq, u.backend.seq = 250, 4
		if _, err := u.run(); (err == nil) != ok {
			t.Fatalf("%v, want success: %v", err, ok)
		}
		if got := server.out.Bytes(); !bytes.Equal(got, want) && (ok || !bytes.HasPrefix(want, got)) {
			t.Fatalf("got %x, want %x", got, want)
		}
	})
}

// TestRelayInfileDeadline: the deadline for a client's next command does not end a file that takes longer.
func TestRelayInfileDeadline(t *testing.T) {
	a, b := tcpPair(t)
	_, server, _, toServer := infilePair([]byte("1\n"))
	client := NewConn(b, 0)
	client.caps, client.seq = testCaps|LocalFiles, 4
	if _, err := a.Write(pack(5, []byte("1\n"), nil)); err != nil {
		t.Fatal(err)
	}
	if err := b.SetReadDeadline(time.Unix(1, 0)); err != nil {
		t.Fatal(err)
	}
	r := Relay{Infile: true}
	if res, err := r.Response(client, server); err != nil || res.OK.Affected != 3 {
		t.Errorf("%+v, %v", res, err)
	}
	if want := pack(2, []byte("1\n"), nil); !bytes.Equal(toServer.out.Bytes(), want) {
		t.Errorf("the server received %q", toServer.out.Bytes())
	}
}
