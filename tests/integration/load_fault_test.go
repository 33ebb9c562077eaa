package integration

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"

	"github.com/xaproxy/xaproxy/config"
	"github.com/xaproxy/xaproxy/tests/servers"
	"github.com/xaproxy/xaproxy/wire"
)

// loading returns the id of the server's session that runs LOAD DATA in the test's schema, 0 if there is none.
func (s *loadStack) loading(server int) string {
	return s.on(server, "SELECT id FROM information_schema.processlist WHERE db = 'SCHEMA' AND info LIKE 'LOAD DATA%'")
}

// nothingLoaded checks that no row, no lock and no branch is left.
func (s *loadStack) nothingLoaded() {
	s.t.Helper()
	s.nothingPrepared()
	for i := range s.servers {
		waitFor(s.t, "the branch is rolled back", func() bool {
			return s.on(i, "SELECT COUNT(*) FROM SCHEMA.lines_ FOR UPDATE") == "0" && s.loading(i) == ""
		})
	}
}

// TestLoadVanishedClient: a client that goes away amid its file leaves nothing, wherever it was.
func TestLoadVanishedClient(t *testing.T) {
	t.Parallel()
	forLoads(t, func(t *testing.T, s *loadStack) {
		for _, in := range []string{"SELECT 1", "BEGIN"} {
			for _, sent := range []string{"", "1,one\n2,two", strings.Repeat("3,three\n4,four\n", 10_000) + "5,five"} {
				l := s.loader(t)
				query(t, l.Conn, in)
				l.begin(intoLines)
				check(t, l.WriteFileChunk(append([]byte(sent), '\n')))
				check(t, l.Flush())
				if sent != "" {
					waitFor(t, "both servers load", func() bool { return s.loading(0) != "" && s.loading(1) != "" })
				}
				check(t, l.Close())
				s.nothingLoaded()
			}
		}
		l := s.loader(t)
		l.loads(intoLines, "1,one\n2,two\n")
		if got := l.rows(everyLine); got != "1,one|2,two" {
			t.Errorf("afterwards: %s", got)
		}
	})
}

// TestLoadLostBackend: a server that drops the connection amid the file ends the transaction everywhere; the client is told when
// its file is read.
func TestLoadLostBackend(t *testing.T) {
	t.Parallel()
	forLoads(t, func(t *testing.T, s *loadStack) {
		for server := range s.servers {
			for _, in := range []string{"SELECT 1", "BEGIN"} {
				l := s.loader(t)
				query(t, l.Conn, in)
				l.begin(intoLines)
				chunk := []byte(strings.Repeat("1,one\n2,two\n", 5000))
				check(t, l.WriteFileChunk(chunk))
				var id string
				waitFor(t, "the server loads", func() bool { id = s.loading(server); return id != "" })
				admin(t, s.servers[server], "KILL "+id)
				waitFor(t, "the session is gone", func() bool { return s.loading(server) == "" })
				for range 50 {
					check(t, l.WriteFileChunk(chunk))
				}
				_, err := l.end()
				var e *wire.Error
				if !errors.As(err, &e) || !strings.HasPrefix(e.State, "40") && e.Errno != 1317 && e.Errno != 1927 {
					t.Errorf("killed on %s: %v", s.servers[server].Kind, err)
				}
				s.nothingLoaded()
				query(t, l.Conn, "BEGIN")
				l.loads(intoLines, "1,one\n2,two\n")
				query(t, l.Conn, "ROLLBACK")
			}
		}
	})
}

