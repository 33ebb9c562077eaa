//go:build linux

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"syscall"
	"time"

	"github.com/xaproxy/xaproxy/tests/servers"
)

// haproxy is a running haproxy that forwards TCP connections.
type haproxy struct {
	addrs   []string // one for each server
	version string
	cmd     *exec.Cmd
	output  bytes.Buffer // read it after done
	done    chan struct{}
}

// startHaproxy boots haproxy in front of servers, with as many threads as it chooses by itself, and returns when it
// listens.
func startHaproxy(ctx context.Context, dir string, connections int, to ...string) (*haproxy, error) {
	program, err := exec.LookPath("haproxy")
	if err != nil {
		if program, err = exec.LookPath("/usr/sbin/haproxy"); err != nil {
			return nil, errors.New("no haproxy on this machine: run tests/setup.sh bench")
		}
	}
	out, err := exec.CommandContext(ctx, program, "-v").Output()
	if err != nil {
		return nil, fmt.Errorf("%s -v: %w", program, err)
	}
	h := &haproxy{version: string(regexp.MustCompile(`\d+\.\d+\.\d+`).Find(out)), done: make(chan struct{})}
	path := filepath.Join(dir, "haproxy.cfg")
	text := fmt.Sprintf(`global
    maxconn %d
defaults
    mode tcp
    timeout connect 5s
    timeout client 1h
    timeout server 1h
`, connections+100)
	for i, to := range to {
		port, err := servers.FreePort()
		if err != nil {
			return nil, err
		}
		h.addrs = append(h.addrs, net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
		text += fmt.Sprintf("listen mysql-%d\n    bind %s\n    server one %s\n", i, h.addrs[i], to)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		return nil, err
	}
	h.cmd = exec.Command(program, "-db", "-f", path)
	h.cmd.Stdout, h.cmd.Stderr = &h.output, &h.output
	h.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
	started := make(chan error)
	go func() {
		// The kernel sends the parent-death signal when the thread that forked ends.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := h.cmd.Start()
		started <- err
		if err == nil {
			_ = h.cmd.Wait() // it is killed, or says in its output why it ended
			close(h.done)
		}
	}()
	if err := <-started; err != nil {
		return nil, err
	}
	return h, h.await(ctx)
}

// await waits until somebody listens.
func (h *haproxy) await(ctx context.Context) error {
	poll := time.NewTicker(10 * time.Millisecond)
	defer poll.Stop()
	for {
		conn, err := net.Dial("tcp", h.addrs[0])
		if err == nil {
			return conn.Close()
		}
		select {
		case <-h.done:
			return fmt.Errorf("haproxy ended: %s", h.output.String())
		case <-ctx.Done():
			return errors.Join(ctx.Err(), h.kill())
		case <-poll.C:
		}
	}
}

func (h *haproxy) pid() int { return h.cmd.Process.Pid }

func (h *haproxy) kill() error {
	if err := h.cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("kill haproxy: %w", err)
	}
	<-h.done
	return nil
}
