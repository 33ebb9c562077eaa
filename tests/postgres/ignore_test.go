package postgres_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/xaproxy/xaproxy/tests/servers"
	"github.com/xaproxy/xaproxy/tests/servers/servertest"
	"github.com/xaproxy/xaproxy/wire"
)

// newLoaders are connections to MySQL and to PostgreSQL's face, each with these tables in its schema.
func newLoaders(t *testing.T, tables ...string) (m, p *loader) {
	t.Helper()
	s := servertest.Get(t, servers.MySQL)
	m = newLoader(t, wire.Dialer{Addr: s.Addr(), User: servers.AdminUser, Password: servers.AdminPassword, Schema: servertest.Database(t, s)})
	f := newFace(t)
	if err := f.dialer.SetUp(t.Context()); err != nil {
		t.Fatal(err)
	}
	p = newLoader(t, wire.Dialer{User: "any", Schema: "shop", Connect: f.dialer.Dial})
	m.rows("SET GLOBAL local_infile = 1")
	for _, l := range []*loader{m, p} {
		l.rows("SET NAMES utf8mb4")
		for _, table := range tables {
			l.rows(table)
		}
	}
	return m, p
}

// try runs a statement and returns its answer, with its warnings.
func (l *loader) try(q string) (wire.OK, *wire.Error, []string) {
	l.t.Helper()
	if err := l.SendQuery(nil, []byte(q)); err != nil {
		l.t.Fatal(err)
	}
	r, err := l.ReadResult(1 << 20)
	var said *wire.Error
	if err != nil && !errors.As(err, &said) {
		l.t.Fatalf("%s: %v", q, err)
	}
	return r.OK, said, l.rows("SHOW WARNINGS")
}

// ignoredValues are what columns are given, good ones first.
var ignoredValues = map[string][]string{
	"id":   {"1", "2", "3", "4", "5", "6", "NULL", "'7'", "DEFAULT", "30", "-5"},
	"code": {"'a'", "'B'", "'ä'", "NULL", "12", "'abcdefgh'", "1234567", "'b  '", "'abc     '"},
	"n":    {"0", "255", "7.5", "-1", "256", "'12'", "'12x'", "'x'", "''", "1e3", "300.7", "'-3'", "NULL", "99", "255.4", "' 8 '", "'1e2'"},
	"need": {"1", "-5", "NULL", "70000", "-70000", "'5 5'"},
	"d":    {"1.5", "-2.25", "1000", "-1e9", "999.994", "999.996", "'12.5a'", "'z'", "NULL"},
	"big":  {"1", "-1", "18446744073709551616", "'18446744073709551615'", "'-7'"},
	"s":    {"'ok'", "'tö'", "NULL", "'longer'", "123456", "'äöüßéèê'"},
	"se":   {"'a'", "'b,a'", "''", "'a,x'", "'x'", "3", "NULL"},
	"raw":  {"'abcd'", "x'00ff'", "'abcde'", "x'0102030405'", "NULL"},
	"en":   {"'red'", "2", "'GREEN'", "'blue'"},
	"day":  {"'2024-01-31'", "NULL", "'2024-02-30'"},
	"up":   {"1", "2", "NULL", "9"},
}

