package recovery

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"time"
)

// ErrNotRunning says that no process serves the control socket of a decision log.
var ErrNotRunning = errors.New("no running xaproxy answers")

// Status is what a running proxy tells about itself. Its JSON form is part of the command line's interface: keys may be
// added, not changed.
type Status struct {
	Version    string          `json:"version"`
	PID        int             `json:"pid"`
	Started    time.Time       `json:"started"`
	Listen     string          `json:"listen"`
	Coord      string          `json:"coord"` // of its decision log
	Epoch      uint32          `json:"epoch"`
	Sessions   int             `json:"sessions"`                       // connected clients
	InFlight   int             `json:"in_flight"`                      // transactions
	Unfinished int             `json:"unfinished"`                     // decisions, those in flight included
	Heuristics int             `json:"heuristics"`                     // branches ever found finished against their decision, or finished by hand
	Uncounted  []string        `json:"heuristics_uncounted,omitempty"` // backends that could not say how many they have recorded
	Backends   []BackendStatus `json:"backends"`
}

// BackendStatus is the state of one backend.
type BackendStatus struct {
	Name             string  `json:"name"`
	Kind             string  `json:"kind"`
	Version          string  `json:"version"`
	Reachable        bool    `json:"reachable"` // by the last sweep
	Error            string  `json:"error,omitempty"`
	Open             int     `json:"open"`               // connections of the pool
	Busy             int     `json:"busy"`               // those in use
	Ours             int     `json:"ours"`               // prepared branches, those in flight included
	NotOurs          int     `json:"not_ours"`           // prepared branches of others
	OldestAgeSeconds float64 `json:"oldest_age_seconds"` // of our branches that are not in flight
	Leaving          bool    `json:"leaving"`            // not in the configuration any more, with something left to finish
}

const (
	socketName = "control.sock"
	// maxSocketPath is the longest path that a socket can have on every system: sun_path has 104 bytes on BSD and 108
	// on Linux, with the final zero.
	maxSocketPath = 103
	// headerTimeout bounds how long a client may take to say what it wants.
	headerTimeout = 10 * time.Second
	// maxAnswer bounds in bytes what a client reads.
	maxAnswer = 256 << 20
)

// SocketPath returns the path of the control socket that belongs to the decision log in dir: inside of dir, or, where
// that would be too long for a socket, in the folder for temporary files under a name made from dir's.
func SocketPath(dir string) (string, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return "", fmt.Errorf("control socket of %s: %w", dir, err)
	}
	path := filepath.Join(dir, socketName)
	if len(path) > maxSocketPath {
		path = filepath.Join(os.TempDir(), fmt.Sprintf("xaproxy-%.8x.sock", sha256.Sum256([]byte(dir))))
	}
	if len(path) > maxSocketPath {
		return "", fmt.Errorf("control socket %s: the path is longer than %d bytes: use a shorter folder for the decision log or for TMPDIR", path, maxSocketPath)
	}
	return path, nil
}

// RefusedError is what a running proxy answers to what it does not do.
type RefusedError struct{ Text string }

func (e *RefusedError) Error() string { return e.Text }

// Control is the listening control socket of a running proxy.
type Control struct {
	mux    *http.ServeMux
	server *http.Server
	served chan struct{} // closed when the goroutine has ended
	err    error         // why it has; set before served is closed
}

// Recoverer is what people ask of recovery: a Janitor, or that of a running proxy.
type Recoverer interface {
	Pass(ctx context.Context, dryRun bool, progress func(BackendReport)) Report
	Explain(ctx context.Context, gtrid string) (Explanation, error)
	Resolve(ctx context.Context, gtrid string, verdict Verdict, by string) (Resolution, error)
}

