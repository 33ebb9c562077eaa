package integration

import (
	"bytes"
	"compress/zlib"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"

	"github.com/xaproxy/xaproxy/config"
	"github.com/xaproxy/xaproxy/wire"
)

// inputMaxPacket is max_packet in the tests of bad input.
const inputMaxPacket = 1 << 20

// bad is a client that does what no client should. It returns what is wrong with how the proxy took it.
type bad struct {
	name string
	caps wire.Capability
	act  func(c *raw) error
}

// write sends bytes as they are.
func (c *raw) write(b ...[]byte) error {
	_, err := c.NetConn().Write(bytes.Join(b, nil))
	return err
}

// hungUpOn waits until the proxy has hung up.
func (c *raw) hungUpOn() error {
	buf := make([]byte, 1<<16)
	for {
		if _, err := c.NetConn().Read(buf); err != nil {
			if ne, ok := err.(net.Error); ok && ne.Timeout() {
				return fmt.Errorf("it does not hang up")
			}
			return nil
		}
	}
}

// told sends a command and wants an error with the number in answer, and the session to go on.
func (c *raw) told(number uint16, command wire.Command, arg ...[]byte) error {
	if err := c.SendCommand(command, arg...); err != nil {
		return err
	}
	if _, err := c.answer(); errno(err) != number {
		return fmt.Errorf("%s: %v, want %d", command, err, number)
	}
	return c.alive()
}

func (c *raw) alive() error {
	if got, err := c.ask("SELECT 40 + 2"); err != nil || got != "42" {
		return fmt.Errorf("the session does not go on: %s, %v", got, err)
	}
	return nil
}

// drain reads a result set to its end, whatever its rows are like.
func (c *raw) drain() error {
	for {
		p, err := c.ReadPacket()
		switch {
		case err != nil:
			return err
		case p[0] == 0xff:
			said, err := wire.ParseErr(p, c.Caps())
			return errors.Join(said, err)
		case p[0] == 0xfe:
			return nil
		}
	}
}

// prepared prepares a statement and returns its id as commands take it.
func (c *raw) prepared(q string) ([]byte, error) {
	if err := c.SendCommand(wire.ComStmtPrepare, []byte(q)); err != nil {
		return nil, err
	}
	p, err := c.ReadPrepared()
	return binary.LittleEndian.AppendUint32(nil, p.ID), err
}

// compressedPacket is a compressed packet that claims to hold so many bytes.
func compressedPacket(claim int, payload []byte) []byte {
	return append([]byte{byte(len(payload)), byte(len(payload) >> 8), byte(len(payload) >> 16), 0, byte(claim), byte(claim >> 8), byte(claim >> 16)}, payload...)
}

func deflated(b []byte) []byte {
	var out bytes.Buffer
	w := zlib.NewWriter(&out)
	w.Write(b) // to memory
	w.Close()
	return out.Bytes()
}

func zstandard(b []byte, window int) []byte {
	w, err := zstd.NewWriter(nil, zstd.WithWindowSize(window), zstd.WithSingleSegment(false), zstd.WithEncoderConcurrency(1))
	if err != nil {
		panic(err) // the options are right
	}
	return w.EncodeAll(b, nil)
}

var id = []byte{0xff, 0xff, 0xff, 0xff} // of a statement that nobody has prepared

