//go:build !linux

package proxytest

import "syscall"

// childAttr keeps the terminal's Ctrl-C from the child.
func childAttr() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }

// stopped cannot be told here; SIGSTOP takes effect soon.
func stopped(int) (bool, error) { return true, nil }
