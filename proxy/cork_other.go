//go:build !linux

package proxy

import "net"

// cork does nothing here.
func cork(net.Conn, bool) {}
