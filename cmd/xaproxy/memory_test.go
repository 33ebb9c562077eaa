package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strings"
	"sync"
	"testing"
	"time"
)

// hidden is a text that this test keeps, but not as its bytes.
type hidden []byte

func newHidden() hidden {
	h := hidden(rand.Text())
	h.turn()
	return h
}

func (h hidden) turn() {
	for i := range h {
		h[i] ^= 0x80
	}
}

// text returns the text itself; forget it soon.
func (h hidden) text() string {
	h.turn()
	defer h.turn()
	return string(h)
}

// in reports whether the text is in the data.
func (h hidden) in(data []byte) bool {
	for i := 0; i+len(h) <= len(data); i++ {
		j := 0
		for j < len(h) && data[i+j] == h[j]^0x80 {
			j++
		}
		if j == len(h) {
			return true
		}
	}
	return false
}

// watchedLog is the log of a proxy in this process.
type watchedLog struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *watchedLog) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *watchedLog) has(text string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Contains(l.b.String(), text)
}

// writeSecrets writes a configuration with two users and a backend, and the file that it names.
func writeSecrets(path string, written, filed, backend hidden) error {
	return errors.Join(os.WriteFile(filepath.Join(filepath.Dir(path), "filed"), []byte(filed.text()), 0o600), os.WriteFile(path, fmt.Appendf(nil, `
[server]
listen = "127.0.0.1:0"
log_format = "json"
[[users]]
name = "written"
password = %q
[[users]]
name = "filed"
password_file = "filed"
[[backends]]
name = "b"
kind = "mysql"
port = 1
user = "x"
password = %q
[[schemas]]
name = "s"
backend = "b"
`, written.text(), backend.text()), 0o600))
}

// TestPasswordsAreDropped: a proxy that serves holds no password of its users any more, in whichever form they were
// configured. That of a backend it needs for each connection.
func TestPasswordsAreDropped(t *testing.T) {
	written, filed, backend := newHidden(), newHidden(), newHidden()
	dir := t.TempDir()
	path := filepath.Join(dir, "xaproxy.toml")
	wrote := make(chan error)
	go func() { wrote <- writeSecrets(path, written, filed, backend) }() // its stack goes with it
	if err := <-wrote; err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var log watchedLog
	done := make(chan error, 1)
	go func() { done <- serve(ctx, path, &log) }()
	defer func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}()
	deadline, tick := time.After(20*time.Second), time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for !log.has(`"message":"serving"`) {
		select {
		case err := <-done:
			t.Fatal(err)
		case <-deadline:
			t.Fatal("it does not serve")
		case <-tick.C:
		}
	}
	var heap []byte
	for tries := 0; ; tries++ { // what is dropped goes with the next collections
		runtime.GC()
		heap = dumpHeap(t)
		found := ""
		for name, secret := range map[string]hidden{"written": written, "filed": filed} {
			if secret.in(heap) {
				found = name
			}
		}
		if found == "" {
			break
		}
		if tries == 20 {
			t.Errorf("the password of user %s is in memory", found)
			break
		}
	}
	if !backend.in(heap) {
		t.Error("not even the password of the backend is found: the test shows nothing")
	}
}

func dumpHeap(t *testing.T) []byte {
	t.Helper()
	file, err := os.Create(filepath.Join(t.TempDir(), "heap"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	debug.WriteHeapDump(file.Fd())
	heap, err := os.ReadFile(file.Name())
	if err != nil {
		t.Fatal(err)
	}
	return heap
}