// TestLoadKilled: KILL QUERY ends the load, and the session goes on; KILL ends the session.
func TestLoadKilled(t *testing.T) {
	t.Parallel()
	s := newLoadStack(t, mixes["mixed"], nil)
	other := s.loader(t)
	d := wire.Dialer{Addr: s.addr, User: "u", Password: "pw", Schema: s.schema, Caps: wire.LocalFiles, Timeout: time.Minute}
	c, greeting, err := d.Dial(t.Context())
	check(t, err)
	defer c.Close()
	l := &loader{t: t, Conn: c}
	for _, kill := range []string{"KILL QUERY ", "KILL "} {
		l.begin(intoLines)
		check(t, l.WriteFileChunk([]byte("1,one\n2,two\n")))
		check(t, l.Flush())
		waitFor(t, "both servers load", func() bool { return s.loading(0) != "" && s.loading(1) != "" })
		query(t, other.Conn, fmt.Sprint(kill, greeting.ConnID))
		if kill == "KILL " {
			_, err := l.end()
			if err == nil {
				t.Error("the session lives")
			}
			break
		}
		_, err := l.end()
		var e *wire.Error
		if !errors.As(err, &e) || e.Errno != 1317 {
			t.Errorf("killed: %v", err)
		}
		if got := l.rows("SELECT 1"); got != "1" {
			t.Errorf("afterwards: %s", got)
		}
	}
	s.nothingLoaded()
}

// TestLoadStarvedBackend: a backend that gets no lines for longer than its net_read_timeout waits; a client that sends nothing
// for as long is dropped.
func TestLoadStarvedBackend(t *testing.T) {
	t.Parallel()
	forLoads(t, func(t *testing.T, s *loadStack) {
		l := s.loader(t)
		query(t, l.Conn, "SET net_read_timeout = 1")
		l.begin(intoLines)
		check(t, l.WriteFileChunk([]byte("1,one\n")))
		n := 0
		waitFor(t, "the other server has waited for 3 seconds", func() bool {
			n++
			check(t, l.WriteFileChunk([]byte(fmt.Sprintf("%d,odd\n", 2*n+1))))
			check(t, l.Flush())
			return s.on(0, "SELECT COUNT(*) FROM information_schema.processlist WHERE db = 'SCHEMA' AND info LIKE 'LOAD DATA%' AND time >= 3") == "1"
		})
		check(t, l.WriteFileChunk([]byte("2,two\n")))
		ok, err := l.end()
		if err != nil || ok.Affected != uint64(n+2) {
			t.Fatalf("%d lines: %+v, %v", n+2, ok, err)
		}
		if got := l.rows("SELECT @@net_read_timeout"); got != "1" {
			t.Errorf("net_read_timeout is %s", got)
		}
		for i := range s.servers {
			admin(t, s.servers[i], "DELETE FROM "+s.schema+".lines_")
		}
		l.begin(intoLines)
		check(t, l.WriteFileChunk([]byte("1,one\n2,two\n")))
		check(t, l.Flush())
		check(t, l.SetDeadline(time.Now().Add(20*time.Second))) // before stall_timeout
		var e *wire.Error
		if _, err := l.ReadResult(100); !errors.As(err, &e) || e.Errno != 1159 {
			t.Errorf("a silent client: %v", err)
		}
		s.nothingLoaded()
	})
}

// TestLoadWaitsForLock: a lock on one backend makes the client wait, with flat memory; then the load goes on, or ends by the
// server's timeout.
func TestLoadWaitsForLock(t *testing.T) {
	t.Parallel()
	forLoads(t, func(t *testing.T, s *loadStack) {
		other := s.backendLoaders()[1]
		for _, timeout := range []bool{false, true} {
			l := s.loader(t)
			if timeout {
				query(t, l.Conn, "SET innodb_lock_wait_timeout = 1")
			}
			query(t, other.Conn, "BEGIN")
			query(t, other.Conn, "INSERT INTO lines_ (id, v) VALUES (3, 'locked')")
			l.begin(intoLines)
			done, sent := s.flood(l, 400_000) // 60 MB, more than sockets hold
			if timeout {
				check(t, <-done)
				_, err := l.end()
				var e *wire.Error
				if !errors.As(err, &e) || e.Errno != 1205 {
					t.Errorf("the lock was not to be had: %v", err)
				}
				query(t, other.Conn, "ROLLBACK")
				s.nothingLoaded()
				continue
			}
			waitFor(t, "the server waits for the lock", func() bool {
				return s.lockWaits(1) != "0"
			})
			waitFor(t, "the client waits", func() bool { return sent.still() })
			if sent.last > 300_000 {
				t.Errorf("%d rows were taken while nobody could have them", sent.last)
			}
			query(t, other.Conn, "ROLLBACK")
			check(t, <-done)
			ok, err := l.end()
			if err != nil || ok.Affected != 400_000 {
				t.Fatalf("%+v, %v", ok, err)
			}
			for i := range s.servers {
				if got := s.on(i, "SELECT COUNT(*) FROM SCHEMA.lines_"); got != "200000" {
					t.Errorf("server %d has %s rows", i, got)
				}
				admin(t, s.servers[i], "TRUNCATE TABLE "+s.schema+".lines_")
			}
		}
	})
}

