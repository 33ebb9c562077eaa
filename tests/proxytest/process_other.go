//go:build !linux

package proxytest

import (
	"errors"
	"syscall"
)

// childAttr keeps the terminal's Ctrl-C from the child.
func childAttr() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }

// limitFiles cannot limit another process here.
func limitFiles(int, uint64) error { return errors.ErrUnsupported }

// stopped cannot be told here; SIGSTOP takes effect soon.
func stopped(int) (bool, error) { return true, nil }
