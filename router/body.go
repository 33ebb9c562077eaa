package router

import "strings"

// body follows CREATE PROCEDURE, FUNCTION, TRIGGER and EVENT, and the compound statements that MariaDB takes outside of them, to tell
// the semicolons between the statements inside from the one behind it. BEGIN and END may also be names, so BEGIN only counts where a statement begins; what
// is not certain ends the statement, so that the text behind it is refused as a second one.
// https://dev.mysql.com/doc/refman/8.4/en/sql-compound-statements.html
type body struct {
	what    string // which of the four it is; BEGIN outside of them
	outer   string // the word of a compound statement that ends with END and this word
	plain   bool   // its body has no BEGIN, or is over
	blocks  []byte // open BEGIN ('b') and CASE ('c')
	end     bool   // the last token was END: the next one says of what
	handler bool   // in DECLARE ... HANDLER FOR, before its statement
	loop    bool   // in WHILE or FOR, before its DO
	start   bool   // a statement begins here
	last    string // the last token: a word in upper case, an operator, or "" for others
	before  string // the one before it
}

// beforeBody are the words and operators that come directly before the first BEGIN.
var beforeBody = set(`) : DETERMINISTIC SQL DATA DEFINER INVOKER ROW
	INT INTEGER BIGINT SMALLINT TINYINT MEDIUMINT UNSIGNED SIGNED FLOAT DOUBLE DECIMAL NUMERIC REAL BOOL BOOLEAN BIT CHAR VARCHAR
	BINARY VARBINARY TEXT TINYTEXT MEDIUMTEXT LONGTEXT BLOB TINYBLOB MEDIUMBLOB LONGBLOB JSON DATE TIME DATETIME TIMESTAMP YEAR`)

// newBody is for a statement that begins with the word; ok says whether there may be semicolons in it.
// https://mariadb.com/kb/en/using-compound-statements-outside-of-stored-programs/
func newBody(word []byte) (_ body, ok bool) {
	switch word[0] | 0x20 {
	case 'c', 'b', 'i', 'w', 'f', 'l', 'r':
	default:
		return body{}, false
	}
	switch {
	case is(word, "CREATE"):
		return body{}, true
	case is(word, "BEGIN"):
		return body{what: "BEGIN"}, true
	}
	for _, w := range compounds {
		if is(word, w) {
			return body{outer: w, blocks: []byte("b"), loop: w == "WHILE" || w == "FOR", start: w == "LOOP" || w == "REPEAT"}, true
		}
	}
	return body{}, false
}

// compounds are the words that begin the other compound statements.
var compounds = []string{"IF", "CASE", "WHILE", "FOR", "LOOP", "REPEAT"}

// next takes the next token; text is its word in upper case or its operator, "" for others.
func (b *body) next(text string) {
	if b.plain {
		return
	}
	if b.end {
		b.end = false
		switch text {
		case b.outer, "CASE":
			b.close()
			text = ""
		case "IF", "LOOP", "REPEAT", "WHILE", "FOR":
			text = "" // nothing that was counted
		default:
			b.close()
		}
		if len(b.blocks) == 0 {
			b.plain = true
			return
		}
	}
	start := b.start || text == ";"
	b.start = false
	if start && text == b.outer && text != "CASE" {
		b.blocks = append(b.blocks, 'b')
	}
	switch {
	case len(b.blocks) == 0:
		b.header(text)
	case text == "END":
		b.end = true
	case text == "CASE":
		b.blocks = append(b.blocks, 'c')
	case text == "BEGIN" && (start || b.handler && b.afterCondition()):
		b.blocks = append(b.blocks, 'b')
		b.start, b.handler = true, false
	case text == ";":
		b.start, b.handler, b.loop = true, false, false
	case b.handler:
		b.handler = conditions[text] || b.last == "FOR" || b.last == ","
	case text == "THEN", text == "ELSE":
		// In a CASE it may be the expression, whose values are no statements.
		b.start = b.blocks[len(b.blocks)-1] == 'b'
	case text == "WHILE", text == "FOR":
		b.loop = b.loop || start
	case text == "DO":
		b.start, b.loop = b.loop, false
	case text == ":":
		b.start = true
	case text == "LOOP", text == "REPEAT":
		b.start = start
	case text == "HANDLER":
		b.handler = b.before == "DECLARE"
	}
	b.before, b.last = b.last, text
}

// header takes a token before the first BEGIN.
func (b *body) header(text string) {
	if b.what == "BEGIN" { // of a transaction, if not BEGIN NOT ATOMIC
		switch {
		case text == "NOT" && b.last == "":
		case text == "ATOMIC" && b.last == "NOT":
			b.blocks, b.start = append(b.blocks, 'b'), true
		default:
			b.plain = true
		}
		return
	}
	switch text {
	case "PROCEDURE", "FUNCTION", "TRIGGER", "EVENT":
		if b.what == "" {
			b.what = text
		}
	case "INSERT", "UPDATE", "DELETE", "REPLACE": // the body, if not the event of a trigger, or CREATE OR REPLACE
		b.plain = b.last != "BEFORE" && b.last != "AFTER" && b.last != "OR"
	case "TABLE", "VIEW", "INDEX", "USER", "SELECT", "RETURN", "CASE", "WHILE", "LOOP", "REPEAT":
		b.plain = true
	case "BEGIN":
		if b.what == "" || !b.bodyBegins() {
			b.plain = true
			return
		}
		b.blocks = append(b.blocks, 'b')
		b.start = true
	}
}

// bodyBegins tells whether a header can end with the last token.
func (b *body) bodyBegins() bool {
	switch b.before {
	case "CHARSET", "SET", "COLLATE", "FOLLOWS", "PRECEDES": // and a name
		return true
	case "COMMENT":
		return b.last == ""
	}
	return beforeBody[b.last] || b.last == "DO" && b.what == "EVENT"
}

// conditions are what HANDLER FOR has before its statement, literals and names apart.
var conditions = map[string]bool{
	"FOR": true, "NOT": true, "FOUND": true, "SQLWARNING": true, "SQLEXCEPTION": true, "SQLSTATE": true, "VALUE": true, ",": true, "": true,
}

// afterCondition tells whether the last token ends the conditions of a handler.
func (b *body) afterCondition() bool {
	switch b.last {
	case "FOUND", "SQLWARNING", "SQLEXCEPTION", "":
		return true
	}
	return b.before == "FOR" || b.before == ","
}

func (b *body) close() {
	if len(b.blocks) > 0 {
		b.blocks = b.blocks[:len(b.blocks)-1]
	}
}

// inside tells whether a semicolon that comes next is a part of the statement.
func (b *body) inside() bool {
	open := len(b.blocks)
	if b.end {
		open--
	}
	return !b.plain && open > 0
}

// token is next for a token of the text.
func (b *body) token(t token, src []byte) {
	switch {
	case t.kind == kWord && b.last != ".": // behind a point it is a name
		b.next(strings.ToUpper(string(src[t.start:t.end])))
	case t.kind == kOp || t.kind == kSemi:
		b.next(string(src[t.start:t.end]))
	default:
		b.next("")
	}
}
