package wire

import (
	"bytes"
	"errors"
	"io"
	"testing"
	"time"
)

// Arrived waits for whole packets, however they are cut, takes none, and goes on after its deadline has passed.
func TestArrived(t *testing.T) {
	ok := []byte{7, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0}
	fault := []byte("\x0b\x00\x00\x01\xff\x51\x04#42000no")
	for _, test := range []struct {
		name  string
		comes []byte
		n     int
		at    int // bytes after which they have arrived
	}{
		{"one", ok, 1, len(ok)},
		{"two", append(bytes.Clone(ok), ok...), 2, 2 * len(ok)},
		{"an error in place of two", fault, 2, len(fault)},
		{"an error in place of the second", append(bytes.Clone(ok), fault...), 3, len(ok) + len(fault)},
	} {
		t.Run(test.name, func(t *testing.T) {
			s, peer := sockets(t, "tcp")
			c := NewConn(s, 0)
			for sent := range test.comes {
				if sent == test.at {
					break
				}
				if _, err := peer.Write(test.comes[sent : sent+1]); err != nil {
					t.Fatal(err)
				}
				last := sent == test.at-1
				by := time.Millisecond
				if last {
					by = time.Minute
				}
				if err := c.SetDeadline(time.Now().Add(by)); err != nil {
					t.Fatal(err)
				}
				if got := c.Arrived(test.n); got != last {
					t.Fatalf("after %d of %d bytes: arrived %v", sent+1, test.at, got)
				}
			}
			if got := c.rbuf[c.r:c.w]; !bytes.Equal(got, test.comes) {
				t.Errorf("%q can be read, want %q", got, test.comes)
			}
		})
	}
	t.Run("nothing more", func(t *testing.T) {
		s, peer := sockets(t, "tcp")
		c := NewConn(s, 0)
		if err := errors.Join(peer.Close(), c.SetDeadline(time.Now().Add(time.Minute))); err != nil {
			t.Fatal(err)
		}
		if !c.Arrived(1) {
			t.Error("the end of the connection was taken for a deadline")
		}
		if _, err := c.ReadPacket(); !errors.Is(err, io.EOF) {
			t.Errorf("the next read says %v, want EOF", err)
		}
	})
}
