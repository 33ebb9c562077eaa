package integration

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/xaproxy/xaproxy/backend"
	"github.com/xaproxy/xaproxy/config"
	"github.com/xaproxy/xaproxy/tests/servers"
	"github.com/xaproxy/xaproxy/tests/servers/servertest"
	"github.com/xaproxy/xaproxy/wire"
)

// impostor stands between xaproxy and a server. It lets everything through but commands with a comment of the form /*play x*/:
// these it answers itself, as the act of that name does.
type impostor struct {
	t      testing.TB
	target string
	addr   string
	ln     net.Listener
	links  sync.WaitGroup

	mu    sync.Mutex // protects following fields
	acts  map[string]act
	conns []net.Conn
}

// act answers a command: proxy is the connection to xaproxy, server that to the server, packet the command with its header.
type act func(proxy, server net.Conn, packet []byte)

func newImpostor(t testing.TB, target string) *impostor {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	check(t, err)
	i := &impostor{t: t, target: target, addr: ln.Addr().String(), ln: ln, acts: make(map[string]act)}
	i.links.Go(func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			i.links.Go(func() { i.serve(c) })
		}
	})
	t.Cleanup(i.close)
	return i
}

func (i *impostor) close() {
	i.ln.Close()
	i.mu.Lock()
	for _, c := range i.conns {
		c.Close()
	}
	i.mu.Unlock()
	i.links.Wait()
}

// play says how a command is answered.
func (i *impostor) play(name string, a act) {
	i.mu.Lock()
	i.acts[name] = a
	i.mu.Unlock()
}

var cue = regexp.MustCompile(`/\*play (\w+)\*/`)

