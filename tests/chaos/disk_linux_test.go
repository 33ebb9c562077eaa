package chaos

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// TestDiskFull is TestNoRoomForLog on a disk of the log's own that is full. Only root may mount one; others have the limit of
// TestNoRoomForLog, which looks the same to the log.
func TestDiskFull(t *testing.T) {
	b, db := newBank(t, "disk_full")
	dir := b.proxy.LogDir()
	if err := b.proxy.Stop(); err != nil {
		t.Fatal(err)
	}
	size := func(segments int) string { return fmt.Sprintf("size=%d", segments*segmentSize+64<<10) }
	mounted, err := mountOver(t, b, dir, size(2))
	if err != nil {
		t.Fatal(err)
	}
	if err := b.proxy.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	fill := func(*batch) error { return nil } // it is full when the segments are
	free := func(*batch) error { return syscall.Mount("tmpfs", dir, "tmpfs", syscall.MS_REMOUNT, size(20)) }
	if !mounted {
		fill, free = func(b *batch) error { return b.proxy.LimitFiles(segmentSize / 2) }, func(b *batch) error { return b.proxy.LimitFiles(1 << 40) }
	}
	if !noRoom(t, b, db, fill, free) {
		t.Error("the proxy has halted: a full disk is known before anything is written")
	}
}

// mountOver puts a disk of this size in place of a folder, with the folder's files on it, until the test ends; mounted is false if that is not
// allowed.
func mountOver(t *testing.T, b *batch, dir, size string) (mounted bool, err error) {
	files, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil {
		return false, err
	}
	content := make(map[string][]byte)
	for _, f := range files {
		if content[f], err = os.ReadFile(f); err != nil {
			return false, err
		}
	}
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, size); errors.Is(err, os.ErrPermission) {
		return false, nil
	} else if err != nil {
		return false, err
	}
	t.Cleanup(func() {
		if err := b.proxy.Kill(); err != nil {
			t.Error(err)
		}
		if err := syscall.Unmount(dir, 0); err != nil {
			t.Error(err)
		}
	})
	for f, data := range content {
		if err := os.WriteFile(f, data, 0o600); err != nil {
			return true, err
		}
	}
	return true, nil
}
