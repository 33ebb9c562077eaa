package decision

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"time"

	"github.com/xaproxy/xaproxy/xa"
)

// Part of the format, do not change.
const (
	recordVersion = 1
	recordHead    = 24   // bytes before the body
	recordAlign   = 8    // records start and end at multiples; a sector is a multiple of it
	endMark       = 0xED // last byte of every record, never zero
	sectorSize    = 512  // the unit in which a disk writes all or nothing

	kindEpoch  = 1
	kindCommit = 2
	kindDone   = 3
	kindHeur   = 4

	flagOnePhase = 1
	flagKey      = 2 // the body has a commit key
	flagTimes    = 4 // the body has the milliseconds of the decision and of the votes

	noVote = 1 // in place of the milliseconds from the decision back to a vote, which are never positive
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// key is the part of a GTRID that differs within one log.
type key struct {
	epoch uint32
	seq   uint64
}

func keyOf(g xa.GTRID) key { return key{g.Epoch, g.Seq} }

func (k key) less(o key) bool { return k.epoch < o.epoch || k.epoch == o.epoch && k.seq < o.seq }

// record is the content of one record of any kind; fields that a kind does not have stay zero.
type record struct {
	kind     byte
	key      key            // for an epoch record only the epoch counts
	time     int64          // seconds since 1970
	ms       int64          // commit: milliseconds behind time
	ends     []xa.BranchEnd // done
	onePhase bool           // commit
	branches []xa.BranchRef // commit
	name     string         // commit: its commit key
	backend  string         // heuristic
	text     string         // heuristic
}

func (r record) decision(coord string) xa.Decision {
	return xa.Decision{
		GTRID:    xa.GTRID{Coord: coord, Epoch: r.key.epoch, Seq: r.key.seq},
		Branches: r.branches,
		OnePhase: r.onePhase,
		Key:      xa.Key{Name: r.name},
		Time:     time.UnixMilli(r.time*1000 + r.ms).UTC(),
	}
}

// appendBody appends the body: unsigned varints, times as signed varints, strings with their length in front.
func (r record) appendBody(b []byte) []byte {
	b = binary.AppendUvarint(b, uint64(r.key.epoch))
	b = binary.AppendUvarint(b, r.key.seq)
	b = binary.AppendVarint(b, r.time)
	switch r.kind {
	case kindCommit:
		flags := byte(flagTimes)
		if r.onePhase {
			flags |= flagOnePhase
		}
		if r.name != "" {
			flags |= flagKey
		}
		b = append(b, flags)
		b = binary.AppendUvarint(b, uint64(len(r.branches)))
		for _, br := range r.branches {
			b = appendString(b, br.Backend)
			b = appendString(b, br.Server)
			b = binary.AppendUvarint(b, br.ConnID)
		}
		if r.name != "" {
			b = appendString(b, r.name)
		}
		b = binary.AppendUvarint(b, uint64(r.ms))
		for _, br := range r.branches {
			back := int64(noVote)
			if !br.Voted.IsZero() { // later only where the clock has been set back
				back = min(br.Voted.UnixMilli()-r.time*1000-r.ms, 0)
			}
			b = binary.AppendVarint(b, back)
		}
	case kindDone:
		for _, e := range r.ends {
			b = appendString(b, e.Backend)
			var by byte
			if e.Recovery {
				by = 1
			}
			b = append(b, by)
			b = binary.AppendVarint(b, e.At.UnixMilli()-r.time*1000)
		}
	case kindHeur:
		b = appendString(b, r.backend)
		b = appendString(b, r.text)
	}
	return b
}

func appendString(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

// parseBody reads what appendBody wrote and accepts nothing else.
func parseBody(kind byte, b []byte) (record, error) {
	d := bodyReader{rest: b}
	r := record{kind: kind}
	epoch := d.uvarint()
	r.key = key{uint32(epoch), d.uvarint()}
	r.time = d.varint()
	switch kind {
	case kindEpoch:
	case kindDone:
		for len(d.rest) > 0 && !d.bad {
			e := xa.BranchEnd{Backend: d.string(), Recovery: d.byte() == 1}
			e.At = time.UnixMilli(d.varint() + r.time*1000)
			r.ends = append(r.ends, e)
		}
	case kindCommit:
		flags := d.byte()
		r.onePhase = flags&flagOnePhase != 0
		for n := d.uvarint(); n > 0 && !d.bad; n-- {
			r.branches = append(r.branches, xa.BranchRef{Backend: d.string(), Server: d.string(), ConnID: d.uvarint()})
		}
		if flags&flagKey != 0 {
			r.name = d.string()
			d.bad = d.bad || r.name == ""
		}
		if flags&flagTimes != 0 {
			r.ms = int64(d.uvarint())
			d.bad = d.bad || r.ms > 999
			for i := range r.branches {
				if back := d.varint(); back <= 0 {
					r.branches[i].Voted = time.UnixMilli(r.time*1000 + r.ms + back)
				}
			}
		}
	case kindHeur:
		r.backend, r.text = d.string(), d.string()
	default:
		return record{}, fmt.Errorf("unknown kind %d", kind)
	}
	if d.bad || len(d.rest) > 0 || epoch > 1<<32-1 {
		return record{}, errors.New("body does not have the form of its kind")
	}
	return r, nil
}

// bodyReader takes values off the front of a body; bad stays set after the first that is not there.
type bodyReader struct {
	rest []byte
	bad  bool
}

func (d *bodyReader) skip(n int) {
	if n <= 0 {
		d.bad, n = true, len(d.rest)
	}
	d.rest = d.rest[n:]
}

func (d *bodyReader) uvarint() uint64 {
	v, n := binary.Uvarint(d.rest)
	d.skip(n)
	return v
}

func (d *bodyReader) varint() int64 {
	v, n := binary.Varint(d.rest)
	d.skip(n)
	return v
}

func (d *bodyReader) byte() byte {
	if len(d.rest) == 0 {
		d.bad = true
		return 0
	}
	v := d.rest[0]
	d.rest = d.rest[1:]
	return v
}

func (d *bodyReader) string() string {
	n := d.uvarint()
	if n > uint64(len(d.rest)) {
		d.bad = true
		return ""
	}
	s := string(d.rest[:n])
	d.rest = d.rest[n:]
	return s
}

// recordSize is the space that a record with a body of n bytes takes: head, body, padding and end mark.
func recordSize(n int) int { return (recordHead + n + 1 + recordAlign - 1) &^ (recordAlign - 1) }

// headCheck ties the length of a record to its place, so that a stale or moved record is no record.
func headCheck(seed uint32, off int64, size int) uint32 {
	var b [12]byte
	binary.LittleEndian.PutUint64(b[:], uint64(off))
	binary.LittleEndian.PutUint32(b[8:], uint32(size))
	return crc32.Update(seed, castagnoli, b[:])
}

// appendRecord appends the record that is to be written at off. seed is that of the segment; synced is the offset up to
// which the segment is known to be durable now.
func appendRecord(dst []byte, seed uint32, off, synced int64, kind byte, body []byte) []byte {
	size, start := recordSize(len(body)), len(dst)
	dst = append(dst, make([]byte, size)...)
	r := dst[start:]
	head := headCheck(seed, off, size)
	binary.LittleEndian.PutUint32(r, uint32(size))
	binary.LittleEndian.PutUint32(r[4:], head)
	binary.LittleEndian.PutUint32(r[12:], uint32(synced))
	r[16], r[17] = kind, recordVersion
	binary.LittleEndian.PutUint32(r[20:], uint32(len(body)))
	copy(r[recordHead:], body)
	r[size-1] = endMark
	binary.LittleEndian.PutUint32(r[8:], crc32.Update(head, castagnoli, r[12:]))
	return dst
}

// frame is a record as it lies in a segment, its checks passed.
type frame struct {
	size    int
	synced  int64
	kind    byte
	version byte
	body    []byte // points into the segment
}

// place says what is found where a record may start.
type place uint8

const (
	placeRecord  place = iota // a record whose checks pass
	placeEmpty                // zeros: nothing was written here, or its sector did not arrive
	placeTorn                 // a record of which at least one sector did not arrive
	placeDamaged              // bytes that no interrupted write leaves behind
)

// parseFrame looks at r, the bytes of the segment from off on. off is a multiple of recordAlign.
//
// Before a record is written its place holds zeros, and a sector arrives whole or not at all. The first eight bytes lie
// in one sector: they are zero, or right, or damaged. The rest of a torn record has a sector of nothing but zeros, which
// no complete record has, because the last byte is endMark and no body has 512 zeros in a row. The end mark is looked at
// as well, for storage that cuts a write at any multiple of eight bytes.
func parseFrame(r []byte, seed uint32, off int64) (frame, place) {
	if len(r) < recordAlign || isZero(r[:recordAlign]) {
		return frame{}, placeEmpty
	}
	size := int64(binary.LittleEndian.Uint32(r))
	head := headCheck(seed, off, int(size))
	if binary.LittleEndian.Uint32(r[4:]) != head || size < recordHead || size%recordAlign != 0 || size > int64(len(r)) {
		return frame{}, placeDamaged
	}
	r = r[:size]
	bodyLen := int64(binary.LittleEndian.Uint32(r[20:]))
	if crc32.Update(head, castagnoli, r[12:]) == binary.LittleEndian.Uint32(r[8:]) && bodyLen < size-recordHead {
		return frame{
			size:    int(size),
			synced:  int64(binary.LittleEndian.Uint32(r[12:])),
			kind:    r[16],
			version: r[17],
			body:    r[recordHead : recordHead+bodyLen],
		}, placeRecord
	}
	if r[size-1] == 0 {
		return frame{}, placeTorn
	}
	for i := int64(0); i < size; {
		next := min((off+i)/sectorSize*sectorSize+sectorSize-off, size)
		if isZero(r[i:next]) {
			return frame{}, placeTorn
		}
		i = next
	}
	return frame{}, placeDamaged
}

func (f frame) record() (record, error) {
	if f.version != recordVersion {
		return record{}, fmt.Errorf("record version %d, this program reads %d", f.version, recordVersion)
	}
	return parseBody(f.kind, f.body)
}

func isZero(b []byte) bool {
	for _, c := range b {
		if c != 0 {
			return false
		}
	}
	return true
}