func (i *impostor) act(packet []byte) act {
	m := cue.FindSubmatch(packet)
	if m == nil || packet[3] != 0 {
		return nil
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.acts[string(m[1])]
}

func (i *impostor) serve(proxy net.Conn) {
	defer proxy.Close()
	server, err := net.Dial("tcp", i.target)
	if err != nil {
		return // the server is down, and so it looks
	}
	defer server.Close()
	i.mu.Lock()
	i.conns = append(i.conns, proxy, server)
	i.mu.Unlock()
	i.links.Go(func() {
		_, _ = io.Copy(proxy, server)
		proxy.Close()
	})
	for {
		p := make([]byte, 4)
		if _, err := io.ReadFull(proxy, p); err != nil {
			return
		}
		p = append(p, make([]byte, int(p[0])|int(p[1])<<8|int(p[2])<<16)...)
		if _, err := io.ReadFull(proxy, p[4:]); err != nil {
			return
		}
		if a := i.act(p); a != nil {
			a(proxy, server, p)
		} else if _, err := server.Write(p); err != nil {
			return
		}
	}
}

// say writes bytes and then does nothing more: the connection stays open.
func say(b []byte) act {
	return func(proxy, _ net.Conn, _ []byte) { _, _ = proxy.Write(b) }
}

// sayAndGo writes bytes and closes the connection.
func sayAndGo(b []byte) act {
	return func(proxy, _ net.Conn, _ []byte) {
		_, _ = proxy.Write(b)
		proxy.Close()
	}
}

// packet is a packet with a header that says so.
func packet(seq byte, payload ...[]byte) []byte {
	p := bytes.Join(payload, nil)
	return append([]byte{byte(len(p)), byte(len(p) >> 8), byte(len(p) >> 16), seq}, p...)
}

var (
	okAnswer     = wire.OK{Status: wire.StatusAutocommit}.Append(nil, wire.DeprecateEOF)
	moreAnswer   = wire.OK{Status: wire.StatusAutocommit | wire.StatusMoreResults}.Append(nil, wire.DeprecateEOF)
	endAnswer    = wire.OK{Header: 0xfe, Status: wire.StatusAutocommit}.Append(nil, wire.DeprecateEOF)
	columnAnswer = wire.Column{Name: "v", Charset: 45, Type: wire.TypeVarString}.Append(nil)
	wholeAnswer  = bytes.Join([][]byte{
		packet(1, []byte{1}), packet(2, columnAnswer), packet(3, []byte("\x05first")), packet(4, []byte("\x06second")), packet(5, endAnswer),
	}, nil)
)

// newImposed is a stack whose first backend is reached by way of an impostor.
func newImposed(t *testing.T, change func(*config.Config)) (*stack, *impostor) {
	t.Helper()
	var i *impostor
	s := newStack(t, mixes["mixed"], func(c *config.Config) {
		i = newImpostor(t, fmt.Sprintf("127.0.0.1:%d", c.Backends[0].Port))
		fmt.Sscanf(i.addr, "127.0.0.1:%d", &c.Backends[0].Port)
		if change != nil {
			change(c)
		}
	})
	return s, i
}

// TestLyingServer: a server answers out of turn, malformed, out of order, or not to the end, and asks for the client's files.
// Its client hears of an error or loses its connection, soon, and nothing else: nobody else's statement on the same server, and
// nobody's on another one, is disturbed.
func TestLyingServer(t *testing.T) {
	t.Parallel()
	s, i := newImposed(t, func(c *config.Config) { c.Backends[0].PoolSize = 4 })
	s.raw().exec("INSERT INTO single (v) VALUES (1)", "INSERT INTO accounts (id, v) VALUES (1, 1)")
	const big = 1<<24 - 1
	acts := map[string]act{
		"empty":        say(packet(1)),
		"ok_cut":       say(packet(1, okAnswer[:3])),
		"eof_alone":    say(packet(1, []byte{0xfe})),
		"err_cut":      say(packet(1, []byte{0xff, 1})),
		"count_zero":   say(packet(1, []byte{0xfc, 0, 0})),
		"count_huge":   say(packet(1, []byte{0xfd, 0xff, 0xff, 0xff})),
		"count_cut":    say(packet(1, []byte{0xfd, 1})),
		"sequence":     say(packet(7, okAnswer)),
		"sequence_row": say(append(append(packet(1, []byte{1}), packet(2, columnAnswer)...), packet(9, []byte("\x05first"))...)),
		"row_empty":    say(append(append(packet(1, []byte{1}), packet(2, columnAnswer)...), packet(3)...)),
		"end_cut":      say(append(append(packet(1, []byte{1}), packet(2, columnAnswer)...), packet(3, []byte{0xfe, 0})...)),
		"two_answers":  say(append(packet(1, okAnswer), packet(1, okAnswer)...)),
		"gone":         sayAndGo(nil),
		"chunk":        sayAndGo(append([]byte{0xff, 0xff, 0xff, 1}, bytes.Repeat([]byte{1}, 1000)...)),
		"http":         say([]byte("HTTP/1.1 400 Bad Request\r\n\r\n")),
		"endless_rows": func(proxy, _ net.Conn, _ []byte) {
			_, _ = proxy.Write(append(packet(1, []byte{1}), packet(2, columnAnswer)...))
			row := bytes.Repeat([]byte("x"), 1<<16)
			for seq := byte(3); ; seq++ {
				if _, err := proxy.Write(packet(seq, []byte{0xfd, 0, 0, 1}, row)); err != nil {
					return
				}
			}
		},
		"endless_packet": func(proxy, _ net.Conn, _ []byte) {
			chunk := bytes.Repeat([]byte{0xff}, big)
			for seq := byte(1); ; seq++ {
				if _, err := proxy.Write(packet(seq, chunk)); err != nil {
					return
				}
			}
		},
		"endless_results": func(proxy, _ net.Conn, _ []byte) {
			for seq := byte(1); ; seq++ {
				if _, err := proxy.Write(packet(seq, moreAnswer)); err != nil {
					return
				}
			}
		},
	}
	for name, a := range acts {
		i.play(name, a)
	}
	beside := s.load(2, func(client int) []string {
		return [][]string{{"SELECT v FROM single"}, {"SELECT v FROM accounts WHERE id = 1"}}[client%2]
	})
	for name := range acts {
		for _, prepared := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/prepared %v", name, prepared), func(t *testing.T) {
				c := s.within(t).raw()
				defer c.Close()
				q := "SELECT /*play " + name + "*/ v FROM single"
				begun := time.Now()
				check(t, c.SetDeadline(begun.Add(20*time.Second)))
				var err error
				if prepared {
					err = c.SendCommand(wire.ComStmtPrepare, []byte(q))
					check(t, err)
					_, err = c.ReadPrepared()
				} else {
					_, err = c.ask(q)
				}
				var timeout net.Error
				switch {
				case errors.As(err, &timeout) && timeout.Timeout():
					t.Fatalf("no end after %s", time.Since(begun))
				case strings.HasPrefix(name, "endless") && !prepared: // the client has had enough, or is told
				case name == "two_answers" && !prepared && err == nil: // the first one is an answer
				case err == nil:
					t.Errorf("the answer was taken")
				case errno(err) == 1429 && !strings.Contains(err.Error(), "backend b0"):
					t.Errorf("the error does not name the backend: %v", err)
				case errno(err) == 1429: // the session goes on
					if got := c.mustAsk("SELECT v FROM single"); got != "1" {
						t.Errorf("afterwards: %s", got)
					}
				case errno(err) != 0 && name != "err_cut":
					t.Errorf("an error of nobody's: %v", err)
				}
			})
		}
	}
	beside.goesOn(t, 20)
	if errs, slowest := beside.end(); len(errs) > 0 || slowest > 3*time.Second {
		t.Errorf("clients beside it saw %v and waited up to %s", errs, slowest)
	}
	s.atRest()
	s.nothingPrepared()
}

