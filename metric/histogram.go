package metric

import (
	"math"
	"sync/atomic"
	"time"
)

// The buckets are those of Prometheus' native histograms: bucket i has the durations from above 2^((i-1)/8) seconds to 2^(i/8). What is
// shorter than a microsecond, or longer than a quarter of an hour, is in the first or the last one.
const (
	Schema  = 3 // 2^Schema buckets for each power of two
	First   = -20 << Schema
	Last    = 10 << Schema
	Buckets = Last - First + 1
)

// bounds are the upper bounds of the buckets between a half and one.
var bounds = func() (b [1 << Schema]float64) {
	for i := range b {
		b[i] = math.Exp2(float64(i-len(b)) / float64(len(b)))
	}
	return b
}()

// Histogram counts durations by their length. It is safe for concurrent use.
type Histogram struct {
	buckets [Buckets]atomic.Uint64
	sum     atomic.Int64
}

// Observe counts a duration, of a nanosecond at least.
func (h *Histogram) Observe(d time.Duration) {
	d = max(d, 1)
	h.buckets[bucket(d)-First].Add(1)
	h.sum.Add(int64(d))
}

// bucket is the index of the bucket of d.
func bucket(d time.Duration) int {
	fraction, exponent := math.Frexp(d.Seconds())
	i := 0
	for i < len(bounds) && bounds[i] < fraction {
		i++
	}
	return min(max((exponent-1)<<Schema+i, First), Last)
}

// Durations is what a Histogram has counted.
type Durations struct {
	Buckets [Buckets]uint64 // by index less First
	Sum     time.Duration
}

// AddTo adds what was counted to d.
func (h *Histogram) AddTo(d *Durations) {
	for i := range h.buckets {
		d.Buckets[i] += h.buckets[i].Load()
	}
	d.Sum += time.Duration(h.sum.Load())
}

// Count is how many durations there are.
func (d *Durations) Count() (n uint64) {
	for _, b := range d.Buckets {
		n += b
	}
	return n
}