// badClients. Those that lie about what they send lose their connection; those that ask for what there is not hear so.
var badClients = []bad{
	{"an empty command", 0, func(c *raw) error { // servers answer it and go on
		c.write([]byte{0, 0, 0, 0})
		head := make([]byte, 4)
		if _, err := io.ReadFull(c.NetConn(), head); err != nil {
			return err
		}
		said := make([]byte, head[0])
		if _, err := io.ReadFull(c.NetConn(), said); err != nil {
			return err
		}
		if head[3] != 1 || len(said) < 3 || said[0] != 0xff || binary.LittleEndian.Uint16(said[1:]) != 1047 {
			return fmt.Errorf("answer %q after %q", said, head)
		}
		return c.alive()
	}},
	{"HTTP", 0, func(c *raw) error { c.write([]byte("GET / HTTP/1.1\r\nHost: x\r\n\r\n")); return c.hungUpOn() }},
	{"TLS", 0, func(c *raw) error {
		c.write([]byte("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"))
		return c.hungUpOn()
	}},
	{"noise", 0, func(c *raw) error {
		noise := make([]byte, 1<<16)
		source := rand.NewChaCha8([32]byte{1})
		source.Read(noise)
		noise[3] = 9 // or it may begin like a packet
		c.write(noise)
		return c.hungUpOn()
	}},
	{"a packet over the limit", 0, func(c *raw) error { c.write([]byte{0, 0, 0x20, 0, 3}); return c.hungUpOn() }},
	{"a packet without end", 0, func(c *raw) error {
		chunk := append([]byte{0xff, 0xff, 0xff, 0}, make([]byte, 1<<16)...)
		c.write(chunk)
		return c.hungUpOn()
	}},
	{"half a packet, and gone", 0, func(c *raw) error { c.write([]byte{100, 0, 0, 0, 3, 'S'}); return c.Close() }},
	{"an answer instead of a command", 0, func(c *raw) error { c.write(packet(1, okAnswer)); return c.hungUpOn() }},
	{"unknown commands", 0, func(c *raw) error {
		for command := wire.Command(0x20); command < 0xff; command++ {
			if err := c.told(1047, command, []byte("x")); err != nil {
				return err
			}
		}
		return nil
	}},
	{"statements that nobody has prepared", 0, func(c *raw) error {
		for command, number := range map[wire.Command]uint16{wire.ComStmtExecute: 1243, wire.ComStmtReset: 1243, wire.ComStmtFetch: 1243} {
			if err := c.told(number, command, id, make([]byte, 5)); err != nil {
				return err
			}
		}
		for _, command := range []wire.Command{wire.ComStmtClose, wire.ComStmtSendLongData} { // no answer
			if err := c.SendCommand(command, id, []byte{0, 0, 'x'}); err != nil {
				return err
			}
		}
		return c.alive()
	}},
	{"commands that are cut short", 0, func(c *raw) error {
		for _, command := range []wire.Command{wire.ComStmtExecute, wire.ComStmtReset, wire.ComStmtFetch, wire.ComSetOption, wire.ComProcessKill} {
			if err := c.told(1835, command, []byte{1}); err != nil {
				return err
			}
		}
		return c.alive()
	}},
	{"too few parameters", 0, func(c *raw) error {
		st, err := c.prepared("SELECT ?, ?")
		if err != nil {
			return err
		}
		for _, rest := range [][]byte{
			{},
			{0},
			{0, 1},
			{0, 1, 3, 0},
			{0, 1, 3, 0, 3, 0},
			{0, 1, 3, 0, 3, 0, 1, 2, 3},
			{0, 0},
			{0, 1, 0x99, 0, 0x99, 0},
			{0, 1, 0xfe, 0, 0xfe, 0, 0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f},           // a string of 2^63 bytes
			{0, 1, 0xfe, 0, 0xfe, 0, 0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 'x', 'x'}, // -1 bytes
			{0, 1, 0xfe, 0, 0xfe, 0, 0xfd, 0xff, 0xff, 0xff, 'x'},
			{0, 1, 7, 0, 7, 0, 255, 1},
		} {
			if err := c.told(1210, wire.ComStmtExecute, st, []byte{0, 1, 0, 0, 0}, rest); err != nil {
				return fmt.Errorf("%x: %w", rest, err)
			}
		}
		return nil
	}},
	{"query attributes that lie", wire.QueryAttributes, func(c *raw) error {
		for _, head := range [][]byte{
			{},
			{1},
			{0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f, 1},
			{0xfd, 0xff, 0xff, 0xff, 1, 0, 1},
			{0, 2},
			{3, 1, 0, 1, 0xfe, 0},
			{1, 1, 0, 1, 0xfe, 0, 0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f},
			{1, 1, 0, 1, 0xfe, 0, 0, 0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 'x'},
		} {
			if err := c.told(1835, wire.ComQuery, head); err != nil {
				return fmt.Errorf("%x: %w", head, err)
			}
		}
		return nil
	}},
	{"65,536 parameters", 0, func(c *raw) error {
		if _, err := c.prepared("SELECT 1 IN (?" + strings.Repeat(",?", 65535) + ")"); errno(err) != 1390 {
			return fmt.Errorf("one too many: %v", err)
		}
		st, err := c.prepared("SELECT 1 IN (?" + strings.Repeat(",?", 65534) + ")")
		if err != nil {
			return err
		}
		types := bytes.Repeat([]byte{3, 0}, 65535)
		values := bytes.Repeat([]byte{1, 0, 0, 0}, 65535)
		if err := c.SendCommand(wire.ComStmtExecute, st, []byte{0, 1, 0, 0, 0}, make([]byte, 8192), []byte{1}, types, values); err != nil {
			return err
		}
		if err := c.drain(); err != nil {
			return err
		}
		return c.told(1210, wire.ComStmtExecute, st, []byte{0, 1, 0, 0, 0}, make([]byte, 8192), []byte{1}, types, values[:1000])
	}},
	{"long data without end", 0, func(c *raw) error {
		var all [][]byte
		for n := range 8 {
			st, err := c.prepared("SELECT LENGTH(?)")
			if err != nil {
				return err
			}
			all = append(all, st)
			for range 3 + 100*(n/7) { // the last one alone has too much
				if err := c.SendCommand(wire.ComStmtSendLongData, st, []byte{0, 0}, make([]byte, 100_000)); err != nil {
					return err
				}
			}
		}
		kept := 0
		for _, st := range all {
			if err := c.SendCommand(wire.ComStmtExecute, st, []byte{0, 1, 0, 0, 0, 0, 1, 0xfc, 0}); err != nil {
				return err
			}
			switch err := c.drain(); {
			case err == nil:
				kept++
			case errno(err) != 1105:
				return err
			}
		}
		if kept == 0 || kept > inputMaxPacket/300_000 {
			return fmt.Errorf("%d of %d statements kept what they were sent", kept, len(all))
		}
		return c.alive()
	}},
	{"statements without number", 0, func(c *raw) error {
		for n := 1; ; n++ {
			if _, err := c.prepared("DO 1"); err != nil {
				if errno(err) != 1461 || n != 16383 {
					return fmt.Errorf("statement %d: %w", n, err)
				}
				return c.alive()
			}
		}
	}},
	{"statements of some size", 0, func(c *raw) error {
		for n := 1; ; n++ {
			if _, err := c.prepared("DO '" + strings.Repeat("x", 500_000) + "'"); err != nil {
				if errno(err) != 1461 || n > 4 {
					return fmt.Errorf("statement %d: %w", n, err)
				}
				return c.alive()
			}
		}
	}},
	{"statements by name of some size", 0, func(c *raw) error {
		prepare := func(n int) error {
			_, err := c.ask(fmt.Sprintf("PREPARE p%d FROM 'DO \"%s\"'", n, strings.Repeat("x", 500_000)))
			return err
		}
		for range 10 { // one of the same name takes the place of the former
			if err := prepare(0); err != nil {
				return err
			}
		}
		if _, err := c.ask("DEALLOCATE PREPARE p0"); err != nil {
			return err
		}
		for n := 1; ; n++ {
			if err := prepare(n); err != nil {
				if errno(err) != 1461 || n < 2 || n > 4 {
					return fmt.Errorf("statement %d: %w", n, err)
				}
				return c.alive()
			}
		}
	}},
	{"brackets without end", 0, func(c *raw) error {
		if _, err := c.ask("SELECT " + strings.Repeat("(", 400_000) + "1"); errno(err) == 0 {
			return fmt.Errorf("got %v", err)
		}
		return c.alive()
	}},
	{"nothing but semicolons", 0, func(c *raw) error {
		if _, err := c.ask(strings.Repeat(";", 500_000)); errno(err) == 0 {
			return fmt.Errorf("got %v", err)
		}
		return c.alive()
	}},
	{"another user in mid-transaction", 0, func(c *raw) error {
		for _, q := range []string{"BEGIN", "UPDATE accounts SET v = 99 WHERE id IN (3, 4)"} {
			if _, err := c.ask(q); err != nil {
				return err
			}
		}
		if err := c.changeUser("other", "pw", ""); err != nil {
			return err
		}
		return c.alive()
	}},
	{"another user, and not to the end", 0, func(c *raw) error {
		if _, err := c.ask("BEGIN"); err != nil {
			return err
		}
		if _, err := c.ask("UPDATE accounts SET v = 99 WHERE id IN (3, 4)"); err != nil {
			return err
		}
		if err := c.SendCommand(wire.ComChangeUser, []byte("other\x00\xff")); err != nil {
			return err
		}
		return c.hungUpOn()
	}},
	{"a zlib packet that holds more than it says", wire.Compress, func(c *raw) error {
		c.write(compressedPacket(10, deflated(make([]byte, 10_000_000))))
		return c.hungUpOn()
	}},
	{"a zlib packet that holds less than it says", wire.Compress, func(c *raw) error {
		c.write(compressedPacket(1<<24-1, deflated([]byte{1, 0, 0, 0, 14})))
		return c.hungUpOn()
	}},
	{"16 MB in 16 KB of zlib", wire.Compress, func(c *raw) error {
		bomb := make([]byte, 1<<24-1)
		copy(bomb, []byte{0xfb, 0xff, 0xff, 0, 3})
		c.write(compressedPacket(len(bomb), deflated(bomb)))
		return c.hungUpOn()
	}},
	{"no zlib at all", wire.Compress, func(c *raw) error { c.write(compressedPacket(100, []byte("no zlib"))); return c.hungUpOn() }},
	{"16 MB in a little of zstd", wire.ZstdCompression, func(c *raw) error {
		bomb := make([]byte, 1<<24-1)
		copy(bomb, []byte{0xfb, 0xff, 0xff, 0, 3})
		c.write(compressedPacket(len(bomb), zstandard(bomb, 8<<20)))
		return c.hungUpOn()
	}},
	{"a zstd packet with a window of 512 MB", wire.ZstdCompression, func(c *raw) error {
		c.write(compressedPacket(1000, zstandard(make([]byte, 1<<24), 512<<20)))
		return c.hungUpOn()
	}},
	{"an uncompressed packet where compressed ones go", wire.Compress, func(c *raw) error {
		c.write([]byte{1, 0, 0, 0, 14, 1, 0, 0, 0, 14})
		return c.hungUpOn()
	}},
	{"a result that nobody reads, and gone", 0, func(c *raw) error {
		if err := c.SendQuery(nil, []byte(endless)); err != nil {
			return err
		}
		return c.Close()
	}},
}

