package admin

import (
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/xaproxy/xaproxy/admin/live"
)

// healthy answers /healthz: the process is there and answers.
func (s *Server) healthy(w http.ResponseWriter, _ *http.Request) { say(w, http.StatusOK, "ok\n") }

// ready answers /readyz: whether it makes sense to send clients here. One backend of several that is down is no reason to send them elsewhere,
// where it is as much down, unless backends=all is asked for. Why, and which backends are down, is told to who may ask for everything.
func (s *Server) ready(w http.ResponseWriter, r *http.Request) {
	var why []string
	stopping, backends := s.source.Stopping(), s.source.Backends()
	if stopping {
		why = append(why, "stopping: no new clients are taken")
	}
	for _, b := range backends {
		if b.Down != "" {
			why = append(why, fmt.Sprintf("backend %s: %s", b.Name, b.Down))
		}
	}
	status, text := http.StatusOK, "ready\n"
	if !readiness(stopping, backends, r.URL.Query().Get("backends") == "all") {
		status, text = http.StatusServiceUnavailable, "not ready\n"
	}
	if len(why) > 0 && s.admits(r) {
		text += strings.Join(why, "\n") + "\n"
	}
	say(w, status, text)
}

// readiness reports whether clients should come here: it needs one backend, or all of them.
func readiness(stopping bool, backends []Backend, all bool) bool {
	down := 0
	for _, b := range backends {
		if b.Down != "" {
			down++
		}
	}
	return !stopping && down < len(backends) && !(all && down > 0)
}

// index answers /live: what there is to be asked.
func index(w http.ResponseWriter, _ *http.Request) {
	say(w, http.StatusOK, "/healthz\n/readyz\n/metrics\n/dashboard.json\n/live/"+strings.Join(live.Names(), "\n/live/")+"\n")
}

func say(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, text) // an error means that nobody is left to tell
}
