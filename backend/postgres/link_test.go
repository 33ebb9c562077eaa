package postgres

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"github.com/xaproxy/xaproxy/wire"
)

// linked returns a link to a session that has a socket, and PostgreSQL's end of that.
func linked(t *testing.T, session func(far net.Conn, socket io.ReadWriter)) (*link, net.Conn) {
	t.Helper()
	ours, theirs := net.Pipe()
	socket := &patientConn{Conn: ours, plain: ours}
	l := newLink("l", socket, func(far net.Conn) { session(far, socket) })
	t.Cleanup(func() { _ = l.Close(); _ = theirs.Close() })
	return l, theirs
}

// passOn gives PostgreSQL each line of a byte, and the client the answer to it.
func passOn(far net.Conn, socket io.ReadWriter) {
	b := make([]byte, 1)
	for {
		for _, step := range []func([]byte) (int, error){far.Read, socket.Write, socket.Read, far.Write} {
			if _, err := step(b); err != nil {
				return
			}
		}
	}
}

func TestLink(t *testing.T) {
	const size = 5*maxBuffered + 7
	l, _ := linked(t, func(far net.Conn, _ io.ReadWriter) {
		all := make([]byte, size)
		if _, err := io.ReadFull(far, all); err == nil {
			_, _ = far.Write(bytes.ToUpper(all))
		}
	})
	if n, err := l.Write(bytes.Repeat([]byte("x"), size)); n != size || err != nil { // more than it holds, both ways
		t.Fatalf("wrote %d, %v", n, err)
	}
	all, err := io.ReadAll(l)
	if !bytes.Equal(all, bytes.Repeat([]byte("X"), size)) || err != nil {
		t.Errorf("read %d bytes, %v", len(all), err)
	}
	if _, err := l.Write([]byte("x")); !errors.Is(err, io.ErrClosedPipe) {
		t.Errorf("write to nobody: %v", err)
	}
	_ = l.Close()
	_ = l.Close()
	if _, err := l.Read(make([]byte, 1)); !errors.Is(err, net.ErrClosed) {
		t.Errorf("read after close: %v", err)
	}
}

// A client that has asked is not kept waiting for the answer, and a deadline only interrupts that.
func TestLinkDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, theirs := linked(t, passOn)
		asked := make(chan byte, 1)
		go func() {
			b := make([]byte, 1)
			_, _ = theirs.Read(b)
			asked <- b[0]
		}()
		if n, err := l.Write([]byte("a")); n != 1 || err != nil || <-asked != 'a' {
			t.Fatalf("%d, %v", n, err)
		}
		for _, wait := range []time.Duration{time.Second, -time.Second, 2 * time.Second} {
			since := time.Now()
			_ = l.SetDeadline(since.Add(wait))
			n, err := l.Read(make([]byte, 1))
			if passed := time.Since(since); n != 0 || !errors.Is(err, os.ErrDeadlineExceeded) || passed != max(wait, 0) {
				t.Errorf("after %v of %v: %d, %v", passed, wait, n, err)
			}
		}
		_ = l.SetDeadline(time.Time{})
		time.AfterFunc(time.Second, func() { _ = l.SetReadDeadline(time.Unix(1, 0)) })
		if n, err := l.Read(make([]byte, 1)); n != 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("interrupted: %d, %v", n, err)
		}
		_ = l.SetDeadline(time.Time{})
		go theirs.Write([]byte("b"))
		b := make([]byte, 1)
		if n, err := l.Read(b); n != 1 || err != nil || b[0] != 'b' {
			t.Errorf("in the end: %q, %v", b[:n], err)
		}
	})
}

// A deadline that passes while PostgreSQL takes nothing loses no byte.
func TestLinkSlowSocket(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, theirs := linked(t, passOn)
		_ = l.SetDeadline(time.Now().Add(time.Second))
		if _, err := l.Write([]byte("a")); err != nil { // it is the session's socket that is full
			t.Fatal(err)
		}
		if _, err := l.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatal(err)
		}
		_ = l.SetDeadline(time.Time{})
		go func() {
			b := make([]byte, 1)
			_, _ = theirs.Read(b)
			_, _ = theirs.Write(bytes.ToUpper(b))
		}()
		b := make([]byte, 1)
		if n, err := l.Read(b); n != 1 || err != nil || b[0] != 'A' {
			t.Errorf("%q, %v", b[:n], err)
		}
	})
}

