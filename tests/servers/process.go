package servers

import (
	"errors"
	"io"
	"os"
	"os/exec"
	"runtime"
	"syscall"
	"time"
)

// process is a server's process with the workers it has forked (PostgreSQL forks one per connection).
type process struct {
	cmd  *exec.Cmd
	done chan struct{} // closed when the process is gone and its exit status is read
	err  error         // the exit status as an error; read it after done
}

// spawn starts the command, and closes its log when it has ended. A goroutine owns the process until it ends: the kernel sends the parent-death signal when
// the thread that forked ends, so the goroutine keeps its thread until then.
func spawn(cmd *exec.Cmd, log io.Closer) (*process, error) {
	p := &process{cmd: cmd, done: make(chan struct{})}
	attr := childAttr()
	if cmd.SysProcAttr != nil {
		attr.Credential = cmd.SysProcAttr.Credential
	}
	cmd.SysProcAttr = attr
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
		// Everything is written by now, and nobody could do anything about an error.
		_ = log.Close()
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

// exit is how the process ended.
func (p *process) exit() error {
	<-p.done
	if p.err == nil {
		return errors.New("exit status 0")
	}
	return p.err
}

// signal sends a signal to the process itself; that it is already gone is no error.
func (p *process) signal(sig os.Signal) error {
	if err := p.cmd.Process.Signal(sig); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	return nil
}

// signalWorkers sends a signal to every child of the process.
func (p *process) signalWorkers(sig syscall.Signal) error {
	workers, err := children(p.pid())
	if err != nil {
		return err
	}
	for _, pid := range workers {
		if err := syscall.Kill(pid, sig); err != nil && !errors.Is(err, syscall.ESRCH) {
			return err
		}
	}
	return nil
}

// kill ends the process and its workers and waits for all of them. The process stands still first, so that it forks no
// further worker while they are counted.
func (p *process) kill() error {
	if err := p.signal(syscall.SIGSTOP); err != nil {
		return err
	}
	workers, err := children(p.pid())
	err = errors.Join(err, p.signalWorkers(syscall.SIGKILL), p.signal(syscall.SIGKILL))
	if err != nil {
		return err
	}
	<-p.done
	return await(func() (bool, error) { return allGone(workers), nil })
}

// freeze stops the process and its workers and returns when all their threads stand still.
func (p *process) freeze() error {
	if err := p.signal(syscall.SIGSTOP); err != nil {
		return err
	}
	if err := p.signalWorkers(syscall.SIGSTOP); err != nil {
		return err
	}
	return await(func() (bool, error) {
		workers, err := children(p.pid())
		if err != nil {
			return false, err
		}
		for _, pid := range append(workers, p.pid()) {
			if still, err := stopped(pid); err != nil || !still {
				return false, err
			}
		}
		return true, nil
	})
}

func (p *process) thaw() error {
	return errors.Join(p.signalWorkers(syscall.SIGCONT), p.signal(syscall.SIGCONT))
}

// await asks until the answer is yes or an error. It gives up after a while.
func await(ask func() (bool, error)) error {
	deadline := time.After(10 * time.Second)
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for {
		if yes, err := ask(); yes || err != nil {
			return err
		}
		select {
		case <-deadline:
			return errors.New("the processes do not react to the signal within 10 s")
		case <-tick.C:
		}
	}
}

func allGone(pids []int) bool {
	for _, pid := range pids {
		if !errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) {
			return false
		}
	}
	return true
}
