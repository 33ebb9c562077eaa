package wire

import (
	"io"
	"net"
	"os"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// directLimit is the largest read or write in bytes that socket does without telling the scheduler: a copy of that size
// takes a few microseconds. A goroutine cannot be preempted meanwhile.
const directLimit = 64 << 10

// socket is a TCP or unix connection whose small reads and writes are made as raw system calls. The socket is
// non-blocking, so they never wait; but a write over loopback carries the packet to its receiver and takes 10 to 30 µs. When
// a system call takes that long, the runtime gives the processor to another thread, which the first one needs back right
// after: a third of the CPU time of a relayed point select. Waiting, deadlines and Close are those of package net.
//
// Like a net.Conn, it may be read, written and closed by different goroutines at once, but here not read by two or
// written by two.
type socket struct {
	net.Conn
	raw         syscall.RawConn
	read, write call
	clock       clock // of reads

	low      int32 // bytes without which the next read does not wake up; 0: any
	applyLow func(fd uintptr)
}

// lowWater is more than the shortest answer, which is an OK of 11 bytes, and not more than the shortest error has, nor two answers.
const lowWater = 12

// several says that more than one answer will come, so that the next read need not wake up for the first of them.
func (s *socket) several() { s.setLow(lowWater) }

func (s *socket) setLow(low int32) {
	if s.low != low {
		s.low = low
		_ = s.raw.Control(s.applyLow) // a connection that is closed says so when it is read
	}
}

// setLowWater tells the system. Where it does not take the option, reads wake up earlier.
//
// Source: socket(7), SO_RCVLOWAT. Zero means one.
func (s *socket) setLowWater(fd uintptr) {
	_, _, _ = syscall.RawSyscall6(unix.SYS_SETSOCKOPT, fd, unix.SOL_SOCKET, unix.SO_RCVLOWAT, uintptr(unsafe.Pointer(&s.low)), unsafe.Sizeof(s.low), 0)
}

// call is a system call on a buffer: made once per direction, so that it costs no allocation.
type call struct {
	trap  uintptr
	name  string
	try   func(fd uintptr) bool
	buf   []byte // only during the call
	n     int
	errno syscall.Errno

	deadline func(time.Time) error
	patience time.Duration // how long the call may wait; 0: as the connection's deadlines say
	waits    bool          // a deadline is set: only calls that have to wait need one
	clock    *clock        // nil: nobody wants to know
}

// Direct returns nc with raw system calls, if it is a plain socket.
func Direct(nc net.Conn) net.Conn {
	switch nc.(type) {
	case *net.TCPConn, *net.UnixConn:
	default:
		return nc
	}
	raw, err := nc.(syscall.Conn).SyscallConn()
	if err != nil {
		return nc // closed: it says so itself when it is used
	}
	s := &socket{Conn: nc, raw: raw}
	// Calls for sockets alone take a shorter way through the kernel than read and write.
	s.read = call{trap: unix.SYS_RECVFROM, name: "read"}
	s.write = call{trap: unix.SYS_SENDTO, name: "write"}
	s.read.try, s.write.try = s.read.once, s.write.once
	s.applyLow = s.setLowWater
	s.read.clock = &s.clock
	s.read.deadline, s.write.deadline = nc.SetReadDeadline, nc.SetWriteDeadline
	return s
}

// setPatience bounds how long reads, or writes, wait. It leaves no deadline behind, not even one that was set before.
func (s *socket) setPatience(read, write time.Duration) {
	s.read.patience, s.write.patience = read, write
}

// plain returns what Direct was given.
func plain(nc net.Conn) net.Conn {
	if s, ok := nc.(*socket); ok {
		return s.Conn
	}
	return nc
}

// once tries the call; false means that it has to wait.
func (c *call) once(fd uintptr) bool {
	for {
		n, _, errno := syscall.RawSyscall6(c.trap, fd, uintptr(unsafe.Pointer(unsafe.SliceData(c.buf))), uintptr(len(c.buf)), 0, 0, 0)
		switch errno {
		case syscall.EINTR:
			continue
		case syscall.EAGAIN:
			c.await()
			return false
		}
		c.n, c.errno = int(n), errno
		return true
	}
}

// await sets the deadline of a wait that begins.
func (c *call) await() {
	if c.clock != nil {
		c.clock.begin()
	}
	if c.patience > 0 && !c.waits {
		c.waits = c.deadline(time.Now().Add(c.patience)) == nil
	}
}

// awaited takes it back. One that has passed stays: the connection is of no use any more.
func (c *call) awaited(err error) error {
	if c.clock != nil {
		c.clock.end()
	}
	if c.waits {
		c.waits = false
		if err == nil {
			err = c.deadline(time.Time{})
		}
	}
	return err
}

// on makes the call, waiting with the given method of the connection where it has to.
func (c *call) on(s *socket, wait func(func(uintptr) bool) error, b []byte) (int, error) {
	c.buf = b
	err := c.awaited(wait(c.try))
	c.buf = nil
	switch {
	case err != nil:
		return 0, err
	case c.errno != 0:
		return 0, &net.OpError{
			Op: c.name, Net: s.LocalAddr().Network(), Source: s.LocalAddr(), Addr: s.RemoteAddr(), Err: os.NewSyscallError(c.name, c.errno),
		}
	}
	return c.n, nil
}

func (s *socket) Read(b []byte) (int, error) {
	if len(b) == 0 || len(b) > directLimit {
		s.read.await()
		n, err := s.Conn.Read(b)
		return n, s.read.awaited(err)
	}
	n, err := s.read.on(s, s.raw.Read, b)
	s.setLow(0) // the rest of the answers may be shorter
	if n == 0 && err == nil {
		err = io.EOF
	}
	return n, err
}

func (s *socket) Write(b []byte) (int, error) {
	if len(b) > directLimit {
		s.write.await()
		n, err := s.Conn.Write(b)
		return n, s.write.awaited(err)
	}
	written := 0
	for written < len(b) {
		n, err := s.write.on(s, s.raw.Write, b[written:])
		written += n
		if err != nil {
			return written, err
		}
	}
	return written, nil
}
