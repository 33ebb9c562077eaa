package admin

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"time"
)

// Action is what an administrator asks for on the dashboard.
type Action struct {
	Name    string `json:"action"`  // recover, resolve, pause, resume or drain
	GTRID   string `json:"gtrid"`   // of resolve
	Verdict string `json:"verdict"` // of resolve: commit or rollback
	Backend string `json:"backend"` // of pause and resume
}

// Actor carries actions out. By says who asks, for the audit, which is the actor's. What it returns is for people.
type Actor func(ctx context.Context, a Action, by string) (said string, err error)

// ErrAction is wrapped by errors about an action that makes no sense.
var ErrAction = errors.New("this is no action that can be carried out")

const (
	// maxAction is the largest action in bytes.
	maxAction = 4 << 10
	// actionPatience is how long one may take: recovery asks each backend several things.
	actionPatience = time.Minute
)

// act answers POST /do. That the page of somebody else, in a browser that may ask here, cannot have anything done is seen to in two ways: the browser says where
// the page is from, and a page from elsewhere may not send JSON without asking, to which there is no answer.
func (s *Server) act(w http.ResponseWriter, r *http.Request) {
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != "application/json" {
		say(w, http.StatusUnsupportedMediaType, "an action is JSON: Content-Type: application/json\n")
		return
	}
	var a Action
	d := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxAction))
	d.DisallowUnknownFields()
	if err := d.Decode(&a); err != nil {
		say(w, http.StatusBadRequest, err.Error()+"\n")
		return
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		say(w, http.StatusBadRequest, "something follows the action\n")
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), actionPatience) // what has begun is not left off because a tab is closed
	defer cancel()
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(actionPatience + patience)) // where it fails, the answer comes in vain
	said, err := s.actor(ctx, a, asker(r))
	switch {
	case errors.Is(err, ErrAction):
		say(w, http.StatusBadRequest, err.Error()+"\n")
	case err != nil:
		say(w, http.StatusConflict, err.Error()+"\n")
	default:
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Cache-Control", "no-store")
		_ = json.NewEncoder(w).Encode(map[string]string{"said": said}) // an error means that nobody is left to tell
	}
}

// asker is who asks: with a certificate its name, and the address.
func asker(r *http.Request) string {
	by := "dashboard@" + r.RemoteAddr
	if r.TLS != nil && len(r.TLS.VerifiedChains) > 0 {
		by = r.TLS.PeerCertificates[0].Subject.CommonName + " (" + by + ")"
	}
	return by
}
