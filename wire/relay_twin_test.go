package wire

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"reflect"
	"testing"
	"time"
)

// twin relays an answer packet by packet, each one whole, in the plainest way: slow and obviously right. Relay must write
// the same bytes.
type twin struct {
	relay      Relay
	server     Capability
	client     Capability
	head, tail bool
	concat     bool
	columns    int    // concat: of the first result, -1 for any
	warnings   uint16 // concat: so far

	in        []byte
	seq       byte // of the server's next packet
	clientSeq byte

	out    []byte
	may    []byte // what may follow out: the start of a row or column definition that is cut short
	result Result
}

var errTwin = errors.New("twin")

// next returns the next packet.
func (t *twin) next() ([]byte, error) {
	var payload []byte
	seq, in := t.seq, t.in
	for {
		if len(in) < 4 {
			return nil, errTwin
		}
		n := int(in[0]) | int(in[1])<<8 | int(in[2])<<16
		if in[3] != seq || len(in) < 4+n {
			return nil, errTwin
		}
		seq++
		payload = append(payload, in[4:4+n]...)
		in = in[4+n:]
		if n < maxChunk {
			break
		}
	}
	if len(payload) == 0 {
		return nil, errTwin
	}
	t.in, t.seq = in, seq
	return payload, nil
}

// nextData is next where a column definition or row may stand.
func (t *twin) nextData(keep, rows bool) ([]byte, error) {
	p, err := t.next()
	in := t.in
	if err != nil && keep && len(in) > 4 && in[3] == t.seq && !bytes.Equal(in[:3], []byte{0, 0, 0}) && in[4] != headerErr &&
		!(rows && endsRows(in[4], chunkLength(in), t.server)) {
		t.may = append([]byte(nil), in...)
		t.may[3] = t.clientSeq
	}
	return p, err
}

func (t *twin) emit(p []byte) {
	t.out = append(t.out, pack(t.clientSeq, p)...)
	t.clientSeq += byte(1 + len(p)/maxChunk)
}

// emitOK writes an OK or EOF packet with status and warnings changed.
func (t *twin) emitOK(p []byte, status Status, warnings uint16) error {
	fixed, err := ParseOK(p, t.server&^SessionTrack)
	if err != nil {
		return err
	}
	form := p[0] == headerOK || t.server.Has(DeprecateEOF)
	tracked := form && fixed.Status&StatusSessionStateChanged != 0 && (!t.server.Has(SessionTrack) || !t.client.Has(SessionTrack) || t.relay.Tracker != nil)
	if tracked {
		o, err := ParseOK(p, t.server)
		if err != nil {
			return err
		}
		o.Status, o.Warnings = status, warnings
		if d := t.relay.Tracker; d != nil && t.client.Has(SessionTrack) {
			var kept []byte
			for rest := o.SessionState; len(rest) > 0; {
				entry, next, err := NextTrack(rest)
				if err != nil {
					return err
				}
				if d.Hear(entry) {
					kept = append(kept, rest[:len(rest)-len(next)]...)
				}
				rest = next
			}
			if o.Status &^= StatusSessionStateChanged; len(kept) > 0 || len(o.SessionState) == 0 {
				o.Status |= StatusSessionStateChanged
			}
			o.SessionState = kept
		}
		t.emit(o.Append(nil, t.client))
		return nil
	}
	q := append([]byte(nil), p...)
	if p[0] == headerEOF && !t.server.Has(DeprecateEOF) {
		binary.LittleEndian.PutUint16(q[1:], warnings)
		binary.LittleEndian.PutUint16(q[3:], uint16(status))
	} else {
		_, a := ReadInt(p[1:])
		_, b := ReadInt(p[1+a:])
		binary.LittleEndian.PutUint16(q[1+a+b:], uint16(status))
		binary.LittleEndian.PutUint16(q[3+a+b:], warnings)
	}
	t.emit(q)
	return nil
}

func (t *twin) emitErr(p []byte) error {
	e, err := ParseErr(p, t.server)
	if err != nil {
		return err
	}
	t.result.Err = e
	t.emit(p)
	return nil
}

func (t *twin) map16(st Status) Status { return st&^t.relay.ClearStatus | t.relay.SetStatus }

// finish handles what ends a result and reports whether another follows.
func (t *twin) finish(p []byte, outParams bool) (more bool, err error) {
	o, err := ParseOK(p, t.server&^SessionTrack)
	if err != nil {
		return false, err
	}
	o.Info = ""
	t.result.OK = o
	status, warnings := t.map16(o.Status), o.Warnings
	more = o.Status&StatusMoreResults != 0 || outParams
	if t.concat {
		if more {
			return false, errTwin
		}
		if sum := int(warnings) + int(t.warnings); sum > 65535 {
			warnings = 65535
		} else {
			warnings = uint16(sum)
		}
		t.warnings = warnings
	}
	if t.tail {
		err = t.emitOK(p, status, warnings)
	}
	return more, err
}