// TestBadInput lets clients misbehave, several at once, while others work. Each is answered or loses its connection within bounded
// time; those beside it see no error, and their statements take about as long as before; nothing is left behind, and no memory.
func TestBadInput(t *testing.T) {
	s := newStack(t, mixes["mixed"], func(c *config.Config) {
		c.Server.MaxPacket = inputMaxPacket
		c.Users[1].Schemas = nil // "other" may do what u may
		for i := range c.Backends {
			c.Backends[i].PoolSize = 12
		}
	})
	s.raw().exec("INSERT INTO single (v) VALUES (1)", "INSERT INTO accounts (id, v) VALUES (1, 1), (2, 2), (3, 3), (4, 4)")
	work := func(client int) []string {
		return [][]string{
			{"SELECT v FROM single"}, {"SELECT v FROM accounts WHERE id = 1"}, {"BEGIN", "UPDATE accounts SET v = v + 1 WHERE id IN (1, 2)", "COMMIT"},
		}[client%3]
	}
	alone := s.load(3, work)
	alone.goesOn(t, 600)
	alone.end()
	heapBefore := heapInUse()

	beside := s.load(3, work)
	slots := make(chan struct{}, 3)
	var wg sync.WaitGroup
	for _, b := range badClients {
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			c := s.rawAs(wire.Dialer{User: "u", Password: "pw", Schema: s.schema, Caps: b.caps})
			defer c.Close()
			if err := c.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
				t.Error(err)
			}
			begun := time.Now()
			if err := b.act(c); err != nil {
				t.Errorf("%s: %v", b.name, err)
			}
			if took := time.Since(begun); took > 15*time.Second {
				t.Errorf("%s took %s", b.name, took)
			}
		})
	}
	wg.Wait()
	beside.goesOn(t, 50)
	errs, slowest := beside.end()
	t.Logf("statements alone: median %s, 99 of 100 within %s; beside bad clients: %s, %s, the slowest %s", alone.within(50), alone.within(99), beside.within(50), beside.within(99), slowest)
	if len(errs) > 0 {
		t.Errorf("well-behaved clients saw %v", errs)
	}
	// The machine is shared with the bad clients, the servers and whatever else runs: this finds what waits, not what is slower.
	if beside.within(50) > 10*alone.within(50)+10*time.Millisecond || beside.within(99) > 20*alone.within(99)+200*time.Millisecond || slowest > 3*time.Second {
		t.Errorf("well-behaved clients were slowed down: median %s, 99 of 100 within %s, the slowest %s", beside.within(50), beside.within(99), slowest)
	}
	s.atRest()
	s.nothingPrepared()
	if got := s.raw().mustAsk("SELECT v FROM accounts WHERE id IN (3, 4) FOR UPDATE NOWAIT"); got != "4 3" && got != "3 4" {
		t.Errorf("rows of transactions that were given up: %s", got)
	}
	if heap := heapInUse(); heap > heapBefore+16<<20 {
		t.Errorf("the heap has grown from %d to %d MB", heapBefore>>20, heap>>20)
	}
}