// TestInsertIgnore runs random INSERT IGNOREs on PostgreSQL and on MySQL: they have the same rows, counts and warnings, or what PostgreSQL cannot have is
// refused, and nothing is inserted.
func TestInsertIgnore(t *testing.T) {
	m, p := newLoaders(t, "CREATE TABLE above (id INT PRIMARY KEY)", "INSERT INTO above VALUES (1), (2)",
		`CREATE TABLE ig (id INT NOT NULL AUTO_INCREMENT PRIMARY KEY, code VARCHAR(6), n TINYINT UNSIGNED, need SMALLINT NOT NULL, d DECIMAL(5,2), big BIGINT UNSIGNED, s VARCHAR(5) NOT NULL,
			se SET('a','b'), raw VARBINARY(4), en ENUM('red','green'), day DATE, up INT, UNIQUE KEY code (code), CONSTRAINT up FOREIGN KEY (up) REFERENCES above (id), CHECK (n <> 99))`)
	columns := []string{"code", "n", "need", "d", "big", "s", "se", "raw", "en", "day", "up"}
	same, warned, refused := 0, 0, map[uint16]int{}
	for seed := range uint64(500) {
		r := rand.New(rand.NewPCG(seed, 0))
		r.Shuffle(len(columns), func(i, j int) { columns[i], columns[j] = columns[j], columns[i] })
		list := append([]string{}, columns[:1+r.IntN(3)]...)
		if r.IntN(4) > 0 {
			list = append(list, "id")
		}
		bad := r.IntN(2) == 0
		var rows []string
		for range 1 + r.IntN(5) {
			var row []string
			for _, c := range list {
				values := ignoredValues[c]
				v := values[r.IntN(2)]
				if bad && r.IntN(3) == 0 || c == "id" {
					v = values[r.IntN(len(values))]
				}
				row = append(row, v)
			}
			rows = append(rows, "("+strings.Join(row, ", ")+")")
		}
		q := "INSERT IGNORE INTO ig (" + strings.Join(list, ", ") + ") VALUES " + strings.Join(rows, ", ")
		for _, l := range []*loader{m, p} {
			l.rows("DELETE FROM ig")
			l.rows("INSERT INTO ig (id, code, need, s) VALUES (3, 'b', 1, 'old'), (900, 'old', 1, 'old')")
			if seed%3 == 0 {
				l.rows("BEGIN")
				l.rows("UPDATE ig SET need = 2 WHERE id = 900")
			}
		}
		mOK, mErr, mWarnings := m.try(q)
		pOK, pErr, pWarnings := p.try(q)
		if seed%3 == 0 {
			m.rows("COMMIT")
			p.rows("COMMIT")
		}
		about := fmt.Sprintf("seed %d: %s\nMySQL: %+v %v\n%s\nPostgreSQL: %+v %v\n%s", seed, q, mOK, mErr, strings.Join(mWarnings, "\n"), pOK, pErr, strings.Join(pWarnings, "\n"))
		const state = "SELECT IF(id < 900, id, IF(id = 900, 'old', 'new')), code, n, need, d, big, s, se, HEX(raw), en, day, up FROM ig"
		mRows, pRows := sorted(m.rows(state)), sorted(p.rows(state))
		if pErr != nil {
			if len(pRows) != 2 {
				t.Errorf("%s\nand rows are there: %v", about, pRows)
			}
			if mErr == nil && len(mWarnings) == 0 && !refusedWell(pErr.Message) {
				t.Errorf("%s\nand MySQL has no reason", about)
			}
			refused[pErr.Errno]++
			continue
		}
		// texts of what is passed over are PostgreSQL's; notes of digits that are rounded off are MySQL's alone
		plain := func(warnings []string) (all []string) {
			for _, w := range warnings {
				part := strings.SplitN(w, "|", 3)
				switch part[1] {
				case `"1062"`, `"1452"`, `"3819"`: // of a row with several MySQL has another order
					w = "passed over"
				}
				if part[0] != `"Note"` {
					all = append(all, w)
				}
			}
			return all
		}
		for _, ok := range []*wire.OK{&mOK, &pOK} {
			all := mWarnings
			if ok == &pOK {
				all = pWarnings
			}
			n := int(ok.Warnings) - len(all) + len(plain(all))
			ok.Info = strings.Replace(ok.Info, fmt.Sprint("Warnings: ", ok.Warnings), fmt.Sprint("Warnings: ", n), 1)
			ok.Warnings = uint16(n)
		}
		if several := strings.Contains(strings.Join(mWarnings, ""), `|"1452"|`); several {
			mOK.Info, pOK.Info = "", ""
		}
		if mErr != nil || mOK.Affected != pOK.Affected || mOK.Info != pOK.Info || mOK.Warnings != pOK.Warnings || !slices.Equal(plain(mWarnings), plain(pWarnings)) || !slices.Equal(mRows, pRows) {
			t.Errorf("%s\nrows on MySQL\n%s\non PostgreSQL\n%s", about, strings.Join(mRows, "\n"), strings.Join(pRows, "\n"))
			continue
		}
		if same++; pOK.Warnings > 0 {
			warned++
		}
	}
	t.Logf("%d statements are the same, %d of them with warnings, refused are %v", same, warned, refused)
	if warned < 150 || len(refused) < 3 {
		t.Errorf("only %d statements are the same, %d of them with warnings, refused are %v", same, warned, refused)
	}
}

