//go:build !race

package wire

import (
	"runtime"
	"testing"
)

// TestLargePacketMemory: a packet of 17 MB costs less than twice its size when it comes first.
func TestLargePacketMemory(t *testing.T) {
	const n = 17 << 20
	hugeBuffers = spares{}
	c := NewConn(&cutConn{in: pack(0, make([]byte, n))}, 0)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	if p, err := c.ReadPacket(); err != nil || len(p) != n {
		t.Fatal(len(p), err)
	}
	runtime.ReadMemStats(&after)
	if got := after.TotalAlloc - before.TotalAlloc; got < n || got > 2*n {
		t.Errorf("%d bytes allocated for a packet of %d", got, n)
	}
}

// TestLoanAllocations: a connection that is always at work allocates nothing for giving its buffers back in between. The race
// detector makes pools forget at random, so this is for builds without it.
func TestLoanAllocations(t *testing.T) {
	for _, n := range []int{1, 10_000, 100_000, 1_000_000, 17 << 20} {
		packet, answer := pack(0, make([]byte, n)), make([]byte, n)
		source := &cutConn{}
		c := NewConn(source, 0)
		once := func() {
			source.in = packet
			if _, arg, err := c.ReadCommand(); err != nil || len(arg) != n-1 {
				t.Fatal(len(arg), err)
			}
			if err := c.send(answer); err != nil {
				t.Fatal(err)
			}
		}
		runtime.GC()
		for range 5 {
			once() // pools fill
		}
		if allocs := testing.AllocsPerRun(20, once); allocs != 0 {
			t.Errorf("%d bytes: %v allocations", n, allocs)
		}
	}
}
