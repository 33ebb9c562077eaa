package decision

import (
	"errors"
	"io"
	"io/fs"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"sync"
	"unsafe"
)

// crashFS is an FS in memory that forgets like a real one. What is written stays in the cache until a sync; a power
// failure keeps of each unsynced sector any of the contents that it had since, and of the unsynced directory changes any
// subset. A kill of the process keeps the cache. A failed sync leaves the cache as it is and marks it clean, as Linux
// does, so that a later sync does not write those bytes.
type crashFS struct {
	mu      sync.Mutex
	rng     *rand.Rand
	calls   int // so far
	crashAt int // the call that does not return because the process is gone; -1 never
	failAt  func(call int, op, label string) error
	lies    map[string]bool // labels whose syncs do nothing and say nil
	trace   []access
	dead    bool
	locks   int             // shared holders, -1 exclusive
	synced  map[string]bool // labels of syncs seen

	names   map[string]*inode // cache, directories included
	durable map[string]*inode
	pending []dirChange
}

// access is one call in the trace.
type access struct{ op, label, name string }

func (a access) String() string { return a.op + " " + filepath.Base(a.name) + ": " + a.label }

type inode struct {
	name     string // the latest
	dir      bool
	data     []byte
	disk     []byte
	versions map[int][][]byte // unsynced contents of a sector, oldest first
}

// dirChange puts node at name (nil: nothing) and takes away old where that is not empty.
type dirChange struct {
	dir, name, old string
	node           *inode
}

var (
	errDead     = errors.New("the process is gone")
	errInjected = errors.New("injected failure")
)

func newCrashFS(seed uint64) *crashFS {
	return &crashFS{
		rng:     rand.New(rand.NewPCG(seed, 1)),
		crashAt: -1,
		lies:    map[string]bool{},
		synced:  map[string]bool{},
		names:   map[string]*inode{"/": {dir: true}},
		durable: map[string]*inode{"/": {dir: true}},
	}
}

// begin counts a call and says how it ends: err is what it must return, effect whether it still happens.
// Must be called with mu held.
func (c *crashFS) begin(op, label, name string) (effect bool, err error) {
	if c.dead {
		return false, errDead
	}
	call := c.calls
	c.calls++
	c.trace = append(c.trace, access{op, label, name})
	if call == c.crashAt {
		c.dead = true
		return true, errDead
	}
	if c.failAt != nil {
		return false, c.failAt(call, op, label)
	}
	return err == nil, err
}

func (c *crashFS) change(d dirChange) {
	c.apply(c.names, d)
	c.pending = append(c.pending, d)
}

func (c *crashFS) apply(names map[string]*inode, d dirChange) {
	if d.old != "" {
		delete(names, d.old)
	}
	if d.node == nil {
		delete(names, d.name)
	} else {
		d.node.name = d.name
		names[d.name] = d.node
	}
}

func (c *crashFS) Mkdir(label, dir string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	effect, err := c.begin("mkdir", label, dir)
	if effect || err == nil {
		if c.names[dir] == nil {
			c.change(dirChange{dir: filepath.Dir(dir), name: dir, node: &inode{dir: true}})
		}
	}
	return err
}

type crashLock struct {
	c      *crashFS
	shared bool
}

func (l crashLock) Close() error {
	l.c.mu.Lock()
	defer l.c.mu.Unlock()
	if l.shared {
		l.c.locks--
	} else {
		l.c.locks = 0
	}
	return nil
}

func (c *crashFS) Lock(label, dir string, shared bool) (io.Closer, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, err := c.begin("lock", label, dir); err != nil {
		return nil, err
	}
	switch {
	case c.names[dir] == nil:
		return nil, fs.ErrNotExist
	case c.locks < 0 || c.locks > 0 && !shared:
		return nil, ErrLocked
	case shared:
		c.locks++
	default:
		c.locks = -1
	}
	return crashLock{c, shared}, nil
}

func (c *crashFS) List(label, dir string) ([]string, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, err := c.begin("list", label, dir); err != nil {
		return nil, err
	}
	return c.list(dir), nil
}

func (c *crashFS) list(dir string) []string {
	var names []string
	for name := range c.names {
		if name != dir && filepath.Dir(name) == dir {
			names = append(names, filepath.Base(name))
		}
	}
	slices.Sort(names)
	return names
}

func (c *crashFS) SyncDir(label, dir string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.synced[label] = true
	_, err := c.begin("syncdir", label, dir)
	if err != nil || c.lies[label] {
		return err
	}
	c.pending = slices.DeleteFunc(c.pending, func(d dirChange) bool {
		if d.dir == dir {
			c.apply(c.durable, d)
		}
		return d.dir == dir
	})
	return nil
}

func (c *crashFS) Create(label, name string) (Handle, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	effect, err := c.begin("create", label, name)
	node := &inode{versions: map[int][][]byte{}}
	if effect || err == nil {
		c.change(dirChange{dir: filepath.Dir(name), name: name, node: node})
	}
	if err != nil {
		return nil, err
	}
	return &crashHandle{c, node}, nil
}

func (c *crashFS) Open(label, name string, _ bool) (Handle, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, err := c.begin("open", label, name); err != nil {
		return nil, err
	}
	node := c.names[name]
	if node == nil {
		return nil, fs.ErrNotExist
	}
	return &crashHandle{c, node}, nil
}

func (c *crashFS) Rename(label, from, to string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	effect, err := c.begin("rename", label, to)
	if effect || err == nil || c.rng.IntN(2) == 0 && !errors.Is(err, errDead) {
		c.change(dirChange{dir: filepath.Dir(to), name: to, old: from, node: c.names[from]})
	}
	return err
}

