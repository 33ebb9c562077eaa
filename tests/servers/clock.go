package servers

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

// clockLibraries is where Debian has libfaketime, which stands between a program and the system's clock.
const clockLibraries = "/usr/lib/*/faketime/libfaketimeMT.so.1"

// clockPath is the file with the distance of the server's clock from the machine's.
func (s *Server) clockPath() string { return filepath.Join(s.Dir, "clock") }

// SetClock moves the server's clock so far ahead of the machine's, or behind it, as when somebody sets it; the server sees it within a
// second. Its monotonic clock goes on. The server must have been started with Options.Clock.
func (s *Server) SetClock(ahead time.Duration) error {
	next := s.clockPath() + ".next" // the server must not read half of it
	if err := os.WriteFile(next, fmt.Appendf(nil, "%+d\n", int64(ahead.Seconds())), 0o600); err != nil {
		return err
	}
	return os.Rename(next, s.clockPath())
}

// lendClock makes the clock of the command one that SetClock can move.
func (s *Server) lendClock(cmd *exec.Cmd) error {
	if s.Kind != MariaDB && s.Kind != MariaDBBinlog { // MySQL reads it so often that it takes minutes to start
		return fmt.Errorf("the clock of %s cannot be lent", s.Kind)
	}
	libraries, err := filepath.Glob(clockLibraries)
	if err == nil && len(libraries) == 0 {
		err = fmt.Errorf("no %s: run tests/setup.sh, or install faketime", clockLibraries)
	}
	if err != nil {
		return err
	}
	if _, err := os.Stat(s.clockPath()); errors.Is(err, os.ErrNotExist) {
		if err := s.SetClock(0); err != nil {
			return err
		}
	}
	if cmd.Env == nil {
		cmd.Env = os.Environ()
	}
	cmd.Env = append(cmd.Env, "LD_PRELOAD="+libraries[0], "FAKETIME_TIMESTAMP_FILE="+s.clockPath(),
		"FAKETIME_CACHE_DURATION=1", "FAKETIME_DONT_FAKE_MONOTONIC=1")
	return nil
}
