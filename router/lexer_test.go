package router

import "testing"

// TestLatin1Space: byte 0xA0 is white space in latin1 and part of a letter in utf8, so outside of quotes it is refused.
func TestLatin1Space(t *testing.T) {
	r := newRouter(t, parseConfig(t, testConfig))
	for _, sql := range []string{
		"SELECT * FROM orders WHERE customer = 1 AND x\xa0OR\xa01=1",
		"SELECT * FROM orders WHERE customer = 1 --\xa0AND x = 1",
		"SELECT \xa01 FROM orders WHERE customer = 1",
	} {
		if p, err := r.Plan([]byte(sql), "shop", 0); err == nil {
			t.Errorf("%q: %+v", sql, p)
		}
	}
	for _, sql := range []string{"SELECT `\xc3\xa0`, 'x\xa0' FROM orders WHERE customer = 1", "SELECT \xc3\xa9 FROM orders WHERE customer = 1"} {
		if _, err := r.Plan([]byte(sql), "shop", 0); err != nil {
			t.Errorf("%q: %v", sql, err)
		}
	}
}

// FuzzLexer: any bytes are cut into tokens that tile them, in every mode, in both readings of executable comments, without a
// panic; and every token but the last is longer than nothing, so that the lexer always comes to an end.
func FuzzLexer(f *testing.F) {
	for _, sql := range seeds(f) {
		f.Add([]byte(sql), byte(0))
		f.Add([]byte(sql), byte(7))
	}
	f.Add([]byte("SELECT \x00 '\\"), byte(4))
	f.Fuzz(func(t *testing.T, sql []byte, how byte) {
		l := lexer{src: sql, mode: Mode(how & 3), skip: how&4 != 0, shape: how&8 != 0}
		for end := 0; ; {
			k := l.next()
			if k.start != end {
				t.Fatalf("token at %d follows one that ends at %d", k.start, end)
			}
			if k.kind == kEnd {
				if end != len(sql) {
					t.Fatalf("end at %d of %d", end, len(sql))
				}
				return
			}
			if k.end == k.start && (k.kind != kBad || k.start != len(sql)) || k.end > len(sql) {
				t.Fatalf("token %v of %d bytes", k, len(sql))
			}
			end = k.end
		}
	})
}

// FuzzSplit: the statements are parts of the text in its order, and none of them has a second statement.
func FuzzSplit(f *testing.F) {
	for _, sql := range seeds(f) {
		f.Add([]byte(sql), byte(0))
	}
	f.Fuzz(func(t *testing.T, sql []byte, how byte) {
		mode := Mode(how & 3)
		var s scan
		for i, part := range Split(sql, mode) {
			if len(part) == 0 {
				t.Fatalf("part %d is empty", i)
			}
			if s.read(part, "", mode, false); s.second && s.exec == false {
				t.Fatalf("part %d of %q is more than one statement: %q", i, sql, part)
			}
		}
	})
}
