package fidelity

import (
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
)

// story is a file of testdata: steps that are taken in order, in a fresh schema.
type story struct {
	name    string
	tellers []string // kinds of clients that tell it; see kinds
	steps   []step
}

// step is one command. Its text is that of the file.
type step struct {
	line int
	text string
	verb string // without its colon; "query" for a line without a verb
	arg  string // with {...} filled in
}

// readStories reads testdata/*.txt. A step begins in the first column; indented lines continue it. Lines that begin with #
// are comments; "# clients: KIND KIND" says which kinds of clients tell the story instead of the usual ones. A step is an
// SQL statement, or a verb with a colon:
//
//	:query SQL                     as a line without a verb
//	:send SQL | :receive           the two halves of :query
//	:connect OPTIONS               closes the connection and logs in on a new one; the options are those of parseLogin. Of the
//	                               reply only the last packet is compared
//	:login OPTIONS                 the same, and every packet is compared
//	:as NAME                       goes on with another connection, which is opened when first named
//	:prepare NAME SQL
//	:execute NAME [cursor] [flags=N] [same] TYPE:VALUE ...    "same" sends no types; TYPE is that of parseBound
//	:long NAME PARAM TEXT          COM_STMT_SEND_LONG_DATA
//	:fetch NAME ROWS | :reset NAME | :close NAME
//	:ping | :statistics | :resetconnection | :debug | :quit
//	:initdb SCHEMA | :fieldlist TABLE [WILDCARD] | :setoption N | :kill ID
//	:changeuser OPTIONS            bad user=U password=P schema=S
//	:raw HEX                       a command byte with its argument; one packet comes back
//	:packet SEQ HEX                a packet with this sequence id, maybe an empty one; one packet comes back
//	:say SEQ HEX                   the same, and nothing comes back
//	:file TEXT                     what this client answers LOCAL INFILE requests with; every | begins another packet
//	:attributes NAME=TYPE:VALUE    query attributes of this client's next statements
//	:await [sleeping] TEXT         waits until the server runs a statement that begins so, or until that sleeps
//	:listen                        hears what comes without having been asked for, until the connection is closed
//
// A statement's NAME may be #N, an id that nobody has given. {schema} is the schema's name, {x*1000} a thousand x, {hex:00ff}
// bytes, {nl} a line break, {tab} a tab, {id NAME} the number of the connection NAME, {id} that of the one without a name.
func readStories(schema string) ([]story, error) {
	paths, err := filepath.Glob("testdata/*.txt")
	if err != nil {
		return nil, err
	}
	var all []story
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		s := story{name: strings.TrimSuffix(filepath.Base(path), ".txt"), tellers: usualTellers}
		for i, line := range strings.Split(string(text), "\n") {
			switch {
			case strings.HasPrefix(line, "# clients: "):
				s.tellers = strings.Fields(strings.TrimPrefix(line, "# clients: "))
			case strings.TrimSpace(line) == "", line[0] == '#':
			case line[0] == ' ' || line[0] == '\t':
				last := &s.steps[len(s.steps)-1]
				last.text += "\n" + strings.TrimSpace(line)
			default:
				s.steps = append(s.steps, step{line: i + 1, text: line})
			}
		}
		for i := range s.steps {
			st := &s.steps[i]
			st.verb, st.arg = "query", st.text
			if verb, isVerb := strings.CutPrefix(st.text, ":"); isVerb {
				st.verb, st.arg, _ = strings.Cut(verb, " ")
			}
			if st.arg, err = fill(st.arg, schema); err != nil {
				return nil, fmt.Errorf("%s:%d: %w", path, st.line, err)
			}
		}
		all = append(all, s)
	}
	return all, nil
}

var hole = regexp.MustCompile(`\{(schema|nl|tab|hex:[0-9a-f]+|[^{}]\*[0-9]+)\}`)

// fill puts values into the holes of a text.
func fill(text, schema string) (filled string, err error) {
	filled = hole.ReplaceAllStringFunc(text, func(h string) string {
		h = h[1 : len(h)-1]
		if digits, isHex := strings.CutPrefix(h, "hex:"); isHex {
			b, e := hex.DecodeString(digits)
			if e != nil {
				err = e
			}
			return string(b)
		}
		switch h {
		case "schema":
			return schema
		case "nl":
			return "\n"
		case "tab":
			return "\t"
		}
		what, times, _ := strings.Cut(h, "*")
		n, e := strconv.Atoi(times)
		if e != nil {
			err = e
		}
		return strings.Repeat(what, n)
	})
	return filled, err
}