// TestLoadMemory loads 100,000 rows of some 15 MB and counts what the whole process, client and proxy, allocates meanwhile.
func TestLoadMemory(t *testing.T) {
	s := newLoadStack(t, mixes["mixed"], nil)
	l := s.loader(t)
	l.loads(intoLines, "0,zero\n1,one\n")
	var before, after runtime.MemStats
	buf := make([]byte, 0, 64<<10)
	runtime.ReadMemStats(&before)
	l.begin(intoLines)
	tail := "," + strings.Repeat("x", 140)
	for id := range 100_000 {
		buf = append(append(strconv.AppendInt(buf, int64(id+2), 10), tail...), '\n')
		if len(buf) > 60_000 {
			check(t, l.WriteFileChunk(buf))
			buf = buf[:0]
		}
	}
	check(t, l.WriteFileChunk(buf))
	ok, err := l.end()
	runtime.ReadMemStats(&after)
	if err != nil || ok.Affected != 100_000 {
		t.Fatalf("%+v, %v", ok, err)
	}
	allocated := after.TotalAlloc - before.TotalAlloc
	t.Logf("%d bytes were allocated", allocated)
	if allocated > 1<<20 {
		t.Error("that is more than buffers")
	}
}

// TestLoadByClients loads through real clients, compressed and not, and with the driver of the tests.
func TestLoadByClients(t *testing.T) {
	t.Parallel()
	s := newLoadStack(t, mixes["mixed"], nil)
	path := dataFile(t, 20_000)
	cache, err := servers.CacheDir()
	check(t, err)
	host, port, _ := strings.Cut(s.addr, ":")
	program := filepath.Join(cache, "mysql-9.7", "bin", "mysql")
	for _, client := range [][]string{
		{program, "--get-server-public-key", "--local-infile=1"},
		{program, "--get-server-public-key", "--local-infile=1", "--compression-algorithms=zlib"},
		{program, "--get-server-public-key", "--local-infile=1", "--compression-algorithms=zstd"},
		{"mariadb", "--skip-ssl", "--local-infile=1"},
		{"mariadb", "--skip-ssl", "--local-infile=1", "--compress"},
	} {
		args := append(client[1:], "-h", host, "-P", port, "-u", "u", "-ppw", "-vvv", s.schema, "-e",
			"BEGIN; LOAD DATA LOCAL INFILE '"+path+"' INTO TABLE lines_ (id, v); SELECT 42; ROLLBACK")
		out, err := exec.Command(client[0], args...).CombinedOutput()
		if err != nil || !strings.Contains(string(out), "Records: 20000  Deleted: 0  Skipped: 0  Warnings: 0") || !strings.Contains(string(out), "| 42 |") {
			t.Errorf("%s: %v: %s", client, err, out)
		}
	}
	file, err := os.ReadFile(path)
	check(t, err)
	mysql.RegisterReaderHandler("lines", func() io.Reader { return strings.NewReader(string(file)) })
	defer mysql.DeregisterReaderHandler("lines")
	for _, params := range []string{"compress=false", "compress=true", "interpolateParams=false"} {
		c := s.conn(params)
		result := c.exec("BEGIN", "LOAD DATA LOCAL INFILE 'Reader::lines' INTO TABLE lines_ (id, v)")
		if n, err := result.RowsAffected(); err != nil || n != 20_000 {
			t.Errorf("%s: %d rows, %v", params, n, err)
		}
		if got := c.rows("SELECT LENGTH(v) FROM lines_ WHERE id IN (0, 1, 199, 19999)"); got != "0 1 199 199" {
			t.Errorf("%s: %s", params, got)
		}
		c.exec("ROLLBACK")
	}
	s.nothingLoaded()
}