// one relays one result and reports whether another follows.
func (t *twin) one() (more bool, err error) {
	p, err := t.next()
	if err != nil {
		return false, err
	}
	switch p[0] {
	case headerErr:
		return false, t.emitErr(p)
	case headerInfile:
		t.seq++ // the empty packet that refuses it
		return true, nil
	case headerOK, headerEOF:
		if t.concat && t.columns > 0 {
			return false, errTwin
		}
		t.columns = 0
		return t.finish(p, false)
	}
	count, n := ReadInt(p)
	if n != len(p) || count == 0 || count > 65535 || t.concat && t.columns >= 0 && int(count) != t.columns {
		return false, errTwin
	}
	t.columns = int(count)
	t.result.Columns, t.result.HadRows = int(count), true
	if t.head {
		t.emit(p)
	}
	for range count {
		if p, err = t.nextData(t.head, false); err != nil {
			return false, err
		}
		if p[0] == headerErr {
			return false, t.emitErr(p)
		}
		if t.head {
			t.emit(p)
		}
	}
	outParams := false
	if !t.server.Has(DeprecateEOF) {
		if p, err = t.next(); err != nil {
			return false, err
		}
		if p[0] == headerErr {
			return false, t.emitErr(p)
		}
		if p[0] != headerEOF {
			return false, errTwin
		}
		o, err := ParseOK(p, t.server)
		if err != nil {
			return false, err
		}
		if t.relay.Cursor && o.Status&StatusCursorExists != 0 {
			keep := t.tail
			t.tail = t.head
			defer func() { t.tail = keep }()
			return t.finish(p, false)
		}
		outParams = o.Status&(StatusPSOutParams|StatusMoreResults) == StatusPSOutParams|StatusMoreResults
		if t.head {
			if err := t.emitOK(p, t.map16(o.Status), o.Warnings); err != nil {
				return false, err
			}
		}
	}
	for {
		if p, err = t.nextData(true, true); err != nil {
			return false, err
		}
		if p[0] == headerErr {
			return false, t.emitErr(p)
		}
		if endsRows(p[0], len(p), t.server) {
			return t.finish(p, outParams)
		}
		t.result.Rows++
		t.emit(p)
	}
}

// cutConn hands out its bytes in pieces: as many as the next number of cuts says, in a circle.
type cutConn struct {
	net.Conn
	in   []byte
	cuts []byte
	at   int
}

func (c *cutConn) Read(p []byte) (int, error) {
	if len(c.in) == 0 {
		return 0, io.EOF
	}
	n := len(p)
	if len(c.cuts) > 0 {
		n = min(n, 1+int(c.cuts[c.at%len(c.cuts)]))
		c.at++
	}
	n = copy(p[:n], c.in)
	c.in = c.in[n:]
	return n, nil
}

func (c *cutConn) Write(p []byte) (int, error)       { return len(p), nil }
func (c *cutConn) SetReadDeadline(_ time.Time) error { return nil }

// relayCase is one answer with all that changes how it is relayed.
type relayCase struct {
	mode    byte // bits: see check
	columns byte // concat: of the first result; otherwise what a dropper drops
	cuts    []byte
	in      []byte
}

func (rc relayCase) bit(n int) bool { return rc.mode>>n&1 == 1 }

// check relays with Relay and with its twin and compares.
func (rc relayCase) check(t *testing.T) {
	t.Helper()
	caps := func(deprecate, track bool) Capability {
		c := testCaps &^ DeprecateEOF
		if deprecate {
			c |= DeprecateEOF
		}
		if track {
			c |= SessionTrack
		}
		return c
	}
	relay := Relay{SetStatus: StatusInTrans, ClearStatus: StatusAutocommit}
	if rc.bit(1) {
		relay.SetStatus |= StatusMoreResults
	}
	relay.Cursor = rc.bit(7)
	slow := &twin{
		relay: relay, server: caps(rc.bit(0), rc.bit(2)), client: caps(rc.bit(0), rc.bit(3)), head: true, tail: true,
		columns: -1, concat: rc.bit(4), in: rc.in, seq: 1, clientSeq: 200,
	}
	if !slow.concat {
		if rc.columns != 0 {
			relay.Tracker = &dropper{types: uint16(rc.columns)}
		}
		slow.relay = relay
	}
	var out bytes.Buffer
	client, server := NewConn(bufferConn{Buffer: &out}, 0), NewConn(&cutConn{in: rc.in, cuts: rc.cuts}, 0)
	client.caps, server.caps, client.seq, server.seq = slow.client, slow.server, 200, 1
	var got Result
	var gotErr error
	if slow.concat {
		slow.head, slow.tail = rc.bit(5), rc.bit(6)
		relay.columns, relay.warnings = int(rc.columns), 65000
		slow.warnings = 65000
		if slow.columns = int(rc.columns); slow.head {
			slow.columns, slow.warnings = -1, 0
		}
		got, gotErr = relay.Concat(client, server, slow.head, slow.tail)
	} else {
		got, gotErr = relay.Response(client, server)
	}
	more, err := slow.one()
	for err == nil && more {
		if slow.result.Err == nil {
			more, err = slow.one()
		}
	}
	if (err != nil) != (gotErr != nil) {
		t.Fatalf("relay: %v, twin: %v", gotErr, err)
	}
	if extra, ok := bytes.CutPrefix(out.Bytes(), slow.out); !ok || !bytes.HasPrefix(slow.may, extra) {
		t.Fatalf("relay wrote\n%x, twin\n%x and maybe\n%x (%v)", out.Bytes(), slow.out, slow.may, gotErr)
	} else if side := (*SideError)(nil); errors.As(gotErr, &side) {
		if !side.Backend || len(extra) > 0 && !side.Torn {
			t.Fatalf("%d bytes of a packet written, error %+v", len(extra), side)
		}
		return
	}
	if !reflect.DeepEqual(got, slow.result) {
		t.Fatalf("result %+v, twin %+v", got, slow.result)
	}
	if client.seq != slow.clientSeq {
		t.Fatalf("next id %d, twin %d", client.seq, slow.clientSeq)
	}
}