// passedOver are the numbers of warnings of rows that IGNORE passes over. Of a row with several reasons each server has another one.
var passedOver = []string{`"1062"`, `"1451"`, `"1452"`, `"3819"`}

// plainWarnings are warnings without what differs: texts about rows that are passed over, notes of digits that are rounded off, and their order.
func plainWarnings(warnings []string) (all []string) {
	for _, w := range warnings {
		part := strings.SplitN(w, "|", 3)
		if slices.Contains(passedOver, part[1]) {
			w = "passed over"
		}
		if part[0] != `"Note"` {
			all = append(all, w)
		}
	}
	slices.Sort(all)
	return all
}

// TestUpdateAndDeleteIgnore runs random UPDATE IGNOREs and DELETE IGNOREs on PostgreSQL and on MySQL: they change the same rows, with the same counts
// and warnings, or are refused and change nothing.
func TestUpdateAndDeleteIgnore(t *testing.T) {
	m, p := newLoaders(t, "CREATE TABLE above (id INT PRIMARY KEY)", "INSERT INTO above VALUES (1), (2)",
		`CREATE TABLE ig (id INT NOT NULL PRIMARY KEY, code VARCHAR(6), a INT, b INT, n TINYINT UNSIGNED, s VARCHAR(5) NOT NULL, up INT, seen TIMESTAMP NULL DEFAULT NULL ON UPDATE CURRENT_TIMESTAMP,
			UNIQUE KEY code (code), UNIQUE KEY ab (a, b), CONSTRAINT up FOREIGN KEY (up) REFERENCES above (id), CHECK (n <> 99))`,
		"CREATE TABLE below (ig INT NOT NULL, CONSTRAINT below FOREIGN KEY (ig) REFERENCES ig (id))",
		"CREATE TABLE tree (id INT PRIMARY KEY, parent INT, v INT, CONSTRAINT parent FOREIGN KEY (parent) REFERENCES tree (id))",
		"CREATE TABLE both_ (id INT PRIMARY KEY)", "CREATE TABLE pairs (a INT, b INT, CONSTRAINT pa FOREIGN KEY (a) REFERENCES both_ (id) ON DELETE CASCADE, CONSTRAINT pb FOREIGN KEY (b) REFERENCES both_ (id))")
	sets := []string{
		"code = 'B'", "code = 'zz'", "code = CONCAT('x', id)", "code = s", "code = NULL", "a = 1", "a = b", "b = b + 1", "a = a + 10", "a = 3, b = id", "n = 300", "n = 99", "n = n + 1", "n = 'x'", "s = 'far too long'",
		"s = NULL", "up = 1", "up = 7", "up = id", "id = id + 1", "id = id + 100", "id = 4", "s = 'ab'", "n = DEFAULT", "code = DEFAULT", "a = b, b = a",
	}
	wheres := []string{"", "WHERE id = 3", "WHERE id = 3", "WHERE code = 'a'", "WHERE id IN (2, 4)", "WHERE a = 1", "WHERE up IS NULL", "WHERE id > 100", "WHERE id = 1 OR code = 'D'", "WHERE s = 'ab' ORDER BY id LIMIT 2", "ORDER BY id DESC LIMIT 1"}
	deletes := []string{"ig", "ig WHERE id IN (2, 3)", "ig WHERE a = 1", "ig ORDER BY id DESC LIMIT 2", "above", "above WHERE id = 2", "tree", "tree WHERE id = 1", "tree WHERE id = 2", "both_", "both_ WHERE id = 2", "below"}
	var texts []string
	for _, set := range sets {
		for _, where := range wheres {
			texts = append(texts, "UPDATE IGNORE ig SET "+set+" "+where)
		}
	}
	for seed := range uint64(120) {
		r := rand.New(rand.NewPCG(seed, 0))
		texts = append(texts, "UPDATE IGNORE ig SET "+sets[r.IntN(len(sets))]+", "+sets[r.IntN(len(sets))]+" "+wheres[r.IntN(len(wheres))])
	}
	for _, d := range deletes {
		texts = append(texts, "DELETE IGNORE FROM "+d)
	}
	texts = append(texts, "UPDATE IGNORE tree SET id = id + 10", "UPDATE IGNORE tree SET id = id + 10 WHERE id = 3", "UPDATE IGNORE tree SET parent = 3", "UPDATE IGNORE tree SET parent = 9 WHERE id = 3", "UPDATE IGNORE tree SET v = 5",
		"DELETE QUICK IGNORE FROM below WHERE ig = 1")
	same, warned, refused := 0, 0, map[uint16]int{}
	for i, q := range texts {
		for _, l := range []*loader{m, p} {
			for _, fill := range []string{
				"BEGIN", "DELETE FROM below", "DELETE FROM ig", "DELETE FROM pairs", "DELETE FROM both_", "UPDATE tree SET parent = NULL", "DELETE FROM tree",
				"DELETE FROM above", "INSERT INTO above VALUES (1), (2)",
				"INSERT INTO ig (id, code, a, b, n, s, up) VALUES (1, 'a', 1, 1, 0, 'ab', 1), (2, 'b', 1, 2, 254, 'c', NULL), (3, 'c', 2, 1, 255, 'AB', 1), (4, 'D', 3, 1, 98, 'x', NULL), (105, NULL, NULL, 1, NULL, 'y', 2)",
				"INSERT INTO below VALUES (1), (3)", "INSERT INTO tree VALUES (1, NULL, 1), (2, 1, 2), (3, 2, 3)", "INSERT INTO both_ VALUES (1), (2), (3)", "INSERT INTO pairs VALUES (1, 2)",
			} {
				l.rows(fill)
			}
			if i%3 > 0 {
				l.rows("COMMIT")
			}
		}
		state := func(l *loader) (all []string) {
			for _, q := range []string{"SELECT id, code, a, b, n, s, up, seen IS NULL FROM ig", "SELECT * FROM below", "SELECT * FROM tree", "SELECT * FROM above", "SELECT * FROM both_", "SELECT * FROM pairs"} {
				all = append(all, strings.Join(sorted(l.rows(q)), "\n")+"\n--")
			}
			return all
		}
		before := state(p)
		mOK, mErr, mWarnings := m.try(q)
		pOK, pErr, pWarnings := p.try(q)
		if i%3 == 0 {
			m.rows("COMMIT")
			p.rows("COMMIT")
		}
		about := fmt.Sprintf("%s\nMySQL: %+v %v\n%s\nPostgreSQL: %+v %v\n%s", q, mOK, mErr, strings.Join(mWarnings, "\n"), pOK, pErr, strings.Join(pWarnings, "\n"))
		after, want := state(p), state(m)
		if pErr != nil {
			if !slices.Equal(before, after) {
				t.Errorf("%s\nand it has changed\n%s\nto\n%s", about, strings.Join(before, "\n"), strings.Join(after, "\n"))
			}
			refused[pErr.Errno]++
			continue
		}
		notes := len(mWarnings) - len(plainWarnings(mWarnings))
		mInfo := strings.Replace(mOK.Info, fmt.Sprint("Warnings: ", mOK.Warnings), fmt.Sprint("Warnings: ", int(mOK.Warnings)-notes), 1)
		if mErr != nil || mOK.Affected != pOK.Affected || mInfo != pOK.Info || !slices.Equal(plainWarnings(mWarnings), plainWarnings(pWarnings)) || !slices.Equal(after, want) {
			t.Errorf("%s\nrows on MySQL\n%s\non PostgreSQL\n%s", about, strings.Join(want, "\n"), strings.Join(after, "\n"))
			continue
		}
		if same++; pOK.Warnings > 0 {
			warned++
		}
	}
	t.Logf("of %d statements %d are the same, %d of them with warnings, refused are %v", len(texts), same, warned, refused)
	if warned < 100 || same < 250 || refused[1235] < 10 {
		t.Errorf("of %d statements only %d are the same, %d of them with warnings, refused are %v", len(texts), same, warned, refused)
	}
}
