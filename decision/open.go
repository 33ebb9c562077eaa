package decision

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"path/filepath"
	"slices"
	"strconv"
	"time"
)

// OpenFile opens the log in o.Dir and makes it when there is none. It locks the directory (ErrLocked), replays every
// segment, cuts a torn tail and raises the epoch; all of that is durable before it returns. A log with damaged bytes is
// not opened (*DamageError).
func OpenFile(o FileOptions) (*File, error) {
	f, err := newFile(o)
	if err != nil {
		return nil, err
	}
	if err := f.files.Mkdir("log dir", f.dir); err != nil {
		return nil, fmt.Errorf("open decision log %s: %w; its parent directory must exist", f.dir, err)
	}
	if f.lock, err = f.files.Lock("lock", f.dir, false); err != nil {
		return nil, fmt.Errorf("open decision log: %w", err)
	}
	if err := f.open(); err != nil {
		if f.handle != nil {
			err = errors.Join(err, f.handle.Close())
		}
		return nil, fmt.Errorf("open decision log %s: %w", f.dir, errors.Join(err, f.lock.Close()))
	}
	f.log.Info().Str("dir", f.dir).Str("coord", f.coord).Uint32("epoch", f.epoch).Int("segments", len(f.segments)).
		Int("unfinished", len(f.unfinished)).Int("heuristics", len(f.heuristics)).Msg("decision log opened")
	return f, nil
}

// InspectFile opens the log in o.Dir for reading and changes nothing on the disk. The lock is shared: a log that is open
// for writing cannot be inspected (ErrLocked). The calls that write return ErrReadOnly. An error that is fs.ErrNotExist
// says that there is no log.
func InspectFile(o FileOptions) (*File, error) {
	f, err := newFile(o)
	if err != nil {
		return nil, err
	}
	f.readOnly = true
	if f.lock, err = f.files.Lock("lock", f.dir, true); err != nil {
		return nil, fmt.Errorf("inspect decision log: %w", err)
	}
	_, _, err = f.replay()
	if err == nil && f.active == nil {
		err = fmt.Errorf("no decision log is there: %w", fs.ErrNotExist)
	}
	if err != nil {
		return nil, fmt.Errorf("inspect decision log %s: %w", f.dir, errors.Join(err, f.lock.Close()))
	}
	return f, nil
}

func newFile(o FileOptions) (*File, error) {
	f := &File{
		files:       o.FS,
		dir:         filepath.Clean(o.Dir),
		segmentSize: o.SegmentSize,
		retain:      o.Retain,
		now:         o.Now,
		onSync:      o.OnSync,
		log:         o.Logger,
		brokenCh:    make(chan struct{}),
		unfinished:  make(map[key]unfinished),
		keys:        make(map[string]keyed),
		taking:      make(map[string]bool),
	}
	f.idle.L = &f.mu
	if f.files == nil {
		f.files = osFS{}
	}
	if f.now == nil {
		f.now = time.Now
	}
	if f.retain == 0 {
		f.retain = DefaultRetain
	}
	if f.segmentSize == 0 {
		f.segmentSize = DefaultSegmentSize
	}
	if o.Dir == "" || f.segmentSize < minSegmentSize || f.segmentSize > maxSegmentSize {
		return nil, fmt.Errorf("open decision log %q: segment size %d: want a directory and %d to %d bytes",
			o.Dir, f.segmentSize, minSegmentSize, maxSegmentSize)
	}
	f.segmentSize = (f.segmentSize + sectorSize - 1) / sectorSize * sectorSize
	return f, nil
}

// open does what OpenFile does once the directory is locked.
func (f *File) open() error {
	data, x, err := f.replay()
	if err != nil {
		return err
	}
	// Whoever made the directory, or renamed or removed in it last, may have died before the sync.
	if err := f.files.SyncDir("log parent", filepath.Dir(f.dir)); err != nil {
		return err
	}
	if err := f.files.SyncDir("log dir", f.dir); err != nil {
		return err
	}
	if f.epoch == math.MaxUint32 {
		return errors.New("epochs are used up; use a new directory once no branch of this log is prepared")
	}
	f.epoch++
	if f.active == nil {
		coord := make([]byte, 4)
		if _, err := rand.Read(coord); err != nil {
			return err
		}
		f.coord = hex.EncodeToString(coord)
		if err := f.roll(); err != nil {
			return err
		}
	} else if err := f.mend(data, x); err != nil {
		return err
	}
	e := newEntry(record{kind: kindEpoch, key: key{epoch: f.epoch}, time: f.now().Unix()})
	f.flush("epoch", []*entry{e})
	return e.err
}

