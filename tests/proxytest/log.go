package proxytest

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
)

// Log is what the program wrote to its standard error, over all its restarts. It is safe for concurrent use.
type Log struct {
	mu      sync.Mutex // protects the following
	lines   []string
	partial []byte
	changed chan struct{} // closed and replaced when lines grow
}

// Write takes what the program writes.
func (l *Log) Write(data []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.partial = append(l.partial, data...)
	grown := false
	for {
		i := bytes.IndexByte(l.partial, '\n')
		if i < 0 {
			break
		}
		l.lines = append(l.lines, string(l.partial[:i]))
		l.partial = l.partial[i+1:]
		grown = true
	}
	if grown && l.changed != nil {
		close(l.changed)
		l.changed = nil
	}
	return len(data), nil
}

// Len is the number of lines so far, to be used as the start of a later Wait.
func (l *Log) Len() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.lines)
}

// Grep returns the lines that contain one of the texts; all lines without any.
func (l *Log) Grep(texts ...string) []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	var found []string
	for _, line := range l.lines {
		if len(texts) == 0 || slices.ContainsFunc(texts, func(s string) bool { return strings.Contains(line, s) }) {
			found = append(found, line)
		}
	}
	return found
}

// Wait returns the first line from line number from on that contains all the texts, as soon as there is one.
func (l *Log) Wait(ctx context.Context, from int, texts ...string) (string, error) {
	for {
		l.mu.Lock()
		for ; from < len(l.lines); from++ {
			line := l.lines[from]
			if !slices.ContainsFunc(texts, func(s string) bool { return !strings.Contains(line, s) }) {
				l.mu.Unlock()
				return line, nil
			}
		}
		if l.changed == nil {
			l.changed = make(chan struct{})
		}
		changed := l.changed
		l.mu.Unlock()
		select {
		case <-changed:
		case <-ctx.Done():
			return "", fmt.Errorf("wait for a log line with %q: %w", texts, ctx.Err())
		}
	}
}

// tail is the end of the log, for errors.
func (l *Log) tail() string {
	lines := l.Grep()
	return "last lines of xaproxy's log:\n" + strings.Join(lines[max(0, len(lines)-tailLines):], "\n")
}

const tailLines = 20
