package postgres_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"

	"github.com/xaproxy/xaproxy/wire"
)

// loader is a connection that loads files.
type loader struct {
	t testing.TB
	*wire.Conn
}

func newLoader(t testing.TB, d wire.Dialer) *loader {
	t.Helper()
	d.Caps |= wire.LocalFiles
	d.Timeout = time.Minute
	c, _, err := d.Dial(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return &loader{t, c}
}

// rows runs a statement and returns its rows, a line each.
func (l *loader) rows(q string) (all []string) {
	l.t.Helper()
	if err := l.SendQuery(nil, []byte(q)); err != nil {
		l.t.Fatal(err)
	}
	r, err := l.ReadResult(64 << 20)
	if err != nil {
		l.t.Fatalf("%s: %v", q, err)
	}
	for _, row := range r.Values {
		line := ""
		for _, v := range row {
			if v == nil {
				line += "NULL|"
			} else {
				line += fmt.Sprintf("%q|", v)
			}
		}
		all = append(all, line)
	}
	return all
}

// load runs a LOAD DATA with this file.
func (l *loader) load(q, file string) (wire.OK, *wire.Error) {
	l.t.Helper()
	if err := l.SendQuery(nil, []byte(q)); err != nil {
		l.t.Fatal(err)
	}
	_, err := l.ReadFileRequest()
	for chunk := range slices.Chunk([]byte(file), 700) {
		if err == nil {
			err = l.WriteFileChunk(chunk)
		}
	}
	if err == nil {
		err = l.WriteFileChunk(nil)
	}
	var r wire.Rows
	if err == nil {
		r, err = l.ReadResult(1 << 20)
	}
	var said *wire.Error
	if err != nil && !errors.As(err, &said) {
		l.t.Fatalf("%s: %v", q, err)
	}
	return r.OK, said
}

const loaded = `CREATE TABLE l (id INT NOT NULL AUTO_INCREMENT PRIMARY KEY, code VARCHAR(6), n TINYINT UNSIGNED, need SMALLINT NOT NULL DEFAULT 7, d DECIMAL(5,2), f DOUBLE, day DATE, at DATETIME(3), tm TIME,
	en ENUM('red','green'), se SET('a','b'), raw VARBINARY(4), bits BIT(8), y YEAR, j JSON, t TEXT, UNIQUE KEY code (code), CHECK (n <> 99))`

// loadValues are what fields of each column are tried with, good ones first.
var loadValues = map[string][]string{
	"id":   {"1", "2", "3", "4", "5", "6", "7", "0", `\N`, "007", " 8", "x", "", "-3"},
	"code": {"a", "b", "ä", "c c", "", `\N`, "B", "toolong7", "a ", `d\te`, "\xff"},
	"n":    {"0", "255", "99", " 7", "1.4", `\N`, "256", "-1", "", "7x", "1e2", "3\r"},
	"need": {"1", "-5", "300", `\N`, "70000"},
	"d":    {"1.50", "-999.99", "0.005", "1000", ".5", "5.", "abc", `\N`},
	"f":    {"1.5", "-2e3", "1e400", "x", `\N`},
	"day":  {"2024-02-29", "2024-2-9", "1999-12-31", "2023-02-29", "20240229", "0000-00-00", "", "2024-01-01 10:00:00", `\N`},
	"at":   {"2024-02-29 10:11:12.5", "2024-02-29", "2024-02-29T10:11:12", "2024-02-29 25:00:00", "now", `\N`},
	"tm":   {"10:11:12", "00:00:00", "23:59:58.6", "101112", "838:59:59", "-01:00:00", "x", `\N`},
	"en":   {"red", "GREEN", "2", "blue", "", `\N`},
	"se":   {"a", "b,a", "", "a,x", `\N`},
	"raw":  {"abcd", "a\\0", "", "\xff", "abcde", `\N`},
	"bits": {"1", "z", "", "\xff", `\N`, "ab"},
	"y":    {"2024", "1901", "70", "0", "1900", `\N`},
	"j":    {`{"a": 1}`, "[1, null]", "7", "{", "", `\N`},
	"t":    {"text", `tab\tline\nend`, `\\N`, "ü\u20ac", "", `\N`, "NULL", "\xe4"},
}

// forgiven are the warnings about a row, not about a value: MySQL loads the others, and so does PostgreSQL.
var forgiven = []string{"1062", "1262", "3819"}

var atLine = regexp.MustCompile(`^line \d+ of the file`)

// TestLoadData loads random files into a table on PostgreSQL, and on MySQL: they have the same rows, warnings and counts afterwards, or a value with
// which MySQL would have done something is refused by its line, and nothing is loaded.
func TestLoadData(t *testing.T) {
	m, p := newLoaders(t, loaded)
	same, refused := 0, map[string]int{}
	columns := []string{"code", "n", "need", "d", "f", "day", "at", "tm", "en", "se", "raw", "bits", "y", "j", "t"}
	for seed := range uint64(400) {
		r := rand.New(rand.NewPCG(seed, 0))
		r.Shuffle(len(columns), func(i, j int) { columns[i], columns[j] = columns[j], columns[i] })
		named := append([]string{}, columns[:1+r.IntN(3)]...)
		if r.IntN(4) > 0 {
			named = append(named, "id")
		}
		q := "LOAD DATA LOCAL INFILE 'x' " + []string{"", "IGNORE ", "REPLACE "}[r.IntN(3)] + "INTO TABLE l " + []string{"", "CHARACTER SET binary ", "CHARACTER SET utf8mb4 "}[r.IntN(3)] + "FIELDS TERMINATED BY ',' OPTIONALLY ENCLOSED BY '\"' "
		list, sets := append([]string{}, named...), ""
		if r.IntN(4) == 0 && !slices.Contains(named, "code") && !strings.Contains(q, "binary") { // where MySQL takes a variable to be in the character set that it was in before
			list = append(list, "@v")
			sets = " SET code = UPPER(LEFT(@v, 3))"
		}
		if r.IntN(5) == 0 {
			q += "IGNORE 1 LINES "
		}
		var file strings.Builder
		bad := r.IntN(3) == 0
		if strings.Contains(q, "binary") {
			list = slices.DeleteFunc(list, func(c string) bool { return c == "j" }) // 3144
		}
		if len(list) == 0 {
			list = []string{"t"}
		}
		q += "(" + strings.Join(list, ", ") + ")" + sets
		for range 1 + r.IntN(12) {
			for i, c := range list {
				values := loadValues[c]
				if c == "@v" {
					values = []string{"abcd", "x", `\N`, "äöü"}
				}
				v := values[r.IntN(min(3, len(values)))]
				if bad && r.IntN(8) == 0 {
					v = values[r.IntN(len(values))]
				}
				if i > 0 {
					file.WriteByte(',')
				}
				if v != `\N` && (strings.Contains(v, ",") || r.IntN(4) == 0) {
					v = `"` + strings.ReplaceAll(v, `"`, `""`) + `"`
				}
				file.WriteString(v)
			}
			if r.IntN(12) == 0 {
				file.WriteString(",more")
			}
			file.WriteByte('\n')
		}
		for _, l := range []*loader{m, p} {
			l.rows("DELETE FROM l")
			l.rows("INSERT INTO l (id, code, t) VALUES (3, 'b', 'old'), (900, 'old', 'old')")
		}
		const state = "SELECT IF(id < 900, id, 'new'), code, n, need, d, f, day, at, tm, en, se, HEX(raw), bits + 0, y, j, t FROM l"
		before := p.rows(state)
		mOK, mErr := m.load(q, file.String())
		mWarnings := m.rows("SHOW WARNINGS")
		notes := len(mWarnings) // that digits were rounded off, which PostgreSQL does not say
		mWarnings = slices.DeleteFunc(mWarnings, func(w string) bool { return strings.HasPrefix(w, `"Note"`) })
		notes -= len(mWarnings)
		mOK.Info = strings.Replace(mOK.Info, fmt.Sprint("Warnings: ", mOK.Warnings), fmt.Sprint("Warnings: ", int(mOK.Warnings)-notes), 1)
		mOK.Warnings -= uint16(notes)
		pOK, pErr := p.load(q, file.String())
		pWarnings := p.rows("SHOW WARNINGS")
		about := fmt.Sprintf("seed %d: %s\n%q\nMySQL: %+v %v %v\nPostgreSQL: %+v %v %v", seed, q, file.String(), mOK, mErr, mWarnings, pOK, pErr, pWarnings)
		mRows, pRows := m.rows(state), p.rows(state)
		if pErr != nil {
			if slices.Sort(before); !slices.Equal(sorted(pRows), before) {
				t.Errorf("%s\nand something was loaded: %v", about, pRows)
			}
			changes := func(w string) bool {
				return !slices.ContainsFunc(forgiven, func(n string) bool { return strings.Contains(w, `"`+n+`"`) })
			}
			if !atLine.MatchString(pErr.Message) || mErr == nil && !slices.ContainsFunc(mWarnings, changes) && !refusedWell(pErr.Message) {
				t.Errorf("%s\nand MySQL has no reason", about)
			}
			if pErr.Errno == 1105 {
				t.Error(about)
			}
			refused[fmt.Sprint(pErr.Errno)]++
			continue
		}
		errnos := func(rows []string) (all []string) {
			for _, w := range rows {
				all = append(all, strings.Split(w, "|")[1])
			}
			return all
		}
		if mErr != nil || mOK.Affected != pOK.Affected || mOK.Info != pOK.Info || mOK.Warnings != pOK.Warnings || !slices.Equal(errnos(mWarnings), errnos(pWarnings)) || !slices.Equal(sorted(mRows), sorted(pRows)) {
			t.Errorf("%s\nrows on MySQL\n%s\non PostgreSQL\n%s", about, strings.Join(mRows, "\n"), strings.Join(pRows, "\n"))
			continue
		}
		same++
	}
	t.Logf("%d files are loaded the same, refused are %v", same, refused)
	if same < 200 || len(refused) < 4 {
		t.Errorf("only %d files are loaded, refused are %v", same, refused)
	}
}

// refusedWell tells of refusals of what MySQL takes without a warning.
func refusedWell(why string) bool {
	return slices.ContainsFunc([]string{"not translated", "write it as", "which PostgreSQL", "beyond a day", "Incorrect time value"}, func(s string) bool { return strings.Contains(why, s) })
}

func sorted(rows []string) []string {
	rows = slices.Clone(rows)
	slices.Sort(rows)
	return rows
}

// A file that cannot be loaded, or a value that cannot be bound, undoes nothing of the transaction that came before.
func TestLoadInTransaction(t *testing.T) {
	f := newFace(t)
	if err := f.dialer.SetUp(t.Context()); err != nil {
		t.Fatal(err)
	}
	l := newLoader(t, wire.Dialer{User: "any", Schema: "shop", Connect: f.dialer.Dial})
	l.rows("CREATE TABLE l (id INT PRIMARY KEY, n TINYINT, s VARCHAR(5), CHECK (n <> 99))")
	var file strings.Builder
	for i := range 3000 {
		fmt.Fprintf(&file, "%d\t%d\ts\n", i, i%100)
	}
	for _, bad := range []string{"7000\t128\ts\n", "7000\t1\tlonger\n", "7000\n", "7000\tx\ts\n", "x"} {
		l.rows("BEGIN")
		l.rows("INSERT INTO l VALUES (9001, 1, 'a')")
		l.rows("INSERT INTO l VALUES (9002, 2, 'b')")
		if _, err := l.load("LOAD DATA LOCAL INFILE 'x' INTO TABLE l", file.String()+bad+"8000\t1\ts\n"); err == nil || !strings.HasPrefix(err.Message, "line 3001 of the file") {
			t.Errorf("%q: %v", bad, err)
		}
		l.rows("COMMIT")
		if got := l.rows("SELECT COUNT(*), MIN(id) FROM l"); got[0] != `"2"|"9001"|` {
			t.Errorf("%q leaves %v", bad, got)
		}
		l.rows("DELETE FROM l")
	}
	ok, err := l.load("LOAD DATA LOCAL INFILE 'x' INTO TABLE l", file.String())
	if err != nil || ok.Info != "Records: 2970  Deleted: 0  Skipped: 0  Warnings: 30" || ok.Affected != 2970 {
		t.Errorf("%+v %v", ok, err)
	}
	ok, err = l.load("LOAD DATA LOCAL INFILE 'x' INTO TABLE l", file.String())
	if err != nil || ok.Info != "Records: 2970  Deleted: 0  Skipped: 2970  Warnings: 3000" || ok.Affected != 0 || ok.Warnings != 3000 {
		t.Errorf("%+v %v", ok, err)
	}
	if n := len(l.rows("SHOW WARNINGS")); n != 1024 {
		t.Errorf("%d warnings are kept", n)
	}

	c := f.conn(func(c *mysql.Config) { c.InterpolateParams = false })
	c.exec("BEGIN")
	c.exec("INSERT INTO l VALUES (9001, 1, 'a')")
	c.exec("INSERT INTO l VALUES (9002, 2, 'b')")
	c.fails(1366, "INSERT INTO l VALUES (9003, 3, ?)", "a\x00")
	c.exec("COMMIT")
	c.wantRows("2", "SELECT COUNT(*) FROM l WHERE id > 9000")
}
