package proxytest

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
)

// Build compiles the program of this checkout into dir, with the race detector and the tags that the caller was built with, and
// returns its path. The current folder must be inside of the module.
func Build(ctx context.Context, dir string) (string, error) {
	path := filepath.Join(dir, "xaproxy-under-test")
	args := []string{"build", "-tags", tags, "-o", path}
	if raced {
		args = append(args, "-race")
	}
	cmd := exec.CommandContext(ctx, "go", append(args, "github.com/xaproxy/xaproxy/cmd/xaproxy")...)
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build xaproxy: %w\n%s", err, out)
	}
	return path, nil
}

// binary is the program as it was built for this test binary, once, beside it: go test removes the folder of both.
var binary = sync.OnceValues(func() (string, error) {
	self, err := os.Executable()
	if err != nil {
		return "", err
	}
	return Build(context.Background(), filepath.Dir(self))
})
