package wire

import (
	"errors"
	"os"
)

// Arrived waits until n packets of the peer have come, or one that is an error, behind which there is none, and reports false if the
// deadline of the connection passes before. It takes none of them: they can be read without waiting, or waited for again with another
// deadline. It reports true also if there will be none, which the next read says.
func (c *Conn) Arrived(n int) bool {
	for at := 0; n > 0; n-- {
		if err := c.need(at + headerSize + 1); err != nil {
			return !errors.Is(err, os.ErrDeadlineExceeded)
		}
		p := c.rbuf[c.r+at:]
		end := at + headerSize + chunkLength(p)
		if p[headerSize] == headerErr || end > maxReadBuffer {
			n = 1
		}
		if err := c.need(min(end, maxReadBuffer)); err != nil {
			return !errors.Is(err, os.ErrDeadlineExceeded)
		}
		at = end
	}
	return true
}