// TestChangeUserInTransaction: what a user had begun is rolled back when another one takes the connection over.
func TestChangeUserInTransaction(t *testing.T) {
	s := newStack(t, mixes["mixed"], func(c *config.Config) { c.Users[1].Schemas = nil })
	a, b := s.raw(), s.raw()
	a.exec("INSERT INTO accounts (id, v) VALUES (1, 1), (2, 2)", "SET @x = 5", "BEGIN", "UPDATE accounts SET v = 9 WHERE id IN (1, 2)")
	check(t, a.changeUser("other", "pw", s.schema))
	for id, want := range map[int]string{1: "1", 2: "2"} {
		if got := b.mustAsk(fmt.Sprintf("SELECT v FROM accounts WHERE id = %d FOR UPDATE NOWAIT", id)); got != want {
			t.Errorf("row %d: %s", id, got)
		}
	}
	if got := a.mustAsk("SELECT v, @x FROM accounts WHERE id = 1"); got != "1,NULL" {
		t.Errorf("the new user sees %s", got)
	}
	s.nothingPrepared()
}

// heapInUse is what is left after a collection.
func heapInUse() uint64 {
	var m runtime.MemStats
	for range 3 { // pools keep what they have for one more
		runtime.GC()
	}
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// TestDeafClients: twenty clients do not read results of gigabytes. While they hold what they hold, memory stays flat.
func TestDeafClients(t *testing.T) {
	const clients = 20
	s := newStack(t, mixes["mixed"], nil)
	s.raw().exec("INSERT INTO single (v) VALUES (1)")
	before := heapInUse()
	for range clients {
		check(t, s.raw().SendQuery(nil, []byte(endless)))
	}
	s.runs(0, clients, "REPEAT")
	if heap := heapInUse(); heap > before+clients<<20 {
		t.Errorf("the heap has grown by %d KB for each client", (heap-before)>>10/clients)
	}
	s.raw().exec("SELECT v FROM single", "SELECT v FROM accounts WHERE id = 1")
}
