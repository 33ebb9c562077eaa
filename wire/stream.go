package wire

import (
	"encoding/binary"
	"fmt"
	"sync"
)

// phase is what the next packet of an answer can be.
type phase byte

const (
	phaseFirst   phase = iota // OK, ERR, LOCAL INFILE request, or column count
	phaseColumns              // column definitions
	phaseMiddle               // the EOF between column definitions and rows, without DeprecateEOF
	phaseRows                 // rows, or the OK, EOF or ERR that ends them
	phaseDone
)

// stream is one answer on its way from the server to the client.
//
// The server's read buffer is scanned packet header by packet header; OK, EOF and ERR packets and the column count are
// looked at, everything else is skipped over; ids and status flags are changed where they stand, and the bytes go out as
// they are. Only what cannot stay in place (a session state, a packet larger than the buffer) is handled on its own.
type stream struct {
	relay           *Relay
	client, backend *Conn
	multi           bool // further results belong to the answer
	concat          bool // results of several servers become one
	head, tail      bool // the client gets the column definitions, the end of the rows

	phase     phase
	columns   int  // column definitions still to come
	skip      int  // bytes of the current chunk that are still to pass
	continued bool // the next chunk continues the current packet
	keep      bool // the current packet is for the client
	outParams bool // the result holds OUT parameters; then the EOF in the middle alone says that another result follows

	wide wideRead // of the server

	result Result
}

// streamBuffer is the size of the read buffer while many rows stream, in bytes. Against 32 KiB it saves about a sixth of the
// CPU time of a large result.
const streamBuffer = 256 << 10

// streamBuffers holds *[streamBuffer]byte.
var streamBuffers = sync.Pool{New: func() any { return new([streamBuffer]byte) }}

// wideRead is a larger read buffer of a connection, while many rows stream.
type wideRead struct {
	own      []byte // the connection's own, while one of streamBuffers stands in for it
	borrowed *[streamBuffer]byte
}

// borrow gives the connection a larger read buffer when rows fill its own.
func (w *wideRead) borrow(c *Conn) {
	if c.full && len(c.rbuf) == maxReadBuffer && w.borrowed == nil {
		w.borrowed = streamBuffers.Get().(*[streamBuffer]byte)
		w.own = c.swap(w.borrowed[:])
	}
}

// giveBack undoes borrow. After an error too many bytes may be unread; the buffer then stays with the connection.
func (w *wideRead) giveBack(c *Conn) {
	if w.borrowed != nil && c.w-c.r <= len(w.own) {
		c.swap(w.own)
		streamBuffers.Put(w.borrowed)
		w.borrowed = nil
	}
}

// step is what has to happen after a scan.
type step byte

const (
	stepRead  step = iota // read more bytes
	stepPass              // pass the bytes on and scan again
	stepWhole             // handle the next packet on its own
	stepDone              // the answer has ended
)

// run relays until the answer ends.
func (s *stream) run() (Result, error) {
	if c := s.client.caps ^ s.backend.caps; c.Has(DeprecateEOF) {
		panic("relay: client and server differ in DeprecateEOF")
	}
	defer s.wide.giveBack(s.backend)
	for {
		b := s.backend
		n, next, err := s.scan(b.rbuf[b.r:b.w])
		if err := s.pass(n); err != nil {
			return s.result, s.clientError(err)
		}
		if err != nil {
			return s.result, s.backendError(err)
		}
		switch next {
		case stepRead:
			s.wide.borrow(b)
			if err := b.fill(); err != nil {
				return s.result, s.backendError(fmt.Errorf("read packet: %w", unexpected(err)))
			}
		case stepPass:
		case stepWhole:
			if err := s.packet(); err != nil {
				return s.result, err
			}
		case stepDone:
			b.open, b.inTrans = false, s.result.Err == nil && s.result.OK.Status&StatusInTrans != 0
			if err := s.client.Flush(); err != nil {
				return s.result, s.clientError(err)
			}
			return s.result, nil
		}
	}
}

