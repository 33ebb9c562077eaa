package metric

import (
	"math"
	"testing"
	"time"
)

// Each duration is in the bucket whose bounds it is between, as Prometheus has them.
func TestBuckets(t *testing.T) {
	upper := func(i int) float64 { return math.Exp2(float64(i) / (1 << Schema)) }
	for _, d := range []time.Duration{
		time.Microsecond, 1500, time.Millisecond, 3 * time.Millisecond, time.Second / 2, time.Second, time.Second + 1, 2 * time.Second, time.Minute, 1000 * time.Second,
	} {
		i := bucket(d)
		if s := d.Seconds(); s > upper(i)*(1+1e-12) || s <= upper(i-1)*(1-1e-12) {
			t.Errorf("%s is in bucket %d, from %g to %g", d, i, upper(i-1), upper(i))
		}
	}
	if got := bucket(time.Second); got != 0 {
		t.Errorf("a second is in bucket %d, whose upper bound is another", got)
	}
	if bucket(1) != First || bucket(math.MaxInt64) != Last {
		t.Error("what is out of range is not in the first or the last bucket")
	}
}

func TestHistogram(t *testing.T) {
	var h Histogram
	for _, d := range []time.Duration{time.Second, 2 * time.Second, -time.Second} {
		h.Observe(d)
	}
	var d Durations
	h.AddTo(&d)
	h.AddTo(&d)
	if d.Count() != 6 || d.Sum != 6*time.Second+2 || d.Buckets[0-First] != 2 || d.Buckets[8-First] != 2 || d.Buckets[0] != 2 {
		t.Errorf("%d durations, %s in all, want two of each of 1 s, 2 s and 1 ns", d.Count(), d.Sum)
	}
}

func TestObserveAllocatesNothing(t *testing.T) {
	var h Histogram
	if n := testing.AllocsPerRun(100, func() { h.Observe(time.Millisecond) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkObserve(b *testing.B) {
	var h Histogram
	for b.Loop() {
		h.Observe(123 * time.Microsecond)
	}
}
