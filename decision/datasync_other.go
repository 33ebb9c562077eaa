//go:build !linux

package decision

import "os"

// datasync flushes f with the strongest call of the system.
func datasync(f *os.File) error { return f.Sync() }
