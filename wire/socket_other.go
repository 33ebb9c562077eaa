//go:build !linux

package wire

import (
	"net"
	"time"
)

// socket is a connection whose reads and writes wait for so long at most; 0: as its deadlines say. Raw system calls are made
// on Linux only.
type socket struct {
	net.Conn
	readPatience, writePatience time.Duration
	clock                       clock // of reads
}

// Direct returns nc as a socket.
func Direct(nc net.Conn) net.Conn { return &socket{Conn: nc} }

// plain returns what Direct was given.
func plain(nc net.Conn) net.Conn {
	if s, ok := nc.(*socket); ok {
		return s.Conn
	}
	return nc
}

// setPatience bounds how long reads, or writes, wait. It leaves no deadline behind, not even one that was set before.
func (s *socket) setPatience(read, write time.Duration) {
	s.readPatience, s.writePatience = read, write
}

// several may spare a read that finds only the first of several answers.
func (*socket) several() {}

func (s *socket) Read(b []byte) (int, error) {
	s.clock.begin()
	defer s.clock.end()
	return within(s.readPatience, s.SetReadDeadline, s.Conn.Read, b)
}

func (s *socket) Write(b []byte) (int, error) {
	return within(s.writePatience, s.SetWriteDeadline, s.Conn.Write, b)
}

func within(patience time.Duration, deadline func(time.Time) error, call func([]byte) (int, error), b []byte) (int, error) {
	if patience <= 0 {
		return call(b)
	}
	if err := deadline(time.Now().Add(patience)); err != nil {
		return 0, err
	}
	n, err := call(b)
	if err == nil {
		err = deadline(time.Time{})
	}
	return n, err
}
