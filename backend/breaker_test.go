package backend

import (
	"strings"
	"testing"
	"time"

	"github.com/xaproxy/xaproxy/wire"
)

// After a failure nobody tries for a while, then one statement does, and the pauses grow up to their limit; a success ends that at once.
func TestBreaker(t *testing.T) {
	var b breaker
	now := time.Now()
	down := wire.NewError(wire.CodeBackendDown, "backend b cannot be reached: refused")
	if e := b.admits(now); e != nil {
		t.Fatalf("at first: %v", e)
	}
	longest := time.Duration(0)
	for range 20 {
		b.done(now, down)
		e := b.admits(now)
		if e == nil || e.Errno != down.Errno || !strings.HasPrefix(e.Message, down.Message) || e.Message == down.Message {
			t.Fatalf("right after a failure: %v", e)
		}
		pause := time.Duration(0)
		for b.admits(now.Add(pause)) != nil {
			if pause += time.Millisecond; pause > maxPause {
				t.Fatal("no attempt is made for too long")
			}
		}
		if b.admits(now.Add(2*maxPause)) == nil {
			t.Fatal("two try at the same time")
		}
		longest, now = max(longest, pause), now.Add(pause)
	}
	if longest < maxPause/2 {
		t.Errorf("the longest pause was %s", longest)
	}
	b.done(now, wire.NewError(wire.CodeQueryInterrupted, "killed"))
	if b.admits(now) != nil {
		t.Error("who was interrupted while trying keeps others from it")
	}
	b.done(now, nil)
	if e := b.admits(now); e != nil {
		t.Errorf("after a success: %v", e)
	}
}

// What the server itself says about a schema shows that it is there.
func TestBreakerAnswered(t *testing.T) {
	var b breaker
	b.done(time.Now(), wire.NewError(wire.CodeUnknownDatabase, "Unknown database"))
	if e := b.admits(time.Now()); e != nil {
		t.Error(e)
	}
}
