package decision

import (
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/xaproxy/xaproxy/xa"
)

// image is a log as bytes, to be damaged.
type image struct {
	coord string
	files map[string][]byte // by path
	where map[xa.GTRID]location
	want  map[xa.GTRID]xa.Decision
}

type location struct {
	path string
	span
}

// newImage makes a log of two segments.
func newImage(t testing.TB) image {
	t.Helper()
	files := newCrashFS(1)
	f := mustOpen(t, FileOptions{Dir: "/log", FS: files, SegmentSize: minSegmentSize})
	img := image{coord: f.Coord(), files: map[string][]byte{}, where: map[xa.GTRID]location{}, want: map[xa.GTRID]xa.Decision{}}
	for seq := uint64(1); seq <= 40; seq++ {
		d := decisionOf(f, seq)
		if err := f.Append(d); err != nil {
			t.Fatal(err)
		}
		img.want[d.GTRID] = d
		img.where[d.GTRID] = location{f.active.path, f.active.index[key{f.Epoch(), seq}]}
		if seq%3 == 0 {
			f.Done(d.GTRID)
		}
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	for _, name := range files.list("/log") {
		img.files["/log/"+name] = slices.Clone(files.file("/log/" + name))
	}
	if len(img.files) != 2 {
		t.Fatalf("%d segments", len(img.files))
	}
	return img
}

func (img image) fs() *crashFS {
	files := newCrashFS(2)
	files.names["/log"] = &inode{dir: true}
	for path, data := range img.files {
		files.names[path] = &inode{data: slices.Clone(data), disk: slices.Clone(data), versions: map[int][][]byte{}}
	}
	files.durable = maps.Clone(files.names)
	return files
}

// last returns the path of the last segment, its header and the extent of its records.
func (img image) last(t testing.TB) (string, header, extent) {
	t.Helper()
	path := slices.Max(slices.Collect(maps.Keys(img.files)))
	h, err := parseHeader(img.files[path], uint64(len(img.files)))
	if err != nil {
		t.Fatal(err)
	}
	x, err := h.scan(img.files[path], 0, func(int64, frame) error { return nil })
	if err != nil {
		t.Fatal(err)
	}
	return path, h, x
}

// Goal: no bit that was written can change without being noticed, the records of the last write included.
func TestEveryFlippedBitIsDamage(t *testing.T) {
	img := newImage(t)
	path, h, x := img.last(t)
	data := slices.Clone(img.files[path])
	for off := int64(headerSize); off < x.end; off++ {
		for bit := range 8 {
			data[off] ^= 1 << bit
			_, err := h.scan(data, 0, func(int64, frame) error { return nil })
			var damage *DamageError
			if !errors.As(err, &damage) || damage.Offset > off || off-damage.Offset > 200 {
				t.Fatalf("bit %d of byte %d flipped: %v", bit, off, err)
			}
			data[off] ^= 1 << bit
		}
	}
	for off := range headerUsed {
		for bit := range 8 {
			data[off] ^= 1 << bit
			if _, err := parseHeader(data, h.number); err == nil {
				t.Fatalf("bit %d of byte %d of the header flipped: not noticed", bit, off)
			}
			data[off] ^= 1 << bit
		}
	}
}

// Goal: the refusal names file and offset and says what to do, for damage in either segment.
func TestDamageIsRefused(t *testing.T) {
	img := newImage(t)
	last, _, x := img.last(t)
	first := "/log/0000000001.seg"
	for name, c := range map[string]struct {
		path   string
		damage func(data []byte) []byte
		offset int64
	}{
		"header":                      {first, func(d []byte) []byte { d[20] ^= 1; return d }, 0},
		"short file":                  {last, func(d []byte) []byte { return d[:len(d)-sectorSize] }, 0},
		"empty file":                  {last, func([]byte) []byte { return nil }, 0},
		"first record of segment 1":   {first, func(d []byte) []byte { d[headerSize+30] ^= 1; return d }, headerSize},
		"all records of segment 1":    {first, func(d []byte) []byte { clear(d[headerSize:]); return d }, headerSize},
		"sector wiped before a valid": {last, func(d []byte) []byte { clear(d[headerSize : headerSize+sectorSize]); return d }, headerSize},
		"tail wiped but for the last": {last, func(d []byte) []byte { clear(d[headerSize : x.end-120]); return d }, headerSize},
	} {
		files := img.fs()
		files.names[c.path].data = c.damage(files.names[c.path].data)
		before := slices.Clone(files.names[c.path].data)
		_, err := OpenFile(FileOptions{Dir: "/log", FS: files})
		var damage *DamageError
		if !errors.As(err, &damage) || damage.File != c.path || damage.Offset != c.offset {
			t.Errorf("%s: %v", name, err)
		} else if !strings.Contains(err.Error(), "restore the file from a backup") {
			t.Errorf("%s: does not say what to do: %v", name, err)
		}
		if !slices.Equal(before, files.names[c.path].data) {
			t.Errorf("%s: the refused file was changed", name)
		}
		if files.locks != 0 {
			t.Errorf("%s: the lock is still held", name)
		}
	}
	files := img.fs()
	delete(files.names, first)
	img.files[first] = nil
	if f, err := OpenFile(FileOptions{Dir: "/log", FS: files}); err != nil {
		t.Errorf("a log that begins with segment 2, as after Prune: %v", err)
	} else if f.Epoch() != 2 {
		t.Errorf("the epoch went with segment 1: %d", f.Epoch())
	}
}

// Goal: whatever part of an unsynced write reaches the disk, the log opens, keeps what was synced and cuts the rest, once
// and for all. Method: every subset of the sectors of one batch of records.
func TestEveryTornBatchIsCut(t *testing.T) {
	img := newImage(t)
	path, h, x := img.last(t)
	old := img.files[path]
	var batch []byte
	var ends []int64
	for seq := uint64(100); seq < 106; seq++ {
		server := strings.Repeat("s", int(seq))
		if seq == 103 {
			server = strings.Repeat("s", 3*sectorSize) // its middle may be missing alone
		}
		d := xa.Decision{GTRID: xa.GTRID{Coord: img.coord, Epoch: 1, Seq: seq}, Branches: []xa.BranchRef{{Backend: "a", Server: server, ConnID: seq}}}
		batch = appendRecord(batch, h.seed(), x.end+int64(len(batch)), x.end, kindCommit, commitRecord(d).appendBody(nil))
		ends = append(ends, x.end+int64(len(batch)))
	}
	whole := slices.Clone(old)
	copy(whole[x.end:], batch)
	firstSector, lastSector := int(x.end)/sectorSize, (int(x.end)+len(batch)-1)/sectorSize
	sectors := lastSector - firstSector + 1
	if sectors < 5 || sectors > 10 {
		t.Fatalf("%d sectors", sectors)
	}
	for subset := range 1 << sectors {
		img.files[path] = slices.Clone(old)
		for s := range sectors {
			if from := (firstSector + s) * sectorSize; subset>>s&1 == 1 {
				copy(img.files[path][from:from+sectorSize], whole[from:])
			}
		}
		arrived := 0 // records before the first that misses a sector
		for arrived < len(ends) && slices.Equal(img.files[path][:ends[arrived]], whole[:ends[arrived]]) {
			arrived++
		}
		files := img.fs()
		f, err := OpenFile(FileOptions{Dir: "/log", FS: files})
		if err != nil {
			t.Fatalf("subset %b: %v", subset, err)
		}
		want := len(img.want) - len(img.want)/3 + arrived
		if n := len(f.Unfinished()); n != want {
			t.Fatalf("subset %b: %d unfinished, want %d", subset, n, want)
		}
		if rest := files.file(path)[f.end:]; !isZero(rest) {
			t.Fatalf("subset %b: a torn tail is still there", subset)
		}
	}
}

// Goal: a record is none in another place, segment or log.
func TestRecordIsBoundToItsPlace(t *testing.T) {
	h := header{coord: "0123abcd", number: 3, size: minSegmentSize}
	r := appendRecord(nil, h.seed(), 1024, 512, kindDone, record{kind: kindDone, key: key{1, 2}}.appendBody(nil))
	if _, p := parseFrame(r, h.seed(), 1024); p != placeRecord {
		t.Fatal("not valid in its own place")
	}
	other, number := h, h
	other.coord, number.number = "0123abce", 4
	for name, p := range map[string]place{
		"offset": second(parseFrame(r, h.seed(), 1032)), "log": second(parseFrame(r, other.seed(), 1024)), "segment": second(parseFrame(r, number.seed(), 1024)),
	} {
		if p == placeRecord {
			t.Errorf("valid with another %s", name)
		}
	}
}

func second(_ frame, p place) place { return p }

// FuzzReplay changes a log and opens it. Goal: no panic; no decision that was not appended; none lost that lies before
// the first changed byte, unless the log is refused; and the second opening says what the first said.
func FuzzReplay(f *testing.F) {
	img := newImage(f)
	f.Add(uint16(1), uint16(600), []byte{0}, true)
	f.Add(uint16(0), uint16(700), []byte{1}, false)
	f.Add(uint16(1), uint16(4090), []byte("garbage at the end"), false)
	f.Add(uint16(1), uint16(2000), make([]byte, 600), false)
	f.Fuzz(func(t *testing.T, segment, offset uint16, xor []byte, cut bool) {
		files := img.fs()
		path := "/log/" + header{number: uint64(segment%2 + 1)}.name()
		data := files.names[path].data
		off := int(offset) % len(data)
		for i := range min(len(xor), len(data)-off) {
			data[off+i] ^= xor[i]
		}
		if cut {
			clear(data[min(off+len(xor), len(data)):])
		}
		changed := 0
		for changed < len(data) && data[changed] == img.files[path][changed] {
			changed++
		}
		var before map[xa.GTRID]bool
		for range 2 {
			log, err := OpenFile(FileOptions{Dir: "/log", FS: files})
			if err != nil {
				if before != nil {
					t.Fatalf("second opening: %v", err)
				}
				return
			}
			found := map[xa.GTRID]bool{}
			for g, at := range img.where {
				d, ok, err := log.Lookup(g)
				if err != nil {
					t.Fatal(err)
				}
				found[g] = ok
				if ok && !slices.Equal(d.Branches, img.want[g].Branches) {
					t.Fatalf("%s: found %+v", g, d)
				}
				if safe := at.path < path || at.path == path && int(at.off+at.size) <= changed; safe && !ok {
					t.Fatalf("%s lies before byte %d of %s and is lost", g, changed, path)
				}
				if segment%2 == 0 && !ok {
					t.Fatalf("%s is lost by a change in a complete segment", g)
				}
			}
			for _, d := range log.Unfinished() {
				if _, ok := img.want[d.GTRID]; !ok {
					t.Fatalf("%s is invented", d.GTRID)
				}
			}
			if before != nil && !maps.Equal(before, found) {
				t.Fatal("the second opening finds other decisions")
			}
			before = found
			if err := log.Close(); err != nil {
				t.Fatal(err)
			}
		}
	})
}

// FuzzBody: goal: a body is refused or survives a round trip.
func FuzzBody(f *testing.F) {
	f.Add(byte(kindCommit), commitRecord(xa.Decision{Branches: []xa.BranchRef{{Backend: "a", Server: "b", ConnID: 3}}}).appendBody(nil))
	f.Add(byte(kindHeur), record{kind: kindHeur, backend: "a", text: "t"}.appendBody(nil))
	f.Add(byte(kindDone), []byte{0x80})
	f.Add(byte(kindDone), record{kind: kindDone, ends: []xa.BranchEnd{{Backend: "a", At: time.UnixMilli(1500), Recovery: true}}}.appendBody(nil))
	f.Fuzz(func(t *testing.T, kind byte, body []byte) {
		r, err := parseBody(kind, body)
		if err != nil {
			return
		}
		again, err := parseBody(kind, r.appendBody(nil))
		if err != nil || again.key != r.key || again.time != r.time || !slices.Equal(again.branches, r.branches) || again.text != r.text || again.ms != r.ms || !slices.Equal(again.ends, r.ends) {
			t.Fatalf("%+v became %+v, %v", r, again, err)
		}
	})
}
