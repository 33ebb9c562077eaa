package main

import (
	"context"
	"errors"
	"testing"

	"github.com/xaproxy/xaproxy/decision"
)

// A log can break by a write for which nobody waits, that of a DONE record. The process must end then too: only a start finds out what the
// log says. That recovery is stuck otherwise is shown by tests/sim.
func TestHaltWhenBroken(t *testing.T) {
	var cause error
	broken := make(chan struct{})
	close(broken)
	haltWhenBroken(t.Context(), broken, func() error { return decision.ErrBroken }, func(err error) { cause = err })
	if !errors.Is(cause, decision.ErrBroken) {
		t.Errorf("halted with %v, want %v", cause, decision.ErrBroken)
	}
	stopped, cancel := context.WithCancel(t.Context())
	cancel()
	haltWhenBroken(stopped, nil, nil, func(err error) { t.Errorf("halted with %v at an ordinary end", err) })
}
