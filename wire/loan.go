package wire

import (
	"sync"
	"weak"
)

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
	bigBuffers   sync.Pool // *[]byte of up to keepBig
	hugeBuffers  spares    // of more
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

// grow makes room in c.big, which is full, for some of the want bytes that are still to come: four times what has come, or
// what a former packet has left once that is a lot. A statement of 17 MB would otherwise leave as much behind for the garbage collector
// as it needs, each time.
func (c *Conn) grow(want int) {
	have := c.big
	if len(have) >= growStep && len(have)+want > keepBig {
		if b := hugeBuffers.get(); b != nil && cap(*b) > len(have) {
			grown := append(*b, have...)
			c.giveBackBig()
			c.lent.big, c.big = b, grown
			return
		}
	}
	c.big = append(make([]byte, 0, len(have)+min(want, max(growStep, 4*len(have)))), have...)
}

// giveBackBig returns what was lent for large packets, or has become of it.
func (c *Conn) giveBackBig() {
	if c.big == nil {
		return
	}
	if c.lent.big == nil {
		c.lent.big = new([]byte)
	}
	*c.lent.big = c.big[:0]
	if cap(c.big) <= keepBig {
		bigBuffers.Put(c.lent.big)
	} else {
		hugeBuffers.put(c.lent.big)
	}
	c.big, c.lent.big = nil, nil
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
	c.giveBackBig()
	if cap(c.scratch) > restBuffer {
		c.scratch = nil
	}
}

// spares are large buffers that are not in use, from when they are given back until the garbage collector comes. A sync.Pool
// would keep one for each processor, and each of them through two collections.
type spares struct {
	mu   sync.Mutex
	free []weak.Pointer[[]byte]
}

// get returns the buffer that was given back last, or nil.
func (s *spares) get() *[]byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	for n := len(s.free) - 1; n >= 0; n-- {
		b := s.free[n].Value()
		s.free = s.free[:n]
		if b != nil {
			return b
		}
	}
	return nil
}

// put takes a buffer that nobody uses any more.
func (s *spares) put(b *[]byte) {
	s.mu.Lock()
	s.free = append(s.free, weak.Make(b))
	s.mu.Unlock()
}
