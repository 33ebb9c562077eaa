package wire

import (
	"errors"
	"io"
	"os"
	"testing"
	"time"
)

// A read that was told of several answers wakes up when there is more than the shortest of them, or the end, and the next one for anything.
func TestSocketWaitsForSeveral(t *testing.T) {
	for _, network := range []string{"tcp", "unix"} {
		for _, test := range []struct {
			name  string
			sends int // bytes; -1: the end
			wakes bool
		}{
			{"the shortest answer", 11, network == "unix"}, // where the option says how much a blocking read wants
			{"two of them", 22, true},
			{"the shortest error", 13, true},
			{"the end", -1, true},
		} {
			t.Run(network+", "+test.name, func(t *testing.T) {
				nc, peer := sockets(t, network)
				s := nc.(*socket)
				waits := make(chan struct{}, 3)
				try := s.read.try
				s.read.try = func(fd uintptr) bool {
					done := try(fd)
					if !done {
						waits <- struct{}{}
					}
					return done
				}
				by := 5 * time.Second
				if !test.wakes {
					by = 20 * time.Millisecond
				}
				if err := s.SetReadDeadline(time.Now().Add(by)); err != nil {
					t.Fatal(err)
				}
				go func() {
					<-waits
					var err error
					if test.sends < 0 {
						err = peer.Close()
					} else {
						_, err = peer.Write(make([]byte, test.sends))
					}
					if err != nil {
						t.Error(err)
					}
				}()
				s.several()
				buf := make([]byte, 100)
				n, err := s.Read(buf)
				switch {
				case test.sends < 0 && errors.Is(err, io.EOF):
				case !test.wakes && errors.Is(err, os.ErrDeadlineExceeded):
				case !test.wakes || test.sends != n || err != nil:
					t.Fatalf("read %d bytes, %v", n, err)
				}
				if test.wakes {
					return
				}
				if err := s.SetReadDeadline(time.Now().Add(5 * time.Second)); err != nil {
					t.Fatal(err)
				}
				if n, err := s.Read(buf); n != test.sends || err != nil {
					t.Errorf("then read %d bytes, %v", n, err)
				}
				go func() {
					<-waits
					if _, err := peer.Write(make([]byte, 1)); err != nil {
						t.Error(err)
					}
				}()
				if n, err := s.Read(buf); n != 1 || err != nil {
					t.Errorf("at last read %d bytes, %v", n, err)
				}
			})
		}
	}
}