// relaySeeds are answers that reach every part of the relay.
func relaySeeds() [][]byte {
	var seeds [][]byte
	for _, caps := range []Capability{testCaps, testCaps &^ DeprecateEOF} {
		more := OK{Status: StatusMoreResults | StatusAutocommit, Affected: 300, Info: "Records: 1"}.Append(nil, caps)
		failed := (&Error{1317, "70100", "interrupted"}).Append(nil, caps)
		rows, empty := resultSet(caps, 5, 40), resultSet(caps, 0, 0)
		cursor := append([][]byte(nil), rows[:3]...)
		cursor = append(cursor, OK{Header: headerEOF, Status: StatusCursorExists}.Append(nil, caps))
		params := append([][]byte(nil), rows...)
		params[3] = OK{Header: headerEOF, Status: StatusPSOutParams | StatusMoreResults}.Append(nil, caps)
		params = append(params, OK{Affected: 1}.Append(nil, caps))
		tracks := AppendTrackSchema(AppendTrackVariable(nil, "autocommit", "ON"), "s")
		tracked := OK{Header: headerEOF, Status: StatusSessionStateChanged, SessionState: tracks}.Append(nil, caps|SessionTrack)
		again := append([][]byte(nil), rows...)
		again[len(again)-1] = OK{Header: headerEOF, Status: StatusMoreResults, Warnings: 7, Info: "longer than an EOF"}.Append(nil, caps)
		seeds = append(
			seeds,
			pack(1, more, more, OK{}.Append(nil, caps)),
			pack(1, rows...), pack(1, empty...), pack(1, cursor...), pack(1, params...),
			pack(1, append(append([][]byte(nil), again...), rows...)...),
			pack(1, append(append([][]byte(nil), rows[:len(rows)-2]...), failed)...),
			pack(1, append(append([][]byte(nil), rows[:2]...), failed)...),
			pack(1, failed), pack(1, more, failed),
			append(pack(1, append([]byte{headerInfile}, "/etc/hosts"...)), pack(3, OK{}.Append(nil, caps))...),
			pack(1, resultSet(caps, 3, 9000)...), pack(1, resultSet(caps, 2, 70_000)...),
			pack(1, OK{Status: StatusSessionStateChanged, SessionState: []byte("\x01x\x00"), Info: "i"}.Append(nil, caps|SessionTrack)),
			pack(1, OK{Status: StatusSessionStateChanged, SessionState: tracks, Info: "i"}.Append(nil, caps|SessionTrack)),
			pack(1, OK{Status: StatusSessionStateChanged, SessionState: tracks[:5]}.Append(nil, caps|SessionTrack)),
			pack(1, append(append([][]byte(nil), rows[:len(rows)-1]...), tracked)...),
		)
	}
	return seeds
}

// TestRelaySeeds compares Relay with its twin for each seed: all modes, and for the short ones several cuts and
// many truncations.
func TestRelaySeeds(t *testing.T) {
	for _, in := range relaySeeds() {
		for mode := range 256 {
			if mode>>4&1 == 0 && mode>>5&3 != 0 {
				continue // these two bits only count for a concatenation
			}
			relayCase{byte(mode), 2, nil, in}.check(t)
			relayCase{byte(mode), 2, []byte{255}, in}.check(t)
			if len(in) > 1000 {
				continue
			}
			for _, cut := range []byte{0, 1, 3, 6, 39} {
				relayCase{byte(mode), 2, []byte{cut}, in}.check(t)
			}
			for n := 0; n < len(in); n += 1 + len(in)/40 {
				relayCase{byte(mode), 2, []byte{6}, in[:n]}.check(t)
			}
		}
	}
}

func FuzzRelay(f *testing.F) {
	for i, in := range relaySeeds() {
		f.Add(byte(i*37), byte(2), []byte{byte(i), 3}, in)
	}
	f.Fuzz(func(t *testing.T, mode, columns byte, cuts, in []byte) {
		relayCase{mode, columns, cuts, in}.check(t)
	})
}
