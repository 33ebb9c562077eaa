package servers

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
)

// childAttr makes the kernel kill the server when its parent dies, and keeps the terminal's Ctrl-C from it: the parent
// decides how it ends.
func childAttr() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
}

// children returns the process ids of the children of a process.
func children(parent int) ([]int, error) {
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		return nil, err
	}
	var pids []int
	for _, path := range stats {
		state, ppid, err := readStat(path)
		if errors.Is(err, errGone) {
			continue
		}
		if err != nil {
			return nil, err
		}
		if ppid == parent && state != 'Z' {
			pid, err := strconv.Atoi(filepath.Base(filepath.Dir(path)))
			if err != nil {
				return nil, err
			}
			pids = append(pids, pid)
		}
	}
	return pids, nil
}

// stopped says whether every thread of a process stands still because of SIGSTOP. A process that is gone does, too.
func stopped(pid int) (bool, error) {
	stats, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", pid))
	if err != nil {
		return false, err
	}
	for _, path := range stats {
		state, _, err := readStat(path)
		if errors.Is(err, errGone) {
			continue
		}
		if err != nil {
			return false, err
		}
		if state != 'T' && state != 'Z' {
			return false, nil
		}
	}
	return true, nil
}

// errGone says that the process or thread ended while it was looked at.
var errGone = errors.New("process is gone")

// readStat returns the state letter and the parent from a stat file of proc(5). The fields are counted from the
// closing parenthesis, because the name before it may contain anything.
func readStat(path string) (state byte, ppid int, err error) {
	data, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) || errors.Is(err, syscall.ESRCH) {
		return 0, 0, errGone
	}
	if err != nil {
		return 0, 0, err
	}
	fields := bytes.Fields(data[bytes.LastIndexByte(data, ')')+1:])
	if len(fields) < 2 || len(fields[0]) != 1 {
		return 0, 0, fmt.Errorf("%s has an unknown form: %q", path, data)
	}
	ppid, err = strconv.Atoi(string(fields[1]))
	return fields[0][0], ppid, err
}
