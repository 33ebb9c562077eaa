package config

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
)

// Mistake is one thing that is wrong in a configuration file.
type Mistake struct {
	// File is the file's name as it was given to Load or Parse.
	File string
	// Line and Column are where to look, both from 1, the column in bytes. Something that is missing is reported at the
	// section that lacks it, or at 1:1 when the whole section is missing.
	Line, Column int
	// Key is the path of the key, such as backends[orders-2].pool_size; empty for a syntax error.
	Key string
	// Text says what is wrong, what is allowed and what to do.
	Text string
}

// String returns "file:line:column: key: text".
func (m Mistake) String() string {
	if m.Key == "" {
		return fmt.Sprintf("%s:%d:%d: %s", m.File, m.Line, m.Column, m.Text)
	}
	return fmt.Sprintf("%s:%d:%d: %s: %s", m.File, m.Line, m.Column, m.Key, m.Text)
}

// Mistakes are all mistakes of one file, sorted by position. As an error it is never empty.
type Mistakes []Mistake

// Error returns one mistake per line.
func (ms Mistakes) Error() string {
	lines := make([]string, len(ms))
	for i, m := range ms {
		lines[i] = m.String()
	}
	return strings.Join(lines, "\n")
}

// report collects mistakes by offset in the text.
type report struct {
	file  string
	data  []byte
	found []found
	// torn is set by a syntax error: what is missing or dangling can then not be told.
	torn bool
}

type found struct {
	offset    int
	key, text string
}

func (r *report) add(offset int, key, format string, args ...any) {
	r.found = append(r.found, found{offset, key, fmt.Sprintf(format, args...)})
}

// line returns the line of an offset, from 1.
func (r *report) line(offset int) int {
	return 1 + bytes.Count(r.data[:offset], []byte{'\n'})
}

func (r *report) sorted() Mistakes {
	slices.SortStableFunc(r.found, func(a, b found) int { return a.offset - b.offset })
	ms := make(Mistakes, len(r.found))
	for i, f := range r.found {
		start := bytes.LastIndexByte(r.data[:f.offset], '\n') + 1
		ms[i] = Mistake{File: r.file, Line: r.line(f.offset), Column: 1 + f.offset - start, Key: f.key, Text: f.text}
	}
	return ms
}

func (r *report) lineOf(e *entry) string {
	return fmt.Sprintf("on line %d", r.line(e.offset))
}

// within reports whether a mistake in a section is found already.
func (r *report) within(prefix string) bool {
	return slices.ContainsFunc(r.found, func(f found) bool { return strings.HasPrefix(f.key, prefix) })
}
