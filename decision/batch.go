package decision

import (
	"errors"
	"fmt"
	"slices"
	"time"
)

// entry is one record on its way into the log.
type entry struct {
	record
	body    []byte
	durable bool // somebody waits until it is durable
	carried bool // a copy of a record whose segment is about to be dropped

	// Set by the flush:
	at  span // in the segment that is active then
	err error
}

// batch collects the entries that go to the disk together.
type batch struct {
	entries []*entry
	lead    chan struct{} // holds one token when the batch has become the next to be flushed
	flushed chan struct{} // closed when every entry has its result
}

// submit hands entries to the log, all in one batch and in this order. Where they are durable it returns when they are,
// or have failed. There is no goroutine behind it: who finds nobody flushing does so itself, and hands the next batch
// to one of those who wait for it. Must be called with mu held, returns with mu released.
func (f *File) submit(entries ...*entry) error {
	if err := f.refusal(); err != nil {
		f.mu.Unlock()
		return err
	}
	if f.next == nil {
		f.next = &batch{lead: make(chan struct{}, 1), flushed: make(chan struct{})}
	}
	b := f.next
	b.entries = append(b.entries, entries...)
	if f.leading {
		f.mu.Unlock()
		if !entries[0].durable {
			return nil
		}
		select {
		case <-b.flushed:
			return firstError(entries)
		case <-b.lead:
			f.mu.Lock()
		}
	}
	f.leading = true
	f.lead(b)
	f.mu.Unlock()
	return firstError(entries)
}

func firstError(entries []*entry) error {
	for _, e := range entries {
		if e.err != nil {
			return e.err
		}
	}
	return nil
}

// lead flushes b, which is f.next, and passes the lead on. Must be called with mu held and leading set; mu is released
// while the disk works.
func (f *File) lead(b *batch) {
	for {
		f.next = nil
		if f.broken != nil {
			failAll(b.entries, notWritten(f.broken))
		} else {
			f.mu.Unlock()
			f.flush("append", b.entries)
			f.mu.Lock()
		}
		close(b.flushed)
		if b = f.next; b == nil {
			f.leading = false
			f.idle.Broadcast()
			return
		}
		if anyDurable(b.entries) {
			b.lead <- struct{}{}
			return
		}
	}
}

// flush writes the entries behind the last record and syncs when one of them asks for it. It gives every entry its
// error and makes known what is durable. Only the leader calls it, without mu.
func (f *File) flush(label string, entries []*entry) {
	if err := f.placed(label); err != nil {
		failAll(entries, notWritten(err))
		return
	}
	buf, first := f.buf[:0], 0
	for i, e := range entries {
		if f.end+int64(len(buf)+recordSize(len(e.body))) > f.active.size {
			err := f.write(label, buf)
			if err == nil {
				err = f.sync("seal", i-first)
			}
			if err != nil {
				failAll(entries[first:i], unsure(err))
				failAll(entries[i:], notWritten(err))
				return
			}
			f.publish(entries[first:i])
			if err := f.roll(); err != nil {
				failAll(entries[i:], notWritten(err))
				return
			}
			buf, first = buf[:0], i
		}
		start := len(buf)
		off := f.end + int64(start)
		buf = appendRecord(buf, f.seed, off, f.synced, e.kind, e.body)
		e.at = span{uint32(off), uint32(len(buf) - start)}
	}
	f.buf = buf
	err := f.write(label, buf)
	if err == nil && anyDurable(entries[first:]) {
		err = f.sync(label, len(entries)-first)
	}
	if err != nil {
		failAll(entries[first:], unsure(err))
		return
	}
	f.publish(entries[first:])
}

