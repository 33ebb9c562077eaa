package trace

import (
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/xaproxy/xaproxy/xa"
)

// A collector that never answers costs no statement anything: spans that find no room are dropped, and the end waits for a bounded time.
func TestSilentCollector(t *testing.T) {
	silent, err := net.Listen("tcp", "127.0.0.1:0") // whose queue takes connections, and nobody else
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	var said lines
	tracer, err := New(Options{Endpoint: "http://" + silent.Addr().String(), OneIn: 1, Logger: zerolog.New(&said)})
	if err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	for range 3 * queued {
		now := time.Now()
		tracer.Statement(nil, Parent{}, "select", now, now, func() Statement { return Statement{Text: "SELECT ?"} })
	}
	if took := time.Since(began); took > exportTimeout/2 {
		t.Errorf("%d statements were kept waiting for %s", 3*queued, took)
	}
	tracer.Close()
	if took := time.Since(began); took > 4*flushTimeout {
		t.Errorf("the end took %s", took)
	}
	said.mu.Lock()
	defer said.mu.Unlock()
	if text := said.of.String(); !strings.Contains(text, "could not be sent to trace.endpoint") {
		t.Errorf("nobody was told: %s", text)
	}
}

// lines are written by several goroutines.
type lines struct {
	mu sync.Mutex
	of strings.Builder
}

func (l *lines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.of.Write(b)
}

// Of a transaction that nobody asks for nothing is told, and of one whose outcome nobody knows that it is so.
func TestSampling(t *testing.T) {
	kept := tracetest.NewInMemoryExporter()
	for _, oneIn := range []int{0, 1} {
		tracer := newTracer(Options{OneIn: oneIn}, sdk.NewSimpleSpanProcessor(kept))
		now := time.Now()
		tx := tracer.Transaction(Parent{}, "xp1.00000000.1.1", now)
		tx.Joined("a", now)
		tracer.Statement(tx, Parent{}, "insert", now, now, func() Statement {
			if oneIn == 0 {
				t.Error("a statement that nobody wants to know of was described")
			}
			return Statement{}
		})
		tx.Entered(xa.Preparing, now)
		tx.Asked(0, xa.ActionPrepare, now)
		tx.Heard(0, xa.Lost, now)
		tx.Entered(xa.Unknown, now)
		tx.Ended(xa.InDoubt, now)
		var got []string
		for _, s := range kept.GetSpans() {
			got = append(got, s.Name+" "+s.Status.Code.String())
		}
		var want []string
		if oneIn == 1 {
			want = []string{"insert Unset", "prepare Error", "preparing Unset", "branch a Unset", "transaction Error"}
		}
		if !slices.Equal(got, want) {
			t.Errorf("one in %d: %q, want %q", oneIn, got, want)
		}
	}
}
