package router

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// loadOf is the Load of a statement in the configuration of the tests.
func loadOf(t testing.TB, clauses string) *Load {
	t.Helper()
	p, err := newRouter(t, parseConfig(t, testConfig)).Plan([]byte("LOAD DATA LOCAL INFILE 'x' INTO TABLE orders "+clauses), "shop", 0)
	if err != nil {
		t.Fatal(err)
	}
	return p.Load
}

// TestLoadLikeInsert: a line of a file goes where an INSERT of its key goes.
func TestLoadLikeInsert(t *testing.T) {
	r := newRouter(t, parseConfig(t, testConfig))
	l := loadOf(t, "(customer, a)")
	for _, key := range []string{"0", "5", "-5", "18446744073709551615", "Bob", "bob ", "05", "5.0", "", "ä"} {
		b, err := l.Place(Piece{For: ForKey, Key: []byte(key)})
		one, insertErr := r.Plan([]byte("INSERT INTO orders (customer) VALUES ('"+key+"')"), "shop", 0)
		switch {
		case (err == nil) != (insertErr == nil):
			t.Errorf("%q: %v, inserted: %v", key, err, insertErr)
		case err == nil && b != one.Parts[0].Backend:
			t.Errorf("%q is on backend %d, inserted on %d", key, b, one.Parts[0].Backend)
		}
	}
}

// TestLoadRefuses: what a line's key cannot be is said with its place.
func TestLoadRefuses(t *testing.T) {
	l := loadOf(t, "FIELDS TERMINATED BY ',' IGNORE 1 LINES (a, customer)")
	for file, want := range map[string]string{
		"head\nx,\\N":                       `line 2 of the file, field 2: the value of the shard key customer of shop.orders is NULL; nothing was loaded; correct the file`,
		"head\nx,1\nx\n":                    `line 3 of the file, field 2: the line ends before the shard key customer of shop.orders; nothing was loaded; correct the file`,
		"head\nx,1\n\n":                     `line 3 of the file, field 2: the line ends before the shard key customer of shop.orders; nothing was loaded; correct the file`,
		"head\nx,\n":                        `line 2 of the file, field 2: the value of the shard key customer of shop.orders is an empty string, which MySQL may also read as 0 or NULL; nothing was loaded; correct the file`,
		"head\nx,05\n":                      `line 2 of the file, field 2: the value of the shard key customer of shop.orders is a string that MySQL may also read as a number, but not in its plain decimal form; nothing was loaded; correct the file`,
		"head\nx,1\r\n":                     `line 2 of the file, field 2: the value of the shard key customer of shop.orders has a character that is not printable ASCII, which collations may ignore or equate with others; nothing was loaded; correct the file`,
		"h\na," + strings.Repeat("x", 5000): `line 2 of the file, field 2: the value of the shard key customer of shop.orders is longer than 256 bytes; nothing was loaded; correct the file`,
		"h\na," + strings.Repeat("x", 256):  "",
	} {
		var err error
		for c, rest := l.Cutter(), []byte(file); err == nil; {
			p, ok := c.Next(rest, true)
			if !ok {
				break
			}
			if rest = rest[p.Size:]; p.For == ForKey {
				_, err = l.Place(p)
			}
		}
		var why *Refusal
		switch {
		case want == "" && err == nil:
		case !errors.As(err, &why) || why.Text != want || why.Errno != 1235 || why.Pos != -1:
			t.Errorf("%.40q: %v, want %s", file, err, want)
		}
	}
}

// TestLoadCharset: what a backend would read the file in.
func TestLoadCharset(t *testing.T) {
	l := loadOf(t, "FIELDS TERMINATED BY 'ab' (customer)")
	for charset, ok := range map[string]bool{"utf8mb4": true, "latin1": true, "binary": true, "gb2312": true, "gbk": false, "utf16": false, "euckr": false, "": false} {
		if err := l.ReadsAs(charset); (err == nil) != ok {
			t.Errorf("%q: %v", charset, err)
		}
	}
}