// TestServerStopsAnywhere ends an answer after each of its bytes, and a large row in its middle. The client gets the rows that
// were whole and an error; where no error can stand, among column definitions and within a row, it loses its connection. It never
// waits.
func TestServerStopsAnywhere(t *testing.T) {
	t.Parallel()
	s, i := newImposed(t, nil)
	s.raw().exec("INSERT INTO single (v) VALUES (1)")
	var answer []byte
	i.play("cut", func(proxy, server net.Conn, p []byte) { sayAndGo(answer)(proxy, server, p) })
	try := func(where string, told bool) {
		t.Helper()
		c := s.raw()
		defer c.Close()
		check(t, c.SetDeadline(time.Now().Add(20*time.Second)))
		got, err := c.ask("SELECT /*play cut*/ v FROM single")
		var timeout net.Error
		switch {
		case err == nil || errors.As(err, &timeout) && timeout.Timeout() || told && errno(err) != 1429 || !told && errno(err) != 0:
			t.Errorf("%s: %q, %v", where, got, err)
		case told:
			c.exec("SELECT v FROM single")
		}
	}
	count, columns := len(packet(1, []byte{1})), len(packet(2, columnAnswer))
	for at := range wholeAnswer {
		answer = wholeAnswer[:at]
		try(fmt.Sprintf("after %d bytes", at), at < count || at >= count+columns)
	}
	answer = append(wholeAnswer[:count+columns:count+columns], packet(3, []byte{0xfd, 0, 0, 8}, bytes.Repeat([]byte("x"), 8<<16))[:1<<18]...)
	try("within a large row", false)
	answer = wholeAnswer
	if got, err := s.raw().ask("SELECT /*play cut*/ v FROM single"); err != nil || got != "first second" {
		t.Errorf("the whole answer: %q, %v", got, err) // or the test would show nothing
	}
	s.atRest()
}

