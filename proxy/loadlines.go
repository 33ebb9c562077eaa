package proxy

import (
	"encoding/binary"
	"errors"
	"fmt"
	"regexp"
	"strconv"

	"github.com/xaproxy/xaproxy/wire"
)

// maxLineNumbers bounds the memory for the numbers of lines that went to one backend: a byte or two for each.
const maxLineNumbers = 4 << 20

// lineNumbers are those in the client's file of the lines that a backend got. A PostgreSQL session says which of its lines it cannot load.
type lineNumbers struct {
	deltas []byte
	last   uint64
	full   bool
}

func (n *lineNumbers) add(line uint64) {
	if n.full = n.full || len(n.deltas) >= maxLineNumbers; n.full {
		return
	}
	n.deltas, n.last = binary.AppendUvarint(n.deltas, line-n.last), line
}

// of is the number in the file of the k-th line, from 1; 0 if it is not known any more.
func (n *lineNumbers) of(k uint64) (line uint64) {
	rest := n.deltas
	for ; k > 0; k-- {
		delta, size := binary.Uvarint(rest)
		if size <= 0 {
			return 0
		}
		line, rest = line+delta, rest[size:]
	}
	return line
}

var lineOfFile = regexp.MustCompile(`^line (\d+) of the file`)

// placed is an error of the backend's about a line, with its number in the client's file in place of that in the backend's.
func (n *lineNumbers) placed(err error, ignored uint64) error {
	var said *wire.Error
	if !errors.As(err, &said) {
		return err
	}
	m := lineOfFile.FindStringSubmatch(said.Message)
	if m == nil {
		return err
	}
	own, _ := strconv.ParseUint(m[1], 10, 64) // it is digits
	where := fmt.Sprintf("line %s of those for this backend", m[1])
	if line := n.of(own - min(own, ignored)); line > 0 {
		where = fmt.Sprintf("line %d of the file", line)
	}
	placed := *said
	placed.Message = where + said.Message[len(m[0]):]
	return &placed
}