// Serve listens on the control socket of the decision log in dir, which this process has locked, so that a socket file
// that is there was left by a process that died. status answers for the proxy, and reload loads its configuration, from the file with that path,
// and returns the lines that tell of it. note writes down what was done by another program; refused is why it was not, or "". Only the user of this
// process can connect.
func Serve(dir string, r Recoverer, status func() Status, reload func(ctx context.Context, path string, dryRun bool) ([]string, error), note func(action, by, refused string)) (*Control, error) {
	path, err := SocketPath(dir)
	if err != nil {
		return nil, err
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("replace control socket: %w", err)
	}
	listener, err := net.Listen("unix", path)
	if err != nil {
		return nil, fmt.Errorf("open control socket: %w", err)
	}
	if err := os.Chmod(path, 0o600); err != nil {
		return nil, errors.Join(fmt.Errorf("protect control socket: %w", err), listener.Close())
	}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /recover", func(w http.ResponseWriter, q *http.Request) {
		dryRun, err := strconv.ParseBool(q.URL.Query().Get("dry_run"))
		if err != nil {
			http.Error(w, "dry_run must be true or false", http.StatusBadRequest)
			return
		}
		writeJSON(w, r.Pass(q.Context(), dryRun, nil))
	})
	mux.HandleFunc("GET /explain", func(w http.ResponseWriter, q *http.Request) {
		e, err := r.Explain(q.Context(), q.URL.Query().Get("gtrid"))
		answer(w, e, err)
	})
	mux.HandleFunc("POST /resolve", func(w http.ResponseWriter, q *http.Request) {
		verdict := Verdict(q.URL.Query().Get("verdict"))
		if verdict != Commit && verdict != Rollback {
			http.Error(w, "verdict must be commit or rollback", http.StatusBadRequest)
			return
		}
		done, err := r.Resolve(q.Context(), q.URL.Query().Get("gtrid"), verdict, q.URL.Query().Get("by"))
		answer(w, done, err)
	})
	mux.HandleFunc("POST /reload", func(w http.ResponseWriter, q *http.Request) {
		dryRun, err := strconv.ParseBool(q.URL.Query().Get("dry_run"))
		if err != nil {
			http.Error(w, "dry_run must be true or false", http.StatusBadRequest)
			return
		}
		lines, err := reload(q.Context(), q.URL.Query().Get("path"), dryRun)
		answer(w, lines, err)
	})
	mux.HandleFunc("POST /note", func(w http.ResponseWriter, q *http.Request) {
		said := q.URL.Query()
		note(said.Get("action"), said.Get("by"), said.Get("refused"))
		writeJSON(w, true)
	})
	mux.HandleFunc("GET /status", func(w http.ResponseWriter, _ *http.Request) { writeJSON(w, status()) })
	c := &Control{
		mux:    mux,
		server: &http.Server{Handler: mux, ReadHeaderTimeout: headerTimeout},
		served: make(chan struct{}),
	}
	go func() {
		defer close(c.served)
		if err := c.server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			c.err = err
		}
	}()
	return c, nil
}

// Handle has a handler answer what matches the pattern, from now on.
func (c *Control) Handle(pattern string, h http.Handler) { c.mux.Handle(pattern, h) }

func answer(w http.ResponseWriter, v any, err error) {
	if err != nil {
		http.Error(w, err.Error(), http.StatusConflict)
		return
	}
	writeJSON(w, v)
}

func writeJSON(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	// An error means that the client has gone, and there is nobody left to tell.
	_ = json.NewEncoder(w).Encode(v)
}

// Close ends the conversations, removes the socket and returns when its goroutine has ended. Closing twice is allowed.
func (c *Control) Close() error {
	err := c.server.Close()
	<-c.served
	if err := errors.Join(err, c.err); err != nil {
		return fmt.Errorf("close control socket: %w", err)
	}
	return nil
}

// Ask has the proxy that runs on the decision log in dir do a forced pass. The error is ErrNotRunning if there is none.
func Ask(ctx context.Context, dir string, dryRun bool) (Report, error) {
	var r Report
	err := call(ctx, dir, http.MethodPost, "/recover?dry_run="+strconv.FormatBool(dryRun), &r)
	return r, err
}

// AskExplain has the proxy that runs on the decision log in dir explain a transaction. Errors are those of Ask and of Explain.
func AskExplain(ctx context.Context, dir, gtrid string) (e Explanation, err error) {
	err = call(ctx, dir, http.MethodGet, "/explain?"+url.Values{"gtrid": {gtrid}}.Encode(), &e)
	return e, err
}

