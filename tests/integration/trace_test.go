package integration

import (
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	otlp "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"

	"github.com/xaproxy/xaproxy/tests/proxytest"
	"github.com/xaproxy/xaproxy/tests/servers"
	"github.com/xaproxy/xaproxy/tests/servers/servertest"
)

// spans is a collector of OpenTelemetry's that keeps what it is sent.
type spans struct {
	t  *testing.T
	mu sync.Mutex
	of []*otlp.Span
}

func (s *spans) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	var sent collector.ExportTraceServiceRequest
	if err == nil {
		err = proto.Unmarshal(body, &sent)
	}
	if err != nil || r.URL.Path != "/v1/traces" || r.Header.Get("Authorization") != "Bearer told" {
		s.t.Errorf("%s with %s: %v", r.URL, r.Header, err)
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, resource := range sent.ResourceSpans {
		for _, scope := range resource.ScopeSpans {
			s.of = append(s.of, scope.Spans...)
		}
	}
}

// tree writes the spans below one, with their attributes, in the order in which they began; waits at the same time in that of their names.
func (s *spans) tree(b *strings.Builder, below []byte, depth int, shown ...string) {
	var all []*otlp.Span
	for _, one := range s.of {
		if string(one.ParentSpanId) == string(below) {
			all = append(all, one)
		}
	}
	slices.SortStableFunc(all, func(a, b *otlp.Span) int {
		if strings.HasPrefix(a.Name, "backend ") && strings.HasPrefix(b.Name, "backend ") {
			return strings.Compare(a.Name, b.Name)
		}
		return int(int64(a.StartTimeUnixNano) - int64(b.StartTimeUnixNano))
	})
	for _, one := range all {
		fmt.Fprintf(b, "%s%s", strings.Repeat("  ", depth), one.Name)
		for _, a := range one.Attributes {
			if slices.Contains(shown, a.Key) {
				fmt.Fprintf(b, " %s=%s", strings.TrimPrefix(a.Key, "xaproxy."), a.Value.GetStringValue())
			}
		}
		if len(one.Links) > 0 {
			fmt.Fprintf(b, " linked=%t", s.named(one.Links[0].SpanId) == "transaction")
		}
		if one.Status.GetCode() == otlp.Status_STATUS_CODE_ERROR {
			b.WriteString(" failed")
		}
		if one.EndTimeUnixNano < one.StartTimeUnixNano {
			b.WriteString(" ends before it begins")
		}
		b.WriteByte('\n')
		s.tree(b, one.SpanId, depth+1, shown...)
	}
}

func (s *spans) named(id []byte) string {
	for _, one := range s.of {
		if string(one.SpanId) == string(id) {
			return one.Name
		}
	}
	return ""
}

// A collector is told of statements, transactions, branches and the steps of their commit, below the client's span where it has named one, and of
// no values.
func TestTrace(t *testing.T) {
	t.Parallel()
	got := &spans{t: t}
	at := httptest.NewServer(got)
	defer at.Close()
	on := []*servers.Server{servertest.Get(t, servers.MySQL), servertest.Get(t, servers.MariaDB)}
	w := newWatched(t, on, func(o *proxytest.Options) {
		o.Trace = []string{fmt.Sprintf("endpoint = %q", at.URL), "one_in = 0", `authorization = "Bearer told"`}
	})
	const trace, span = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
	told := func(sql string) string { return sql + " /*traceparent='00-" + trace + "-" + span + "-01'*/" }
	c := w.conn(proxytest.User, proxytest.Password)
	c.exec("INSERT INTO accounts VALUES (4, 1)", "SELECT 'not asked for' /*traceparent='00-"+trace+"-"+span+"-00'*/") // nobody wants to know
	c.exec(told("INSERT INTO accounts VALUES (2, 987654321)"), told("SELECT id FROM accounts WHERE v = 'a-secret'"))
	c.fails(1062, told("INSERT INTO accounts VALUES (2, 1)"))
	c.exec("BEGIN", told("INSERT INTO accounts VALUES (6, 1)"), "INSERT INTO accounts VALUES (7, 1)", "COMMIT")
	c.exec("BEGIN", told("UPDATE accounts SET v = 3 WHERE id = 7"), "ROLLBACK")
	c.exec(told("UPDATE accounts SET v = 5 WHERE id IN (6, 7)"))
	check(t, w.Stop())

	parent, err := hex.DecodeString(span)
	check(t, err)
	var b strings.Builder
	got.tree(&b, parent, 0, "db.query.text", "db.response.status_code", "xaproxy.plan", "xaproxy.outcome", "xaproxy.result")
	const want = `insert db.query.text=INSERT INTO accounts VALUES (?, ?) plan=one_backend
  backend b0
select db.query.text=SELECT id FROM accounts WHERE v = ? plan=rows
  backend b0
  backend b1
insert db.query.text=INSERT INTO accounts VALUES (?, ?) plan=one_backend db.response.status_code=1062 failed
  backend b0
insert db.query.text=INSERT INTO accounts VALUES (?, ?) plan=one_backend linked=true
  backend b0
transaction outcome=committed
  branch b0
    prepare result=ok
    commit result=ok
  insert db.query.text=INSERT INTO accounts VALUES (?, ?) plan=one_backend
    backend b1
  branch b1
    prepare result=ok
    commit result=ok
  commit db.query.text=COMMIT plan=session
  preparing
  deciding
  committing
update db.query.text=UPDATE accounts SET v = ? WHERE id = ? plan=one_backend linked=true
  backend b1
transaction outcome=rolled back
  branch b1
    rollback result=ok
  rollback db.query.text=ROLLBACK plan=session
  aborting
update db.query.text=UPDATE accounts SET v = ? WHERE id IN (?, ?) plan=ok linked=true
  backend b0
  backend b1
transaction outcome=committed
  branch b0
    prepare result=ok
    commit result=ok
  branch b1
    prepare result=ok
    commit result=ok
  preparing
  deciding
  committing
`
	if b.String() != want {
		t.Errorf("got\n%s", &b)
	}
	for _, one := range got.of {
		if hex.EncodeToString(one.TraceId) != trace {
			t.Errorf("%s is of trace %x", one.Name, one.TraceId)
		}
		if text := one.String(); strings.Contains(text, "secret") || strings.Contains(text, "987654321") || strings.Contains(text, "not asked for") {
			t.Errorf("a value is in a span: %s", text)
		}
	}
}
