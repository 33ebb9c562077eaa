package main

import (
	"sync"
	"time"

	"github.com/rs/zerolog"
)

const (
	// repeated is how many warnings with the same message are written in one repeatInterval.
	repeated       = 10
	repeatInterval = time.Second
	// maxMessages is how many messages are told apart in it; the others count as one.
	maxMessages = 100
)

// repeats keeps warnings that come again and again from filling the log: when a backend is lost, a thousand transactions say the same. What
// is left out is counted, and the count is written. Errors are all written, and so is everything while log_level is debug.
type repeats struct {
	level *logLevel
	out   zerolog.Logger // without the hook

	mu      sync.Mutex // protects following fields
	windows map[string]*window
}

// window is an interval that a warning has begun.
type window struct{ written, leftOut int }

// Run implements zerolog.Hook.
func (r *repeats) Run(e *zerolog.Event, level zerolog.Level, message string) {
	if level == zerolog.WarnLevel && !r.level.Sample(zerolog.DebugLevel) && !r.admits(message) {
		e.Discard()
	}
}

// admits counts a warning, and reports whether it is to be written.
func (r *repeats) admits(message string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	w := r.windows[message]
	if w == nil && len(r.windows) >= maxMessages {
		message = "others"
		w = r.windows[message]
	}
	if w == nil {
		w = new(window)
		r.windows[message] = w
		time.AfterFunc(repeatInterval, func() { r.end(message) })
	}
	if w.written < repeated {
		w.written++
		return true
	}
	w.leftOut++
	return false
}

// end ends the interval of a warning, and writes how often it was left out.
func (r *repeats) end(message string) {
	r.mu.Lock()
	n := r.windows[message].leftOut
	delete(r.windows, message)
	r.mu.Unlock()
	if n > 0 {
		r.out.Warn().Str("of", message).Int("left_out", n).Msg("warnings were left out, because they repeat")
	}
}