// TestLoadAmongStatements: the text behind a LOAD DATA in the same packet is not overwritten by the file.
func TestLoadAmongStatements(t *testing.T) {
	t.Parallel()
	s := newLoadStack(t, mixes["mixed"], nil)
	for _, table := range []string{"lines_", "single"} {
		l := s.loader(t)
		check(t, l.SendCommand(wire.ComQuery, []byte("SELECT 1; LOAD DATA LOCAL INFILE 'f' INTO TABLE "+table+" FIELDS TERMINATED BY ',' (id, v); SELECT 'this is what was written';"+
			"LOAD DATA LOCAL INFILE 'f' INTO TABLE "+table+" FIELDS TERMINATED BY ',' (id, v); SELECT id FROM "+s.schema+"."+table+" WHERE id IN (1, 2)")))
		for i := range 5 {
			if i == 1 || i == 3 {
				name, err := l.ReadFileRequest()
				if err != nil || name != "f" {
					t.Fatalf("%q, %v", name, err)
				}
				check(t, l.WriteFileChunk([]byte(strings.Repeat("1,1\n2,2\n", 2000*i))))
				check(t, l.WriteFileChunk(nil))
			}
			r, err := l.ReadResult(1 << 20)
			if err != nil {
				t.Fatalf("%s: answer %d: %v", table, i, err)
			}
			if more := r.OK.Status&wire.StatusMoreResults != 0; more != (i < 4) {
				t.Errorf("answer %d: more %v", i, more)
			}
			if i == 2 && string(r.Values[0][0]) != "this is what was written" {
				t.Errorf("answer %d: %s", i, r.Values)
			}
			if i == 4 && len(r.Values) != 2 {
				t.Errorf("answer %d: %s", i, r.Values)
			}
		}
	}
}

// TestLoadUserVariables: afterwards they have the values of the last line, and nobody else sees them.
func TestLoadUserVariables(t *testing.T) {
	t.Parallel()
	s := newLoadStack(t, mixes["mixed"], func(c *config.Config) {
		for i := range c.Backends {
			c.Backends[i].PoolSize = 2
		}
	})
	for i := range s.servers {
		admin(t, s.servers[i], fmt.Sprintf("INSERT INTO %s.lines_ (id, v) VALUES (%d, 'there')", s.schema, 100+i))
	}
	const q = "LOAD DATA LOCAL INFILE 'f' INTO TABLE lines_ FIELDS TERMINATED BY ',' (id, @n) SET v = CONCAT(@n, COALESCE(@m, ''))"
	direct := s.direct[0]
	for _, before := range []string{"SELECT 1", "SET @m = '!', @n = 'old'"} {
		for _, begin := range []string{"SELECT 1", "BEGIN"} {
			l := s.loader(t)
			query(t, direct.Conn, "SET @m = NULL")
			for _, one := range []*loader{l, direct} {
				query(t, one.Conn, before)
				query(t, one.Conn, begin)
				one.loads(q, "1,one\n2,two\n3,three\n4,four\n")
				one.loads(q, "6,six\n5,five\n")
				one.loads(q, "")
			}
			if got, want := l.rows("SELECT @n, @m"), direct.rows("SELECT @n, @m"); got != want || !strings.HasPrefix(got, "five,") {
				t.Errorf("%s, %s: variables are %s, on a server %s", before, begin, got, want)
			}
			if got, want := l.rows("SELECT v FROM lines_ WHERE id IN (1, 2, 5, 6)"), direct.rows("SELECT v FROM lines_ WHERE id IN (1, 2, 5, 6)"); got != want {
				t.Errorf("%s, %s: %s, on a server %s", before, begin, got, want)
			}
			query(t, direct.Conn, "ROLLBACK")
			query(t, l.Conn, "ROLLBACK")
			for id := range 2 { // one free connection of each backend is left
				other := s.loader(t)
				got := other.rows(fmt.Sprintf("SELECT 'x', @n, @m, @@net_read_timeout FROM single WHERE id = %d UNION SELECT 'x', @n, @m, @@net_read_timeout", id))
				sharded := other.rows(fmt.Sprintf("SELECT 'x', @n, @m, @@net_read_timeout FROM lines_ WHERE id = %d", id+100))
				for _, got := range []string{got, sharded} {
					if want := "x,NULL,NULL," + direct.rows("SELECT @@GLOBAL.net_read_timeout"); got != want {
						t.Errorf("%s, %s: another client sees %s, want %s", before, begin, got, want)
					}
				}
			}
			check(t, l.Close())
			for i := range s.servers {
				waitFor(t, "the session has ended", func() bool { return s.backends[i].Stats().Open == s.backends[i].Stats().Free })
				admin(t, s.servers[i], "DELETE FROM "+s.schema+".lines_ WHERE id < 100")
			}
			query(t, direct.Conn, "DELETE FROM lines_")
		}
	}
}

