package wire

import (
	"bytes"
	"errors"
	"io"
	"testing"
)

// TestConnAtRest: a connection that waits for a command holds small buffers only, whatever it did before.
func TestConnAtRest(t *testing.T) {
	for _, n := range []int{1, minReadBuffer, 10_000, maxReadBuffer - headerSize, 100_000, 300_000} {
		packet := pack(0, append([]byte{byte(ComQuery)}, bytes.Repeat([]byte("q"), n-1)...))
		source := &talkConn{}
		c := NewConn(source, 0)
		answer := bytes.Repeat([]byte("a"), n)
		once := func() {
			source.in = packet
			source.out.Reset()
			if _, arg, err := c.ReadCommand(); err != nil || len(arg) != n-1 {
				t.Fatal(len(arg), err)
			}
			if err := c.send(answer); err != nil {
				t.Fatal(err)
			}
		}
		for range 5 {
			once() // pools fill
		}
		if got := source.out.Bytes(); !bytes.Equal(got, pack(1, answer)) {
			t.Errorf("%d bytes: the answer has %d", n, len(got))
		}
		if _, _, err := c.ReadCommand(); !errors.Is(err, io.EOF) {
			t.Fatal(err)
		}
		if len(c.rbuf) != minReadBuffer || cap(c.wbuf) > 2*restBuffer || c.big != nil || cap(c.scratch) > restBuffer || c.lent.read != nil || c.lent.write != nil || c.lent.big != nil {
			t.Errorf("%d bytes: buffers of %d, %d, %d and %d bytes at rest", n, len(c.rbuf), cap(c.wbuf), cap(c.big), cap(c.scratch))
		}
	}
}

// TestGiveBackKeeps: commands that arrive together are all read, and what waits to be written stays.
func TestGiveBackKeeps(t *testing.T) {
	sizes := []int{10, 20_000, 3_000, 3_000, 30_000, 50_000, 5}
	bytesOf := func(n int) []byte { return bytes.Repeat([]byte{byte(n)}, n) }
	source := &talkConn{}
	for _, n := range sizes {
		source.in = append(source.in, pack(0, append([]byte{byte(ComQuery)}, bytesOf(n)...))...)
	}
	c := NewConn(source, 0)
	for i, n := range sizes {
		_, arg, err := c.ReadCommand()
		if err != nil || !bytes.Equal(arg, bytesOf(n)) {
			t.Fatalf("%d bytes: %d, %v", n, len(arg), err)
		}
		c.SetSeq(byte(i))
		if err := c.WritePacket(bytesOf(n)[:n/10]); err != nil {
			t.Fatal(err)
		}
	}
	if err := c.Flush(); err != nil {
		t.Fatal(err)
	}
	out := NewConn(bufferConn{Buffer: &source.out}, 0)
	for _, n := range sizes {
		if p, err := out.ReadPacket(); err != nil || !bytes.Equal(p, bytesOf(n)[:n/10]) {
			t.Fatalf("answer to %d bytes: %d, %v", n, len(p), err)
		}
	}
}