// slowLines is a Cutter that has the whole file before it and takes it character by character.
func slowLines(l *Load, file []byte) (pieces []Piece) {
	is := func(i int, clause []byte) bool { return len(clause) > 0 && file[i] == clause[0] }
	rest := func(i int) (next int, open bool) {
		for i < len(file) {
			switch {
			case is(i, l.Escaped):
				i = min(i+2, len(file))
			case bytes.HasPrefix(file[i:], l.LinesTerminated):
				return i + len(l.LinesTerminated), false
			default:
				i++
			}
		}
		return i, true
	}
	// field reads one; closed tells that it was enclosed, escapedN that it has an escaped N.
	field := func(i int) (value []byte, closed, escapedN bool, next int, endsLine bool) {
		quote := is(i, l.Enclosed)
		if quote {
			value, i = append(value, file[i]), i+1
		}
		for i < len(file) {
			char := file[i]
			if is(i, l.Escaped) {
				if i+1 == len(file) {
					return append(value, char), false, escapedN, i + 1, true
				}
				if then := file[i+1]; !is(i, l.Enclosed) || then == char {
					if j := strings.IndexByte("0bnrtZ", then); j >= 0 {
						then = "\x00\b\n\r\t\x1a"[j]
					}
					escapedN = escapedN || then == 'N'
					value, i = append(value, then), i+2
					continue
				}
			}
			tail := file[i:]
			if quote && is(i, l.Enclosed) {
				tail = tail[1:]
				switch {
				case len(tail) > 0 && tail[0] == char:
					value, i = append(value, char), i+2
					continue
				case len(tail) == 0, bytes.HasPrefix(tail, l.LinesTerminated):
					return value[1:], true, escapedN, min(len(file), i+1+len(l.LinesTerminated)), true
				case bytes.HasPrefix(tail, l.FieldsTerminated):
					return value[1:], true, escapedN, i + 1 + len(l.FieldsTerminated), false
				}
			} else if !quote {
				switch {
				case bytes.HasPrefix(tail, l.LinesTerminated):
					return value, false, escapedN, i + len(l.LinesTerminated), true
				case bytes.HasPrefix(tail, l.FieldsTerminated):
					return value, false, escapedN, i + len(l.FieldsTerminated), false
				}
			}
			value, i = append(value, char), i+1
		}
		return value, false, escapedN, i, true
	}
	i, line := 0, uint64(0)
	for open := false; line < l.Ignore && i < len(file); {
		line++
		if i, open = rest(i); !open {
			pieces = append(pieces, Piece{For: ForAll, Text: l.LinesTerminated})
		}
	}
	for {
		skip := bytes.Index(file[i:], l.LinesStarting)
		if skip < 0 || i+skip+len(l.LinesStarting) == len(file) {
			return pieces
		}
		i += skip
		line++
		p := Piece{For: ForKey, Line: line, Missing: true}
		from, ends := i, false
		i += len(l.LinesStarting)
		for n := 0; n < l.Columns && !ends && i < len(file); n++ {
			var value []byte
			var closed, escapedN bool
			value, closed, escapedN, i, ends = field(i)
			if n == l.KeyColumn {
				p.Missing = false
				if p.Key = append([]byte{}, value...); escapedN && len(value) == 1 || !closed && len(l.Enclosed) > 0 && string(value) == "NULL" {
					p.Key = nil
				}
			}
		}
		p.Text = bytes.Clone(file[from:i])
		if !ends {
			behind := i
			var open bool
			if i, open = rest(i); i-behind > len(l.LinesTerminated) || open && i > behind {
				p.Text = append(p.Text, l.Cutter().filler)
			}
			if !open {
				p.Text = append(p.Text, l.LinesTerminated...)
			}
		}
		pieces = append(pieces, p)
	}
}

// cutLines lets a Cutter have the file in parts: each of cuts is how many bytes more it gets when it asks for more.
func cutLines(l *Load, file []byte, cuts func() int) (pieces []Piece) {
	c := l.Cutter()
	from, to := 0, 0
	for {
		given := bytes.Clone(file[from:to]) // so that what it reads beyond is a fault
		p, ok := c.Next(given, to == len(file))
		switch {
		case ok && p.Size <= 0 || p.Size > to-from:
			panic(fmt.Sprintf("a piece of %d bytes out of %d", p.Size, to-from))
		case ok:
			from += p.Size
			if p.For != ForNobody {
				p.Size, p.Text = 0, bytes.Clone(p.Text)
				if p.Key != nil {
					p.Key = append([]byte{}, p.Key...)
				}
				pieces = append(pieces, p)
			}
		case to == len(file):
			return pieces
		default:
			to = min(len(file), to+max(1, cuts()))
		}
	}
}

// printLines is for comparing: keys are cut where those of the Cutter are.
func printLines(pieces []Piece) string {
	var b strings.Builder
	for _, p := range pieces {
		key := fmt.Sprintf("%q", p.Key[:min(len(p.Key), maxKeyText+1)])
		switch {
		case p.For == ForAll:
			key = "-"
		case p.Missing:
			key = "missing"
		case p.Key == nil:
			key = "NULL"
		}
		fmt.Fprintf(&b, "%d %d %s %q\n", p.For, p.Line, key, p.Text)
	}
	return b.String()
}

// again is what a backend reads of the texts that it is sent. They must be cut as the file was.
func again(l *Load, pieces []Piece) string {
	var file []byte
	for _, p := range pieces {
		file = append(file, p.Text...)
	}
	return printLines(slowLines(l, file))
}