// TestLoadRelayed: a table of one backend takes all that the server takes.
func TestLoadRelayed(t *testing.T) {
	t.Parallel()
	forLoads(t, func(t *testing.T, s *loadStack) {
		admin(t, s.servers[0], "ALTER TABLE "+s.schema+".single ADD UNIQUE (v)")
		database := s.direct[0].rows("SELECT DATABASE()")
		admin(t, s.servers[0], "CREATE TABLE "+database+".single LIKE "+s.schema+".single")
		l := s.loader(t)
		for _, c := range []struct{ q, file string }{
			{"INTO TABLE single (id, v)", "1\t1\n2\t2\n"},
			{"IGNORE INTO TABLE single (id, v)", "1\t5\n3\t3\n4\t3\n"},
			{"REPLACE INTO TABLE single (id, v)", "1\t5\n9\t5\n"},
			{"INTO TABLE single FIELDS TERMINATED BY ',' ENCLOSED BY '\"' LINES TERMINATED BY '\\r\\n' IGNORE 1 LINES (t, v)", "t,v\r\n\"a,\r\n\",10\r\nNULL,11\r\n"},
			{"INTO TABLE single (@a, @b) SET v = @a + @b, t = CONCAT(@a, '-', NOW() IS NULL)", "100\t1\n200\t2\n"},
			{"INTO TABLE single (v, @skip, t)", "300\tx\ty\textra\n301\n"},
			{"INTO TABLE single FIELDS TERMINATED BY '' (v)", "123        \n456        \n"},
			{"INTO TABLE single FIELDS TERMINATED BY 0x2c LINES TERMINATED BY '§' (v, t)", "500,a§501,b§"},
			{"INTO TABLE single CHARACTER SET latin1 (v, t)", "400\t\xe9\n"},
			{"INTO TABLE single (id, v, t)", ""},
		} {
			q := "LOAD DATA LOCAL INFILE 'any' " + c.q
			var got []string
			for _, one := range []*loader{l, s.direct[0]} {
				ok := one.loads(q, c.file)
				got = append(got, fmt.Sprintf("%d %d %d %s %s %s", ok.Affected, ok.InsertID, ok.Warnings, ok.Info, one.rows("SHOW WARNINGS"), one.rows("SELECT * FROM single")))
			}
			if got[0] != got[1] {
				t.Errorf("%s: through the proxy %s\ndirect %s", q, got[0], got[1])
			}
		}
		for _, one := range []*loader{l, s.direct[0]} {
			one.loads("LOAD DATA LOCAL INFILE 'any' INTO TABLE single (id, @x) SET v = @x", "77\t770\n78\t780\n")
		}
		if got, want := l.rows("SELECT @x"), s.direct[0].rows("SELECT @x"); got != want {
			t.Errorf("@x is %s, on a server %s", got, want)
		}
	})
}

