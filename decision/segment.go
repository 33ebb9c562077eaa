package decision

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"math"
	"path/filepath"
	"regexp"
	"strconv"

	"github.com/xaproxy/xaproxy/xa"
)

// Part of the format, do not change.
const (
	segmentMagic   = "xaproxyD"
	segmentVersion = 1
	headerSize     = sectorSize // records start here; the header has a sector of its own
	headerUsed     = 64
)

const (
	minSegmentSize = 4 << 10
	maxSegmentSize = 1 << 30
	spareName      = "next.tmp" // a segment that is being made; never read
)

var segmentName = regexp.MustCompile(`^([0-9]{10})\.seg$`)

// header is the first sector of a segment, written and synced before the file gets its name and never changed.
type header struct {
	coord   string
	number  uint64 // counts up from 1, never used twice
	size    int64  // of the file, from its creation on
	epoch   uint32 // current when the segment was made, so that dropping older segments cannot lower it
	prevEnd int64  // where the records of segment number-1 end, which is complete; 0 for the first
}

func (h header) name() string { return fmt.Sprintf("%010d.seg", h.number) }

func (h header) encode() []byte {
	b := make([]byte, headerSize)
	copy(b, segmentMagic)
	binary.LittleEndian.PutUint32(b[8:], segmentVersion)
	binary.LittleEndian.PutUint32(b[12:], h.epoch)
	copy(b[16:24], h.coord)
	binary.LittleEndian.PutUint64(b[24:], h.number)
	binary.LittleEndian.PutUint64(b[32:], uint64(h.size))
	binary.LittleEndian.PutUint64(b[40:], uint64(h.prevEnd))
	binary.LittleEndian.PutUint32(b[headerUsed-4:], crc32.Checksum(b[:headerUsed-4], castagnoli))
	return b
}

// parseHeader reads the header of the segment data, whose file name says number.
func parseHeader(data []byte, number uint64) (header, error) {
	if len(data) < headerSize {
		return header{}, errors.New("the file is shorter than a segment header")
	}
	if crc32.Checksum(data[:headerUsed-4], castagnoli) != binary.LittleEndian.Uint32(data[headerUsed-4:]) {
		return header{}, errors.New("the check of the segment header fails")
	}
	if string(data[:8]) != segmentMagic {
		return header{}, errors.New("this is not a segment of a decision log")
	}
	if v := binary.LittleEndian.Uint32(data[8:]); v != segmentVersion {
		return header{}, fmt.Errorf("format version %d, this program reads %d", v, segmentVersion)
	}
	h := header{
		coord:   string(data[16:24]),
		number:  binary.LittleEndian.Uint64(data[24:]),
		size:    int64(binary.LittleEndian.Uint64(data[32:])),
		epoch:   binary.LittleEndian.Uint32(data[12:]),
		prevEnd: int64(binary.LittleEndian.Uint64(data[40:])),
	}
	switch {
	case !xa.ValidCoord(h.coord):
		return header{}, fmt.Errorf("coord %q is not 8 hex characters", h.coord)
	case h.number != number:
		return header{}, fmt.Errorf("the header says segment %d", h.number)
	case h.size != int64(len(data)):
		return header{}, fmt.Errorf("the file has %d bytes, its header says %d", len(data), h.size)
	}
	return h, nil
}

// seed starts the checks of every record of the segment.
func (h header) seed() uint32 {
	b := append(make([]byte, 0, 16), h.coord...)
	return crc32.Checksum(binary.LittleEndian.AppendUint64(b, h.number), castagnoli)
}

// extent is what scan finds out about a segment as a whole.
type extent struct {
	end    int64 // after the last record
	synced int64 // up to here the records are known to have been durable: the largest mark of any of them
	dirty  int64 // after the last byte that is not zero; end when nothing follows the records
}

// scan calls visit for every record of the segment in order. sealedAt is where the records of a segment that has a
// successor end, 0 for the last segment. There an interrupted write may have left a torn tail; the package comment says
// how it is told from damage. The error is a *DamageError without a file, or what visit returned.
func (h header) scan(data []byte, sealedAt int64, visit func(off int64, f frame) error) (extent, error) {
	seed := h.seed()
	x := extent{end: headerSize, synced: headerSize}
	var found place
	for x.end < int64(len(data)) && (sealedAt == 0 || x.end < sealedAt) {
		var f frame
		if f, found = parseFrame(data[x.end:], seed, x.end); found != placeRecord {
			break
		}
		if err := visit(x.end, f); err != nil {
			return x, err
		}
		x.end += int64(f.size)
		x.synced = max(x.synced, f.synced)
	}
	if sealedAt != 0 {
		if x.end != sealedAt {
			return x, &DamageError{Offset: x.end, Reason: fmt.Sprintf(
				"the records should go on to byte %d, as the next segment says", sealedAt)}
		}
		x.synced, x.dirty = x.end, x.end
		return x, nil
	}
	if found == placeDamaged {
		return x, &DamageError{Offset: x.end, Reason: "the check of a record fails, and an interrupted write does not look like this"}
	}
	x.dirty = int64(len(data))
	for x.dirty > x.end && data[x.dirty-1] == 0 {
		x.dirty--
	}
	for off := x.end; off < x.dirty; off += recordAlign {
		if f, p := parseFrame(data[off:], seed, off); p == placeRecord && f.synced > x.end {
			return x, &DamageError{Offset: x.end, Reason: fmt.Sprintf(
				"no record is here, but the one at byte %d was written when everything up to byte %d was durable", off, f.synced)}
		}
	}
	return x, nil
}

