package admin

import (
	"fmt"
	"io"
	"net/http"
	"strings"
)

// healthy answers /healthz: the process is there and answers.
func (s *Server) healthy(w http.ResponseWriter, _ *http.Request) { say(w, http.StatusOK, "ok\n") }

// ready answers /readyz: whether it makes sense to send clients here. One backend of several that is down is no reason to send them elsewhere,
// where it is as much down, unless backends=all is asked for. Why, and which backends are down, is told to who may ask for everything.
func (s *Server) ready(w http.ResponseWriter, r *http.Request) {
	var why []string
	down, backends := 0, s.source.Backends()
	if s.source.Stopping() {
		why = append(why, "stopping: no new clients are taken")
	}
	stopping := len(why) > 0
	for _, b := range backends {
		if b.Down != "" {
			down++
			why = append(why, fmt.Sprintf("backend %s: %s", b.Name, b.Down))
		}
	}
	status, text := http.StatusOK, "ready\n"
	if stopping || down == len(backends) || down > 0 && r.URL.Query().Get("backends") == "all" {
		status, text = http.StatusServiceUnavailable, "not ready\n"
	}
	if len(why) > 0 && s.admits(r) {
		text += strings.Join(why, "\n") + "\n"
	}
	say(w, status, text)
}

// index answers /: what there is to be asked.
func index(w http.ResponseWriter, _ *http.Request) { say(w, http.StatusOK, "/healthz\n/readyz\n") }

func say(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, text) // an error means that nobody is left to tell
}
