package recovery

import (
	"context"
	"errors"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// socketDir is a folder with a path short enough for a socket in it, whatever TMPDIR is.
func socketDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "xp")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	return dir
}

// passes is a Recoverer of which only Pass matters; it refuses to explain and resolves as asked.
type passes func(context.Context, bool) Report

func (p passes) Pass(ctx context.Context, dryRun bool, _ func(BackendReport)) Report {
	return p(ctx, dryRun)
}

func (p passes) Explain(_ context.Context, gtrid string) (Explanation, error) {
	return Explanation{}, errors.New("no such transaction: " + gtrid)
}

func (p passes) Resolve(_ context.Context, gtrid string, verdict Verdict, by string) (Resolution, error) {
	return Resolution{GTRID: gtrid, Verdict: verdict, Decision: by}, nil
}

// reloads refuses all paths but one.
func reloads(_ context.Context, path string, dryRun bool) ([]string, error) {
	if path != "/a b.toml" {
		return nil, errors.New("not " + path)
	}
	return []string{"first", strconv.FormatBool(dryRun)}, nil
}

// noted has what the last note said.
var noted atomic.Value

func notes(action, by, refused string) { noted.Store([3]string{action, by, refused}) }

func serve(t *testing.T, dir string, pass func(context.Context, bool) Report, status func() Status) *Control {
	t.Helper()
	c, err := Serve(dir, passes(pass), status, reloads, notes)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	return c
}

// What the proxy says arrives at the command as it was said, from a socket that only the owner can open.
func TestControl(t *testing.T) {
	dir := socketDir(t)
	want := Report{DryRun: true, Coord: testCoord, Backends: []BackendReport{}, Decisions: []DecisionReport{}, Left: 3}
	state := Status{Version: "1", PID: 7, Started: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), Backends: []BackendStatus{{Name: "a", Reachable: true}}}
	serve(t, dir, func(_ context.Context, dryRun bool) Report {
		r := want
		r.DryRun = dryRun
		return r
	}, func() Status { return state })
	var refused *RefusedError
	for _, dryRun := range []bool{false, true} {
		if lines, err := AskReload(t.Context(), dir, "/a b.toml", dryRun); err != nil || !slices.Equal(lines, []string{"first", strconv.FormatBool(dryRun)}) {
			t.Errorf("a reload says %q, %v", lines, err)
		}
	}
	if _, err := AskReload(t.Context(), dir, "/b", false); !errors.As(err, &refused) || refused.Text != "not /b" {
		t.Errorf("a reload that is refused arrives as %v", err)
	}
	if _, err := AskExplain(t.Context(), dir, "x&y"); !errors.As(err, &refused) || refused.Text != "no such transaction: x&y" {
		t.Errorf("a refusal arrives as %v", err)
	}
	if r, err := AskResolve(t.Context(), dir, "x", Commit, "a b & c"); err != nil || r.GTRID != "x" || r.Verdict != Commit || r.Decision != "a b & c" {
		t.Errorf("asked for a resolution: %+v, %v", r, err)
	}
	if err := AskNote(t.Context(), dir, "a & b", "c", "d=e"); err != nil || noted.Load() != [3]string{"a & b", "c", "d=e"} {
		t.Errorf("a note arrives as %q, %v", noted.Load(), err)
	}
	for _, dryRun := range []bool{true, false} {
		want.DryRun = dryRun
		if got, err := Ask(t.Context(), dir, dryRun); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("dry run %t: got %+v, %v", dryRun, got, err)
		}
	}
	if got, err := AskStatus(t.Context(), dir); err != nil || !reflect.DeepEqual(got, state) {
		t.Errorf("got %+v, %v", got, err)
	}
	info, err := os.Stat(filepath.Join(dir, "control.sock"))
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode().Perm() != 0o600 || info.Mode().Type() != fs.ModeSocket {
		t.Errorf("mode is %v", info.Mode())
	}
	var r Report
	err = call(t.Context(), dir, http.MethodPost, "/recover", &r)
	if err == nil || !strings.Contains(err.Error(), "400 Bad Request: dry_run must be true or false") {
		t.Errorf("without dry_run: %v", err)
	}
}

// Nobody there is told apart from somebody who does not answer. A killed process leaves its socket file behind, which
// the next one replaces.
func TestControlOfNobody(t *testing.T) {
	dir := socketDir(t)
	if _, err := AskStatus(t.Context(), dir); !errors.Is(err, ErrNotRunning) {
		t.Errorf("without a socket: %v", err)
	}
	path, err := SocketPath(dir)
	if err != nil {
		t.Fatal(err)
	}
	left, err := net.ListenUnix("unix", &net.UnixAddr{Name: path})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := Ask(ctx, dir, true); !errors.Is(err, context.DeadlineExceeded) || errors.Is(err, ErrNotRunning) {
		t.Errorf("nobody accepts: %v", err)
	}
	left.SetUnlinkOnClose(false)
	if err := left.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := AskStatus(t.Context(), dir); !errors.Is(err, ErrNotRunning) {
		t.Errorf("nobody listens: %v", err)
	}
	c := serve(t, dir, nil, func() Status { return Status{PID: 7} })
	if s, err := AskStatus(t.Context(), dir); err != nil || s.PID != 7 {
		t.Errorf("got %+v, %v", s, err)
	}
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the socket is still there after Close: %v", err)
	}
}

// Systems allow about 100 bytes for the path of a socket; the folder of a log may be deeper.
func TestLongSocketPath(t *testing.T) {
	tmp := socketDir(t)
	t.Setenv("TMPDIR", tmp)
	dir := filepath.Join(tmp, strings.Repeat("d", 100))
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	path, err := SocketPath(dir)
	if err != nil || filepath.Dir(path) != tmp || len(path) > maxSocketPath {
		t.Fatalf("got %s, %v", path, err)
	}
	if other, err := SocketPath(dir + "e"); err != nil || other == path {
		t.Errorf("another folder has the same socket %s, %v", other, err)
	}
	serve(t, dir, nil, func() Status { return Status{PID: 7} })
	if s, err := AskStatus(t.Context(), dir); err != nil || s.PID != 7 {
		t.Errorf("got %+v, %v", s, err)
	}
	t.Setenv("TMPDIR", filepath.Join(tmp, strings.Repeat("d", 100)))
	if _, err := SocketPath(dir); err == nil || !strings.Contains(err.Error(), "TMPDIR") {
		t.Errorf("nothing is short enough: %v", err)
	}
}

// In a folder for temporary files anybody can put a socket with our name.
func TestSocketOfAStranger(t *testing.T) {
	if os.Geteuid() != 0 {
		return // only root can make files of others
	}
	dir := socketDir(t)
	serve(t, dir, nil, func() Status { return Status{PID: 7} })
	path := filepath.Join(dir, "control.sock")
	for _, c := range []struct {
		socket, dir int
		trusted     bool
	}{{0, 0, true}, {0, 4711, true}, {4711, 4711, true}, {4712, 4711, false}, {4712, 0, false}} {
		if err := errors.Join(syscall.Chown(path, c.socket, -1), syscall.Chown(dir, c.dir, -1)); err != nil {
			t.Fatal(err)
		}
		if _, err := AskStatus(t.Context(), dir); (err == nil) != c.trusted {
			t.Errorf("socket of %d, log of %d: %v", c.socket, c.dir, err)
		}
	}
}
