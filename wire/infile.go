package wire

import (
	"fmt"
	"time"
)

// A LOAD DATA LOCAL INFILE goes: the server asks for a file by name, the client sends its bytes in packets of any size and
// an empty one at the end, and the server answers. Sequence ids run through all of it.
//
// Source: MySQL page_protocol_com_query_response_local_infile_request, MariaDB KB "LOCAL INFILE packet".

// RequestFile asks the client for a file and flushes. The client must have LocalFiles among its capabilities. Next comes
// File.Next up to the end, and then the answer to the statement.
func (c *Conn) RequestFile(name string) (File, error) {
	c.scratch = append(append(c.scratch[:0], headerInfile), name...)
	return File{conn: c}, c.send(c.scratch)
}

// File is a file that the client sends. Where its packets begin and end has no meaning, so they are not put together: it takes no
// more memory than the connection's read buffer.
type File struct {
	conn      *Conn
	left      int  // bytes of the current chunk that have not been returned
	continued bool // the next chunk continues the current packet
	done      bool // the empty packet was read
}

// Next returns the bytes that come next, as many as have arrived: none at the end. They are valid until the next read. After an
// error the connection must be closed.
func (f *File) Next() ([]byte, error) {
	c := f.conn
	c.hurry(true)
	defer c.hurry(false)
	for f.left == 0 {
		if f.done {
			return nil, nil
		}
		n, err := c.readHeader()
		if err != nil {
			return nil, unexpected(err)
		}
		f.done = n == 0 && !f.continued
		f.continued = n == maxChunk
		f.left = n
	}
	if c.r == c.w {
		if err := c.fill(); err != nil {
			return nil, fmt.Errorf("read file: %w", unexpected(err))
		}
	}
	p := c.rbuf[c.r:min(c.w, c.r+f.left)]
	c.r += len(p)
	f.left -= len(p)
	return p, nil
}

// ReadFileRequest reads the server's request for a file, to be answered with WriteFileChunk, and returns the file's name.
// An ERR in its place comes back as an *Error, and the connection stays usable.
func (c *Conn) ReadFileRequest() (string, error) {
	p, err := c.ReadPacket()
	switch {
	case err != nil:
		return "", unexpected(err)
	case len(p) > 0 && p[0] == headerErr:
		return "", c.readErr(p)
	case len(p) == 0 || p[0] != headerInfile:
		return "", malformed("LOCAL INFILE request")
	}
	return string(p[1:]), nil
}

// WriteFileChunk sends the next bytes of a file that the server asked for. None mean its end; only then everything is
// flushed, and the server's answer follows. A server that fails reads the file to its end before it says so.
func (c *Conn) WriteFileChunk(p []byte) error {
	if len(p) == 0 {
		return c.send(nil)
	}
	return c.WritePacket(p)
}

// Await waits until the server has said something and leaves that unread. An answer that comes before the end of the file is a
// server's last word: it reads no more. Another goroutine may write meanwhile, so the connection must not be a compressed one,
// which counts both directions together.
func (c *Conn) Await() error {
	if c.Buffered() {
		return nil
	}
	return unexpected(c.fill())
}

// ReadEarly reads an answer that came before the end of the file: an *Error if it is one. Its sequence id says how much the
// server had read then, so any is right. The connection must be closed.
func (c *Conn) ReadEarly() error {
	if err := c.need(headerSize); err != nil {
		return unexpected(err)
	}
	c.seq = c.rbuf[c.r+headerSize-1]
	p, err := c.ReadPacket()
	switch {
	case err != nil:
		return unexpected(err)
	case len(p) > 0 && p[0] == headerErr:
		return c.readErr(p)
	}
	return malformed("answer before the end of a file")
}

// refuseFile answers a LOCAL INFILE request with an empty file. The server's final answer follows.
func (c *Conn) refuseFile() error { return c.WriteFileChunk(nil) }

// upload is a client's file on its way to the server: whole buffers, as they are but for sequence ids.
type upload struct {
	client, backend *Conn

	skip      int   // bytes of the current chunk that are still to pass
	continued bool  // the next chunk continues the current packet
	done      bool  // the empty packet is among the bytes that were scanned
	lost      error // why the server gets no more; the client's bytes are still read to their end, so that it can hear of it
}

// run passes the client's packets on up to the empty one. onServer says on whose side the error is.
func (u *upload) run() (onServer bool, err error) {
	// A client that sends is not idle, however long its file is. One that does not has only so much patience.
	if err := u.client.nc.SetReadDeadline(time.Time{}); err != nil {
		return false, fmt.Errorf("read file: %w", err)
	}
	u.client.hurry(true)
	defer u.client.hurry(false)
	for {
		c := u.client
		n, err := u.scan(c.rbuf[c.r:c.w])
		if err == nil && n > 0 {
			u.lost = u.backend.passOn(c.rbuf[c.r : c.r+n])
		}
		c.r += n
		switch {
		case err != nil:
			return false, err
		case u.done:
			return true, u.lost
		}
		if err := c.fill(); err != nil {
			return false, fmt.Errorf("read file: %w", unexpected(err))
		}
	}
}

// scan goes over b, the unread bytes of the client, and gives chunks the server's sequence ids. The first n bytes are then
// for the server.
func (u *upload) scan(b []byte) (n int, err error) {
	for {
		k := min(u.skip, len(b)-n)
		n += k
		u.skip -= k
		p := b[n:]
		if u.done || u.skip > 0 || len(p) < headerSize {
			return n, nil
		}
		if err := u.client.inOrder(p[3]); err != nil {
			return n, err
		}
		p[3] = u.backend.seq
		u.client.seq++
		u.backend.seq++
		length := chunkLength(p)
		u.done = length == 0 && !u.continued
		u.continued = length == maxChunk
		u.skip = headerSize + length
	}
}
