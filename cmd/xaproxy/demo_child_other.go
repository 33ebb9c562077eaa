//go:build !linux

package main

import "syscall"

// childAttr keeps the terminal's Ctrl-C from the demo's proxy. Outside Linux there is no signal for the parent's death:
// a demo that is killed leaves its proxy behind.
func childAttr() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }
