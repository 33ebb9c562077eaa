package wire

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"testing"
	"time"
)

// compressedPair returns a connection that writes to a buffer, and one that reads from it, both compressing.
func compressedPair(caps Capability, cuts []byte) (w, r *Conn, out *talkConn) {
	out = &talkConn{}
	w, r = NewConn(out, 0), NewConn(&talkConn{cutConn: cutConn{cuts: cuts}}, 0)
	w.caps, r.caps = testCaps|caps, testCaps|caps
	w.startCompression()
	return w, r, out
}

// receive lets r read what has been written to out.
func receive(r *Conn, out *talkConn) {
	r.nc.(*talkConn).in = bytes.Clone(out.out.Bytes())
	r.startCompression()
}

// TestCompressedSizes: packets of all sizes that matter, those that shrink and those that do not, arrive whole; repeated
// bytes take less room on the way.
func TestCompressedSizes(t *testing.T) {
	random := make([]byte, 200_000)
	source := rand.NewChaCha8([32]byte{})
	source.Read(random) // never fails
	for _, caps := range []Capability{Compress, ZstdCompression} {
		for _, cuts := range [][]byte{nil, {250, 3}} {
			w, r, out := compressedPair(caps, cuts)
			var packets [][]byte
			for _, n := range []int{0, 1, minCompress - headerSize - 1, minCompress - headerSize, 300, maxCompress - headerSize, maxCompress, 200_000} {
				packets = append(packets, bytes.Repeat([]byte("abc"), n)[:n], random[:n])
			}
			if cuts == nil {
				packets = append(packets, make([]byte, maxChunk), make([]byte, 2*maxChunk+7))
			}
			for i, p := range packets {
				before := out.out.Len()
				if err := w.send(p); err != nil {
					t.Fatal(err)
				}
				sent, parts := out.out.Len()-before, 2+len(p)/maxCompress
				if sent > len(p)+2*headerSize+parts*compressedHeader+len(p)/maxChunk*headerSize || i%2 == 0 && len(p) > 100 && sent > len(p)/4 {
					t.Errorf("packet %d: %d bytes sent for %d", i, sent, len(p))
				}
			}
			receive(r, out)
			for i, want := range packets {
				if got, err := r.ReadPacket(); err != nil || !bytes.Equal(got, want) {
					t.Fatalf("packet %d of %d bytes: %d, %v", i, len(want), len(got), err)
				}
			}
			if _, err := r.ReadPacket(); err != io.EOF || r.Buffered() || r.z.zlib != nil || r.z.zstds != nil {
				t.Errorf("at the end: %v, %+v", err, r.z)
			}
		}
	}
}

