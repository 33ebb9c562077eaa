package main

import (
	"fmt"
	"strings"
	"testing"

	"github.com/rs/zerolog"
)

// The last lines of the log are kept, the newest first, with those of audits, and without those for developers.
func TestEvents(t *testing.T) {
	var e events
	log := zerolog.New(&e)
	for i := range shownEvents + 5 {
		log.Info().Int("n", i).Msg("filler")
	}
	log.Debug().Msg("not kept")
	log.Warn().Str("backend", "b1").Str("gtrid", "x1").Int("left", 3).Msg("branch cannot be finished")
	log.Log().Str("audit", "reload").Msg("admin action")
	all := e.latest()
	if len(all) != shownEvents {
		t.Fatalf("%d lines", len(all))
	}
	text := make([]string, 3)
	for i := range text {
		text[i] = fmt.Sprintf("%s|%s|%s|%s|%s", all[i].Level, all[i].Message, all[i].Backend, all[i].GTRID, all[i].Fields)
	}
	want := []string{`audit|admin action|||{"audit":"reload"}`, `warn|branch cannot be finished|b1|x1|{"left":3}`, fmt.Sprintf(`info|filler|||{"n":%d}`, shownEvents+4)}
	if got := strings.Join(text, "\n"); got != strings.Join(want, "\n") {
		t.Errorf("got\n%s", got)
	}
}