// One goroutine may wait for the answer while another one writes, who is told when it has to stop.
func TestLinkBothWays(t *testing.T) {
	for _, early := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			const size = 20 * maxBuffered
			l, theirs := linked(t, func(far net.Conn, socket io.ReadWriter) {
				buf := make([]byte, 10000)
				for all := 0; all < size; {
					n, err := far.Read(buf)
					if err != nil {
						return
					}
					all += n
					if _, err := socket.Write(buf[:1]); err != nil {
						return
					}
					if _, err := socket.Read(buf[:1]); err != nil {
						return
					}
					if early && all > size/2 {
						break
					}
				}
				_, _ = far.Write([]byte("done"))
				_, _ = socket.Read(buf) // the session does not end yet
			})
			go func() { // PostgreSQL
				b := make([]byte, 1)
				for {
					if _, err := theirs.Read(b); err != nil {
						return
					}
					time.Sleep(time.Millisecond)
					if _, err := theirs.Write(b); err != nil {
						return
					}
				}
			}()
			answered := make(chan string)
			go func() {
				b := make([]byte, 10)
				n, err := l.Read(b)
				_ = l.SetWriteDeadline(time.Unix(1, 0))
				if answered <- string(b[:n]); err != nil {
					t.Error(err)
				}
			}()
			written, err := 0, error(nil)
			for written < size && err == nil {
				n := 0
				n, err = l.Write(make([]byte, 5000))
				written += n
			}
			if (err != nil) != early || early && (!errors.Is(err, os.ErrDeadlineExceeded) || written >= size) {
				t.Errorf("early %v: %d bytes, %v", early, written, err)
			}
			if got := <-answered; got != "done" {
				t.Errorf("answer %q", got)
			}
		})
	}
}

// Close ends a session wherever it is, and a read that waits for it.
func TestLinkClose(t *testing.T) {
	for _, where := range []string{"at the start", "for a command", "for room", "for PostgreSQL", "while a read waits"} {
		synctest.Test(t, func(t *testing.T) {
			ended, said := false, false
			l, theirs := linked(t, func(far net.Conn, socket io.ReadWriter) {
				defer func() { ended = true }()
				if where == "for room" {
					_, _ = far.Write(make([]byte, 2*maxBuffered))
				}
				passOn(far, socket)
				_, err := socket.Write([]byte("X"))
				said = err == nil
			})
			go io.Copy(io.Discard, theirs)
			if where != "at the start" && where != "for room" {
				_ = l.SetReadDeadline(time.Now().Add(time.Second))
				if _, err := l.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
					t.Error(err)
				}
				_ = l.SetReadDeadline(time.Time{})
			}
			read := make(chan error, 1)
			switch where {
			case "for room":
				_, _ = l.Read(make([]byte, 1))
			case "for PostgreSQL", "while a read waits":
				_, _ = l.Write([]byte("a"))
			}
			if where == "while a read waits" {
				go func() {
					_, err := l.Read(make([]byte, 1))
					read <- err
				}()
				synctest.Wait()
			}
			_ = l.Close()
			if synctest.Wait(); !ended || said != (where == "for a command") {
				t.Errorf("%s: ended %v, took its leave %v", where, ended, said)
			}
			if where == "while a read waits" && !errors.Is(<-read, net.ErrClosed) {
				t.Error("the read did not end")
			}
		})
	}
}

// A deadline of the past does not make a connection at rest look closed.
func TestLinkAtRest(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	ours, err := net.Dial("tcp", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	theirs, err := listener.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer theirs.Close()
	socket := &patientConn{Conn: wire.Direct(ours), plain: ours}
	l := newLink("l", socket, func(far net.Conn) { passOn(far, socket) })
	defer l.Close()
	client := wire.NewConn(l, 0)
	client.Time()
	_ = l.SetDeadline(time.Now().Add(time.Millisecond))
	_, _ = l.Write([]byte("a"))
	if _, err := client.ReadPacket(); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatal(err)
	}
	if client.Waited() == 0 { // which the slow statements tell
		t.Error("it has not waited")
	}
	_ = l.SetDeadline(time.Time{})
	raw, err := l.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	if err := raw.Read(func(uintptr) bool { return true }); err != nil {
		t.Errorf("a look at the socket: %v", err)
	}
}
