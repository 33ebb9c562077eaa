package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/xaproxy/xaproxy/config"
)

// lines are what was written to a log, by several goroutines.
type lines struct {
	mu   sync.Mutex // protects text
	text []byte
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.text = append(l.text, p...)
	return len(p), nil
}

// take returns what was written since it was called last.
func (l *lines) take() []byte {
	l.mu.Lock()
	defer l.mu.Unlock()
	text := l.text
	l.text = nil
	return text
}

// Warnings that repeat are written so often in a second, and counted beyond that; each message by itself, and errors and others not at all.
func TestRepeatedWarnings(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out lines
		level := new(logLevel)
		log := newLogger(config.Server{LogLevel: "info", LogFormat: "json"}, &out, level, new(events))
		child := log.With().Str("gtrid", "x").Logger()
		written := func() (n map[string]int, leftOut map[string]int) {
			n, leftOut = make(map[string]int), make(map[string]int)
			for line := range bytes.Lines(out.take()) {
				var said struct {
					Message, Of string
					LeftOut     int `json:"left_out"`
				}
				if err := json.Unmarshal(line, &said); err != nil {
					t.Fatal(err)
				}
				if n[said.Message]++; said.Of != "" {
					leftOut[said.Of] = said.LeftOut
				}
			}
			return n, leftOut
		}
		for range 25 {
			log.Warn().Msg("a")
			child.Warn().Msg("b")
			log.Error().Msg("c")
			log.Info().Msg("d")
		}
		log.Warn().Msg("e")
		synctest.Wait()
		n, _ := written()
		if got, want := fmt.Sprint(n), fmt.Sprint(map[string]int{"a": repeated, "b": repeated, "c": 25, "d": 25, "e": 1}); got != want {
			t.Errorf("at once: %v, want %v", got, want)
		}
		time.Sleep(repeatInterval)
		synctest.Wait()
		if n, left := written(); len(n) != 1 || fmt.Sprint(left) != fmt.Sprint(map[string]int{"a": 25 - repeated, "b": 25 - repeated}) {
			t.Errorf("a second later: %v, %v", n, left)
		}
		log.Warn().Msg("a")
		if n, _ := written(); n["a"] != 1 {
			t.Error("in the next second it is not written")
		}
		for i := range 2 * maxMessages {
			log.Warn().Msg(fmt.Sprint("message ", i))
		}
		if n, _ := written(); len(n) != maxMessages-1+repeated {
			t.Errorf("%d messages were told apart", len(n))
		}
		time.Sleep(repeatInterval)
		synctest.Wait()
		if _, left := written(); left["others"] != maxMessages+1-repeated {
			t.Errorf("the others: %v", left)
		}
		level.set("debug")
		for range 25 {
			log.Warn().Msg("a")
		}
		if n, _ := written(); n["a"] != 25 {
			t.Errorf("at debug: %v", n)
		}
	})
}
