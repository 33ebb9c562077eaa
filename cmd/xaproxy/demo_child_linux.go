package main

import "syscall"

// childAttr makes the kernel kill the demo's proxy when the demo dies in whatever way, and keeps the terminal's Ctrl-C
// from it.
func childAttr() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
}
