package wire

import "sync"

// loans are the larger buffers of a connection that is at work, and the small ones that they stand in for. Thousands of
// client connections wait for their next command at any time, and few are at work: ReadCommand gives the larger ones back.
type loans struct {
	read  *[maxReadBuffer]byte // Conn.rbuf, or nil
	write *[writeBuffer]byte   // Conn.wbuf, or nil
	big   *[]byte              // what Conn.big was lent as, or nil

	smallRead, smallWrite []byte // while read and write are lent
}

var (
	readBuffers  = sync.Pool{New: func() any { return new([maxReadBuffer]byte) }}
	writeBuffers = sync.Pool{New: func() any { return new([writeBuffer]byte) }}
	bigBuffers   sync.Pool // *[]byte
)

// borrowRead makes the read buffer as large as it gets. The unread bytes move.
func (c *Conn) borrowRead() {
	c.lent.read = readBuffers.Get().(*[maxReadBuffer]byte)
	c.lent.smallRead = c.swap(c.lent.read[:])
}

// borrowWrite makes room for n more bytes in the write buffer, at most writeBuffer in all.
func (c *Conn) borrowWrite(n int) {
	if n += len(c.wbuf); n <= cap(c.wbuf) || n <= restBuffer {
		return // append makes room for a few bytes itself
	}
	c.lent.write, c.lent.smallWrite = writeBuffers.Get().(*[writeBuffer]byte), c.wbuf[:0]
	c.wbuf = c.lent.write[:copy(c.lent.write[:], c.wbuf)]
}

// borrowBig takes a buffer for packets that are larger than the read buffer, if the pool has one.
func (c *Conn) borrowBig() {
	if c.big != nil {
		return
	}
	if b, ok := bigBuffers.Get().(*[]byte); ok {
		c.lent.big, c.big = b, *b
	}
}

// giveBack returns what was lent. What has not been read, or not been written, stays where it is.
func (c *Conn) giveBack() {
	c.full = false // the next command may be short
	if c.lent.read != nil && c.w-c.r <= len(c.lent.smallRead) && &c.rbuf[0] == &c.lent.read[0] {
		c.swap(c.lent.smallRead)
		readBuffers.Put(c.lent.read)
		c.lent.read, c.lent.smallRead = nil, nil
	}
	if c.lent.write != nil && len(c.wbuf) == 0 {
		c.wbuf = c.lent.smallWrite
		writeBuffers.Put(c.lent.write)
		c.lent.write, c.lent.smallWrite = nil, nil
	}
	if c.big != nil {
		if c.lent.big == nil {
			c.lent.big = new([]byte)
		}
		if cap(c.big) <= keepBig {
			*c.lent.big = c.big[:0]
			bigBuffers.Put(c.lent.big)
		}
		c.big, c.lent.big = nil, nil
	}
	if cap(c.scratch) > restBuffer {
		c.scratch = nil
	}
}
