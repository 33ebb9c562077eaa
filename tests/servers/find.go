package servers

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
)

// Find says whether a kind of server is installed: its version ("9.7.4") and the path of its program. The error says
// how to install it.
func Find(k Kind) (version, path string, err error) {
	e, err := engineOf(k)
	if err != nil {
		return "", "", err
	}
	return e.find()
}

// CacheDir is the folder outside the repository that tests/setup.sh unpacks programs into, and where this package
// keeps its templates: XAPROXY_CACHE, or xaproxy in the user's cache folder.
func CacheDir() (string, error) {
	if dir := os.Getenv("XAPROXY_CACHE"); dir != "" {
		return filepath.Abs(dir)
	}
	if dir := os.Getenv("XDG_CACHE_HOME"); dir != "" {
		return filepath.Join(dir, "xaproxy"), nil
	}
	home := os.Getenv("HOME")
	if home == "" {
		return "", errors.New("no cache folder: set XAPROXY_CACHE or HOME")
	}
	return filepath.Join(home, ".cache", "xaproxy"), nil
}

// findProgram returns the first executable of the candidates: a bare name is looked up in PATH, where it may be a link
// to a folder that has the rest of its programs, too; a path may be a pattern, of which the last match counts.
func findProgram(candidates ...string) (string, error) {
	for _, candidate := range candidates {
		if !filepath.IsAbs(candidate) {
			if path, err := exec.LookPath(candidate); err == nil {
				return filepath.EvalSymlinks(path)
			}
			continue
		}
		matches, err := filepath.Glob(candidate)
		if err != nil {
			return "", err
		}
		for i := len(matches) - 1; i >= 0; i-- {
			if path, err := exec.LookPath(matches[i]); err == nil {
				return path, nil
			}
		}
	}
	return "", fmt.Errorf("no %s on this machine: run tests/setup.sh", candidates[0])
}

var versionPattern = regexp.MustCompile(`(?:Ver |\(PostgreSQL\) )(\d+\.\d+(?:\.\d+)?)`)

// programVersion asks a server program for its version.
func programVersion(path string) (string, error) {
	out, err := exec.Command(path, "--version").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("%s --version: %w: %s; run tests/setup.sh", path, err, out)
	}
	m := versionPattern.FindSubmatch(out)
	if m == nil {
		return "", fmt.Errorf("%s --version: no version in %q", path, out)
	}
	return string(m[1]), nil
}
