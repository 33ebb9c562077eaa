package servers_test

import (
	"strconv"
	"testing"
	"time"

	"github.com/xaproxy/xaproxy/tests/servers"
)

// A server's clock jumps to where it is set, in either direction, and stays there when the server is started again; the machine's does not.
func TestClock(t *testing.T) {
	for _, k := range []servers.Kind{servers.MariaDB, servers.MariaDBBinlog} {
		t.Run(string(k), func(t *testing.T) {
			s, err := servers.Start(t.Context(), servers.Options{Kind: k, Clock: true})
			if err != nil {
				t.Fatal(err)
			}
			defer func() {
				if err := s.Stop(); err != nil {
					t.Error(err)
				}
			}()
			is := func(want time.Duration) {
				t.Helper()
				for deadline := time.Now().Add(10 * time.Second); ; {
					seconds, err := strconv.ParseInt(query(t, s, "SELECT UNIX_TIMESTAMP()"), 10, 64)
					if err != nil {
						t.Fatal(err)
					}
					ahead := time.Until(time.Unix(seconds, 0))
					if (ahead - want).Abs() < 3*time.Second {
						return
					}
					if time.Now().After(deadline) {
						t.Fatalf("the server's clock is %v ahead, want %v", ahead, want)
					}
				}
			}
			is(0)
			for _, ahead := range []time.Duration{time.Hour, -time.Hour} {
				if err := s.SetClock(ahead); err != nil {
					t.Fatal(err)
				}
				is(ahead)
			}
			if err := s.Kill(); err != nil {
				t.Fatal(err)
			}
			if err := s.Restart(t.Context()); err != nil {
				t.Fatal(err)
			}
			is(-time.Hour)
		})
	}
}
