package postgres

import (
	"bytes"
	"database/sql/driver"
	"io"
	"strconv"
	"strings"

	"github.com/xaproxy/xaproxy/backend/postgres/dialect"
	"github.com/xaproxy/xaproxy/wire"
)

// User variables are the session's own: PostgreSQL gets their values as literals of the statements that name them.

// assignUser carries out SET @name = ….
func (s *session) assignUser(name string, words []part) error {
	u, err := s.userLiteral(words)
	if err == nil {
		s.vars.user[name] = u
	}
	return err
}

// userLiteral is the value of an expression that a user variable gets.
func (s *session) userLiteral(words []part) (dialect.UserValue, error) {
	if text, ok := writtenString(words); ok {
		u := dialect.UserValue{Text: text, Type: dialect.Type{Kind: dialect.Varchar}}
		if words[0].is == "_BINARY" {
			u.Type.Kind = dialect.Varbinary
		}
		if n := len(words); n > 2 && words[n-2].is == "COLLATE" && words[n-2].kind == word {
			u.Type.Collation = s.ownCollation(strings.ToLower(words[n-1].is))
		}
		return u, nil
	}
	if len(words) == 1 && words[0].kind == word {
		switch text := words[0].is; {
		case text == "NULL":
			return dialect.UserValue{Null: true}, nil
		case strings.Trim(text, "0123456789") == "" && len(text) < 19:
			return dialect.UserValue{Text: text, Type: dialect.Type{Kind: dialect.BigInt}}, nil
		}
	}
	return s.computed("a user variable", words)
}

// ownCollation is a collation, or "" if literals have it: those that the translation reads as utf8mb4_0900_ai_ci.
func (s *session) ownCollation(name string) string {
	switch name {
	case "utf8mb4_general_ci", "utf8mb4_unicode_ci", "utf8mb4_0900_ai_ci", s.vars.values["collation_connection"].text:
		return ""
	}
	return name
}

// computed is the value of an expression, which may have queries in it.
func (s *session) computed(name string, words []part) (u dialect.UserValue, err error) {
	text := []byte("SELECT ")
	for i, w := range words {
		if i > 0 && w.from > words[i-1].from+len(words[i-1].raw) {
			text = append(text, ' ')
		}
		text = append(text, w.raw...)
	}
	t, err := s.translate(&statement{text: text}, nil)
	if err != nil {
		return u, err
	}
	if len(t.Steps) != 1 || len(t.Steps[0].Params) > 0 || t.Steps[0].Kind != dialect.Rows || len(t.Steps[0].Columns) != 1 {
		return u, wire.NewError(wire.CodeNotSupported, "%s can be set to one value only", name)
	}
	err = s.guarded(true, func(lead front) error {
		row, err := s.one(lead.text()+t.Steps[0].Text, t.Steps[0].Columns)
		if err == nil && row != nil {
			u = row[0]
		}
		return err
	})
	return u, err
}

// one reads the only row of a query; nil if there is none.
func (s *session) one(sql string, columns []dialect.ResultColumn) (row []dialect.UserValue, err error) {
	rows, err := s.send(sql)
	if err != nil {
		return nil, err
	}
	defer func() {
		if closed := rows.Close(); err == nil {
			err = s.noted(closed)
		}
	}()
	values := make([]driver.Value, rows.columns)
	for {
		if err := rows.Next(values); err == io.EOF {
			return row, nil
		} else if err != nil {
			return nil, s.noted(err)
		}
		if row != nil {
			return nil, &wire.Error{Errno: 1172, State: "42000", Message: "Result consisted of more than one row"}
		}
		row = make([]dialect.UserValue, len(values))
		for i, v := range values {
			if b, ok := v.([]byte); ok {
				v = bytes.Clone(b) // it is lib/pq's until the next message
			}
			row[i] = dialect.UserValueOf(columns[i].Type, v)
			row[i].Type.Collation = s.ownCollation(row[i].Type.Collation)
		}
	}
}

// into carries out SELECT … INTO @a, @b. Without a row the variables stay what they are, with a warning.
func (r *run) into(step dialect.Step, sql string) error {
	row, err := r.s.one(sql, step.Columns)
	if err != nil {
		return err
	}
	if row == nil {
		r.s.said = append(r.s.said, warning{"Warning", "No data - zero rows fetched, selected, or processed", 1329})
		return nil
	}
	for i, name := range step.Into {
		r.s.vars.user[name] = row[i]
	}
	r.affected++
	return nil
}

// userValue is the value of @name, or of one of the functions that the proxy asks of it.
func (s *session) userValue(item []part) (variable, bool) {
	function := ""
	if len(item) > 3 && item[1].is == "(" && item[len(item)-1].is == ")" {
		function, item = item[0].is, item[2:len(item)-1]
	}
	if len(item) != 2 || item[0].is != "@" || item[0].kind != mark {
		return variable{}, false
	}
	u, set := s.vars.user[strings.ToLower(unquoted(item[1]))]
	if !set {
		u.Null = true
	}
	number := u.Type.Kind == dialect.BigInt || u.Type.Kind == dialect.Decimal || u.Type.Kind == dialect.Double
	switch function {
	case "":
		return variable{text: u.Text, null: u.Null, number: number, of: u.Type}, true
	case "HEX":
		if number {
			n, _ := strconv.ParseInt(u.Text, 10, 64) // others are asked for by nobody
			return variable{text: strings.ToUpper(strconv.FormatInt(n, 16)), null: u.Null}, true
		}
		return variable{text: hexOf(u.Text), null: u.Null}, true
	case "CHARSET":
		if number || u.Type.Kind == dialect.Varbinary || u.Null {
			return variable{text: "binary"}, true
		}
		return variable{text: "utf8mb4"}, true
	case "COLLATION":
		switch {
		case number || u.Type.Kind == dialect.Varbinary || u.Null:
			return variable{text: "binary"}, true
		case u.Type.Collation != "":
			return variable{text: u.Type.Collation}, true
		}
		c, _ := s.vars.get("collation_connection") // it is there
		return c, true
	}
	return variable{}, false
}

// column describes the value in a result.
func (v variable) column(s *session, name string) wire.Column {
	if !v.number {
		return s.textColumn(name, uint32(len(v.text)))
	}
	c := numberColumn(name)
	if v.of.Unsigned || v.unsigned {
		c.Flags |= wire.FlagUnsigned
	}
	switch v.of.Kind {
	case dialect.Decimal:
		_, frac, _ := strings.Cut(v.text, ".")
		c.Type, c.Length, c.Decimals = wire.TypeNewDecimal, 67, byte(len(frac))
	case dialect.Double:
		c.Type, c.Length, c.Decimals = wire.TypeDouble, 23, notFixed
	}
	if v.null || v.of.Kind != dialect.Unknown {
		c.Flags &^= wire.FlagNotNull
	}
	return c
}
