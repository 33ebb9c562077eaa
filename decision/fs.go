package decision

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// FS is every file access of the log. Each call that touches the disk carries a label that says what the log is doing,
// so that a test can fail or crash at exactly that step.
type FS interface {
	// Mkdir makes one directory; it is no error when the directory exists.
	Mkdir(label, dir string) error
	// Lock locks the directory against other processes until the result is closed or the process ends; shared locks
	// exclude only exclusive ones. It never waits: the error is ErrLocked when somebody else holds the lock.
	Lock(label, dir string, shared bool) (io.Closer, error)
	// List returns the names in dir, in any order.
	List(label, dir string) ([]string, error)
	// SyncDir makes creations, renames and removals in dir durable.
	SyncDir(label, dir string) error
	// Create makes an empty file for reading and writing, in place of an older one.
	Create(label, name string) (Handle, error)
	Open(label, name string, write bool) (Handle, error)
	Rename(label, from, to string) error
	Remove(label, name string) error
	// Identity tells the file that has the name from any other one that exists.
	Identity(label, name string) (FileID, error)
}

// FileID is a file's device and its number there.
type FileID [2]uint64

// Handle is one open file of an FS.
type Handle interface {
	ReadAt(label string, p []byte, off int64) error // reads all of p
	WriteAt(label string, p []byte, off int64) error
	Size(label string) (int64, error)
	// Sync returns when all bytes written so far, and the size, are durable.
	Sync(label string) error
	Close() error
}

// lockFile holds the process id of the last process that locked the directory exclusively. The lock itself is on the
// directory, so that an inspection needs no file of its own.
const lockFile = "lock"

type osFS struct{}

func (osFS) Mkdir(_, dir string) error {
	if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return nil
}

func (osFS) Lock(_, dir string, shared bool) (io.Closer, error) {
	d, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	how := syscall.LOCK_EX
	if shared {
		how = syscall.LOCK_SH
	}
	owner := filepath.Join(dir, lockFile)
	if err := syscall.Flock(int(d.Fd()), how|syscall.LOCK_NB); err != nil {
		closeErr := d.Close()
		if !errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, errors.Join(fmt.Errorf("lock %s: %w", dir, err), closeErr)
		}
		who := "another process"
		if pid, err := os.ReadFile(owner); err == nil && len(pid) > 0 {
			who = "process " + strings.TrimSpace(string(pid))
		}
		return nil, fmt.Errorf("%w: %s is locked by %s; stop it first, or use another directory", ErrLocked, dir, who)
	}
	if !shared {
		if err := os.WriteFile(owner, []byte(strconv.Itoa(os.Getpid())+"\n"), 0o600); err != nil {
			return nil, errors.Join(err, d.Close())
		}
	}
	return d, nil
}

func (osFS) List(_, dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	names := make([]string, len(entries))
	for i, e := range entries {
		names[i] = e.Name()
	}
	return names, nil
}

func (osFS) SyncDir(_, dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

func (osFS) Create(_, name string) (Handle, error) {
	f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return nil, err
	}
	return osHandle{f}, nil
}

func (osFS) Open(_, name string, write bool) (Handle, error) {
	flag := os.O_RDONLY
	if write {
		flag = os.O_RDWR
	}
	f, err := os.OpenFile(name, flag, 0)
	if err != nil {
		return nil, err
	}
	return osHandle{f}, nil
}

func (osFS) Rename(_, from, to string) error { return os.Rename(from, to) }
func (osFS) Remove(_, name string) error     { return os.Remove(name) }

func (osFS) Identity(_, name string) (FileID, error) {
	var s syscall.Stat_t
	if err := syscall.Stat(name, &s); err != nil {
		return FileID{}, &fs.PathError{Op: "stat", Path: name, Err: err}
	}
	return FileID{uint64(s.Dev), s.Ino}, nil // Dev is signed on some systems
}

type osHandle struct{ f *os.File }

func (h osHandle) ReadAt(_ string, p []byte, off int64) error {
	_, err := h.f.ReadAt(p, off)
	return err
}

func (h osHandle) WriteAt(_ string, p []byte, off int64) error {
	_, err := h.f.WriteAt(p, off)
	return err
}

func (h osHandle) Size(string) (int64, error) {
	info, err := h.f.Stat()
	if err != nil {
		return 0, err
	}
	return info.Size(), nil
}

func (h osHandle) Sync(string) error { return datasync(h.f) }
func (h osHandle) Close() error      { return h.f.Close() }
