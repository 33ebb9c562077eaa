package proxytest

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"unsafe"
)

// childAttr makes the kernel kill the child when its parent dies, and keeps the terminal's Ctrl-C from it.
func childAttr() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
}

// limitFiles sets the size in bytes up to which a process may write its files; above it fails as on a full disk, but with EFBIG.
func limitFiles(pid int, size uint64) error {
	const rlimitFSize = 1
	limit := struct{ soft, hard uint64 }{size, Unlimited}
	_, _, errno := syscall.RawSyscall6(syscall.SYS_PRLIMIT64, uintptr(pid), rlimitFSize, uintptr(unsafe.Pointer(&limit)), 0, 0, 0)
	if errno != 0 {
		return errno
	}
	return nil
}

// stopped says whether every thread of a process stands still because of SIGSTOP. A process that is gone does, too.
func stopped(pid int) (bool, error) {
	stats, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", pid))
	if err != nil {
		return false, err
	}
	for _, path := range stats {
		data, err := os.ReadFile(path)
		if errors.Is(err, os.ErrNotExist) || errors.Is(err, syscall.ESRCH) {
			continue // the thread ended
		}
		if err != nil {
			return false, err
		}
		// proc(5): the state follows the name, which stands in parentheses and may contain anything.
		fields := bytes.Fields(data[bytes.LastIndexByte(data, ')')+1:])
		if len(fields) == 0 || len(fields[0]) != 1 {
			return false, fmt.Errorf("%s has an unknown form: %q", path, data)
		}
		if state := fields[0][0]; state != 'T' && state != 'Z' {
			return false, nil
		}
	}
	return true, nil
}
