//go:build !race

package proxy

import (
	"bytes"
	"encoding/binary"
	"runtime"
	"testing"
	"time"

	"github.com/xaproxy/xaproxy/wire"
)

// TestSessionAllocations: a statement that came before, and came in this form, passes through the whole proxy without an
// allocation. What the client and the server of this test allocate would count, too. With the race detector pools forget at
// random, so this is for builds without it.
func TestSessionAllocations(t *testing.T) {
	for _, w := range workloads {
		t.Run(w.name, func(t *testing.T) {
			c := w.start(t)
			if allocs := allocations(t, func() error { return w.once(c) }); allocs >= 0.1 {
				t.Errorf("%.2f allocations for each statement, want none", allocs)
			}
		})
	}
}

// TestAllocationsAreSeen: the measure of the test above sees one allocation in each statement.
func TestAllocationsAreSeen(t *testing.T) {
	c := startBench(t)
	kept := make([][]byte, 0, 10*measured)
	allocs := allocations(t, func() error {
		kept = append(kept, make([]byte, 16))
		return c.text()
	})
	if allocs < 0.9 {
		t.Errorf("one allocation for each statement was measured as %.2f", allocs)
	}
}

// TestIdleSessionHoldsNoStatement: what a statement of 17 MB needed can be freed as soon as it is answered, while its session
// waits for the next one.
func TestIdleSessionHoldsNoStatement(t *testing.T) {
	const size = 17 << 20
	for name, send := range map[string]func(*benchClient, []byte) error{
		"text": func(c *benchClient, long []byte) error {
			return c.conn.SendCommand(wire.ComQuery, []byte("SELECT id, c FROM items WHERE c = '"), long, []byte("'"))
		},
		"execute": func(c *benchClient, long []byte) error {
			return c.conn.SendExecute(c.plain, 0, oneNotNull, oneBlob, wire.AppendString(nil, long))
		},
		"long data": func(c *benchClient, long []byte) error {
			head := append(binary.LittleEndian.AppendUint32(nil, c.plain), 0, 0) // the first parameter
			if err := c.conn.SendCommand(wire.ComStmtSendLongData, head, long); err != nil {
				return err
			}
			return c.conn.SendExecute(c.plain, 0, oneNotNull, oneBlob)
		},
	} {
		t.Run(name, func(t *testing.T) {
			c := startBench(t)
			before := heap()
			if err := send(c, bytes.Repeat([]byte("x"), size)); err != nil {
				t.Fatal(err)
			}
			if err := c.answer(); err != nil {
				t.Fatal(err)
			}
			grown := heap() - before
			for end := time.Now().Add(5 * time.Second); grown > size/4 && time.Now().Before(end); { // the session has yet to come to rest
				grown = heap() - before
			}
			if grown > size/4 {
				t.Errorf("%d bytes are held after a statement of %d", grown, size)
			}
		})
	}
}

// TestIdleSessionStack: a client that waits for its next command costs 4 KB of stack, once the collector has seen it there. A
// stack shrinks if less than a quarter of it is in use, 800 bytes included that Go keeps free.
func TestIdleSessionStack(t *testing.T) {
	const clients = 100
	for name, caps := range map[string]wire.Capability{"plain": 0, "zlib": wire.Compress, "zstd": wire.ZstdCompression} {
		t.Run(name, func(t *testing.T) {
			first := startBench(t)
			before := stacks()
			for range clients {
				d := wire.Dialer{Addr: first.conn.Socket().RemoteAddr().String(), User: "app", Schema: "shop", Caps: caps}
				conn, _, err := d.Dial(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				defer conn.Close()
				if err := (&benchClient{conn: conn}).text(); err != nil {
					t.Fatal(err)
				}
			}
			each := (stacks() - before) / clients
			for end := time.Now().Add(5 * time.Second); each > 5<<10 && time.Now().Before(end); { // the last ones have yet to come to rest
				each = (stacks() - before) / clients
			}
			if each > 5<<10 {
				t.Errorf("%d bytes of stack for each client", each)
			}
		})
	}
}

// stacks is how much memory is in use for stacks.
func stacks() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.StackInuse)
}

var oneBlob = []byte{byte(wire.TypeLongBlob), 0}

// heap is how much memory is in use.
func heap() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// measured is how many statements are measured at one time.
const measured = 500

// allocations is the number of allocations of the whole program for each call of f: the least of several attempts, because
// timers and watchers allocate now and then, and a collection empties the pools.
func allocations(t *testing.T, f func() error) float64 {
	t.Helper()
	least := float64(measured)
	for range 5 {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		for range measured {
			if err := f(); err != nil {
				t.Fatal(err)
			}
		}
		runtime.ReadMemStats(&after)
		least = min(least, float64(after.Mallocs-before.Mallocs)/measured)
	}
	return least
}