// AskResolve has the proxy that runs on the decision log in dir resolve a transaction. Errors are those of Ask and of Resolve.
func AskResolve(ctx context.Context, dir, gtrid string, verdict Verdict, by string) (r Resolution, err error) {
	err = call(ctx, dir, http.MethodPost, "/resolve?"+url.Values{"gtrid": {gtrid}, "verdict": {string(verdict)}, "by": {by}}.Encode(), &r)
	return r, err
}

// AskStatus returns the status of the proxy that runs on the decision log in dir. The error is ErrNotRunning if there is
// none.
func AskStatus(ctx context.Context, dir string) (Status, error) {
	var s Status
	err := call(ctx, dir, http.MethodGet, "/status", &s)
	return s, err
}

// AskJSON reads into answer what the proxy that runs on the decision log in dir says of target, which is for a handler of Control.Handle. The error is
// ErrNotRunning if there is none.
func AskJSON(ctx context.Context, dir, target string, answer any) error {
	return call(ctx, dir, http.MethodGet, target, answer)
}

// AskReload has the proxy that runs on the decision log in dir load its configuration, which must be in the file with this absolute path, and returns
// the lines that tell of it. The error is ErrNotRunning, or a *RefusedError: nothing has changed.
func AskReload(ctx context.Context, dir, path string, dryRun bool) (lines []string, err error) {
	err = call(ctx, dir, http.MethodPost, "/reload?"+url.Values{"path": {path}, "dry_run": {strconv.FormatBool(dryRun)}}.Encode(), &lines)
	return lines, err
}

// AskNote has the proxy that runs on the decision log in dir write down what an administrator has done without it. The error is ErrNotRunning if there
// is none.
func AskNote(ctx context.Context, dir, action, by, refused string) error {
	var noted bool
	return call(ctx, dir, http.MethodPost, "/note?"+url.Values{"action": {action}, "by": {by}, "refused": {refused}}.Encode(), &noted)
}

func call(ctx context.Context, dir, method, target string, answer any) error {
	path, err := SocketPath(dir)
	if err != nil {
		return err
	}
	if err := trusted(path, dir); err != nil {
		return err
	}
	client := http.Client{Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", path)
		},
	}}
	request, err := http.NewRequestWithContext(ctx, method, "http://control"+target, nil)
	if err != nil {
		return err
	}
	response, err := client.Do(request)
	if errors.Is(err, syscall.ECONNREFUSED) || errors.Is(err, fs.ErrNotExist) {
		return ErrNotRunning
	} else if err != nil {
		return fmt.Errorf("ask the running xaproxy at %s: %w", path, err)
	}
	body, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer))
	if err := errors.Join(err, response.Body.Close()); err != nil {
		return fmt.Errorf("ask the running xaproxy at %s: %w", path, err)
	}
	if response.StatusCode == http.StatusConflict {
		return &RefusedError{string(bytes.TrimSpace(body))}
	}
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("ask the running xaproxy at %s: %s: %s", path, response.Status, bytes.TrimSpace(body))
	}
	if err := json.Unmarshal(body, answer); err != nil {
		return fmt.Errorf("read the answer of the running xaproxy at %s: %w", path, err)
	}
	return nil
}

// trusted checks that the socket was made by us, by root or by whoever owns the log: in a folder for temporary files
// anybody can make one.
func trusted(path, dir string) error {
	socket, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return ErrNotRunning
	} else if err != nil {
		return fmt.Errorf("find control socket: %w", err)
	}
	log, err := os.Stat(dir)
	if err != nil {
		return fmt.Errorf("find decision log: %w", err)
	}
	made, okMade := socket.Sys().(*syscall.Stat_t)
	owns, okOwns := log.Sys().(*syscall.Stat_t)
	if !okMade || !okOwns || made.Uid != owns.Uid && made.Uid != 0 && int(made.Uid) != os.Geteuid() {
		return fmt.Errorf("control socket %s belongs to neither us nor the owner of %s: not asked", path, dir)
	}
	return nil
}
