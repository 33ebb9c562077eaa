package integration

import (
	"context"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/xaproxy/xaproxy/tests/servers"
)

// typist is a command line client, with the options that make it connect without TLS. What it shows is the matter of
// tests/clients; here it is how it logs in.
type typist struct {
	name, path string
	plain      []string
}

func typists(t *testing.T) []typist {
	t.Helper()
	cache, err := servers.CacheDir()
	check(t, err)
	return []typist{
		{"mysql", filepath.Join(cache, "mysql-9.7", "bin", "mysql"), []string{"--ssl-mode=DISABLED", "--get-server-public-key"}},
		{"mariadb", "mariadb", []string{"--skip-ssl"}},
	}
}

// run feeds a script to the client and returns what it wrote, both outputs in one.
func (c typist) run(t *testing.T, addr, user, password, schema, script string, options ...string) string {
	t.Helper()
	program, err := exec.LookPath(c.path)
	if err != nil {
		t.Fatalf("%v: run tests/setup.sh", err)
	}
	host, port, err := net.SplitHostPort(addr)
	check(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	args := append([]string{"--no-defaults", "--force", "--verbose", "--table", "-h", host, "-P", port, "-u", user, "-D", schema}, options...)
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Env = append(os.Environ(), "MYSQL_PWD="+password, "MYSQL_HISTFILE=/dev/null")
	cmd.Stdin = strings.NewReader(script)
	out, err := cmd.CombinedOutput()
	if err != nil && cmd.ProcessState == nil {
		t.Fatalf("%s: %v", c.name, err)
	}
	return string(out) // with --force an error is in the output, and in the exit status
}
