package main

import (
	"os"
	"os/exec"
	"testing"
)

func TestGone(t *testing.T) {
	if machine("a") == "" || machine("a") == machine("b") {
		t.Errorf("machine a is %q, b is %q", machine("a"), machine("b"))
	}
	if gone(os.Getpid()) {
		t.Error("this process is said to be gone")
	}
	child := exec.Command("true")
	if err := child.Run(); err != nil {
		t.Fatal(err)
	}
	if !gone(child.Process.Pid) {
		t.Error("a process that has ended is said to be there")
	}
}
