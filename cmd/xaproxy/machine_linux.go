package main

import (
	"errors"
	"os"
	"strings"
	"syscall"
)

// machine names this machine and its process numbers: as long as two names are equal, a number is of the same process in both. It is empty
// where that cannot be told. Numbers begin anew with each boot, and each container has its own.
func machine(host string) string {
	boot, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return ""
	}
	numbers, err := os.Readlink("/proc/self/ns/pid")
	if err != nil {
		return ""
	}
	return host + " " + strings.TrimSpace(string(boot)) + " " + numbers
}

// gone says that no process has this number.
func gone(pid int) bool { return errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) }