// TestFilesAreNotStolen: a server asks for a file of the client's in answer to everything but LOAD DATA LOCAL. It gets an empty
// one, and the client never hears of it.
func TestFilesAreNotStolen(t *testing.T) {
	t.Parallel()
	s, i := newImposed(t, func(c *config.Config) { c.Tables = nil }) // or a procedure could not be called
	stolen := make(chan []byte, 10)
	more := wire.OK{Status: wire.StatusAutocommit | wire.StatusMoreResults}.Append(nil, wire.DeprecateEOF)
	i.play("steal", func(proxy, _ net.Conn, p []byte) {
		seq := byte(1)
		if bytes.Contains(p, []byte("DO LAST_INSERT_ID")) { // what goes before a procedure is answered by itself
			_, _ = proxy.Write(packet(seq, more))
			seq++
		}
		_, _ = proxy.Write(packet(seq, []byte("\xfb/etc/passwd")))
		head := make([]byte, 4)
		if _, err := io.ReadFull(proxy, head); err != nil {
			stolen <- []byte(err.Error())
			return
		}
		head[3] -= seq - 1
		stolen <- head
		_, _ = proxy.Write(packet(seq+2, okAnswer))
	})
	admin(t, s.servers[0], "CREATE PROCEDURE "+s.schema+".p(x INT) BEGIN END")
	c := s.rawAs(wire.Dialer{User: "u", Password: "pw", Schema: s.schema, Caps: wire.LocalFiles})
	for _, q := range []string{
		"SELECT /*play steal*/ v FROM single", "UPDATE /*play steal*/ single SET v = 1", "CALL /*play steal*/ p(1)",
		"SELECT 'LOAD DATA LOCAL INFILE' /*play steal*/ FROM single", "DO /*play steal*/ 1", "SHOW /*play steal*/ TABLES",
		"SELECT /*play steal*/ 'a'; SELECT 1",
	} {
		if strings.Contains(q, ";") {
			c.SetMultiStatements(true)
		}
		check(t, c.SendQuery(nil, []byte(q)))
		if p, err := c.ReadPacket(); err != nil || p[0] != 0 {
			t.Fatalf("%s: the client got %q, %v", q, p, err)
		}
		if got := soon(t, q, 10*time.Second, stolen); !bytes.Equal(got, []byte{0, 0, 0, 2}) {
			t.Errorf("%s: the server got %q", q, got)
		}
		if strings.Contains(q, ";") {
			_, err := c.answer()
			check(t, err)
		}
	}
	c.exec("SELECT 1")
	s.atRest()
}

// TestKillBeforeStatement: a KILL QUERY reaches the server before the statement does, which makes the server forget it. The
// statement is ended all the same.
func TestKillBeforeStatement(t *testing.T) {
	t.Parallel()
	s, i := newImposed(t, nil)
	arrived, goOn := make(chan struct{}), make(chan struct{})
	i.play("wait", func(_, server net.Conn, p []byte) {
		close(arrived)
		<-goOn
		_, _ = server.Write(p)
	})
	victim, killer := s.raw(), s.raw()
	victim.exec("INSERT INTO single (v) VALUES (1)")
	answer := later(func() error { _, err := victim.ask("UPDATE single /*play wait*/ SET v = SLEEP(100)"); return err })
	soon(t, "the statement", 10*time.Second, arrived)
	killer.exec(fmt.Sprintf("KILL QUERY %d", victim.id))
	close(goOn)
	if err := soon(t, "a statement that was killed before it ran", 10*time.Second, answer); errno(err) != 1317 {
		t.Errorf("answered with %v", err)
	}
	victim.exec("UPDATE single SET v = 2")
	s.atRest()
}

// TestKillBeforeCommit: a statement of several backends is killed and no server notices. It is not committed on any.
func TestKillBeforeCommit(t *testing.T) {
	t.Parallel()
	s, i := newImposed(t, nil)
	s.raw().exec("INSERT INTO accounts (id, v) VALUES (1, 0), (2, 0)")
	for _, kill := range []string{"KILL QUERY", "KILL"} {
		arrived, goOn := make(chan struct{}), make(chan struct{})
		i.play("early", func(_, server net.Conn, p []byte) { // the server forgets a KILL that comes before the statement
			close(arrived)
			<-goOn
			_, _ = server.Write(p)
		})
		victim := s.raw()
		answer := later(func() error {
			_, err := victim.ask("UPDATE accounts /*play early*/ SET v = v + 1 WHERE id IN (1, 2)")
			return err
		})
		soon(t, "the statement", 10*time.Second, arrived)
		s.raw().exec(fmt.Sprintf("%s %d", kill, victim.id))
		close(goOn)
		err := soon(t, "a statement that was killed before it ran", 10*time.Second, answer)
		if kill == "KILL QUERY" && errno(err) != 1317 || err == nil {
			t.Errorf("%s: answered with %v", kill, err)
		}
		if kill == "KILL QUERY" {
			victim.exec("DO 1")
		}
		until(t, "nothing runs", func() bool { return s.busy(0) == 0 && s.busy(1) == 0 })
		if got := s.raw().mustAsk("SELECT v FROM accounts"); got != "0 0" {
			t.Errorf("%s: the rows are %s", kill, got)
		}
	}
	s.atRest()
}

