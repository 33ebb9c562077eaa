package gather

import (
	"bytes"
	"fmt"
	"io"
	"math"
	"net"
	"sync"
	"testing"

	"github.com/xaproxy/xaproxy/router"
	"github.com/xaproxy/xaproxy/wire"
)

const (
	benchParts = 3
	benchRows  = 1_000_000 // of each part
)

// benchAnswers are the answers of the parts: an id, which goes up in steps that keep the parts shuffled, a string and a decimal.
var benchAnswers = sync.OnceValue(func() (all [benchParts][]byte) {
	columns := []wire.Column{{Name: "id", Type: wire.TypeLong}, {Name: "s", Type: wire.TypeVarString}, {Name: "d", Type: wire.TypeNewDecimal, Decimals: 2}}
	for part := range all {
		var out bytes.Buffer
		c := wire.NewConn(bufferConn{Buffer: &out}, 0)
		c.SetSeq(1)
		var definitions [][]byte
		for _, col := range columns {
			definitions = append(definitions, col.Append(nil))
		}
		if err := c.WriteColumns(definitions, 0); err != nil {
			panic(err)
		}
		for i := range benchRows {
			id := i*benchParts + (part+i*i)%benchParts
			row := wire.AppendTextRow(nil, [][]byte{fmt.Append(nil, id), []byte("a string of some length"), fmt.Appendf(nil, "%d.25", id%1000)})
			if err := c.WritePacket(row); err != nil {
				panic(err)
			}
		}
		if err := c.WriteEOF(wire.OK{}); err != nil {
			panic(err)
		}
		all[part] = out.Bytes()
	}
	return all
})

// bufferConn is a connection to a buffer.
type bufferConn struct {
	net.Conn
	*bytes.Buffer
}

func (c bufferConn) Read(p []byte) (int, error)  { return c.Buffer.Read(p) }
func (c bufferConn) Write(p []byte) (int, error) { return c.Buffer.Write(p) }

// sink is a client that reads as fast as it is written to.
type sink struct {
	net.Conn
	bytes int
}

func (s *sink) Write(p []byte) (int, error) {
	s.bytes += len(p)
	return len(p), nil
}

// serve opens connections whose servers send the answers.
func serve(b *testing.B) []*wire.Conn {
	b.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	defer ln.Close()
	var conns []*wire.Conn
	for _, answer := range benchAnswers() {
		out, err := net.Dial("tcp", ln.Addr().String())
		if err != nil {
			b.Fatal(err)
		}
		in, err := ln.Accept()
		if err != nil {
			b.Fatal(err)
		}
		go func() {
			_, _ = io.Copy(out, bytes.NewReader(answer)) // the reader finds out
			_ = out.Close()
		}()
		c := wire.NewConn(in, 0)
		c.SetSeq(1)
		conns = append(conns, c)
	}
	b.Cleanup(func() {
		for _, c := range conns {
			_ = c.Close()
		}
	})
	return conns
}

// BenchmarkPlain reads the rows of three connections at the same time and does nothing with them.
func BenchmarkPlain(b *testing.B) {
	benchAnswers()
	for b.Loop() {
		conns := serve(b)
		var wg sync.WaitGroup
		for _, c := range conns {
			wg.Go(func() {
				r, err := c.ReadColumns()
				for row := []byte{0}; err == nil && row != nil; {
					row, err = r.Next()
				}
				if err != nil {
					b.Error(err)
				}
			})
		}
		wg.Wait()
	}
	b.ReportMetric(float64(b.N)*benchParts*benchRows/b.Elapsed().Seconds(), "rows/s")
}

// BenchmarkMerge merges the same rows by their ids. B/op is all the memory that it takes.
func BenchmarkMerge(b *testing.B) {
	benchAnswers()
	for b.Loop() {
		conns := serve(b)
		client := wire.NewConn(&sink{}, 0)
		spec := &router.Stream{Keys: []router.SortKey{{}}, Count: math.MaxUint64}
		var a Answer
		if err := a.Merge(client, conns, spec, false, 0); err != nil || a.Rows != benchParts*benchRows {
			b.Fatal(a.Rows, err)
		}
	}
	b.ReportMetric(float64(b.N)*benchParts*benchRows/b.Elapsed().Seconds(), "rows/s")
}
