package proxy

import (
	"time"

	"github.com/xaproxy/xaproxy/trace"
	"github.com/xaproxy/xaproxy/xa"
)

// traced is what a session knows for its spans. nil: nothing is traced.
type traced struct {
	tracer *trace.Tracer
	parent trace.Parent       // of the present statement
	tx     *trace.Transaction // that the present statement is in, or has ended
}

// reads looks into the text of a statement for the client's span.
func (t *traced) reads(sql []byte) {
	if t != nil {
		t.parent = trace.ParentOf(sql)
	}
}

// begins tells of a transaction that has its name.
func (t *traced) begins(tx *xa.Tx) {
	if t != nil {
		t.tx = t.tracer.Transaction(t.parent, tx.GTRID().String(), time.Now())
		tx.Watch(t.tx)
	}
}

// trace tells of the statement that has been answered by now.
func (s *session) trace(now time.Time) {
	t, n := s.traced, &s.noted
	t.tracer.Statement(t.tx, t.parent, kindNames[n.kind], n.began, now, func() trace.Statement {
		o := s.observed(now, now.Sub(n.began))
		about := trace.Statement{Plan: o.Plan, Text: o.Text, Schema: o.Schema, User: o.User, Rows: o.Rows, Errno: o.Errno, GTRID: o.GTRID}
		if n.plan == 0 { // it may have ended a transaction, whose branches tell what was waited for
			return about
		}
		for _, b := range o.Backends {
			about.Waits = append(about.Waits, trace.Wait{Backend: b.Backend, Took: b.Took})
		}
		return about
	})
}

// over forgets the statement.
func (t *traced) over(inTx bool) {
	if t == nil {
		return
	}
	if t.parent = (trace.Parent{}); !inTx {
		t.tx = nil
	}
}
