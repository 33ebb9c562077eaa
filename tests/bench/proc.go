//go:build linux

package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// tick is the unit of times in /proc: USER_HZ, which is 100 on every architecture that Go runs on.
const tick = 10 * time.Millisecond

// spent is what a process has spent so far, without its children.
type spent struct {
	cpu          time.Duration
	user, system time.Duration // as ticks were counted
	switches     int64
}

// spentBy is zero for no process.
func spentBy(pid int) (s spent, err error) {
	if pid == 0 {
		return s, nil
	}
	if s.cpu, err = cpuTime(pid); err != nil {
		return s, err
	}
	if s.user, s.system, err = ticks(pid); err != nil {
		return s, err
	}
	s.switches, err = switches(pid)
	return s, err
}

// cpuTime is what processes have spent so far, together.
func cpuTime(pids ...int) (sum time.Duration, err error) {
	for _, pid := range pids {
		// The clock of a process's CPU time has this number: clock_getcpuclockid(3).
		var t unix.Timespec
		if err := unix.ClockGettime(int32(^pid<<3|2), &t); err != nil {
			return 0, fmt.Errorf("clock of process %d: %w", pid, err)
		}
		sum += time.Duration(t.Nano())
	}
	return sum, nil
}

// family is a process with its children, as PostgreSQL has one for each session: proc(5), children.
func family(pid int) ([]int, error) {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%[1]d/task/%[1]d/children", pid))
	if err != nil {
		return nil, err
	}
	all := []int{pid}
	for text := range strings.FieldsSeq(string(data)) {
		child, err := strconv.Atoi(text)
		if err != nil {
			return nil, err
		}
		all = append(all, child)
	}
	return all, nil
}

// ticks returns proc(5), stat, fields 14 and 15.
func ticks(pid int) (user, system time.Duration, err error) {
	path := fmt.Sprintf("/proc/%d/stat", pid)
	data, err := os.ReadFile(path)
	if err != nil {
		return 0, 0, err
	}
	// The name in the second field may contain anything; the third field follows its closing parenthesis.
	fields := strings.Fields(string(data[bytes.LastIndexByte(data, ')')+1:]))
	if len(fields) < 13 {
		return 0, 0, fmt.Errorf("%s has an unknown form: %q", path, data)
	}
	u, err := strconv.ParseInt(fields[11], 10, 64)
	if err != nil {
		return 0, 0, fmt.Errorf("%s: %w", path, err)
	}
	s, err := strconv.ParseInt(fields[12], 10, 64)
	if err != nil {
		return 0, 0, fmt.Errorf("%s: %w", path, err)
	}
	return time.Duration(u) * tick, time.Duration(s) * tick, nil
}

// switches counts context switches of all threads. Those of a thread that ends are lost; neither haproxy nor Go ends threads.
func switches(pid int) (sum int64, err error) {
	tasks, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/status", pid))
	if err != nil {
		return 0, err
	}
	for _, path := range tasks {
		for _, field := range []string{"voluntary_ctxt_switches", "nonvoluntary_ctxt_switches"} {
			n, err := status(path, field)
			if errors.Is(err, os.ErrNotExist) || errors.Is(err, unix.ESRCH) {
				continue // the thread has ended since
			}
			if err != nil {
				return 0, err
			}
			sum += n
		}
	}
	return sum, nil
}

// memory reads a field of proc(5), status, in bytes. It is 0 for no process.
func memory(pid int, field string) (int64, error) {
	if pid == 0 {
		return 0, nil
	}
	n, err := status(fmt.Sprintf("/proc/%d/status", pid), field)
	return n * kb, err
}

// status reads a number of proc(5), status.
func status(path, field string) (int64, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(data)) {
		if value, ok := strings.CutPrefix(line, field+":"); ok {
			n, err := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(value), " kB"), 10, 64)
			if err != nil {
				return 0, fmt.Errorf("%s: %w", path, err)
			}
			return n, nil
		}
	}
	return 0, fmt.Errorf("%s has no %s", path, field)
}

// forgetPeak sets the peak of a process's memory (VmHWM) to what it uses now: proc(5), clear_refs.
func forgetPeak(pid int) error {
	if pid == 0 {
		return nil
	}
	return os.WriteFile(fmt.Sprintf("/proc/%d/clear_refs", pid), []byte("5"), 0)
}