// scan goes over b, the unread bytes of the server, and changes in place what the client must see differently. The first
// n bytes are then for the client, or for nobody when s.keep is not set; the step says what to do about the others.
func (s *stream) scan(b []byte) (n int, next step, err error) {
	for {
		k := min(s.skip, len(b)-n)
		n += k
		s.skip -= k
		p := b[n:]
		switch {
		case s.skip > 0:
			return n, stepRead, nil
		case s.phase == phaseDone && !s.continued:
			return n, stepDone, nil
		case len(p) < headerSize:
			return n, stepRead, nil
		}
		if err := s.backend.inOrder(p[3]); err != nil {
			return n, 0, err
		}
		length := chunkLength(p)
		if s.continued {
			s.begin(p, length)
			continue
		}
		if s.phase == phaseRows && s.keep {
			if k := s.rows(p); k > 0 {
				n += k
				continue
			}
		}
		if length == 0 {
			return n, 0, malformed("answer: empty packet")
		}
		if len(p) == headerSize {
			return n, stepRead, nil
		}
		size, first := headerSize+length, p[headerSize]
		whole := s.whole(first, length)
		switch {
		case whole && (size > len(s.backend.rbuf) || s.isInfile(first)):
			return n, stepWhole, nil
		case len(p) < size && (whole || size <= len(s.backend.rbuf)/4):
			return n, stepRead, nil // small rows stay whole, so that an ERR can follow when the server dies
		case whole && s.tracks(p[headerSize:size]):
			return n, stepWhole, nil
		}
		if keep := s.keeps(first, whole); keep != s.keep {
			if n > 0 {
				return n, stepPass, nil
			}
			s.keep = keep
		}
		if !whole {
			s.data()
		} else if err := s.control(p[headerSize:size]); err != nil {
			return n, 0, err
		}
		s.begin(p, length)
	}
}

// rows takes the rows at the start of p that are plain: complete, in one chunk, in order, and not for control to look at.
// It returns their length; scan does the same for one packet at a time, and for all others.
func (s *stream) rows(p []byte) int {
	n, from, to := 0, s.backend.seq, s.client.seq
	rows := s.result.Rows
	for len(p)-n > headerSize {
		h := p[n : n+headerSize+1]
		length := chunkLength(h)
		if first := h[headerSize]; length == 0 || length > len(p)-n-headerSize || first >= headerEOF || h[3] != from {
			break
		}
		h[3] = to
		from++
		to++
		rows++
		n += headerSize + length
	}
	s.backend.seq, s.client.seq, s.result.Rows = from, to, rows
	return n
}

// begin takes the chunk whose header starts p: it gets its sequence id, and its bytes are to pass.
func (s *stream) begin(p []byte, length int) {
	if s.keep {
		p[3] = s.client.seq
		s.client.seq++
	}
	s.backend.seq++
	s.skip = headerSize + length
	s.continued = length == maxChunk
}

// whole reports whether a packet has to be looked at: everything but column definitions and rows.
func (s *stream) whole(first byte, length int) bool {
	return s.phase == phaseFirst || s.phase == phaseMiddle || first == headerErr ||
		s.phase == phaseRows && endsRows(first, length, s.backend.caps)
}

func (s *stream) isInfile(first byte) bool { return s.phase == phaseFirst && first == headerInfile }

// keeps reports whether a packet is for the client.
func (s *stream) keeps(first byte, whole bool) bool {
	switch {
	case first == headerErr && whole:
		return true
	case s.phase == phaseFirst && (first == headerOK || first == headerEOF):
		return s.tail
	case s.phase == phaseRows:
		return s.tail || !whole
	}
	return s.head
}

// tracks reports whether p is an OK packet whose session state is another one for the client. Without such a state OK packets
// look the same with and without SessionTrack.
func (s *stream) tracks(p []byte) bool {
	if p[0] != headerOK && p[0] != headerEOF || p[0] == headerEOF && !s.backend.caps.Has(DeprecateEOF) {
		return false
	}
	o, _, err := fixedOK(p, s.backend.caps)
	changed := o.Status&StatusSessionStateChanged != 0
	if t := s.tracker(); t != nil {
		return err == nil && (changed || t.Due(o.Header == headerEOF))
	}
	return err == nil && changed && !(s.client.caps & s.backend.caps).Has(SessionTrack)
}

// tracker is who has a say about the client's session state, or nil.
func (s *stream) tracker() Tracker {
	if s.client.caps.Has(SessionTrack) {
		return s.relay.Tracker
	}
	return nil
}

// data counts a column definition or a row.
func (s *stream) data() {
	if s.phase == phaseRows {
		s.result.Rows++
		return
	}
	if s.columns--; s.columns > 0 {
		return
	}
	s.phase = phaseRows
	if !s.backend.caps.Has(DeprecateEOF) {
		s.phase = phaseMiddle
	}
}

// control interprets a packet that is neither a column definition nor a row, changes it for the client, and moves to the
// next phase.
func (s *stream) control(p []byte) error {
	switch {
	case p[0] == headerErr:
		e, err := ParseErr(p, s.backend.caps)
		s.result.Err, s.phase = e, phaseDone
		return err
	case s.phase != phaseFirst:
		if p[0] != headerEOF {
			return malformed("answer: EOF after column definitions")
		}
		return s.end(p)
	case p[0] == headerOK || p[0] == headerEOF:
		if err := s.shape(0); err != nil {
			return err
		}
		return s.end(p)
	}
	n, err := columnCount(p)
	if err != nil {
		return err
	}
	if err := s.shape(n); err != nil {
		return err
	}
	s.columns, s.phase = n, phaseColumns
	s.result.Columns, s.result.HadRows = n, true
	return nil
}