// segment is one file of the log and what memory keeps of it.
type segment struct {
	header
	path  string
	id    FileID       // of the active one
	end   int64        // of its records, once it has a successor
	index map[key]span // where its commit records are; nil for a complete segment, whose index is made when needed

	commits    int // commit records; min and max bound their keys
	min, max   key
	unfinished int      // decisions kept here of which no Done is known
	newest     int64    // time of the latest commit here, or of the Done of a commit that is here
	names      []string // the commit keys here
}

// span is the place of a record.
type span struct{ off, size uint32 }

func newSegment(h header, path string) *segment {
	return &segment{header: h, path: path, index: make(map[key]span)}
}

// add notes a commit record of s. time decides how long it is retained.
func (s *segment) add(k key, at span, time int64) {
	if s.commits == 0 || k.less(s.min) {
		s.min = k
	}
	if s.commits == 0 || s.max.less(k) {
		s.max = k
	}
	s.commits++
	s.newest = max(s.newest, time)
	s.index[k] = at
}

// seal notes that s is complete.
func (s *segment) seal(end int64) { s.end, s.index = end, nil }

// covers says whether a commit record of k can be in s.
func (s *segment) covers(k key) bool { return s.commits > 0 && !k.less(s.min) && !s.max.less(k) }

// readSegment reads a whole segment file and checks its header.
func readSegment(files FS, label, dir, name string) (header, []byte, error) {
	path := filepath.Join(dir, name)
	number, err := strconv.ParseUint(segmentName.FindStringSubmatch(name)[1], 10, 64)
	if err != nil {
		return header{}, nil, err
	}
	data, err := readFile(files, label, path)
	if err != nil {
		return header{}, nil, fmt.Errorf("read decision log %s: %w", path, err)
	}
	h, err := parseHeader(data, number)
	if err != nil {
		return header{}, nil, &DamageError{File: path, Reason: err.Error()}
	}
	return h, data, nil
}

func readFile(files FS, label, path string) (data []byte, err error) {
	handle, err := files.Open(label, path, false)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, handle.Close()) }()
	size, err := handle.Size(label)
	if err != nil {
		return nil, err
	}
	if size > maxSegmentSize {
		return nil, fmt.Errorf("%d bytes are more than a segment can have", size)
	}
	data = make([]byte, size)
	return data, handle.ReadAt(label, data, 0)
}

// createSegment makes the file of h under its final name, all zeros behind the header, and returns when file and name
// are durable. made is false when the error left nothing behind that a later call could trip over.
func createSegment(files FS, dir string, h header) (handle Handle, made bool, err error) {
	spare, path := filepath.Join(dir, spareName), filepath.Join(dir, h.name())
	fail := func(made bool, err error) (Handle, bool, error) {
		return nil, made, fmt.Errorf("make decision log segment %s: %w", path, err)
	}
	if h.number > math.MaxUint32 {
		return fail(false, errors.New("segment numbers are used up"))
	}
	handle, err = files.Create("segment create", spare)
	if err != nil {
		return fail(false, err)
	}
	if err := fill(handle, h); err != nil {
		// The file is only in the way: its space is given back, and the next attempt truncates what is left.
		return fail(false, errors.Join(err, handle.Close(), files.Remove("segment undo", spare)))
	}
	if err := handle.Sync("segment sync"); err != nil {
		return fail(true, errors.Join(err, handle.Close()))
	}
	if err := files.Rename("segment rename", spare, path); err != nil {
		return fail(true, errors.Join(err, handle.Close()))
	}
	if err := files.SyncDir("segment dir", dir); err != nil {
		return fail(true, errors.Join(err, handle.Close()))
	}
	return handle, true, nil
}

// fill writes real zeros instead of asking for unwritten extents: turning such an extent into a written one costs each
// first append a journal write, which is what a preallocated log is to avoid.
func fill(handle Handle, h header) error {
	if err := handle.WriteAt("segment fill", h.encode(), 0); err != nil {
		return err
	}
	zeros := make([]byte, min(h.size-headerSize, 1<<20))
	for off := int64(headerSize); off < h.size; off += int64(len(zeros)) {
		if err := handle.WriteAt("segment fill", zeros[:min(int64(len(zeros)), h.size-off)], off); err != nil {
			return err
		}
	}
	return nil
}
