package sim

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"

	"github.com/xaproxy/xaproxy/decision"
)

// disk is what one proxy keeps its decision log on. It forgets as disks do: what is written stays in the cache until a sync, and a power
// failure keeps of each unsynced sector any of the contents that it had since. A sync that fails leaves the cache as it is and marks it
// clean. Directory changes are durable at once: the log's own tests (package decision) are about those.
type disk struct {
	rng   *rand.Rand
	files map[string]*file
	owner *process // that has the lock
	fails string   // "sync" or "write": the next one of an append fails; "full": a new segment finds no space
	lies  bool     // planted: the sync of an append says that it is done and has done nothing
}

type file struct {
	data, durable []byte
	versions      map[int][][]byte // unsynced contents of a sector, oldest first
}

const sector = 512

var (
	errDead     = errors.New("the process is gone")
	errDisk     = errors.New("input/output error")
	errDiskFull = errors.New("no space left on device")
)

func newDisk(rng *rand.Rand) *disk { return &disk{rng: rng, files: make(map[string]*file)} }

// powerFailure takes the cache away.
func (d *disk) powerFailure() {
	for _, name := range d.names() {
		f := d.files[name]
		f.durable = f.survivor(d.rng, d.rng.IntN(3))
		f.data, f.versions = slices.Clone(f.durable), make(map[int][][]byte)
	}
}

