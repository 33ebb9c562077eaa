package main

import (
	"bytes"
	"cmp"
	"encoding/json"
	"slices"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"github.com/xaproxy/xaproxy/admin/live"
)

// shownEvents is how many lines of the log are kept.
const shownEvents = 1000

// events keeps the last lines of the log, those for developers left out. It is a writer for a logger.
type events struct {
	mu    sync.Mutex // protects following fields
	lines [][]byte   // a ring
	next  int
}

// Write implements io.Writer: a line without a level is an audit's.
func (e *events) Write(line []byte) (int, error) { return e.WriteLevel(zerolog.NoLevel, line) }

// WriteLevel implements zerolog.LevelWriter.
func (e *events) WriteLevel(level zerolog.Level, line []byte) (int, error) {
	if level < zerolog.InfoLevel {
		return len(line), nil
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if len(e.lines) < shownEvents {
		e.lines = append(e.lines, bytes.Clone(line))
	} else {
		e.lines[e.next] = append(e.lines[e.next][:0], line...)
		e.next = (e.next + 1) % shownEvents
	}
	return len(line), nil
}

// latest returns them, the newest first.
func (e *events) latest() []live.Event {
	e.mu.Lock()
	lines := make([][]byte, 0, len(e.lines))
	for _, line := range slices.Concat(e.lines[e.next:], e.lines[:e.next]) {
		lines = append(lines, bytes.Clone(line))
	}
	e.mu.Unlock()
	all := make([]live.Event, 0, len(lines))
	for _, line := range slices.Backward(lines) {
		all = append(all, event(line))
	}
	return all
}

// event reads a line.
func event(line []byte) live.Event {
	fields := make(map[string]any)
	if err := json.Unmarshal(line, &fields); err != nil {
		return live.Event{Message: string(line)}
	}
	take := func(name string) string {
		text, _ := fields[name].(string)
		delete(fields, name)
		return text
	}
	x := live.Event{Message: take(zerolog.MessageFieldName), Backend: take("backend"), GTRID: take("gtrid")}
	x.Time, _ = time.Parse(time.RFC3339, take(zerolog.TimestampFieldName)) // the zero time if it is none
	if x.Level = take(zerolog.LevelFieldName); x.Level == "" {
		x.Level = "audit"
	}
	if rest, err := json.Marshal(fields); err == nil {
		x.Fields = string(rest)
	}
	x.Message = cmp.Or(x.Message, string(line))
	return x
}
