//go:build unix && !linux

package servers

import "syscall"

// childAttr keeps the terminal's Ctrl-C from the server: the parent decides how it ends. There is no parent-death
// signal outside Linux: a parent that is killed leaves its servers behind.
func childAttr() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }

// children finds none outside Linux: the workers of a killed PostgreSQL end by themselves a moment later.
func children(int) ([]int, error) { return nil, nil }

// stopped cannot be seen outside Linux; the signal works at once on all that matters.
func stopped(int) (bool, error) { return true, nil }