// shape compares the number of columns, 0 for an OK, with the first result of a concatenation.
func (s *stream) shape(columns int) error {
	switch {
	case !s.concat:
	case s.head:
		s.relay.columns = columns
	case s.relay.columns != columns:
		return fmt.Errorf("%w: %d columns, %d in the first one", ErrShape, columns, s.relay.columns)
	}
	return nil
}

// end interprets and changes an OK or EOF packet: what ends a result, or the EOF after the column definitions.
func (s *stream) end(p []byte) error {
	o, at, err := fixedOK(p, s.backend.caps)
	if err != nil {
		return err
	}
	status := o.Status&^s.relay.ClearStatus | s.relay.SetStatus
	if s.phase == phaseMiddle && !(s.relay.Cursor && o.Status&StatusCursorExists != 0) {
		s.phase = phaseRows
		s.outParams = o.Status&StatusPSOutParams != 0 && o.Status&StatusMoreResults != 0
		binary.LittleEndian.PutUint16(p[at.status:], uint16(status))
		return nil
	}
	s.result.OK = o
	s.phase = phaseDone
	more := o.Status&StatusMoreResults != 0 || s.outParams
	s.outParams = false
	switch {
	case more && s.concat:
		return fmt.Errorf("%w: several results in one", ErrShape)
	case more && s.multi:
		s.phase = phaseFirst
	}
	warnings := o.Warnings
	if s.concat {
		warnings = uint16(min(uint32(warnings)+uint32(s.relay.warnings), 0xffff))
		s.relay.warnings = warnings
	}
	if s.tail && s.phase == phaseDone {
		warnings = uint16(min(uint32(warnings)+uint32(s.relay.AddWarnings), 0xffff))
	}
	binary.LittleEndian.PutUint16(p[at.status:], uint16(status))
	binary.LittleEndian.PutUint16(p[at.warnings:], warnings)
	return nil
}

// packet handles the next packet on its own: it is read whole, changed and written.
func (s *stream) packet() error {
	p, err := s.backend.ReadPacket()
	if err != nil {
		return s.backendError(unexpected(err))
	}
	if s.isInfile(p[0]) {
		return s.infile(p)
	}
	keep, rewrite := s.keeps(p[0], true), s.tracks(p)
	if err := s.control(p); err != nil {
		return s.backendError(err)
	}
	if rewrite {
		if p, err = s.rewrite(p, keep); err != nil {
			return s.backendError(err)
		}
	}
	if !keep {
		return nil
	}
	if err := s.client.WritePacket(p); err != nil {
		return s.clientError(err)
	}
	return nil
}

// rewrite returns an OK packet, whose status and warnings are the client's already, with the client's session state. If the
// client does not get the packet, the tracker hears it nevertheless.
func (s *stream) rewrite(p []byte, keep bool) ([]byte, error) {
	o, at, err := fixedOK(p, s.backend.caps)
	if err != nil {
		return nil, err
	}
	info, state, err := o.texts(p, at, s.backend.caps)
	if err != nil {
		return nil, err
	}
	if t := s.tracker(); t != nil {
		changed := o.Status&StatusSessionStateChanged != 0 && len(state) == 0
		if state, err = hearTracks(state, t); err != nil || !keep {
			return nil, err
		}
		var told bool
		state, told = t.Tell(state, o.Header == headerEOF)
		o.Status &^= StatusSessionStateChanged
		if changed || told || len(state) > 0 {
			o.Status |= StatusSessionStateChanged
		}
	}
	s.client.scratch = appendOK(s.client.scratch[:0], &o, info, state, s.client.caps)
	return s.client.scratch, nil
}

// infile passes the server's request for a file on and the file back, or refuses it.
func (s *stream) infile(request []byte) error {
	if !s.multi || !s.relay.Infile || !s.client.caps.Has(LocalFiles) {
		if err := s.backend.refuseFile(); err != nil {
			return s.backendError(err)
		}
		return nil
	}
	if err := s.client.send(request); err != nil {
		return s.clientError(err)
	}
	up := upload{client: s.client, backend: s.backend}
	if onServer, err := up.run(); err != nil && onServer {
		return s.backendError(err)
	} else if err != nil {
		return s.clientError(err)
	}
	return nil
}

// pass hands the next n bytes of the server's read buffer to the client, or drops them.
func (s *stream) pass(n int) error {
	p := s.backend.rbuf[s.backend.r : s.backend.r+n]
	s.backend.r += n
	if n == 0 || !s.keep {
		return nil
	}
	return s.client.passOn(p)
}

func (s *stream) clientError(err error) error { return &SideError{Torn: true, Err: err} }

func (s *stream) backendError(err error) error {
	if s.client.Flush() != nil {
		return s.clientError(s.client.werr)
	}
	torn := s.keep && (s.skip > 0 || s.continued) || s.phase == phaseColumns && s.head
	return &SideError{Backend: true, Torn: torn, Err: err}
}