// separatorsOf makes a Load of five separators, KeyColumn and so on.
func separatorsOf(fields, enclosed, escaped, starting, lines string, columns, key int, ignore uint64) *Load {
	return &Load{
		FieldsTerminated: []byte(fields), Enclosed: []byte(enclosed), Escaped: []byte(escaped), LinesStarting: []byte(starting), LinesTerminated: []byte(lines),
		Columns: columns, KeyColumn: key, Ignore: ignore,
	}
}

// TestCutterTwin compares the Cutter with its slow twin: random files in random forms, given in random parts.
func TestCutterTwin(t *testing.T) {
	one := func(r *rand.Rand, of ...string) string { return of[r.IntN(len(of))] }
	lines, refused := 0, 0
	for seed := range uint64(30_000) {
		r := rand.New(rand.NewPCG(seed, 7))
		fields, enclosed, escaped := one(r, ",", "\t", "||", "ab", `","`, `"`, ",,x"), one(r, "", `"`, "'", ","), one(r, `\`, "", `"`, "x", "N")
		starting, end := one(r, "", "", ">>", "xyx", "\n>"), one(r, "\n", "\r\n", ",\n", "aab", `"\n`, "\n\n\r")
		columns := 1 + r.IntN(3)
		l := separatorsOf(fields, enclosed, escaped, starting, end, columns, r.IntN(columns), uint64(max(0, r.IntN(6)-3)))
		var file []byte
		for range r.IntN(40) {
			file = append(file, one(r, fields, enclosed, escaped, end, starting, starting+"5", end[:1], fields[:1], enclosed+fields+enclosed, enclosed+end+enclosed,
				escaped+"N"+fields, "NULL", "N", "n", "a", "x", "5", strings.Repeat("k", r.IntN(300)))...)
		}
		want := printLines(slowLines(l, file))
		if got := cutLines(l, file, func() int { return r.IntN(8) }); printLines(got) != want {
			t.Fatalf("seed %d: %+v\nfile %q\ngot:\n%swant:\n%s", seed, l, file, printLines(got), want)
		} else if again := again(l, got); again != want {
			t.Fatalf("seed %d: %+v\nfile %q\nas a backend reads it:\n%swant:\n%s", seed, l, file, again, want)
		} else {
			lines += len(got)
			for _, p := range got {
				if p.Missing {
					refused++
				}
			}
		}
	}
	if lines < 50_000 || refused < 5000 {
		t.Errorf("only %d lines, %d of them without key", lines, refused)
	}
}

// FuzzCutter is TestCutterTwin with input of the fuzzer's.
func FuzzCutter(f *testing.F) {
	f.Add(",", `"`, `\`, "", "\n", byte(2), byte(1), byte(1), []byte("id,name\n1,\"a\"\"b\n\"\n\\N,x\n2,\"c"), []byte{3, 0, 7})
	f.Add("||", "'", "", ">>", "\r\n", byte(1), byte(0), byte(0), []byte(">>'5'||rest\r\nnot\r\n>>6\r\r\n>>"), []byte{1})
	f.Add("\t", `"`, `"`, "", "|", byte(3), byte(2), byte(0), []byte("a\tb\t\"c\"\"\"\td|\"\"\t\"x"), []byte{})
	f.Fuzz(func(t *testing.T, fields, enclosed, escaped, starting, end string, columns, key, ignore byte, file, cuts []byte) {
		l := separatorsOf(fields, enclosed, escaped, starting, end, 1+int(columns%8), int(key%(1+columns%8)), uint64(ignore%4))
		if fields == "" || end == "" || fields == end || len(enclosed) > 1 || len(escaped) > 1 ||
			slices.ContainsFunc(l.separators(), func(s []byte) bool { return len(s) > maxSeparator }) {
			return
		}
		n := 0
		got := cutLines(l, file, func() int {
			if len(cuts) == 0 {
				return len(file)
			}
			n++
			return int(cuts[n%len(cuts)])
		})
		want := printLines(slowLines(l, file))
		if printLines(got) != want {
			t.Fatalf("got:\n%swant:\n%s", printLines(got), want)
		}
		if again := again(l, got); again != want {
			t.Fatalf("as a backend reads it:\n%swant:\n%s", again, want)
		}
	})
}

// BenchmarkCutter cuts a file of short lines.
func BenchmarkCutter(b *testing.B) {
	l := loadOf(b, `FIELDS TERMINATED BY ',' OPTIONALLY ENCLOSED BY '"' (a, customer, b)`)
	var file []byte
	for i := range 1000 {
		file = fmt.Appendf(file, "%d,%d,\"some text of a usual length \\\" for row %d\"\n", i, 7*i, i)
	}
	b.SetBytes(int64(len(file)))
	b.ReportAllocs()
	c := l.Cutter()
	for b.Loop() {
		for rest := file; len(rest) > 0; {
			p, ok := c.Next(rest, false)
			if !ok {
				b.Fatalf("%q", rest)
			}
			if _, err := l.Place(p); err != nil {
				b.Fatal(err)
			}
			rest = rest[p.Size:]
		}
	}
}
