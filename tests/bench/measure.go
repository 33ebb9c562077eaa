//go:build linux

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

// sample is one measurement. Memory and what is spent are those of the proxy's process.
type sample struct {
	count        float64       // statements, or bytes of the rows
	took         time.Duration // of the clock
	cpu          time.Duration
	user, system time.Duration // the parts of cpu; coarser
	switches     float64       // from one thread to another
	before, peak int64         // bytes of memory
}

// rounds measures all paths, round by round. The first index of the result is the path.
func (w *world) rounds(ctx context.Context, name string, measure func(*path) (sample, error)) ([][]sample, error) {
	samples := make([][]sample, len(w.paths))
	for round := range w.o.rounds {
		for i := range w.paths {
			at := (round + i) % len(w.paths)
			p := w.paths[at]
			progress("%s: round %d of %d, %s", name, round+1, w.o.rounds, p.name)
			s, err := measure(p)
			if err != nil {
				return nil, fmt.Errorf("%s over %s: %w", name, p.name, err)
			}
			if ctx.Err() != nil {
				return nil, ctx.Err()
			}
			samples[at] = append(samples[at], s)
		}
	}
	return samples, nil
}

// load sends statements over a path for a while, after a moment in which it warms up.
func (w *world) load(ctx context.Context, p *path, l load) (s sample, err error) {
	ctx, cancel := context.WithCancel(ctx)
	var statements atomic.Int64
	errs := make([]error, len(p.clients))
	var wg sync.WaitGroup
	for i, c := range p.clients {
		wg.Go(func() {
			for ctx.Err() == nil && errs[i] == nil {
				errs[i] = l.run(c)
				statements.Add(1)
			}
		})
	}
	defer func() {
		cancel()
		wg.Wait()
		err = errors.Join(append(errs, err)...)
	}()
	sleep(ctx, w.o.length/10)
	return p.during(func() (float64, error) {
		from := statements.Load()
		sleep(ctx, w.o.length)
		return float64(statements.Load() - from), nil
	})
}

func sleep(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

// once runs one statement on one connection and counts the bytes of its rows.
func (w *world) once(p *path, text []byte) (sample, error) {
	c := p.clients[0]
	return p.during(func() (float64, error) {
		c.received = 0
		err := c.query(text)
		return float64(c.received), err
	})
}

// during measures what the path's proxy spends while f runs, which returns the count of the sample.
func (p *path) during(f func() (float64, error)) (s sample, err error) {
	if err := forgetPeak(p.pid); err != nil {
		return s, err
	}
	if s.before, err = memory(p.pid, "VmRSS"); err != nil {
		return s, err
	}
	before, err := spentBy(p.pid)
	if err != nil {
		return s, err
	}
	began := time.Now()
	if s.count, err = f(); err != nil {
		return s, err
	}
	s.took = time.Since(began)
	after, err := spentBy(p.pid)
	if err != nil {
		return s, err
	}
	s.cpu, s.user, s.system = after.cpu-before.cpu, after.user-before.user, after.system-before.system
	s.switches = float64(after.switches - before.switches)
	s.peak, err = memory(p.pid, "VmHWM")
	return s, err
}

// streamed is a statement whose result has so many MB of rows.
func streamed(size int) []byte {
	const row = 1000 // bytes
	// MariaDB makes the rows without reading any.
	return fmt.Appendf(nil, "SELECT REPEAT('x', %d) FROM seq_1_to_%d", row, size*mb/row)
}

// long is a statement with a literal of so many MB, which comes back.
func long(size int) []byte {
	text := append(make([]byte, 0, size*mb+16), "SELECT '"...)
	text = append(text, bytes.Repeat([]byte("x"), size*mb)...)
	return append(text, '\'')
}
