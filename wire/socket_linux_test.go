package wire

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"
)

// sockets returns the two ends of a connection, the first one direct.
func sockets(t *testing.T, network string) (s, peer net.Conn) {
	t.Helper()
	addr := "127.0.0.1:0"
	if network == "unix" {
		addr = filepath.Join(t.TempDir(), "s")
	}
	l, err := net.Listen(network, addr)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	nc, err := net.Dial(network, l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	if peer, err = l.Accept(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { nc.Close(); peer.Close() })
	s = Direct(nc)
	if _, ok := s.(*socket); !ok || plain(s) != nc {
		t.Fatalf("a %s connection became %T", network, s)
	}
	return s, peer
}

// Bytes arrive as they were sent, in both directions at once, in pieces of every size on both sides of directLimit, also
// when they fill the buffers of the system, so that the calls have to wait and write only in part.
func TestSocketCarriesBytes(t *testing.T) {
	for _, network := range []string{"tcp", "unix"} {
		s, peer := sockets(t, network)
		sent := make([]byte, 8<<20)
		random := rand.New(rand.NewPCG(1, 2))
		for i := range sent {
			sent[i] = byte(random.Uint32())
		}
		var wg sync.WaitGroup
		send := func(c net.Conn, seed uint64) {
			r := rand.New(rand.NewPCG(seed, 0))
			for b := sent; len(b) > 0; {
				n := min(len(b), 1+r.IntN(2*directLimit))
				if k, err := c.Write(b[:n]); err != nil || k != n {
					t.Errorf("%s: write of %d bytes: %d, %v", network, n, k, err)
					return
				}
				b = b[n:]
			}
		}
		receive := func(c net.Conn, seed uint64) {
			r := rand.New(rand.NewPCG(seed, 1))
			got := make([]byte, 0, len(sent))
			for len(got) < len(sent) {
				n, err := c.Read(got[len(got):min(cap(got), len(got)+1+r.IntN(2*directLimit))])
				got = got[:len(got)+n]
				if err != nil {
					t.Errorf("%s: read after %d bytes: %v", network, len(got), err)
					return
				}
			}
			if !bytes.Equal(got, sent) {
				t.Errorf("%s: other bytes arrived", network)
			}
		}
		wg.Go(func() { send(s, 1) })
		wg.Go(func() { send(peer, 2) })
		wg.Go(func() { receive(s, 3) })
		wg.Go(func() { receive(peer, 4) })
		wg.Wait()
	}
}

// A direct connection ends as a plain one: end of the stream, deadlines in both directions, reset by the peer, closed under
// the hands of a reader.
func TestSocketEnds(t *testing.T) {
	small := make([]byte, 16)
	t.Run("end", func(t *testing.T) {
		s, peer := sockets(t, "tcp")
		peer.Close()
		if n, err := s.Read(small); n != 0 || !errors.Is(err, io.EOF) {
			t.Errorf("read: %d, %v", n, err)
		}
	})
	t.Run("deadlines", func(t *testing.T) {
		s, _ := sockets(t, "tcp")
		s.SetDeadline(time.Now().Add(10 * time.Millisecond))
		if n, err := s.Read(small); n != 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("read: %d, %v", n, err)
		}
		var err error
		for written := 0; err == nil && written < 1<<30; { // nobody reads: the system's buffers fill up
			var n int
			n, err = s.Write(make([]byte, directLimit))
			written += n
		}
		if !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("write: %v", err)
		}
	})
	t.Run("reset", func(t *testing.T) {
		s, peer := sockets(t, "tcp")
		peer.(*net.TCPConn).SetLinger(0)
		peer.Close()
		if _, err := s.Read(small); !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("read: %v", err)
		}
		if _, err := s.Write(small); !errors.Is(err, syscall.EPIPE) {
			t.Errorf("write: %v", err)
		}
	})
	t.Run("closed", func(t *testing.T) {
		s, _ := sockets(t, "tcp")
		done := make(chan error)
		go func() {
			_, err := s.Read(small)
			done <- err
		}()
		s.Close()
		if err := <-done; !errors.Is(err, net.ErrClosed) {
			t.Errorf("read: %v", err)
		}
	})
}

// Reads and writes cost no allocation.
func TestSocketDoesNotAllocate(t *testing.T) {
	s, peer := sockets(t, "tcp")
	b := make([]byte, 64)
	if n := testing.AllocsPerRun(100, func() {
		if _, err := peer.Write(b); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Read(b); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Write(b); err != nil {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
