//go:build !linux

package wire

import "net"

// direct returns nc as it is: raw system calls are made on Linux only.
func direct(nc net.Conn) net.Conn { return nc }

// plain returns what direct was given.
func plain(nc net.Conn) net.Conn { return nc }
