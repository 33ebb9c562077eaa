package proxy

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"strconv"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/xaproxy/xaproxy/backend"
	"github.com/xaproxy/xaproxy/config"
	"github.com/xaproxy/xaproxy/wire"
	"github.com/xaproxy/xaproxy/xa"
)

// workload is a client of the proxy with a statement that it repeats: the whole way is measured, the client's bytes in, the
// plan, a connection of the pool, the server's bytes out, its answer back, each over TCP.
type workload struct {
	name  string
	first string // sent before, unless empty
	once  func(*benchClient) error
}

var workloads = []workload{
	{"text", "", (*benchClient).text},
	{"text-sharded", "", (*benchClient).textSharded},
	{"text-in-transaction", "BEGIN", (*benchClient).text},
	{"execute", "", (*benchClient).execute},
	{"execute-sharded", "", (*benchClient).executeSharded},
	{"execute-in-transaction", "BEGIN", (*benchClient).execute},
}

// start returns a client that has repeated its statement often enough for everything to be where it stays.
func (w *workload) start(tb testing.TB) *benchClient {
	tb.Helper()
	c := startBench(tb)
	if w.first != "" {
		if err := c.conn.SendCommand(wire.ComQuery, []byte(w.first)); err != nil {
			tb.Fatal(err)
		}
		if _, err := c.conn.ReadResult(1 << 10); err != nil {
			tb.Fatal(err)
		}
	}
	for range 100 {
		if err := w.once(c); err != nil {
			tb.Fatal(err)
		}
	}
	return c
}

// benchClient has all that its statements need, so that it allocates nothing either.
type benchClient struct {
	conn           *wire.Conn
	plain, sharded uint32 // statements that are prepared
	sql            []byte
	bound          [4]byte
	key            uint32 // another one for each statement
}

// startBench starts a proxy in front of a scripted server, and a client that has prepared its statements. Each answer is
// a row of two columns.
func startBench(tb testing.TB) *benchClient {
	tb.Helper()
	row := wire.AppendTextRow(nil, [][]byte{[]byte("12345"), bytes.Repeat([]byte("x"), 100)})
	binary := append([]byte{0, 0}, row...) // both are VARCHARs
	server := &script{
		query:     rowsOf([]string{"id", "c"}, row),
		execution: rowsOf([]string{"id", "c"}, binary),
		// id 7, no columns, one parameter, no warnings
		prepare: [][]byte{{0, 7, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0}, wire.Column{Name: "?", Type: wire.TypeLong}.Append(nil)},
	}
	server.listen(tb)
	c, err := config.Parse("bench.toml", fmt.Appendf(nil, `
[server]
log_level = "info"
[[users]]
name = "app"
password = ""
[[backends]]
name = "one"
kind = "mysql"
port = %d
user = "proxy"
password = ""
[decision]
dir = "log"
[[schemas]]
name = "shop"
backend = "one"
[[tables]]
schema = "shop"
name = "orders"
column = "id"
function = "hash"
backends = ["one"]
`, server.addr.Port))
	if err != nil {
		tb.Fatal(err)
	}
	b, err := backend.Open(c, 0)
	if err != nil {
		tb.Fatal(err)
	}
	b.Ready(backend.Facts{Version: "8.4.0"})
	proxy, err := New(Options{Config: c, Backends: []*backend.Backend{b}, Coordinator: xa.NewCoordinator(xa.Options{
		Log: scriptLog{}, PrepareTimeout: time.Second, CommitWait: time.Second, Logger: zerolog.Nop(), Orphaned: func(string) {},
	}), Logger: zerolog.Nop()})
	if err != nil {
		tb.Fatal(err)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	served := make(chan error)
	go func() { served <- proxy.Serve(ln) }()
	d := wire.Dialer{Addr: ln.Addr().String(), User: "app", Schema: "shop"}
	conn, _, err := d.Dial(tb.Context())
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		_ = errors.Join(ln.Close(), conn.Close()) // both are open
		proxy.Close()
		if err := <-served; err != nil {
			tb.Error(err)
		}
		b.Close()
	})
	client := &benchClient{conn: conn}
	client.plain = client.prepare(tb, "SELECT id, c FROM items WHERE id = ?")
	client.sharded = client.prepare(tb, "SELECT id, c FROM orders WHERE id = ?")
	return client
}

func (c *benchClient) prepare(tb testing.TB, sql string) uint32 {
	tb.Helper()
	if err := c.conn.SendCommand(wire.ComStmtPrepare, []byte(sql)); err != nil {
		tb.Fatal(err)
	}
	p, err := c.conn.ReadPrepared()
	if err != nil {
		tb.Fatal(err)
	}
	return p.ID
}

func (c *benchClient) text() error        { return c.query("SELECT id, c FROM items WHERE id = ") }
func (c *benchClient) textSharded() error { return c.query("SELECT id, c FROM orders WHERE id = ") }

// query sends a statement with another key each time.
func (c *benchClient) query(sql string) error {
	c.key++
	c.sql = strconv.AppendUint(append(c.sql[:0], sql...), uint64(c.key), 10)
	if err := c.conn.SendCommand(wire.ComQuery, c.sql); err != nil {
		return err
	}
	return c.answer()
}

func (c *benchClient) execute() error        { return c.run(c.plain) }
func (c *benchClient) executeSharded() error { return c.run(c.sharded) }

var (
	oneInt     = []byte{byte(wire.TypeLong), 0}
	oneNotNull = []byte{0}
)

func (c *benchClient) run(statement uint32) error {
	c.key++
	binary.LittleEndian.PutUint32(c.bound[:], c.key)
	if err := c.conn.SendExecute(statement, 0, oneNotNull, oneInt, c.bound[:]); err != nil {
		return err
	}
	return c.answer()
}

// answer reads a result set of two columns and one row.
func (c *benchClient) answer() error {
	for i := range 5 {
		p, err := c.conn.ReadPacket()
		switch {
		case err != nil:
			return err
		case p[0] == 0xFF:
			said, err := wire.ParseErr(p, c.conn.Caps())
			return errors.Join(said, err)
		case i == 0 && p[0] != 2, i == 4 && p[0] != 0xFE:
			return fmt.Errorf("packet %d of the answer begins with %#x", i, p[0])
		}
	}
	return nil
}

func BenchmarkSession(b *testing.B) {
	for _, w := range workloads {
		b.Run(w.name, func(b *testing.B) {
			c := w.start(b)
			b.ReportAllocs()
			for b.Loop() {
				if err := w.once(c); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
