package trace

import (
	"context"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	"github.com/xaproxy/xaproxy/xa"
)

// Transaction is the span of a transaction that has a branch, and those below it. It is used by one goroutine at a time.
type Transaction struct {
	t        *Tracer
	ctx      context.Context
	span     trace.Span
	state    xa.State
	entered  time.Time
	branches []branch
}

var _ xa.Watcher = (*Transaction)(nil)

// branch is the span of a branch, with what it was asked for last.
type branch struct {
	ctx   context.Context
	span  trace.Span
	verb  string
	asked time.Time
}

// Transaction begins the span of a transaction.
func (t *Tracer) Transaction(p Parent, gtrid string, at time.Time) *Transaction {
	ctx, span := t.spans.Start(p.context(), "transaction", trace.WithTimestamp(at), trace.WithAttributes(gtridKey.String(gtrid)))
	return &Transaction{t: t, ctx: ctx, span: span}
}

// Joined begins the span of the next branch.
func (x *Transaction) Joined(backend string, at time.Time) {
	ctx, span := x.t.spans.Start(x.ctx, "branch "+backend, trace.WithTimestamp(at), trace.WithSpanKind(trace.SpanKindClient), trace.WithAttributes(backendKey.String(backend)))
	x.branches = append(x.branches, branch{ctx: ctx, span: span})
}

// Entered ends the span of the state before, and notes the next one.
func (x *Transaction) Entered(s xa.State, at time.Time) {
	if x.state != xa.Active {
		_, span := x.t.spans.Start(x.ctx, x.state.String(), trace.WithTimestamp(x.entered))
		span.End(trace.WithTimestamp(at))
	}
	x.state, x.entered = s, at
}

// Asked notes what a branch was asked for.
func (x *Transaction) Asked(i int, what xa.ActionKind, at time.Time) {
	x.branches[i].verb, x.branches[i].asked = what.String(), at
}

// Heard is the span of a question and its answer.
func (x *Transaction) Heard(i int, r xa.Result, at time.Time) {
	b := &x.branches[i]
	_, span := x.t.spans.Start(b.ctx, b.verb, trace.WithTimestamp(b.asked), trace.WithSpanKind(trace.SpanKindClient), trace.WithAttributes(attribute.Stringer("xaproxy.result", r)))
	if r != xa.OK {
		span.SetStatus(codes.Error, "")
	}
	span.End(trace.WithTimestamp(at))
}

// Ended ends all spans. What is left to recovery is not told of here.
func (x *Transaction) Ended(o xa.Outcome, at time.Time) {
	for _, b := range x.branches {
		b.span.End(trace.WithTimestamp(at))
	}
	x.span.SetAttributes(attribute.Stringer("xaproxy.outcome", o), attribute.Int("xaproxy.branches", len(x.branches)))
	if o == xa.InDoubt {
		x.span.SetStatus(codes.Error, o.String())
	}
	x.span.End(trace.WithTimestamp(at))
}