// TestLyingServerAtLogin: a server asks for the password in clear, or for other things that would give it away. It gets nothing.
func TestLyingServerAtLogin(t *testing.T) {
	t.Parallel()
	const password = "backend-secret"
	real := servertest.Get(t, servers.MySQL)
	for name, ask := range map[string][]byte{
		"clear password": []byte("mysql_clear_password\x00"),
		"clear, salted":  []byte("mysql_clear_password\x00aaaaaaaaaaaaaaaaaaaa\x00"),
		"dialog":         []byte("dialog\x00\x04Password: \x00"),
		"old password":   {},
	} {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		check(t, err)
		defer ln.Close()
		heard := make(chan []byte, 1)
		go func() {
			proxy, err := ln.Accept()
			if err != nil {
				return
			}
			defer proxy.Close()
			server, err := net.Dial("tcp", real.Addr())
			if err != nil {
				return
			}
			defer server.Close()
			greeting := make([]byte, 4096)
			n, _ := server.Read(greeting)
			_, _ = proxy.Write(greeting[:n])
			login := make([]byte, 4096)
			n, _ = proxy.Read(login)
			_, _ = proxy.Write(packet(2, []byte{0xfe}, ask))
			rest, _ := io.ReadAll(proxy)
			heard <- append(login[:n], rest...)
		}()
		b := config.DefaultBackend(config.MySQL)
		b.Name, b.User, b.Password = "b", "x", password
		fmt.Sscanf(ln.Addr().String(), "127.0.0.1:%d", &b.Port)
		open, err := backend.Open(alone(b), 0)
		check(t, err)
		open.Ready(backend.Facts{})
		if _, err := open.Get(t.Context(), &backend.Session{}, nil); errno(err) != 1429 || strings.Contains(err.Error(), password) {
			t.Errorf("%s: %v", name, err)
		}
		open.Close()
		if got := soon(t, "the end of the login", 10*time.Second, heard); bytes.Contains(got, []byte(password)) {
			t.Errorf("%s: the server was told the password: %q", name, got)
		}
	}
}

// TestTooLargeFromServer: a value that is larger than xaproxy takes where it has to read it itself does not confuse the
// connection, which the next client gets or does not get.
func TestTooLargeFromServer(t *testing.T) {
	t.Parallel()
	for name, kind := range map[string]servers.Kind{"mariadb": servers.MariaDB, "mysql": servers.MySQL} {
		t.Run(name, func(t *testing.T) {
			s := newStack(t, []servers.Kind{kind}, func(c *config.Config) {
				c.Server.MaxPacket, c.Backends[0].PoolSize = config.MiB, 1
			})
			a, b := s.raw(), s.raw()
			_, err := a.ask("SET @x = REPEAT('a', 2000000)")
			if err == nil || !strings.Contains(err.Error(), "b0") {
				t.Errorf("a variable of 2 MB: %v", err)
			}
			for range 3 {
				if got := b.mustAsk("SELECT 1 + 1, @x"); got != "2,NULL" {
					t.Errorf("another client: %.50s", got)
				}
				if got := a.mustAsk("SELECT 2 + 2, @x"); got != "4,NULL" {
					t.Errorf("the client itself: %.50s", got)
				}
			}
			if got := a.mustAsk("SELECT REPEAT('a', 2000000)"); len(got) != 2000000 { // rows are passed on, however large
				t.Errorf("a row of %d bytes", len(got))
			}
		})
	}
}
