package decision

import (
	"fmt"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
)

// countingFS counts the syncs of the log.
type countingFS struct {
	osFS
	syncs *atomic.Int64
}

type countingHandle struct {
	Handle
	syncs *atomic.Int64
}

func (c countingFS) Create(label, name string) (Handle, error) {
	h, err := c.osFS.Create(label, name)
	return countingHandle{h, c.syncs}, err
}

func (c countingFS) Open(label, name string, write bool) (Handle, error) {
	h, err := c.osFS.Open(label, name, write)
	return countingHandle{h, c.syncs}, err
}

func (h countingHandle) Sync(label string) error {
	h.syncs.Add(1)
	return h.Handle.Sync(label)
}

// BenchmarkAppend appends durable decisions to a real file; the temporary directory should be on the disk in question.
func BenchmarkAppend(b *testing.B) {
	for _, writers := range []int{1, 16, 64} {
		b.Run(fmt.Sprintf("writers=%d", writers), func(b *testing.B) {
			var syncs atomic.Int64
			f := mustOpen(b, FileOptions{Dir: filepath.Join(b.TempDir(), "log"), FS: countingFS{syncs: &syncs}})
			var seq atomic.Uint64
			var wg sync.WaitGroup
			syncs.Store(0)
			b.ReportAllocs()
			b.ResetTimer()
			for range writers {
				wg.Go(func() {
					for n := seq.Add(1); n <= uint64(b.N); n = seq.Add(1) {
						d := decisionOf(f, n)
						if err := f.Append(d); err != nil {
							b.Error(err)
							return
						}
						f.Done(d.GTRID)
					}
				})
			}
			wg.Wait()
			b.StopTimer()
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "appends/s")
			b.ReportMetric(float64(syncs.Load())/float64(b.N), "syncs/append")
			if err := f.Close(); err != nil {
				b.Fatal(err)
			}
		})
	}
}

// BenchmarkRoll makes a segment, the pause of one Append in about a hundred thousand.
func BenchmarkRoll(b *testing.B) {
	dir := b.TempDir()
	for n := range b.N {
		handle, _, err := createSegment(osFS{}, dir, header{coord: "00000000", number: uint64(n%4 + 1), size: DefaultSegmentSize})
		if err != nil {
			b.Fatal(err)
		}
		if err := handle.Close(); err != nil {
			b.Fatal(err)
		}
	}
}