// placed returns an error unless the next opening would find the active segment: what is written to a file that was moved or removed is lost
// with this process. It may have been put back when it is asked again.
func (f *File) placed(label string) error {
	id, err := f.files.Identity(label+" place", f.active.path)
	if err == nil && id != f.active.id {
		err = fmt.Errorf("another file has the name of %s", f.active.path)
	}
	switch {
	case err != nil && !f.astray:
		f.log.Error().Err(err).Str("dir", f.dir).Msg("decision log is not in its place: put it back; transactions that need it are rolled back until then")
	case err == nil && f.astray:
		f.log.Info().Str("dir", f.dir).Msg("decision log is in its place again")
	}
	if f.astray = err != nil; f.astray {
		return fmt.Errorf("the decision log was moved or removed, put it back: %w", err)
	}
	return nil
}

func anyDurable(entries []*entry) bool {
	return slices.ContainsFunc(entries, func(e *entry) bool { return e.durable })
}

func failAll(entries []*entry, err error) {
	for _, e := range entries {
		e.err = err
	}
}

func (f *File) write(label string, buf []byte) error {
	if len(buf) == 0 {
		return nil
	}
	if err := f.handle.WriteAt(label+" write", buf, f.end); err != nil {
		return f.fail(fmt.Errorf("write %s: %w", f.active.path, err))
	}
	f.end += int64(len(buf))
	return nil
}

// sync makes everything written so far durable. A sync that failed is never tried again: the system may have dropped
// the bytes and answer that all is well.
func (f *File) sync(label string, records int) error {
	if f.synced == f.end {
		return nil
	}
	began := time.Now()
	if err := f.handle.Sync(label + " sync"); err != nil {
		return f.fail(fmt.Errorf("sync %s: %w", f.active.path, err))
	}
	f.synced = f.end
	if f.onSync != nil {
		f.onSync(time.Since(began), records)
	}
	return nil
}

// roll goes on to a new segment. The old one is durable and gets no further record.
func (f *File) roll() error {
	h := header{coord: f.coord, size: f.segmentSize, epoch: f.epoch, number: 1}
	if f.active != nil {
		h.number, h.prevEnd = f.active.number+1, f.end
	}
	handle, made, err := createSegment(f.files, f.dir, h)
	if err != nil {
		if made {
			return f.fail(err)
		}
		return err
	}
	s := newSegment(h, f.path(h))
	if s.id, err = f.files.Identity("segment place", s.path); err != nil {
		return f.fail(errors.Join(err, handle.Close()))
	}
	f.mu.Lock()
	if f.active != nil {
		f.active.seal(f.end)
	}
	f.active = s
	f.segments = append(f.segments, s)
	f.mu.Unlock()
	old := f.handle
	f.handle, f.seed, f.end, f.synced = handle, h.seed(), headerSize, headerSize
	if old != nil {
		if err := old.Close(); err != nil {
			// Everything in it is durable; only the descriptor may be lost.
			f.log.Warn().Err(err).Uint64("segment", h.number-1).Msg("complete segment of the decision log was not closed")
		}
	}
	return nil
}

// publish makes known what a flush wrote to the active segment. An entry for which nobody waits has nothing to tell.
func (f *File) publish(entries []*entry) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, e := range entries {
		switch e.kind {
		case kindCommit:
			retainedFrom := e.time
			if e.carried {
				retainedFrom = f.now().Unix() // or it would be carried again at once
			}
			f.active.add(e.key, e.at, retainedFrom)
			f.keep(e.record, f.active, e.carried)
		case kindHeur:
			f.keepHeuristic(e.record, f.active)
		}
	}
}

// fail breaks the log and returns the error that says so. The first cause stays.
func (f *File) fail(cause error) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.broken == nil {
		f.broken = fmt.Errorf("%w: %w", ErrBroken, cause)
		close(f.brokenCh)
		f.log.Error().Err(cause).Str("dir", f.dir).Msg("decision log is broken")
	}
	return f.broken
}

// refusal says why nothing can be written; nil when it can. Must be called with mu held.
func (f *File) refusal() error {
	switch {
	case f.readOnly:
		return notWritten(ErrReadOnly)
	case f.broken != nil:
		return notWritten(f.broken)
	case f.closed:
		return notWritten(ErrClosed)
	}
	return nil
}
