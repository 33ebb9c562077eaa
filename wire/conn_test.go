package wire

import (
	"bytes"
	"net"
)

// bufferConn is a net.Conn that reads from and writes to a buffer, at most cut bytes in one read when cut is not 0.
type bufferConn struct {
	net.Conn
	*bytes.Buffer
}

func (c bufferConn) Read(p []byte) (int, error)  { return c.Buffer.Read(p) }
func (c bufferConn) Write(p []byte) (int, error) { return c.Buffer.Write(p) }
