package dialect

import "strings"

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
