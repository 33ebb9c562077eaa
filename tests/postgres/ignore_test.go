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