// TestLoadEarlyAnswer: a server that stops reading amid the file, then answers, and does not close the connection, holds nobody up
// for longer than until its answer.
func TestLoadEarlyAnswer(t *testing.T) {
	t.Parallel()
	var f *faultyServer
	s := newLoadStack(t, mixes["mixed"], func(c *config.Config) {
		f = newFaultyServer(t, fmt.Sprintf("127.0.0.1:%d", c.Backends[1].Port))
		c.Backends[1].Port = f.Addr().(*net.TCPAddr).Port
	})
	for _, in := range []string{"SELECT 1", "BEGIN"} {
		for _, soon := range []bool{true, false} {
			l := s.loader(t)
			query(t, l.Conn, in)
			answer, thaw := f.strike()
			if soon {
				answer()
			}
			l.begin(intoLines)
			done, sent := s.flood(l, 200_000) // 30 MB, more than sockets hold
			if !soon {
				waitFor(t, "the client waits", func() bool { return sent.still() })
				answer()
			}
			check(t, <-done)
			_, err := l.end()
			var e *wire.Error
			if !errors.As(err, &e) || e.Errno != 1053 {
				t.Errorf("%s: %v", in, err)
			}
			thaw()
			s.nothingLoaded()
			l.loads(intoLines, "1,one\n2,two\n")
			if got := l.rows(everyLine); got != "1,one|2,two" {
				t.Errorf("afterwards: %s", got)
			}
			query(t, l.Conn, "DELETE FROM lines_ WHERE id IN (1, 2)")
		}
	}
}

// flood sends many lines, with ids from 2 on, from a goroutine of its own.
func (s *loadStack) flood(l *loader, n int) (done chan error, sent *progress) {
	done, sent = make(chan error, 1), &progress{}
	go func() {
		row, err := []byte(","+strings.Repeat("x", 150)+"\n"), error(nil)
		for id := 2; id < n+2 && err == nil; id++ {
			if err = l.WriteFileChunk(append(strconv.AppendInt(nil, int64(id), 10), row...)); err == nil {
				sent.lines.Store(int64(id))
			}
		}
		done <- err
	}()
	return done, sent
}

// progress is how far a flood has come.
type progress struct {
	lines atomic.Int64
	last  int64
}

// still reports whether nothing was sent since the last call.
func (p *progress) still() bool {
	was := p.last
	p.last = p.lines.Load()
	return p.last == was && was > 0
}

// faultyServer stands between the proxy and a server. After strike it stops reading a connection in the middle of the next file, and
// then answers with an error in the server's place.
type faultyServer struct {
	net.Listener
	server string

	mu    sync.Mutex
	fault *fault // nil: not to strike
}

type fault struct{ answer, thaw chan struct{} }

func newFaultyServer(t *testing.T, server string) *faultyServer {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	check(t, err)
	f := &faultyServer{Listener: ln, server: server}
	t.Cleanup(func() { check(t, ln.Close()) })
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			go f.pass(c)
		}
	}()
	return f
}

// strike makes it strike once: it answers after answer, and closes the connection after thaw.
func (f *faultyServer) strike() (answer, thaw func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	one := &fault{make(chan struct{}), make(chan struct{})}
	f.fault = one
	return sync.OnceFunc(func() { close(one.answer) }), sync.OnceFunc(func() { close(one.thaw) })
}

// strikes takes the strike.
func (f *faultyServer) strikes() *fault {
	f.mu.Lock()
	defer f.mu.Unlock()
	one := f.fault
	f.fault = nil
	return one
}

// pass relays one connection, packet by packet in the direction to the server.
func (f *faultyServer) pass(client net.Conn) {
	defer client.Close()
	server, err := net.Dial("tcp", f.server)
	if err != nil {
		return
	}
	defer server.Close()
	go io.Copy(client, server) // ends with the connections
	for {
		var h [4]byte
		if _, err := io.ReadFull(client, h[:]); err != nil {
			return
		}
		if h[3] == 10 { // only a file has so many packets
			if one := f.strikes(); one != nil {
				<-one.answer
				e := (&wire.Error{Errno: 1053, State: "08S01", Message: "Server shutdown in progress"}).Append(nil, wire.Protocol41)
				_, _ = client.Write(append([]byte{byte(len(e)), 0, 0, h[3]}, e...)) // the proxy may be gone
				<-one.thaw
				return
			}
		}
		if _, err := server.Write(h[:]); err != nil {
			return
		}
		if _, err := io.CopyN(server, client, int64(h[0])|int64(h[1])<<8|int64(h[2])<<16); err != nil {
			return
		}
	}
}
