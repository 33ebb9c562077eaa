package admin

import (
	"math"
	"testing"
	"time"

	dto "github.com/prometheus/client_model/go"

	"github.com/xaproxy/xaproxy/metric"
)

// A histogram is native, with the schema and the buckets in which durations were counted, and has ordinary buckets with the same counts beside them.
func TestHistogram(t *testing.T) {
	var h metric.Histogram
	for range 3 {
		h.Observe(time.Millisecond)
	}
	h.Observe(2 * time.Second)
	d := &metric.Durations{}
	h.AddTo(d)
	var m dto.Metric
	if err := (histogram{durations, d, []string{"select"}}).Write(&m); err != nil {
		t.Fatal(err)
	}
	got := m.Histogram
	if got.GetSampleCount() != 4 || math.Abs(got.GetSampleSum()-2.003) > 1e-9 || got.GetSchema() != metric.Schema {
		t.Errorf("%v", got)
	}
	at, counts, n := 0, map[int]int64{}, 0
	last := int64(0)
	for _, span := range got.PositiveSpan {
		at += int(span.GetOffset())
		for range span.GetLength() {
			last += got.PositiveDelta[n]
			counts[at] = last
			n, at = n+1, at+1
		}
	}
	milli := int(math.Ceil(math.Log2(0.001) * (1 << metric.Schema)))
	if counts[milli] != 3 || counts[1<<metric.Schema] != 1 {
		t.Errorf("native buckets are %v, want 3 in %d and 1 in %d", counts, milli, 1<<metric.Schema)
	}
	for _, b := range got.Bucket {
		want := uint64(0)
		if b.GetUpperBound() >= 0.001 {
			want = 3
		}
		if b.GetUpperBound() >= 2 {
			want = 4
		}
		if b.GetCumulativeCount() != want {
			t.Errorf("%d at most %v, want %d", b.GetCumulativeCount(), b.GetUpperBound(), want)
		}
	}
	if len(got.Bucket) < 10 {
		t.Errorf("only %d ordinary buckets", len(got.Bucket))
	}
}