func (c *crashFS) Remove(label, name string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	effect, err := c.begin("remove", label, name)
	if c.names[name] == nil && err == nil {
		return fs.ErrNotExist
	}
	if effect || err == nil {
		c.change(dirChange{dir: filepath.Dir(name), name: name})
	}
	return err
}

func (c *crashFS) Identity(label, name string) (FileID, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, err := c.begin("stat", label, name); err != nil {
		return FileID{}, err
	}
	node := c.names[name]
	if node == nil {
		return FileID{}, fs.ErrNotExist
	}
	return FileID{uint64(uintptr(unsafe.Pointer(node)))}, nil // nothing moves it
}

type crashHandle struct {
	c    *crashFS
	node *inode
}

func (h *crashHandle) ReadAt(label string, p []byte, off int64) error {
	h.c.mu.Lock()
	defer h.c.mu.Unlock()
	if _, err := h.c.begin("read", label, h.node.name); err != nil {
		return err
	}
	if off+int64(len(p)) > int64(len(h.node.data)) {
		return io.ErrUnexpectedEOF
	}
	copy(p, h.node.data[off:])
	return nil
}

func (h *crashHandle) WriteAt(label string, p []byte, off int64) error {
	h.c.mu.Lock()
	defer h.c.mu.Unlock()
	effect, err := h.c.begin("write", label, h.node.name)
	if err != nil && !effect && !errors.Is(err, errDead) {
		p = p[:h.c.rng.IntN(len(p)/recordAlign+1)*recordAlign] // a part may have been written
		effect = true
	}
	if effect || err == nil {
		h.node.write(p, off)
	}
	return err
}

func (n *inode) write(p []byte, off int64) {
	if missing := off + int64(len(p)) - int64(len(n.data)); missing > 0 {
		n.data = append(n.data, make([]byte, missing)...)
	}
	copy(n.data[off:], p)
	for s := int(off) / sectorSize; s*sectorSize < int(off)+len(p); s++ {
		end := min((s+1)*sectorSize, len(n.data))
		n.versions[s] = append(n.versions[s], slices.Clone(n.data[s*sectorSize:end]))
	}
}

func (h *crashHandle) Size(label string) (int64, error) {
	h.c.mu.Lock()
	defer h.c.mu.Unlock()
	_, err := h.c.begin("size", label, h.node.name)
	return int64(len(h.node.data)), err
}

func (h *crashHandle) Sync(label string) error {
	h.c.mu.Lock()
	defer h.c.mu.Unlock()
	h.c.synced[label] = true
	_, err := h.c.begin("sync", label, h.node.name)
	switch {
	case errors.Is(err, errDead):
		return err
	case err != nil: // some arrived, and the system takes all for written
		h.node.disk = h.node.survivor(h.c.rng, h.c.rng.IntN(4))
		h.node.versions = map[int][][]byte{}
		return err
	case h.c.lies[label]:
		return nil
	}
	h.node.disk = h.node.survivor(nil, keepAll)
	h.node.versions = map[int][][]byte{}
	return nil
}

func (h *crashHandle) Close() error { return nil }

// What a power failure keeps of the unsynced changes.
const (
	keepNone = iota
	keepAll
	keepSome
	keepPrefix
)

// survivor returns what the disk holds of n after a power failure.
func (n *inode) survivor(rng *rand.Rand, keep int) []byte {
	size := len(n.disk)
	if len(n.data) > size && (keep == keepAll || keep >= keepSome && rng.IntN(2) == 0) {
		size = len(n.data)
	}
	disk := make([]byte, size)
	copy(disk, n.disk)
	sectors := make([]int, 0, len(n.versions))
	for s := range n.versions {
		sectors = append(sectors, s)
	}
	slices.Sort(sectors)
	prefix := len(sectors)
	if keep == keepPrefix {
		prefix = rng.IntN(len(sectors) + 1)
	}
	for i, s := range sectors {
		v := n.versions[s]
		var content []byte
		switch {
		case keep == keepAll, keep == keepPrefix && i < prefix:
			content = v[len(v)-1]
		case keep == keepSome:
			if pick := rng.IntN(len(v) + 1); pick < len(v) {
				content = v[pick]
			}
		}
		if s*sectorSize < len(disk) {
			copy(disk[s*sectorSize:], content)
		}
	}
	return disk
}

// kill ends the process and keeps the cache.
func (c *crashFS) kill() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.dead, c.locks, c.crashAt, c.failAt = false, 0, -1, nil
}

// powerFailure ends the process and takes the cache with it.
func (c *crashFS) powerFailure() {
	c.kill()
	c.mu.Lock()
	defer c.mu.Unlock()
	keep := c.rng.IntN(4)
	prefix := c.rng.IntN(len(c.pending) + 1)
	for i, d := range c.pending {
		if keep == keepAll || keep == keepSome && c.rng.IntN(2) == 0 || keep == keepPrefix && i < prefix {
			c.apply(c.durable, d)
		}
	}
	c.pending = nil
	c.names = map[string]*inode{}
	names := make([]string, 0, len(c.durable))
	for name := range c.durable {
		names = append(names, name)
	}
	slices.Sort(names)
	keep = c.rng.IntN(4)
	for _, name := range names {
		n := c.durable[name]
		if c.durable[filepath.Dir(name)] == nil {
			delete(c.durable, name) // its directory was not durable
			continue
		}
		if !n.dir {
			n.disk = n.survivor(c.rng, keep)
			n.data = slices.Clone(n.disk)
			n.versions = map[int][][]byte{}
		}
		c.names[name] = n
	}
}

// at describes a call of the trace.
func (c *crashFS) at(call int) string {
	if call >= len(c.trace) {
		return "never reached"
	}
	return c.trace[call].String()
}

// file returns the cached content of a file, to be looked at or damaged.
func (c *crashFS) file(name string) []byte { return c.names[name].data }
