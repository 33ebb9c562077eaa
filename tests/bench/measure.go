//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// sample is one measurement.
type sample struct {
	perSecond float64       // queries, or bytes of a stream
	cpu       time.Duration // of the proxy, per query or per GB
	rss       int64         // bytes; of a stream, the peak
}

// measureAll measures all paths, round by round. The first index of the result is the path.
func measureAll(ctx context.Context, name string, paths []*path, text statement, o options) ([][]sample, error) {
	samples := make([][]sample, len(paths))
	for round := range o.rounds {
		for i, p := range paths {
			progress("%s: round %d of %d, %s", name, round+1, o.rounds, p.name)
			s, err := measure(ctx, p, text, o.length)
			if err != nil {
				return nil, fmt.Errorf("%s over %s: %w", name, p.name, err)
			}
			samples[i] = append(samples[i], s)
		}
	}
	progress("")
	return samples, ctx.Err()
}

// measure loads a path for a while, after a moment in which it warms up.
func measure(ctx context.Context, p *path, text statement, length time.Duration) (s sample, err error) {
	ctx, cancel := context.WithCancel(ctx)
	var queries atomic.Int64
	errs := make([]error, len(p.clients))
	var wg sync.WaitGroup
	for i, c := range p.clients {
		wg.Go(func() {
			for ctx.Err() == nil && errs[i] == nil {
				errs[i] = c.query(text)
				queries.Add(1)
			}
		})
	}
	defer func() {
		cancel()
		wg.Wait()
		err = errors.Join(append(errs, err)...)
	}()
	sleep(ctx, length/10)
	before, err := cpuTime(p.pid)
	if err != nil {
		return s, err
	}
	began, from := time.Now(), queries.Load()
	sleep(ctx, length)
	n, took := queries.Load()-from, time.Since(began)
	after, err := cpuTime(p.pid)
	if err != nil {
		return s, err
	}
	s.perSecond = float64(n) / took.Seconds()
	s.cpu = (after - before) / time.Duration(max(n, 1))
	s.rss, err = memory(p.pid, "VmRSS")
	return s, err
}

func sleep(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

// streamAll fetches one large result over each path, round by round.
func streamAll(ctx context.Context, paths []*path, o options) ([][]sample, error) {
	const row = 1000 // bytes
	// MariaDB makes the rows without reading any.
	text := fmt.Sprintf("SELECT REPEAT('x', %d) FROM seq_1_to_%d", row, o.stream*mega/row)
	samples := make([][]sample, len(paths))
	for round := range o.rounds {
		for i, p := range paths {
			if ctx.Err() != nil {
				return nil, ctx.Err()
			}
			progress("%d MB: round %d of %d, %s", o.stream, round+1, o.rounds, p.name)
			s, err := stream(p, func(b []byte) []byte { return append(b, text...) })
			if err != nil {
				return nil, fmt.Errorf("%s over %s: %w", strings.TrimSpace(text), p.name, err)
			}
			samples[i] = append(samples[i], s)
		}
	}
	progress("")
	return samples, nil
}

func stream(p *path, text statement) (s sample, err error) {
	if err := forgetPeak(p.pid); err != nil {
		return s, err
	}
	before, err := cpuTime(p.pid)
	if err != nil {
		return s, err
	}
	c, began := p.clients[0], time.Now()
	c.received = 0
	if err := c.query(text); err != nil {
		return s, err
	}
	took := time.Since(began)
	after, err := cpuTime(p.pid)
	if err != nil {
		return s, err
	}
	s.perSecond = float64(c.received) / took.Seconds()
	s.cpu = time.Duration(float64(after-before) * 1000 * mega / float64(c.received))
	s.rss, err = memory(p.pid, "VmHWM")
	return s, err
}