// mend makes the last segment ready for appends. The records that are not known to be durable are written once more: a
// kill may have left them in memory only, and after a failed sync the system may keep them there for ever and answer the
// next sync with success. Behind them zeros are written over the remains of a torn tail, and are durable before a record
// takes their place: a stale record must not come to lie right behind a new one.
func (f *File) mend(data []byte, x extent) (err error) {
	if f.handle, err = f.files.Open("mend open", f.active.path, true); err != nil {
		return err
	}
	if f.active.id, err = f.files.Identity("mend place", f.active.path); err != nil {
		return err
	}
	f.seed, f.end, f.synced = f.active.seed(), x.end, x.synced
	clear(data[x.end:x.dirty])
	if x.synced == x.dirty {
		return nil
	}
	if err := f.handle.WriteAt("mend write", data[x.synced:x.dirty], x.synced); err != nil {
		return err
	}
	if err := f.handle.Sync("mend sync"); err != nil {
		return err
	}
	f.synced = f.end
	return nil
}

// replay reads every segment into memory and returns the bytes of the last one.
func (f *File) replay() (data []byte, x extent, err error) {
	names, err := f.files.List("list", f.dir)
	if err != nil {
		return nil, x, err
	}
	names = slices.DeleteFunc(names, func(n string) bool { return !segmentName.MatchString(n) })
	slices.Sort(names)
	if len(names) == 0 {
		return nil, x, nil
	}
	h, data, err := readSegment(f.files, "replay", f.dir, names[0])
	if err != nil {
		return nil, x, err
	}
	f.coord = h.coord
	for _, name := range append(names[1:], "") {
		var next header
		var nextData []byte
		if name != "" {
			if next, nextData, err = readSegment(f.files, "replay", f.dir, name); err != nil {
				return nil, x, err
			}
			if next.number != h.number+1 || next.coord != f.coord {
				return nil, x, &DamageError{File: filepath.Join(f.dir, name), Reason: "it is not the successor of " +
					f.path(h) + " (log " + f.coord + "): its header says segment " + strconv.FormatUint(next.number, 10) +
					" of log " + next.coord}
			}
		}
		if x, err = f.replaySegment(h, data, next.prevEnd); err != nil {
			return nil, x, err
		}
		if name != "" {
			f.active.seal(x.end)
			h, data = next, nextData
		}
	}
	if x.dirty > x.end {
		f.log.Warn().Str("file", f.active.path).Int64("offset", x.end).Int64("bytes", x.dirty-x.end).
			Msg("torn tail of the decision log ignored: the last write was interrupted before anybody could rely on it")
	}
	return data, x, nil
}

// replaySegment applies the records of one segment, which becomes the active one.
func (f *File) replaySegment(h header, data []byte, sealedAt int64) (extent, error) {
	s := newSegment(h, f.path(h))
	f.segments = append(f.segments, s)
	f.active = s
	f.epoch = max(f.epoch, h.epoch)
	x, err := h.scan(data, sealedAt, func(off int64, fr frame) error {
		r, err := fr.record()
		if err != nil {
			return &DamageError{Offset: off, Reason: err.Error()}
		}
		switch r.kind {
		case kindEpoch:
			f.epoch = max(f.epoch, r.key.epoch)
		case kindCommit:
			s.add(r.key, span{uint32(off), uint32(fr.size)}, r.time)
			f.keep(r, s, false)
		case kindDone:
			f.finish(r)
		case kindHeur:
			f.keepHeuristic(r, s)
		}
		return nil
	})
	var damage *DamageError
	if errors.As(err, &damage) {
		damage.File = s.path
	}
	return x, err
}
