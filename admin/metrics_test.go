package admin

import (
	"fmt"
	"math"
	"net/http"
	"net/http/httptest"
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

// busy is a Source with as much to tell as a proxy of ten backends has.
type busy struct{ fixed }

func (busy) Snapshot() Snapshot {
	s := Snapshot{Durations: map[string]*metric.Durations{}, Phases: map[string]*metric.Durations{}, Syncs: &metric.Durations{}}
	for _, kind := range []string{"select", "insert", "update", "delete", "begin", "commit", "set", "other"} {
		d := &metric.Durations{Sum: time.Hour}
		for i := range 80 {
			d.Buckets[40+i] = uint64(1000 * i)
		}
		s.Durations[kind], s.Phases[kind] = d, d
		for _, plan := range []string{"one_backend", "stream", "scratch"} {
			s.Statements = append(s.Statements, Statements{Kind: kind, Plan: plan, Count: 1e9})
		}
	}
	return s
}

// BenchmarkScrape is what a scrape costs, in the text format and without the network.
func BenchmarkScrape(b *testing.B) {
	source := &busy{}
	for i := range 10 {
		source.backends = append(source.backends, Backend{Name: fmt.Sprint("backend-", i)})
	}
	h := metrics(source)
	for b.Loop() {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
		if w.Code != http.StatusOK {
			b.Fatal(w.Body)
		}
	}
}
