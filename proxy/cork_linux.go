package proxy

import (
	"net"
	"syscall"

	"golang.org/x/sys/unix"
)

// cork keeps what is sent from leaving before a packet is full or the connection is closed, for 200 ms at most; or lets it go.
//
// Source: tcp(7), TCP_CORK.
func cork(c net.Conn, on bool) {
	sc, ok := c.(syscall.Conn)
	if !ok {
		return
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return // closed: it needs none
	}
	value := 0
	if on {
		value = 1
	}
	_ = raw.Control(func(fd uintptr) { _ = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_CORK, value) }) // without it, it is only less likely
}