func (d *disk) names() []string {
	var names []string
	for name := range d.files {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// What a power failure keeps of what was not synced.
const (
	keepNone = iota
	keepAll
	keepSome
)

// survivor returns what the disk holds of f after a power failure.
func (f *file) survivor(rng *rand.Rand, keep int) []byte {
	if keep == keepAll {
		return slices.Clone(f.data)
	}
	held := slices.Clone(f.durable)
	if keep == keepNone {
		return held
	}
	held = append(held, make([]byte, len(f.data)-len(held))...)
	var sectors []int
	for s := range f.versions {
		sectors = append(sectors, s)
	}
	slices.Sort(sectors)
	for _, s := range sectors {
		if v := f.versions[s]; rng.IntN(2) == 0 {
			copy(held[s*sector:], v[rng.IntN(len(v))])
		}
	}
	return held
}

func (f *file) write(p []byte, off int64) {
	if missing := off + int64(len(p)) - int64(len(f.data)); missing > 0 {
		f.data = append(f.data, make([]byte, missing)...)
	}
	copy(f.data[off:], p)
	for s := int(off) / sector; s*sector < int(off)+len(p); s++ {
		end := min((s+1)*sector, len(f.data))
		f.versions[s] = append(f.versions[s], slices.Clone(f.data[s*sector:end]))
	}
}

func (f *file) sync() {
	f.durable, f.versions = slices.Clone(f.data), make(map[int][][]byte)
}

// mount is the disk as one process sees it: a decision.FS. After the death of the process it does nothing.
type mount struct {
	*disk
	p *process
}

func (m mount) alive() error {
	if m.p.dead.Load() {
		return errDead
	}
	return nil
}

func (m mount) Mkdir(string, string) error   { return m.alive() }
func (m mount) SyncDir(string, string) error { return m.alive() }

func (m mount) Lock(_, _ string, shared bool) (io.Closer, error) {
	if err := m.alive(); err != nil {
		return nil, err
	}
	if m.owner != nil && !m.owner.dead.Load() {
		return nil, decision.ErrLocked
	}
	m.owner = m.p
	return unlock{m}, nil
}

type unlock struct{ m mount }

func (u unlock) Close() error {
	if u.m.owner == u.m.p {
		u.m.owner = nil
	}
	return nil
}

func (m mount) List(string, string) ([]string, error) {
	var list []string
	for _, name := range m.names() {
		list = append(list, filepath.Base(name))
	}
	return list, m.alive()
}

func (m mount) Create(_, name string) (decision.Handle, error) {
	if err := m.alive(); err != nil {
		return nil, err
	}
	f := &file{versions: make(map[int][][]byte)}
	m.files[name] = f
	return handle{m, f}, nil
}

func (m mount) Open(_, name string, _ bool) (decision.Handle, error) {
	if err := m.alive(); err != nil {
		return nil, err
	}
	f := m.files[name]
	if f == nil {
		return nil, fs.ErrNotExist
	}
	return handle{m, f}, nil
}

func (m mount) Rename(_, from, to string) error {
	if err := m.alive(); err != nil {
		return err
	}
	m.files[to] = m.files[from]
	delete(m.files, from)
	return nil
}

func (m mount) Remove(_, name string) error {
	if err := m.alive(); err != nil {
		return err
	}
	delete(m.files, name)
	return nil
}

func (m mount) Identity(_, name string) (decision.FileID, error) {
	if m.files[name] == nil {
		return decision.FileID{}, fs.ErrNotExist
	}
	return decision.FileID{}, m.alive() // nobody puts another one in its place
}

type handle struct {
	m mount
	f *file
}

func (h handle) ReadAt(_ string, p []byte, off int64) error {
	if off+int64(len(p)) > int64(len(h.f.data)) {
		return io.ErrUnexpectedEOF
	}
	copy(p, h.f.data[off:])
	return h.m.alive()
}

func (h handle) WriteAt(label string, p []byte, off int64) error {
	if err := h.m.alive(); err != nil {
		return err
	}
	switch {
	case label == "segment fill" && h.m.fails == "full":
		h.m.fails = ""
		return errDiskFull
	case label == "append write" && h.m.fails == "write":
		h.m.fails = ""
		h.f.write(p[:h.m.rng.IntN(len(p)/8+1)*8], off) // a part may have been written
		return errDisk
	}
	h.f.write(p, off)
	return nil
}

func (h handle) Size(string) (int64, error) { return int64(len(h.f.data)), h.m.alive() }

// Sync of an append takes time, in which the power can fail.
func (h handle) Sync(label string) error {
	if label == "append sync" {
		if err := h.m.p.pause("disk sync", nil); err != nil {
			return err
		}
	}
	if err := h.m.alive(); err != nil {
		return err
	}
	switch {
	case strings.HasPrefix(label, "append") && h.m.fails == "sync":
		h.m.fails = ""
		h.f.durable = h.f.survivor(h.m.rng, h.m.rng.IntN(3))
		h.f.versions = make(map[int][][]byte)
		h.m.p.w.readLog(h.m.p)
		return errDisk
	case label == "append sync" && h.m.lies:
		return nil
	}
	h.f.sync()
	h.m.p.w.readLog(h.m.p)
	return nil
}

func (h handle) Close() error { return nil }

// platter is what would be found on the disk if the power failed now and nothing else survived, to be read by decision.InspectFile.
type platter struct{ *disk }

var errReadOnly = errors.New("read-only file system")

func (p platter) Mkdir(string, string) error                     { return errReadOnly }
func (p platter) SyncDir(string, string) error                   { return errReadOnly }
func (p platter) Create(string, string) (decision.Handle, error) { return nil, errReadOnly }
func (p platter) Rename(string, string, string) error            { return errReadOnly }
func (p platter) Remove(string, string) error                    { return errReadOnly }
func (p platter) Lock(string, string, bool) (io.Closer, error)   { return io.NopCloser(nil), nil }
func (p platter) Identity(l, n string) (decision.FileID, error) {
	return mount{p.disk, &process{}}.Identity(l, n)
}
func (p platter) List(l, d string) ([]string, error) { return mount{p.disk, &process{}}.List(l, d) }

func (p platter) Open(_, name string, _ bool) (decision.Handle, error) {
	f := p.files[name]
	if f == nil || f.durable == nil {
		return nil, fmt.Errorf("%s: %w", name, fs.ErrNotExist)
	}
	return handle{mount{p.disk, &process{}}, &file{data: f.durable}}, nil
}
