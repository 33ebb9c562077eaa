package proxy

import "strings"

// Some character sets of clients have characters whose second byte is a quote or a backslash. A lexer that does not
// decode them can be led to see a literal end where the server does not, so they are not spoken.
//
// Source: MySQL manual, "Supported Character Sets and Collations"; the ids are those of INFORMATION_SCHEMA.COLLATIONS.
var unsafeCharsets = map[string][]uint16{
	"big5":    {1, 84},
	"sjis":    {13, 88},
	"gbk":     {28, 87},
	"cp932":   {95, 96},
	"gb18030": {248, 249, 250},
}

// unsafeCollation names the unsafe character set that a collation id belongs to.
func unsafeCollation(id uint16) (string, bool) {
	for name, ids := range unsafeCharsets {
		for _, i := range ids {
			if i == id {
				return name, true
			}
		}
	}
	return "", false
}

// unsafeCharset reports whether name, as written in SQL, is an unsafe character set.
func unsafeCharset(name string) bool {
	_, bad := unsafeCharsets[strings.ToLower(strings.Trim(name, "'\"` "))]
	return bad
}

// speaksUTF8 reports whether the client's statements are certain to be in UTF-8.
func (s *session) speaksUTF8() bool {
	for _, name := range []string{"character_set_client", "names"} {
		if v := find(s.variables, name); v.sql != "" {
			return strings.Contains(strings.ToLower(v.sql), "utf8")
		}
	}
	id := s.state.Collation
	return id == 33 || id == 45 || id == 46 || id == 83 || id >= 192 && id <= 247 || id >= 255 && id <= 323
}