// TestCompressedMalformed: what is cut, out of order, or not what it claims to be is an error, and a claim allocates nothing.
func TestCompressedMalformed(t *testing.T) {
	for _, caps := range []Capability{Compress, ZstdCompression} {
		w, _, out := compressedPair(caps, nil)
		if err := w.send(bytes.Repeat([]byte("x"), 1000)); err != nil {
			t.Fatal(err)
		}
		good := out.out.Bytes()
		change := func(f func(p []byte) []byte) []byte { return f(bytes.Clone(good)) }
		for name, in := range map[string][]byte{
			"cut header":    good[:5],
			"cut body":      good[:len(good)-1],
			"out of order":  change(func(p []byte) []byte { p[3]++; return p }),
			"claims less":   change(func(p []byte) []byte { p[4]--; return p }),
			"claims more":   change(func(p []byte) []byte { p[4]++; return p }),
			"claims 16 MB":  change(func(p []byte) []byte { p[4], p[5], p[6] = 0xff, 0xff, 0xff; return p }),
			"shorter body":  change(func(p []byte) []byte { p[0]--; return p }),
			"bytes behind":  change(func(p []byte) []byte { p[0] += 3; return append(p, 1, 2, 3) }),
			"no compressed": change(func(p []byte) []byte { clear(p[7:]); return p }),
		} {
			r := NewConn(readerConn{Reader: bytes.NewReader(in)}, 0)
			r.caps = testCaps | caps
			r.startCompression()
			p, err := r.ReadPacket()
			if err == nil {
				_, err = r.ReadPacket() // the error may be behind the packet
			}
			if err == nil || err == io.EOF || cap(r.big) > growStep {
				t.Errorf("%s: %d bytes, %v, buffer of %d", name, len(p), err, cap(r.big))
			}
			want := errMalformed
			switch name {
			case "out of order":
				want = ErrSequence
			case "cut header", "cut body", "shorter body":
				want = io.ErrUnexpectedEOF
			}
			if !errors.Is(err, want) {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
}

// TestCompressedIDs: the ids of compressed packets begin at 0 for each command and go on in the answer; with both algorithms
// negotiated it is zlib, as servers and clients have it.
func TestCompressedIDs(t *testing.T) {
	w, r, out := compressedPair(Compress|ZstdCompression, nil)
	if w.z.zstd {
		t.Error("zstd where zlib was negotiated too")
	}
	for range 2 {
		out.out.Reset()
		if err := w.SendCommand(ComPing); err != nil {
			t.Fatal(err)
		}
		if got := out.out.Bytes(); got[3] != 0 || got[compressedHeader+3] != 0 || w.z.seq != 1 {
			t.Errorf("%x, next id %d", got, w.z.seq)
		}
	}
	receive(r, out)
	if cmd, _, err := r.ReadCommand(); err != nil || cmd != ComPing || r.z.seq != 1 {
		t.Errorf("%s, %v, next id %d", cmd, err, r.z.seq)
	}
}

// TestCompressedTogether: commands that came in one compressed packet are read without waiting for another one.
func TestCompressedTogether(t *testing.T) {
	for _, caps := range []Capability{Compress, ZstdCompression} {
		w, _, out := compressedPair(caps, nil)
		for range 3 {
			w.SetSeq(0)
			if err := w.WritePacket([]byte{byte(ComPing)}); err != nil {
				t.Fatal(err)
			}
		}
		if err := w.Flush(); err != nil {
			t.Fatal(err)
		}
		in := &lastReader{Reader: &out.out}
		r := NewConn(readerConn{Reader: in}, 0)
		r.caps = testCaps | caps
		r.startCompression()
		for i := range 3 {
			if cmd, _, err := r.ReadCommand(); err != nil || cmd != ComPing || in.ended {
				t.Fatalf("command %d: %s, %v; waited for more: %t", i, cmd, err, in.ended)
			}
		}
	}
}

// lastReader notes when somebody reads what is not there.
type lastReader struct {
	io.Reader
	ended bool
}

func (r *lastReader) Read(p []byte) (int, error) {
	n, err := r.Reader.Read(p)
	r.ended = r.ended || n == 0
	return n, err
}

// TestCompressedLogins: compression begins after the OK of the login, with what both sides have, in TLS too; a relay in
// between sees none of it.
func TestCompressedLogins(t *testing.T) {
	for _, c := range []struct{ offer, want, got Capability }{
		{0, Compress | ZstdCompression, 0},
		{Compress, Compress | ZstdCompression, Compress},
		{ZstdCompression, Compress | ZstdCompression, ZstdCompression},
		{Compress | ZstdCompression, Compress, Compress},
		{Compress | ZstdCompression, ZstdCompression, ZstdCompression},
		{Compress | ZstdCompression, Compress | ZstdCompression, ZstdCompression},
		{Compress | ZstdCompression, 0, 0},
	} {
		for _, user := range []string{"plain", "sha2"} {
			addr, results := serve(t, "tcp", "127.0.0.1:0", &Server{Accounts: testAccounts(t), TLS: testTLS(), Offer: c.offer})
			d := &Dialer{Addr: addr, User: user, Password: testPassword, Caps: c.want, Timeout: time.Minute}
			if user == "sha2" {
				d.TLS = clientTLS(t)
			}
			conn, _, err := d.Dial(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			if a := <-results; a.err != nil || a.login.Caps&(Compress|ZstdCompression) != c.got || conn.Caps() != a.login.Caps || (conn.z != nil) != (c.got != 0) {
				t.Fatalf("%b, %b: %+v", c.offer, c.want, a)
			}
			for _, n := range []int{1, 1000, 100_000} {
				text := strings.Repeat("s", n)
				if err := conn.SendCommand(ComQuery, []byte(text)); err != nil {
					t.Fatal(err)
				}
				if r, err := conn.ReadResult(0); err != nil || r.OK.Info != "COM_QUERY "+text {
					t.Fatalf("%b, %b: %d bytes, %v", c.offer, c.want, len(r.OK.Info), err)
				}
			}
			if _, err := changeUserScript(conn, &changeUser{user: "native", plugin: nativePassword}, testPassword); err != nil {
				t.Errorf("change user: %v", err)
			}
			<-results
		}
	}
}

// TestRelayCompressed relays between all pairs of plain and compressed connections, with the ids inside that MySQL sends.
func TestRelayCompressed(t *testing.T) {
	payloads := resultSet(testCaps, 300, 400)
	for _, back := range []Capability{0, Compress, ZstdCompression} {
		for _, front := range []Capability{0, Compress, ZstdCompression} {
			w, server, between := compressedPair(back, []byte{255, 9})
			w.seq = 1
			for i, p := range payloads {
				if i%50 == 49 && w.z != nil { // MySQL has the ids inside follow the outer ones at each flush
					if err := w.Flush(); err != nil {
						t.Fatal(err)
					}
					w.seq = w.z.seq
				}
				if err := w.WritePacket(p); err != nil {
					t.Fatal(err)
				}
			}
			if err := w.Flush(); err != nil {
				t.Fatal(err)
			}
			receive(server, between)
			client, reader, out := compressedPair(front, nil)
			client.seq, server.seq = 1, 1
			res, err := new(Relay).Response(client, server)
			if err != nil || res.Rows != 300 {
				t.Fatalf("%b to %b: %+v, %v", back, front, res, err)
			}
			receive(reader, out)
			reader.seq = 1
			if got, err := reader.ReadResult(1 << 20); err != nil || len(got.Values) != 300 {
				t.Errorf("%b to %b: %d rows, %v", back, front, len(got.Values), err)
			}
		}
	}
}

// FuzzCompressed reads whatever a peer sends as compressed packets, and what was compressed again.
func FuzzCompressed(f *testing.F) {
	for _, caps := range []Capability{Compress, ZstdCompression} {
		w, _, out := compressedPair(caps, nil)
		for _, n := range []int{5, 100, 3000} {
			if err := w.send(bytes.Repeat([]byte("ab"), n)); err != nil {
				f.Fatal(err)
			}
		}
		f.Add(out.out.Bytes(), []byte{200, 3}, caps == ZstdCompression)
	}
	f.Fuzz(func(t *testing.T, in, cuts []byte, zstd bool) {
		caps := Compress
		if zstd {
			caps = ZstdCompression
		}
		r := NewConn(&cutConn{in: in, cuts: cuts}, 1<<20)
		r.caps = testCaps | caps
		r.startCompression()
		for {
			if _, err := r.ReadPacket(); err != nil {
				break
			}
		}
		w, reader, out := compressedPair(caps, cuts)
		if err := w.send(in); err != nil {
			t.Fatal(err)
		}
		receive(reader, out)
		if got, err := reader.ReadPacket(); err != nil || !bytes.Equal(got, in) {
			t.Fatal(fmt.Errorf("%d bytes became %d: %w", len(in), len(got), err))
		}
	})
}
