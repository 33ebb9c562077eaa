package main

import (
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"
)

// screenWidth is the number of columns that every terminal has.
const screenWidth = 80

// screen writes the demo's story: steps with lines below them, and at the bottom perhaps a live line that is written
// over. Without a terminal there are no colours, and of a live line only the last state is written. Errors of the
// writer are not looked at: there is nobody else to tell.
type screen struct {
	w        io.Writer
	terminal bool
	colour   bool
	steps    int
	moving   string // the live line; "" when there is none
}

func newScreen(w io.Writer) *screen {
	terminal := isTerminal(w) && os.Getenv("TERM") != "dumb"
	return &screen{w: w, terminal: terminal, colour: terminal && os.Getenv("NO_COLOR") == ""}
}

// title begins the story.
func (s *screen) title(text string) { s.line("%s", s.paint("1", text)) }

// step begins a numbered part of the story.
func (s *screen) step(format string, args ...any) {
	s.steps++
	s.line("")
	s.line("%s", s.paint("1", fmt.Sprintf("%d. ", s.steps)+fmt.Sprintf(format, args...)))
}

// say writes a line that belongs to the step.
func (s *screen) say(format string, args ...any) { s.line("   "+format, args...) }

// line writes a line, in place of the live line if there is one.
func (s *screen) line(format string, args ...any) {
	s.erase()
	s.moving = ""
	_, _ = fmt.Fprintln(s.w, strings.TrimRight(fmt.Sprintf(format, args...), " "))
}

// live writes the live line anew.
func (s *screen) live(format string, args ...any) {
	s.erase()
	s.moving = "   " + fmt.Sprintf(format, args...)
	if len(s.moving) >= screenWidth {
		s.moving = s.moving[:screenWidth-1] // a line that wraps could not be written over
	}
	if s.terminal {
		_, _ = fmt.Fprint(s.w, s.moving)
	}
}

// endLive turns the live line, if there is one, into a line that stays.
func (s *screen) endLive() {
	if s.moving != "" {
		s.line("%s", s.moving)
	}
}

// erase takes the live line from the terminal.
func (s *screen) erase() {
	if s.terminal && s.moving != "" {
		_, _ = fmt.Fprint(s.w, "\r"+strings.Repeat(" ", len(s.moving))+"\r")
	}
}

func (s *screen) good(text string) string { return s.paint("1;32", text) }
func (s *screen) warn(text string) string { return s.paint("1;33", text) }
func (s *screen) bad(text string) string  { return s.paint("1;31", text) }
func (s *screen) dim(text string) string  { return s.paint("2", text) }

func (s *screen) paint(code, text string) string {
	if !s.colour {
		return text
	}
	return "\x1b[" + code + "m" + text + "\x1b[0m"
}

// number writes an integer with commas between the thousands.
func number[N int | int64](n N) string {
	digits := strconv.FormatInt(int64(n), 10)
	sign := ""
	if n < 0 {
		sign, digits = "-", digits[1:]
	}
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return sign + digits
}

// seconds writes a duration as people say it.
func seconds(d time.Duration) string {
	if d < time.Second {
		return fmt.Sprintf("%d ms", d.Milliseconds())
	}
	return fmt.Sprintf("%.1f s", d.Seconds())
}

func plural(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return number(n) + " " + many
}

func them(n int) string {
	if n == 1 {
		return "it"
	}
	return "them"
}
