package dialect

import (
	"fmt"
	"hash/fnv"
	"strings"
)

// maxName is the length of PostgreSQL's names, in bytes. It would cut longer ones.
const maxName = 63

// longName is the first quoted name in a text that is too long, "" if there is none.
func longName(text string) string {
	for i := 0; i < len(text); i++ {
		quote := text[i]
		if quote != '"' && quote != '\'' {
			continue
		}
		end := strings.IndexByte(text[i+1:], quote) // of a doubled one another name follows at once, which is shorter
		if end < 0 {
			return ""
		}
		if quote == '"' && end > maxName {
			return text[i+1 : i+1+end]
		}
		i += end + 1
	}
	return ""
}

// quoteName writes an identifier. One that is too long, as that of an expression without a name is, becomes another one: PostgreSQL would cut it, so
// that two might be the same.
func quoteName(name string) string {
	if len(name) > maxName {
		h := fnv.New64a()
		_, _ = h.Write([]byte(name)) // it does not fail
		name = fmt.Sprintf("%s~%016x", strings.ToValidUTF8(name[:maxName-17], ""), h.Sum64())
	}
	return wholeName(name)
}

// wholeName writes an identifier that means something to us, too.
func wholeName(name string) string { return `"` + strings.ReplaceAll(name, `"`, `""`) + `"` }
