package integration

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/xaproxy/xaproxy/config"
	"github.com/xaproxy/xaproxy/router"
	"github.com/xaproxy/xaproxy/tests/servers"
	"github.com/xaproxy/xaproxy/tests/servers/servertest"
	"github.com/xaproxy/xaproxy/wire"
)

// quoted writes a string as a literal of SQL.
func quoted(s string) string {
	r := strings.NewReplacer(`\`, `\\`, `'`, `\'`, "\n", `\n`, "\r", `\r`, "\t", `\t`)
	return "'" + r.Replace(s) + "'"
}

// fileFormat is how the files of a LOAD DATA are written.
type fileFormat struct {
	fields, enclosed, escaped, starting, lines string
	ignore                                     int
	charset                                    string
}

func (f fileFormat) String() string {
	s := "CHARACTER SET " + f.charset + " FIELDS TERMINATED BY " + quoted(f.fields) + " ENCLOSED BY " + quoted(f.enclosed) + " ESCAPED BY " + quoted(f.escaped) +
		" LINES STARTING BY " + quoted(f.starting) + " TERMINATED BY " + quoted(f.lines)
	if f.ignore > 0 {
		s += fmt.Sprintf(" IGNORE %d LINES", f.ignore)
	}
	return s
}

func one(r *rand.Rand, of ...string) string { return of[r.IntN(len(of))] }

// randomFormat returns one of the many forms of LOAD DATA, sensible or not.
func randomFormat(r *rand.Rand) fileFormat {
	f := fileFormat{
		fields: one(r, ",", ",", "\t", "||", "ab", `","`, "x", `"`, `,"`), enclosed: one(r, "", `"`, `"`, "'", ","), escaped: one(r, `\`, `\`, "", `"`, "^", "x", "'", "N"),
		starting: one(r, "", "", "", ">>", "xyx", "\n>", `"`), lines: one(r, "\n", "\n", "\r\n", ",\n", "\n\n", "aab", "|", `"\n`, `""`),
		charset: one(r, "binary", "latin1", "utf8mb4", "ujis", "euckr"),
	}
	if f.fields == f.lines {
		f.lines = "\n"
	}
	if strings.ContainsAny(f.fields+f.enclosed+f.escaped+f.starting+f.lines, "abnxyN") && f.charset == "euckr" {
		f.charset = "gb2312"
	}
	if r.IntN(3) == 0 {
		f.ignore = r.IntN(4)
	}
	return f
}

// randomFile returns a file in which all that matters to a format is often met, at right and at wrong places; valid: in which
// every byte belongs to a character.
func randomFile(r *rand.Rand, f fileFormat, valid bool) []byte {
	var b []byte
	for range r.IntN(60) {
		b = append(b, one(r, f.fields, f.fields, f.enclosed, f.enclosed, f.escaped, f.starting+"x", f.starting, f.lines, f.lines,
			f.enclosed+f.fields+f.enclosed, f.enclosed+f.lines+f.enclosed, f.enclosed+"y"+f.enclosed, f.fields[:1], f.lines[:1], f.escaped+"N", f.escaped+"N"+f.fields,
			f.fields+"NULL"+f.fields, f.lines+"NULL"+f.fields, "NULL", "N", "n", "x", "y", "a", "b", "5", "0", " ", `"`, "\x00")...)
		switch {
		case valid && f.charset == "utf8mb4":
			b = append(b, one(r, "é", "", "", "")...)
		case !valid && r.IntN(4) == 0:
			b = append(b, byte(0x80+r.IntN(0x80)))
		}
	}
	return b
}

// cutKeys cuts a file and returns the keys of the lines that are kept, and what a backend would be sent of them.
func cutKeys(l *router.Load, file []byte, keep func(line uint64) bool) (keys []string, text []byte) {
	cutter := l.Cutter()
	for {
		piece, ok := cutter.Next(file, true)
		if !ok {
			return keys, text
		}
		file = file[piece.Size:]
		if piece.For == router.ForKey {
			if !keep(piece.Line) {
				continue
			}
			key := "missing"
			if !piece.Missing {
				key = valueText(piece.Key)
			}
			keys = append(keys, key)
		}
		text = append(text, piece.Text...)
	}
}

func valueText(value []byte) string {
	if value == nil {
		return "NULL"
	}
	return fmt.Sprintf("%q", value)
}

// TestLoadCutLikeServers compares the cutter with both servers: random files in random forms are loaded into a table of three
// columns, and every row of it must be a line that the cutter sees, whichever of the columns is the shard key. The same must
// be true of every other line alone, as it is sent to a backend; and that of files in which some characters are none, which servers
// skip in ways of their own.
func TestLoadCutLikeServers(t *testing.T) {
	t.Parallel()
	cfg := &config.Config{Backends: []config.Backend{{Name: "x"}, {Name: "y"}}, Schemas: []config.Schema{{Name: "s", Backend: "x"}}}
	for _, column := range []string{"a", "b", "c"} {
		cfg.Tables = append(cfg.Tables, config.Table{Schema: "s", Name: "t" + column, Column: column, Function: "hash", Backends: []string{"x", "y"}})
	}
	plans, err := router.New(cfg)
	check(t, err)
	for _, kind := range []servers.Kind{servers.MariaDB, servers.MySQL} {
		t.Run(string(kind), func(t *testing.T) {
			s := servertest.Get(t, kind)
			localFiles(t, s)
			l := newLoader(t, wire.Dialer{Addr: s.Addr(), User: s.User, Password: s.Password, Schema: servertest.Database(t, s)})
			query(t, l.Conn, "CREATE TABLE f (n INT AUTO_INCREMENT PRIMARY KEY, a VARBINARY(600) DEFAULT 'd', b VARBINARY(600) DEFAULT 'd', c VARBINARY(600) DEFAULT 'd') ENGINE=MEMORY")
			load := func(form string, file []byte) ([][][]byte, error) {
				query(t, l.Conn, "DELETE FROM f")
				l.begin("LOAD DATA LOCAL INFILE 'any' INTO TABLE f " + form)
				if len(file) > 0 {
					check(t, l.WriteFileChunk(file))
				}
				if _, err := l.end(); err != nil {
					return nil, err
				}
				return query(t, l.Conn, "SELECT a, b, c FROM f ORDER BY n").Values, nil
			}
			// read returns the columns of the table: a field that is not there is empty in a column and NULL in a variable.
			read := func(format fileFormat, file []byte) (fields [3][]string, err error) {
				columns, err := load(format.String()+" (a, b, c)", file)
				if err != nil {
					return fields, err
				}
				v := format.charset // MySQL takes a variable to be in the character set that it was in before
				variables, err := load(fmt.Sprintf("%s (@a_%s, @b_%s, @c_%s) SET a = @a_%s, b = @b_%s, c = @c_%s", format, v, v, v, v, v, v), file)
				if err != nil {
					return fields, err
				}
				for n, row := range columns {
					for i, v := range row {
						text := valueText(v)
						if v != nil && variables[n][i] == nil {
							text = "missing"
						}
						fields[i] = append(fields[i], text)
					}
				}
				return fields, nil
			}
			compared, invalid := 0, 0
			compare := func(seed uint64, format fileFormat, file []byte, keep func(uint64) bool) {
				t.Helper()
				var keys [3][]string
				sent := file
				for i, column := range []string{"a", "b", "c"} {
					p, err := plans.Plan([]byte("LOAD DATA LOCAL INFILE 'any' INTO TABLE t"+column+" "+format.String()+" (a, b, c)"), "s", 0)
					if err != nil {
						t.Fatalf("%s: %v", format, err)
					}
					if keep == nil {
						keys[i], _ = cutKeys(p.Load, file, func(uint64) bool { return true })
					} else {
						keys[i], sent = cutKeys(p.Load, file, keep)
					}
				}
				want, err := read(format, sent)
				var e *wire.Error
				if keep != nil && errors.As(err, &e) && e.Errno == 1300 { // invalid character string
					invalid++
					return
				}
				if err != nil {
					t.Fatalf("seed %d: %s\nfile %q\nsent %q\n%v", seed, format, file, sent, err)
				}
				compared += len(want[0])
				for i := range keys {
					same := len(keys[i]) == len(want[i])
					for n := 0; same && n < len(want[i]); n++ {
						same = keys[i][n] == want[i][n] || keep != nil && strings.Contains(keys[i][n], `\x`) // no key that is not ASCII is accepted
					}
					if !same {
						t.Fatalf("seed %d: %s\nfile %q\nsent %q\ncolumn %d by the cutter: %q\nby the server: %q", seed, format, file, sent, i, keys[i], want[i])
					}
				}
			}
			for seed := range uint64(800) {
				r := rand.New(rand.NewPCG(seed, 1))
				format := randomFormat(r)
				compare(seed, format, randomFile(r, format, true), nil)
				compare(seed, format, randomFile(r, format, seed%2 == 0), func(line uint64) bool { return line%2 == 0 })
			}
			if compared < 2000 || invalid > 400 {
				t.Errorf("%d rows were compared, %d files not accepted", compared, invalid)
			}
		})
	}
}

// loader is a client that serves files.
type loader struct {
	t testing.TB
	*wire.Conn
	asked []string // names of files
}

// newLoader connects to a proxy or a server.
func newLoader(t testing.TB, d wire.Dialer) *loader {
	t.Helper()
	d.Caps |= wire.LocalFiles
	d.Timeout = time.Minute
	c, _, err := d.Dial(t.Context())
	check(t, err)
	t.Cleanup(func() { c.Close() })
	return &loader{t: t, Conn: c}
}

func (s *stack) loader(t testing.TB, caps ...wire.Capability) *loader {
	t.Helper()
	d := wire.Dialer{Addr: s.addr, User: "u", Password: "pw", Schema: s.schema}
	for _, c := range caps {
		d.Caps |= c
	}
	return newLoader(t, d)
}

// begin sends a statement that must ask for a file.
func (l *loader) begin(q string) {
	l.t.Helper()
	check(l.t, l.SendCommand(wire.ComQuery, []byte(q)))
	name, err := l.ReadFileRequest()
	if err != nil {
		l.t.Fatalf("%s: %v", q, err)
	}
	l.asked = append(l.asked, name)
}

// end ends the file and reads the answer.
func (l *loader) end() (wire.OK, error) {
	l.t.Helper()
	check(l.t, l.WriteFileChunk(nil))
	r, err := l.ReadResult(1 << 20)
	return r.OK, err
}

// load runs a statement that must ask for a file, and sends it in packets of many sizes.
func (l *loader) load(q, file string) (wire.OK, error) {
	l.t.Helper()
	l.begin(q)
	for r := rand.New(rand.NewPCG(1, uint64(len(file)))); len(file) > 0; {
		n := min(len(file), 1+r.IntN(20+len(file)/50))
		check(l.t, l.WriteFileChunk([]byte(file[:n])))
		file = file[n:]
	}
	return l.end()
}

// loads is load for one that must succeed.
func (l *loader) loads(q, file string) wire.OK {
	l.t.Helper()
	ok, err := l.load(q, file)
	if err != nil {
		l.t.Fatalf("%s: %v", q, err)
	}
	return ok
}

// refused is load for one that must fail.
func (l *loader) refused(errno uint16, q, file string) string {
	l.t.Helper()
	_, err := l.load(q, file)
	var e *wire.Error
	if !errors.As(err, &e) || e.Errno != errno {
		l.t.Fatalf("%s: want error %d, got %v", q, errno, err)
	}
	return e.Message
}

// rows returns the sorted rows of a query, columns separated by commas and rows by bars.
func (l *loader) rows(q string) string {
	l.t.Helper()
	var all []string
	for _, row := range query(l.t, l.Conn, q).Values {
		var values []string
		for _, v := range row {
			if v == nil {
				v = []byte("NULL")
			}
			values = append(values, string(v))
		}
		all = append(all, strings.Join(values, ","))
	}
	slices.Sort(all)
	return strings.Join(all, "|")
}

const linesTable = " (id INT NOT NULL PRIMARY KEY, v VARCHAR(200), d DATE, u INT UNIQUE) CHARACTER SET utf8mb4"

// loadStack has two servers with the table "lines" sharded by id, and a reference on each server that is loaded directly.
type loadStack struct {
	*stack
	direct []*loader
}

func newLoadStack(t *testing.T, kinds []servers.Kind, change func(*config.Config)) *loadStack {
	t.Helper()
	for _, k := range kinds {
		localFiles(t, servertest.Get(t, k))
	}
	s := &loadStack{stack: newStack(t, kinds, func(c *config.Config) {
		one := c.Tables[0]
		one.Name, one.Column = "lines_", "id"
		c.Tables = append(c.Tables, one)
		if change != nil {
			change(c)
		}
	})}
	for _, server := range s.servers {
		admin(t, server, "CREATE TABLE "+s.schema+".lines_"+linesTable)
		database := servertest.Database(t, server)
		admin(t, server, "CREATE TABLE "+database+".lines_"+linesTable)
		s.direct = append(s.direct, newLoader(t, wire.Dialer{Addr: server.Addr(), User: server.User, Password: server.Password, Schema: database}))
	}
	return s
}

// TestLoadSharded loads files of many forms through the proxy and into each server directly: the answers are the same and so
// are the rows, each of which is on the backend of its key.
func TestLoadSharded(t *testing.T) {
	t.Parallel()
	csv := ` FIELDS TERMINATED BY ',' OPTIONALLY ENCLOSED BY '"' `
	cases := []struct{ name, before, after, file string }{
		{"plain", "", "(id, v)", "1\tone\n2\ttwo\n3\t\\N\n4\tfour\n"},
		{"no last line end", "", "(id, v)", "1\tone\n2\ttwo"},
		{"empty", "", "(id, v)", ""},
		{"key in the middle", "", "(v, id, d)", "one\t1\t2020-02-29\ntwo\t2\t2020-03-01\n"},
		{"enclosed", "", csv + "(id, v)", "1,\"a,b\"\n\"2\",\"line\none\"\n3,\"a \"\"quote\"\"\"\n4,un\"quoted\n5,NULL\n\"6\",\"NULL\"\n7,\"\"\n8,\"x\""},
		{"escapes", "", "(id, v)", "1\ta\\tb\n2\ta\\\nb\n\\3\ta\\\\\n4\ta\\\tb\\0\\Z\n"},
		{"no escape", "", "FIELDS TERMINATED BY ',' ESCAPED BY '' (id, v)", "1,a\\\n2,b\\\n"},
		{"quotes escape", "", "FIELDS TERMINATED BY ',' ENCLOSED BY '\"' ESCAPED BY '\"' (id, v)", "1,\"a\"\"b\"\n\"2\",\"c\"\n"},
		{"windows", "", csv + `LINES TERMINATED BY '\r\n' IGNORE 1 LINES (id, v)`, "id,\"v\"\r\n1,one\r\n2,\"t\r\nwo\"\r\n3,\r\n"},
		{"prefix", "", "FIELDS TERMINATED BY ',' LINES STARTING BY '>>' (id, v)", ">>1,one\nnothing,\n >>2,two\n>>3\nx>>4,four\n5,five"},
		{"ignored lines", "", "IGNORE 3 LINES (id, v)", "x\n\\\n\ny\tz\n1\tone\n2\ttwo\n"},
		{"all lines ignored", "", "IGNORE 3 LINES (id, v)", "1\tone\n2\ttwo\n"},
		{"too many fields", "", csv + "(id, v)", "1,one,more,\"and\n2,two\n3,three,\n"},
		{"too few fields", "", "(id, v, d)", "1\tone\n2\n3\tthree\t2020-01-01\n"},
		{"bad values", "", "(id, v, d)", "1\tone\tnever\n2\ttwo\t2020-01-01\n3\tthree\t\n"},
		{"duplicates", "", "(id, v)", "1\tone\n2\ttwo\n1\tagain\n4\tfour\n4\tagain\n10\tother\n"},
		{"ignore", "IGNORE", "(id, v)", "1\tone\n1\tagain\n10\tother\n2\ttwo\n"},
		{"replace", "REPLACE", "(id, v)", "1\tone\n1\tagain\n10\tother\n2\ttwo\n2\tmore\n"},
		{"computed", "", "(@a, id, @b) SET v = CONCAT(@b, '/', UPPER(@a)), d = '2020-01-01', u = id", "one\t1\tx\ntwo\t2\t\\N\n"},
		{"latin1", "", "CHARACTER SET latin1 (id, v)", "1\tGr\xf6\xdfe\n2\t\xe9"},
		{"utf8", "", "CHARACTER SET utf8mb4 FIELDS TERMINATED BY '||' LINES TERMINATED BY 'eol' (v, id)", "Größe||1eolé|x||2eol日本語||3eol"},
		{"binary", "", "CHARACTER SET binary (id, v)", "1\ta\x00b\n2\tc\n"},
	}
	forLoads(t, func(t *testing.T, s *loadStack) {
		for _, c := range cases {
			t.Run(c.name, func(t *testing.T) {
				q := "LOAD DATA LOCAL INFILE '/any/file' " + c.before + " INTO TABLE lines_ " + c.after
				l := s.loader(t)
				var got []string
				for _, one := range append([]*loader{l}, s.direct...) {
					if one == l {
						query(t, one.Conn, "DELETE FROM lines_ WHERE id IN (0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10)")
					} else {
						query(t, one.Conn, "DELETE FROM lines_")
					}
					query(t, one.Conn, "INSERT INTO lines_ (id, v) VALUES (10, 'ten')")
					ok := one.loads(q, c.file)
					got = append(got, fmt.Sprintf("%d affected, %d warnings, %s\n%s", ok.Affected, ok.Warnings, ok.Info,
						one.rows("SELECT id, v, d, u FROM lines_ WHERE id IN (0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10)")))
				}
				if got[0] != got[1] || got[0] != got[2] {
					t.Errorf("through the proxy: %s\non %s: %s\non %s: %s", got[0], s.servers[0].Kind, got[1], s.servers[1].Kind, got[2])
				}
				if got := s.on(0, "SELECT COUNT(*) FROM SCHEMA.lines_ WHERE id % 2 <> 0") + s.on(1, "SELECT COUNT(*) FROM SCHEMA.lines_ WHERE id % 2 <> 1"); got != "00" {
					t.Errorf("rows on the wrong backend: %s", got)
				}
				if got := strings.Join(l.asked, " "); got != "/any/file" {
					t.Errorf("the client was asked for %q", got)
				}
			})
		}
		s.nothingPrepared()
	})
}

// forLoads runs a test over each mix.
func forLoads(t *testing.T, test func(t *testing.T, s *loadStack)) {
	for name, kinds := range mixes {
		if kinds[0] != kinds[1] {
			t.Run(name, func(t *testing.T) { test(t, newLoadStack(t, kinds, nil)) })
		}
	}
}

const intoLines = "LOAD DATA LOCAL INFILE 'f' INTO TABLE lines_ FIELDS TERMINATED BY ',' (id, v)"

// everyLine is the table through the proxy.
const everyLine = "SELECT id, v FROM lines_ WHERE id IN (0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10)"

// TestLoadInTransaction: the rows belong to the client's transaction, and a failed load leaves the rest of it.
func TestLoadInTransaction(t *testing.T) {
	t.Parallel()
	forLoads(t, func(t *testing.T, s *loadStack) {
		l, other := s.loader(t), s.loader(t)
		query(t, l.Conn, "BEGIN")
		query(t, l.Conn, "INSERT INTO lines_ (id, v) VALUES (2, 'before')")
		query(t, l.Conn, "SAVEPOINT first")
		if ok := l.loads(intoLines, "1,one\n2,two\n3,three\n4,four\n"); ok.Affected != 3 || ok.Info != "Records: 4  Deleted: 0  Skipped: 1  Warnings: 1" || ok.Warnings != 1 || ok.Status&wire.StatusInTrans == 0 {
			t.Errorf("in a transaction: %+v", ok)
		}
		if got := l.rows("SHOW WARNINGS"); !strings.HasPrefix(got, "Warning,1062,") {
			t.Errorf("warnings: %s", got)
		}
		if got := l.rows(everyLine) + " " + other.rows(everyLine); got != "1,one|2,before|3,three|4,four " {
			t.Errorf("seen inside and outside: %s", got)
		}
		// Long enough that the servers have rows when the bad line comes.
		long := strings.Repeat("5,five"+strings.Repeat(".", 150)+"\n6,six"+strings.Repeat(".", 150)+"\n", 500)
		for file, why := range map[string]string{
			long + "1x,seven\n8,eight\n": "line 1001 of the file, field 1: ",
			"5,five\n\n6,six":            "line 2 of the file, field 1: ",
		} {
			if got := l.refused(1235, intoLines, file); !strings.HasPrefix(got, why) {
				t.Errorf("refused: %s", got)
			}
		}
		if got := l.rows(everyLine); got != "1,one|2,before|3,three|4,four" {
			t.Errorf("after a failed load: %s", got)
		}
		for _, v := range query(t, l.Conn, "SELECT @@net_read_timeout").Values[0] {
			if string(v) != s.direct[0].rows("SELECT @@net_read_timeout") {
				t.Errorf("net_read_timeout became %s", v)
			}
		}
		l.loads(intoLines, "5,five\n6,six\n")
		query(t, l.Conn, "ROLLBACK TO first")
		l.loads(intoLines, "7,seven\n8,eight\n")
		query(t, l.Conn, "COMMIT")
		if got := other.rows(everyLine); got != "2,before|7,seven|8,eight" {
			t.Errorf("committed: %s", got)
		}
		query(t, l.Conn, "SET autocommit = 0")
		l.loads(intoLines, "1,one\n4,four\n")
		query(t, l.Conn, "ROLLBACK")
		l.loads(intoLines, "3,three\n6,six\n")
		query(t, l.Conn, "COMMIT")
		l.loads(intoLines, "9,nine\n10,ten\n")
		query(t, l.Conn, "SET autocommit = 1")
		if got := other.rows(everyLine); got != "10,ten|2,before|3,three|6,six|7,seven|8,eight|9,nine" {
			t.Errorf("without autocommit: %s", got)
		}
		other.loads(intoLines, "2,two\n3,three\n")
		if got := other.rows("SHOW WARNINGS"); strings.Count(got, "Warning,1062,") != 2 {
			t.Errorf("warnings of both backends, after the transaction: %s", got)
		}
		s.nothingPrepared()
	})
}

// TestLoadRefusedKeys: outside of a transaction nothing of a file with a bad key is loaded, and the session goes on.
func TestLoadRefusedKeys(t *testing.T) {
	t.Parallel()
	s := newLoadStack(t, mixes["mixed"], func(c *config.Config) { c.Server.MaxPacket = 1 << 20 })
	l := s.loader(t)
	big := strings.Repeat("12,many\n", 20_000)
	for _, c := range []struct {
		errno          uint16
		q, file, wants string
	}{
		{1235, intoLines, "1,one\n2,two\n\\N,null\n", "line 3 of the file, field 1: the value of the shard key id of " + s.schema + ".lines_ is NULL; nothing was loaded; correct the file"},
		{1235, "LOAD DATA LOCAL INFILE 'f' INTO TABLE lines_ IGNORE 1 LINES (v, id)", "v\tid\none\t1\ntwo\n", "line 3 of the file, field 2: the line ends before the shard key id"},
		{1235, intoLines, big + "1.5,x\n" + big, "line 20001 of the file, field 1: the value of the shard key id"},
		{1153, intoLines, "1,one\n" + strings.Repeat("x", 1<<21), "line 2 of the file is longer than max_packet = 1048576 bytes"},
		{1153, intoLines, "1,one\n2,\\" + strings.Repeat("x", 1<<21), "line 2 of the file is longer than max_packet"},
	} {
		l.begin(c.q)
		for rest := []byte(c.file); len(rest) > 0; {
			n := min(len(rest), 50_000)
			check(t, l.WriteFileChunk(rest[:n]))
			rest = rest[n:]
		}
		_, err := l.end()
		var e *wire.Error
		if !errors.As(err, &e) || e.Errno != c.errno || !strings.HasPrefix(e.Message, c.wants) {
			t.Errorf("want %d %s, got %v", c.errno, c.wants, err)
		}
		if got := l.rows("SELECT COUNT(*) FROM single") + s.on(0, "SELECT COUNT(*) FROM SCHEMA.lines_") + s.on(1, "SELECT COUNT(*) FROM SCHEMA.lines_"); got != "000" {
			t.Errorf("%s: something was loaded: %s", c.wants, got)
		}
	}
	l.loads(intoLines, strings.Repeat("\n", 0)+"1,one\n2,"+strings.Repeat("x", 100)+"\n")
	s.nothingPrepared()
}

// TestLoadFailsOnOneBackend: whatever a backend says against the statement is the answer, and nothing stays on the other.
func TestLoadFailsOnOneBackend(t *testing.T) {
	forLoads(t, func(t *testing.T, s *loadStack) {
		l := s.loader(t)
		before := func(what string) (uint16, error) {
			t.Helper()
			check(t, l.SendCommand(wire.ComQuery, []byte(intoLines)))
			name, err := l.ReadFileRequest()
			var e *wire.Error
			if !errors.As(err, &e) {
				t.Fatalf("%s: the client was asked for %q, %v", what, name, err)
			}
			return e.Errno, err
		}
		for i, one := range s.backendLoaders() {
			for _, in := range []string{"", "BEGIN"} {
				query(t, l.Conn, "DELETE FROM lines_ WHERE id IN (1, 2, 3, 4)")
				query(t, one.Conn, "CREATE TRIGGER stop BEFORE INSERT ON lines_ FOR EACH ROW IF NEW.v = 'stop' THEN SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'stopped'; END IF")
				if in != "" {
					query(t, l.Conn, in)
					query(t, l.Conn, "INSERT INTO lines_ (id, v) VALUES (1, 'own'), (2, 'own')")
				}
				if got := l.refused(1644, intoLines, "3,a\n4,b\n5,stop\n6,stop\n7,c\n8,d\n"); got != "stopped" {
					t.Errorf("the trigger's error: %s", got)
				}
				want := ""
				if in != "" {
					want = "1,own|2,own"
				}
				if got := l.rows(everyLine); got != want {
					t.Errorf("backend %d %s: %s stayed", i, in, got)
				}
				query(t, l.Conn, "COMMIT")
				query(t, one.Conn, "DROP TRIGGER stop")
			}
			query(t, one.Conn, "RENAME TABLE lines_ TO gone")
			if errno, err := before("no table"); errno != 1146 {
				t.Errorf("no table: %v", err)
			}
			query(t, one.Conn, "RENAME TABLE gone TO lines_")
			server := s.servers[i]
			admin := dial(t, wire.Dialer{Addr: server.Addr(), User: servers.AdminUser, Password: servers.AdminPassword})
			query(t, admin, "SET GLOBAL local_infile = 0")
			if errno, err := before("local_infile = 0"); errno != 3948 && errno != 4166 && errno != 1148 {
				t.Errorf("local_infile = 0: %v", err)
			}
			query(t, admin, "SET GLOBAL local_infile = 1")
		}
		// A client that serves no files is told what the first server would tell it.
		d := wire.Dialer{Addr: s.addr, User: "u", Password: "pw", Schema: s.schema, Timeout: time.Minute}
		told := make([]string, 2)
		for i := range told {
			c, _, err := d.Dial(t.Context())
			check(t, err)
			check(t, c.SendCommand(wire.ComQuery, []byte(intoLines)))
			_, err = c.ReadFileRequest()
			told[i] = fmt.Sprint(err)
			check(t, c.Close())
			d.Addr, d.User, d.Password = s.servers[0].Addr(), s.servers[0].User, s.servers[0].Password
		}
		if told[0] != told[1] || !strings.HasPrefix(told[0], "4166 ") {
			t.Errorf("without LOCAL_FILES: %s, by the server: %s", told[0], told[1])
		}
		s.nothingPrepared()
	})
}

// TestLoadCounts: a server that reads other rows than it was sent lines loads nothing.
func TestLoadCounts(t *testing.T) {
	t.Parallel()
	forLoads(t, func(t *testing.T, s *loadStack) {
		l := s.loader(t)
		for i, one := range s.backendLoaders() {
			query(t, one.Conn, "RENAME TABLE lines_ TO kept")
			query(t, one.Conn, "CREATE VIEW lines_ AS SELECT * FROM kept WHERE v <> 'refused' WITH CHECK OPTION")
			got := l.refused(1105, intoLines, "1,a\n2,b\n3,refused\n4,refused\n5,c\n")
			if want := fmt.Sprintf("backend b%d read %d rows in %d lines of the file; nothing was loaded", i, 1+i, 2+i); !strings.HasPrefix(got, want) {
				t.Errorf("want %s, got %s", want, got)
			}
			query(t, one.Conn, "DROP VIEW lines_")
			query(t, one.Conn, "RENAME TABLE kept TO lines_")
		}
		if got := l.rows(everyLine); got != "" {
			t.Errorf("loaded: %s", got)
		}
		s.nothingPrepared()
	})
}

// TestLoadLanguages: what servers say of a load is understood in their languages.
func TestLoadLanguages(t *testing.T) {
	t.Parallel()
	forLoads(t, func(t *testing.T, s *loadStack) {
		said := make(map[string]bool)
		for i, language := range []string{"en_US", "de_DE", "cs_CZ", "fr_FR", "ja_JP", "ko_KR", "ru_RU", "zh_CN", "et_EE", "uk_UA"} {
			l := s.loader(t)
			query(t, l.Conn, "SET lc_messages = '"+language+"'")
			ok := l.loads(intoLines, fmt.Sprintf("%d,one\n%d,two\n%d,three\n", 3*i, 3*i+1, 3*i+2))
			if ok.Affected != 3 {
				t.Errorf("%s: %+v", language, ok)
			}
			said[ok.Info] = true
		}
		if len(said) < 5 {
			t.Errorf("they said only %v", said)
		}
	})
}

// TestLoadCharset: a file whose character set is not given is in that of the schema, on each backend for itself.
func TestLoadCharset(t *testing.T) {
	t.Parallel()
	given := strings.Replace(intoLines, "FIELDS", "CHARACTER SET latin1 FIELDS", 1)
	for i := range 2 {
		s := newLoadStack(t, mixes["mixed"], nil)
		admin(t, s.servers[i], "ALTER DATABASE "+s.schema+" CHARACTER SET gbk")
		admin(t, s.servers[1-i], "ALTER DATABASE "+s.schema+" CHARACTER SET latin1")
		l := s.loader(t)
		check(t, l.SendCommand(wire.ComQuery, []byte(intoLines)))
		_, err := l.ReadFileRequest()
		var e *wire.Error
		if !errors.As(err, &e) || e.Errno != 1235 || !strings.Contains(e.Message, `in the character set "gbk" is not supported; write CHARACTER SET utf8mb4`) {
			t.Errorf("backend %d has gbk: %v", i, err)
			continue
		}
		l.loads(given, "1,\xe9\n2,\xe9\n")
		if got := l.rows("SELECT HEX(v) FROM lines_ WHERE id IN (1, 2)"); got != "C3A9|C3A9" {
			t.Errorf("loaded: %s", got)
		}
		s.nothingPrepared()
	}
	s := newLoadStack(t, mixes["mixed"], nil)
	for _, server := range s.servers {
		admin(t, server, "ALTER DATABASE "+s.schema+" CHARACTER SET latin1")
	}
	l := s.loader(t)
	l.loads(intoLines, "5,\xe9\n6,\xe9\n")
	if got := l.rows("SELECT HEX(v) FROM lines_ WHERE id IN (5, 6)"); got != "C3A9|C3A9" {
		t.Errorf("loaded: %s", got)
	}
}

// TestLoadPrepared: MariaDB takes the statement as a prepared one.
func TestLoadPrepared(t *testing.T) {
	t.Parallel()
	forLoads(t, func(t *testing.T, s *loadStack) {
		l := s.loader(t)
		check(t, l.SendCommand(wire.ComStmtPrepare, []byte(intoLines)))
		p, err := l.ReadPacket()
		if err != nil || len(p) < 5 || p[0] != 0 {
			t.Fatalf("prepared: %q, %v", p, err)
		}
		execute := append(slices.Clone(p[1:5]), 0, 1, 0, 0, 0)
		for i := range 2 {
			check(t, l.SendCommand(wire.ComStmtExecute, execute))
			_, err := l.ReadFileRequest()
			if s.servers[1].Kind == servers.MySQL {
				var e *wire.Error
				if !errors.As(err, &e) || e.Errno != 1295 {
					t.Errorf("MySQL: %v", err)
				}
				continue
			}
			check(t, err)
			check(t, l.WriteFileChunk(fmt.Appendf(nil, "%d,a\n%d,b\n", 2*i+1, 2*i+2)))
			if ok, err := l.end(); err != nil || ok.Affected != 2 {
				t.Errorf("execution %d: %+v, %v", i, ok, err)
			}
		}
		want := "1,a|2,b|3,a|4,b"
		if s.servers[1].Kind == servers.MySQL {
			want = ""
		}
		if got := l.rows(everyLine); got != want {
			t.Errorf("loaded: %s", got)
		}
		s.nothingPrepared()
	})
}

// backendLoaders are direct connections to the schema of the proxy.
func (s *loadStack) backendLoaders() (all []*loader) {
	for _, server := range s.servers {
		all = append(all, newLoader(s.t, wire.Dialer{Addr: server.Addr(), User: server.User, Password: server.Password, Schema: s.schema}))
	}
	return all
}
