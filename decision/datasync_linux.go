package decision

import (
	"errors"
	"os"
	"syscall"
)

// datasync flushes the bytes of f and what is needed to find them. On a file that keeps its size this spares the
// journal write that fsync makes for the times of the file.
func datasync(f *os.File) error {
	for {
		err := syscall.Fdatasync(int(f.Fd()))
		if !errors.Is(err, syscall.EINTR) { // interrupted is not failed: the flush has not been reported yet
			return os.NewSyscallError("fdatasync", err)
		}
	}
}
