package integration

import (
	"fmt"
	"strings"
	"testing"

	"github.com/xaproxy/xaproxy/tests/servers"
	"github.com/xaproxy/xaproxy/tests/servers/servertest"
	"github.com/xaproxy/xaproxy/wire"
)

const compression = wire.Compress | wire.ZstdCompression

// TestWireCompressedClients compares what real clients print of a script between a plain connection and a compressed one
// through the relay, whose own connection to the server is compressed or not; and lets them load a file.
func TestWireCompressedClients(t *testing.T) {
	t.Parallel()
	const rows = 20_000
	path := dataFile(t, rows)
	lines := commandLines(t)
	for _, kind := range []servers.Kind{servers.MariaDB, servers.MySQL} {
		s := servertest.Get(t, kind)
		localFiles(t, s)
		for _, back := range []wire.Capability{0, wire.Compress, wire.ZstdCompression} {
			p := &relayed{
				wire:    wire.Server{Version: s.Version, Accounts: accountMap{s.User: wire.NewAccount(s.Password)}, Offer: compression},
				backend: wire.Dialer{Addr: s.Addr(), User: s.User, Password: s.Password, Caps: back},
				relay:   wire.Relay{Infile: true},
			}
			addr, database := p.start(t), servertest.Database(t, s)
			plain := map[string]string{} // by client
			for _, c := range []struct {
				cl   commandLine
				arg  string
				want wire.Capability
			}{
				{lines[0], "--compression-algorithms=zlib", wire.Compress},
				{lines[0], "--compression-algorithms=zstd", wire.ZstdCompression},
				{lines[0], "--compression-algorithms=zstd,zlib,uncompressed", compression},
				{lines[1], "--compress", wire.Compress},
			} {
				if back != 0 && (c.want != wire.ZstdCompression || kind == servers.MariaDB && back == wire.ZstdCompression) {
					continue // one client for each connection to the server, and MariaDB has no zstd
				}
				t.Run(fmt.Sprintf("%s/%b/%s%s", kind, back, c.cl.name, c.arg), func(t *testing.T) {
					args := append([]string{"-vvv", "--force", "--show-warnings", "--column-type-info", "--unbuffered", "--default-character-set=utf8mb4", "--local-infile=1"}, c.cl.plain...)
					text := script + fmt.Sprintf("CREATE TABLE l (id INT, v VARCHAR(255));\nLOAD DATA LOCAL INFILE '%s' INTO TABLE l;\nDROP TABLE l;\n", path)
					if plain[c.cl.name] == "" {
						want, err := c.cl.run(t, text, addr, s.User, s.Password, database, args...)
						if err != nil || strings.Count(want, "\n") < 20_000 || !strings.Contains(want, fmt.Sprintf("Records: %d", rows)) {
							t.Fatalf("plain: %v: %.2000s", err, want)
						}
						plain[c.cl.name] = want
					}
					got, err := c.cl.run(t, text, addr, s.User, s.Password, database, append(args, c.arg)...)
					if want := plain[c.cl.name]; err != nil || got != want {
						t.Errorf("compressed: %v, %d bytes, plain %d: %.300s", err, len(got), len(want), got)
					}
					p.mu.Lock()
					defer p.mu.Unlock()
					if caps := p.logins[len(p.logins)-1].Caps & compression; caps != c.want {
						t.Errorf("compression %b, want %b", caps, c.want)
					}
				})
			}
		}
	}
}

// TestWireDialCompressed: packets up to 20 MB to and from real servers.
func TestWireDialCompressed(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		s    *servers.Server
		caps wire.Capability
	}{
		{mariadbTLS(t), wire.Compress},
		{servertest.Get(t, servers.MySQL), wire.Compress},
		{servertest.Get(t, servers.MySQL), wire.ZstdCompression},
	} {
		conn := dial(t, wire.Dialer{Addr: c.s.Addr(), User: c.s.User, Password: c.s.Password, Caps: c.caps})
		if conn.Caps()&compression != c.caps {
			t.Fatalf("%s: capabilities %b", c.s.Kind, conn.Caps())
		}
		for _, n := range []int{1, 40, 60, 10_000, 1 << 20, 20 << 20} {
			check(t, conn.SendCommand(wire.ComQuery, []byte("SELECT '"), []byte(strings.Repeat("y", n)), []byte("'")))
			if r, err := conn.ReadResult(64 << 20); err != nil || len(r.Values[0][0]) != n {
				t.Fatalf("%s: %d bytes: %v", c.s.Kind, n, err)
			}
		}
	}
}
