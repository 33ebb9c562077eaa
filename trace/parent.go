package trace

import (
	"bytes"
	"context"
	"encoding/hex"

	"go.opentelemetry.io/otel/trace"
)

// Parent is the client's span, if it has named one.
type Parent struct{ of trace.SpanContext }

func (p Parent) known() bool { return p.of.IsValid() }

func (p Parent) context() context.Context {
	if !p.known() {
		return context.Background()
	}
	return trace.ContextWithRemoteSpanContext(context.Background(), p.of)
}

// commented is how far from the end of a statement its comment is looked for, in bytes.
const commented = 2048

// ParentOf reads traceparent='00-…-…-…' from the comment at the end of a statement, where sqlcommenter puts it.
func ParentOf(sql []byte) Parent {
	tail := bytes.TrimRight(sql[max(0, len(sql)-commented):], " \t\r\n;")
	if !bytes.HasSuffix(tail, []byte("*/")) {
		return Parent{}
	}
	comment := tail[max(0, bytes.LastIndex(tail, []byte("/*"))):]
	_, value, found := bytes.Cut(comment, []byte("traceparent='"))
	if value, _, closed := bytes.Cut(value, []byte("'")); found && closed {
		return parse(value)
	}
	return Parent{}
}

// parse reads a traceparent. Versions after 00 may have more fields behind these.
//
// Source: W3C Trace Context, section 3.2.
func parse(b []byte) Parent {
	const length = 55
	if len(b) < length || b[2] != '-' || b[35] != '-' || b[52] != '-' || len(b) > length && b[length] != '-' {
		return Parent{}
	}
	var version, flags [1]byte
	var c trace.SpanContextConfig
	for _, f := range []struct{ to, from []byte }{{version[:], b[:2]}, {c.TraceID[:], b[3:35]}, {c.SpanID[:], b[36:52]}, {flags[:], b[53:55]}} {
		if _, err := hex.Decode(f.to, f.from); err != nil || !bytes.Equal(f.from, bytes.ToLower(f.from)) {
			return Parent{}
		}
	}
	if version[0] == 0xff || version[0] == 0 && len(b) > length {
		return Parent{}
	}
	c.TraceFlags, c.Remote = trace.TraceFlags(flags[0])&trace.FlagsSampled, true
	return Parent{trace.NewSpanContext(c)}
}
