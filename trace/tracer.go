package trace

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/rs/zerolog"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/sdk/resource"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

// Options say where spans go, and which.
type Options struct {
	Endpoint      string // URL of the collector, http://host:4318 or https://...; without a path it is /v1/traces
	Authorization string // the header of that name; "" for none
	// OneIn is of how many statements outside of transactions, and of how many transactions, one is told of where the client does not say; 0: of none.
	OneIn   int
	Version string // of xaproxy
	Logger  zerolog.Logger
}

const (
	// exportTimeout bounds one attempt to reach the collector.
	exportTimeout = 5 * time.Second
	// flushTimeout bounds what is still sent at the end.
	flushTimeout = 5 * time.Second
	// queued is how many spans wait for the collector at most; those that find no room are dropped.
	queued = 4096
)

// Tracer sends spans. It is safe for concurrent use, and its methods never wait for the collector.
type Tracer struct {
	provider *sdk.TracerProvider
	spans    trace.Tracer
	log      zerolog.Logger
}

// New returns a Tracer. The collector need not be there yet: what cannot be sent is dropped, and there is a warning.
func New(o Options) (*Tracer, error) {
	headers := map[string]string{}
	if o.Authorization != "" {
		headers["Authorization"] = o.Authorization
	}
	endpoint := o.Endpoint
	if i := strings.Index(endpoint, "://"); i >= 0 && !strings.Contains(endpoint[i+3:], "/") {
		endpoint += "/v1/traces"
	}
	exporter, err := otlptracehttp.New(context.Background(), otlptracehttp.WithEndpointURL(endpoint), otlptracehttp.WithHeaders(headers), otlptracehttp.WithTimeout(exportTimeout))
	if err != nil {
		return nil, fmt.Errorf("trace.endpoint: %w", err)
	}
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) { o.Logger.Warn().Err(err).Msg("spans could not be sent to trace.endpoint") }))
	return newTracer(o, sdk.NewBatchSpanProcessor(exporter, sdk.WithMaxQueueSize(queued), sdk.WithExportTimeout(exportTimeout))), nil
}

func newTracer(o Options, to sdk.SpanProcessor) *Tracer {
	about := resource.NewSchemaless(attribute.String("service.name", "xaproxy"), attribute.String("service.version", o.Version))
	share := 0.0
	if o.OneIn > 0 {
		share = 1 / float64(o.OneIn)
	}
	p := sdk.NewTracerProvider(sdk.WithResource(about), sdk.WithSpanProcessor(to), sdk.WithSampler(sdk.ParentBased(sdk.TraceIDRatioBased(share))))
	return &Tracer{log: o.Logger, provider: p, spans: p.Tracer("github.com/xaproxy/xaproxy/trace")}
}

// Close sends what is left, for 5 seconds at most.
func (t *Tracer) Close() {
	ctx, cancel := context.WithTimeout(context.Background(), flushTimeout)
	defer cancel()
	if err := t.provider.Shutdown(ctx); err != nil {
		t.log.Warn().Err(err).Msg("the last spans could not be sent to trace.endpoint")
	}
}

// Statement is what is known of a statement that has ended.
type Statement struct {
	Plan         string // as metrics have it
	Text         string // without values
	Schema, User string
	Rows         int64  // that were sent, or changed
	Errno        uint16 // 0: it has succeeded
	GTRID        string // of its transaction; "" without one
	Waits        []Wait
}

// Wait is how long a statement has waited for a backend.
type Wait struct {
	Backend string
	Took    time.Duration
}

// Statement tells of a statement of that kind, which is one of tx or, if that is nil, of none. about is asked only if somebody wants to know.
func (t *Tracer) Statement(tx *Transaction, p Parent, kind string, began, ended time.Time, about func() Statement) {
	ctx := p.context()
	options := []trace.SpanStartOption{trace.WithTimestamp(began), trace.WithSpanKind(trace.SpanKindServer)}
	switch {
	case tx == nil:
	case p.known():
		options = append(options, trace.WithLinks(trace.Link{SpanContext: tx.span.SpanContext()}))
	default:
		ctx = tx.ctx
	}
	ctx, span := t.spans.Start(ctx, kind, options...)
	defer span.End(trace.WithTimestamp(ended))
	if !span.IsRecording() {
		return
	}
	s := about()
	span.SetAttributes(
		attribute.String("db.system.name", "mysql"), attribute.String("db.namespace", s.Schema), attribute.String("db.operation.name", strings.ToUpper(kind)),
		attribute.String("db.query.text", s.Text), attribute.String("user.name", s.User), attribute.String("xaproxy.plan", s.Plan), attribute.Int64("db.response.returned_rows", s.Rows),
	)
	if s.GTRID != "" {
		span.SetAttributes(gtridKey.String(s.GTRID))
	}
	if s.Errno != 0 {
		span.SetAttributes(attribute.String("db.response.status_code", strconv.Itoa(int(s.Errno))))
		span.SetStatus(codes.Error, "")
	}
	for _, w := range s.Waits {
		_, wait := t.spans.Start(ctx, "backend "+w.Backend, trace.WithTimestamp(ended.Add(-w.Took)), trace.WithSpanKind(trace.SpanKindClient), trace.WithAttributes(backendKey.String(w.Backend)))
		wait.End(trace.WithTimestamp(ended))
	}
}

const (
	gtridKey   = attribute.Key("xaproxy.gtrid")
	backendKey = attribute.Key("xaproxy.backend")
)
