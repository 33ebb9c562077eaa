package proxytest

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"syscall"
	"time"
)

// process is the running program.
type process struct {
	cmd  *exec.Cmd
	done chan struct{} // closed when it is gone and its exit status is read
	err  error         // of Wait; read it after done
}

// spawn starts the command. A goroutine owns the process until it ends: the kernel sends the parent-death signal when
// the thread that forked ends, so the goroutine keeps its thread until then.
func spawn(cmd *exec.Cmd) (*process, error) {
	p := &process{cmd: cmd, done: make(chan struct{})}
	cmd.SysProcAttr = childAttr()
	started := make(chan error)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		started <- err
		if err == nil {
			p.err = cmd.Wait()
			close(p.done)
		}
	}()
	if err := <-started; err != nil {
		return nil, err
	}
	return p, nil
}

func (p *process) pid() int { return p.cmd.Process.Pid }

func (p *process) gone() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

// status waits for the end of the process and returns its exit status, -1 if a signal ended it.
func (p *process) status() int {
	<-p.done
	return p.cmd.ProcessState.ExitCode()
}

// signal sends a signal; that the process is already gone is no error.
func (p *process) signal(sig os.Signal) error {
	if err := p.cmd.Process.Signal(sig); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	return nil
}

// freeze stops the process and returns when all its threads stand still.
func (p *process) freeze() error {
	if err := p.signal(syscall.SIGSTOP); err != nil {
		return err
	}
	deadline := time.After(signalTimeout)
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for {
		if still, err := stopped(p.pid()); still || err != nil {
			return err
		}
		select {
		case <-deadline:
			return fmt.Errorf("process %d does not stand still within %s", p.pid(), signalTimeout)
		case <-tick.C:
		}
	}
}

const signalTimeout = 10 * time.Second
