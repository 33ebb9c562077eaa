//go:build !linux

package proxy

import "net"

// hungUp cannot be told here without reading what belongs to the session: it finds out when it writes its answer.
func hungUp(net.Conn) bool { return false }
