package servers

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
)

const (
	tempPrefix = "xaproxy-server-"
	lockName   = "lock"
)

// tempDir is a temporary folder that is locked while its owner lives, so that what a killed owner left behind can be
// told from what is in use.
type tempDir struct {
	path string
	lock *os.File
}

// newTempDir makes a temporary folder, and removes those whose owner was killed.
func newTempDir() (*tempDir, error) {
	sweep()
	path, err := os.MkdirTemp("", tempPrefix)
	if err != nil {
		return nil, err
	}
	// The file gets its name when it is locked: nobody ever sees it unlocked while the owner lives.
	lock, err := os.Create(filepath.Join(path, "locking"))
	if err == nil {
		err = syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	}
	if err == nil {
		err = os.Rename(lock.Name(), filepath.Join(path, lockName))
	}
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(path))
	}
	return &tempDir{path: path, lock: lock}, nil
}

// remove removes the folder. It is safe to call more than once.
func (t *tempDir) remove() error {
	err := os.RemoveAll(t.path)
	// Closing gives up the lock of a file that no longer has a name; a second close fails and changes nothing.
	_ = t.lock.Close()
	return err
}

// sweep removes the temporary folders that nobody holds the lock of. It is a courtesy: what cannot be removed, perhaps
// because it is another user's, stays.
func sweep() {
	locks, err := filepath.Glob(filepath.Join(os.TempDir(), tempPrefix+"*", lockName))
	if err != nil {
		return
	}
	for _, path := range locks {
		lock, err := os.Open(path)
		if err != nil {
			continue
		}
		if syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) == nil {
			_ = os.RemoveAll(filepath.Dir(path))
		}
		_ = lock.Close()
	}
}
