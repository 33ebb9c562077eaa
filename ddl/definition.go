package ddl

import (
	"context"
	"encoding/hex"
	"fmt"
	"regexp"
	"strings"

	"github.com/xaproxy/xaproxy/backend"
	"github.com/xaproxy/xaproxy/router"
	"github.com/xaproxy/xaproxy/wire"
)

// counted is what changes in a definition with the rows.
var counted = regexp.MustCompile(` AUTO_INCREMENT=\d+`)

// Snapshot returns what SHOW CREATE says of the objects on a backend, but for the next value of AUTO_INCREMENT; "" where there is none.
func Snapshot(ctx context.Context, b *backend.Backend, objects []router.Object) (all []string, err error) {
	err = b.Apart(ctx, func(c *backend.Conn) error {
		for _, o := range objects {
			rows, err := c.Batch(maxAnswer, show(o))
			switch {
			case absent(err):
				all = append(all, "")
			case err != nil:
				return err
			default:
				all = append(all, created(rows[0]))
			}
		}
		return nil
	})
	return all, err
}

func show(o router.Object) string {
	if o.Name == "" {
		return "SHOW CREATE DATABASE " + backend.Quote(o.Schema)
	}
	return "SHOW CREATE TABLE " + backend.Quote(o.Schema) + "." + backend.Quote(o.Name)
}

// created is the definition in the answer to show.
func created(rows wire.Rows) string {
	return counted.ReplaceAllString(string(rows.Values[0][1]), "")
}

// Table is a table as a backend has it, in words that MariaDB and MySQL have in common.
type Table struct {
	Missing   bool
	View      bool
	Engine    string
	Collation string
	Columns   []Column
	Keys      []Key

	backend, version, create string
}

// Column is a column of a Table.
type Column struct {
	Name, Type, Collation string
	Null                  bool
	Default               string // "" if there is none
	Extra                 string // such as auto_increment
	Generated             string // the expression
}

// Key is an index or a foreign key, with what it says of its columns.
type Key struct {
	Name   string
	Unique bool
	Kind   string
	Parts  []string
}

// String is the column as a definition has it, for people.
func (c Column) String() string {
	words := []string{c.Type}
	if c.Collation != "" {
		words = append(words, "collate "+c.Collation)
	}
	if !c.Null {
		words = append(words, "not null")
	}
	if c.Default != "" {
		words = append(words, "default "+c.Default)
	}
	if c.Extra != "" {
		words = append(words, c.Extra)
	}
	if c.Generated != "" {
		words = append(words, "as ("+c.Generated+")")
	}
	return strings.Join(words, " ")
}

// String is the key for people.
func (k Key) String() string {
	kind := strings.ToLower(k.Kind)
	if k.Unique {
		kind = "unique " + kind
	}
	return kind + " (" + strings.Join(k.Parts, ", ") + ")"
}

// Describe reads what a backend has of a table.
func Describe(ctx context.Context, b *backend.Backend, o router.Object) (t *Table, err error) {
	err = b.Apart(ctx, func(c *backend.Conn) error {
		t, err = describe(c, o)
		return err
	})
	return t, err
}

func describe(c *backend.Conn, o router.Object) (*Table, error) {
	t := &Table{backend: c.Backend().Name()}
	of := func(prefix string) string {
		return fmt.Sprintf("%[1]stable_schema = %[2]s AND %[1]stable_name = %[3]s", prefix, text(o.Schema), text(o.Name))
	}
	answers, err := c.Batch(maxRecord,
		"SET NAMES utf8mb4",
		"SELECT table_type, engine, table_collation, VERSION() FROM information_schema.tables WHERE "+of(""),
		"SELECT column_name, column_type, is_nullable, column_default, extra, collation_name, generation_expression FROM information_schema.columns WHERE "+of("")+" ORDER BY ordinal_position",
		"SELECT index_name, non_unique, index_type, column_name, sub_part, collation FROM information_schema.statistics WHERE "+of("")+" ORDER BY index_name, seq_in_index",
		"SELECT k.constraint_name, k.column_name, k.referenced_table_name, k.referenced_column_name, r.update_rule, r.delete_rule "+
			"FROM information_schema.key_column_usage k JOIN information_schema.referential_constraints r ON r.constraint_schema = k.constraint_schema AND r.constraint_name = k.constraint_name AND r.table_name = k.table_name "+
			"WHERE "+of("k.")+" AND k.referenced_table_name IS NOT NULL ORDER BY k.constraint_name, k.ordinal_position",
		show(o))
	switch {
	case len(answers) < 5:
		return nil, err
	case len(answers[1].Values) == 0:
		t.Missing = true
		return t, nil
	case err != nil && !absent(err):
		return nil, err
	}
	if len(answers) > 5 {
		t.create = created(answers[5])
	}
	head := answers[1].Values[0]
	t.View, t.Engine, t.Collation, t.version = string(head[0]) != "BASE TABLE", string(head[1]), collation(head[2]), string(head[3])
	maria := strings.Contains(t.version, "MariaDB")
	for _, v := range answers[2].Values {
		t.Columns = append(t.Columns, readColumn(v, maria))
	}
	for _, v := range answers[3].Values {
		part := "(expression)"
		if v[3] != nil {
			part = string(v[3])
		}
		if v[4] != nil {
			part += "(" + string(v[4]) + ")"
		}
		if string(v[5]) == "D" {
			part += " desc"
		}
		kind := strings.Replace(string(v[2]), "RTREE", "SPATIAL", 1)
		t.part(Key{Name: string(v[0]), Unique: string(v[1]) == "0", Kind: kind + " key"}, part)
	}
	for _, v := range answers[4].Values {
		rule := func(b []byte) string { return strings.Replace(string(b), "NO ACTION", "RESTRICT", 1) }
		t.part(Key{Name: string(v[0]), Kind: "foreign key"}, fmt.Sprintf("%s references %s.%s on update %s on delete %s", v[1], v[2], v[3], rule(v[4]), rule(v[5])))
	}
	return t, nil
}

// part adds a part to the last key, or the key.
func (t *Table) part(k Key, part string) {
	if n := len(t.Keys); n > 0 && t.Keys[n-1].Name == k.Name && t.Keys[n-1].Kind == k.Kind {
		t.Keys[n-1].Parts = append(t.Keys[n-1].Parts, part)
		return
	}
	k.Parts = []string{part}
	t.Keys = append(t.Keys, k)
}

var (
	integerWidth = regexp.MustCompile(`\b(tinyint|smallint|mediumint|int|bigint|year)\(\d+\)`)
	noArguments  = regexp.MustCompile(`\b(current_timestamp|now|curdate|curtime)\(\)`)
	spelling     = strings.NewReplacer("`", "", "(", "", ")", "", " ", "", `\'`, "'", "_utf8mb4'", "'")
)

// readColumn reads a row of information_schema.columns.
func readColumn(v [][]byte, maria bool) Column {
	c := Column{Name: string(v[0]), Type: strings.ToLower(string(v[1])), Null: string(v[2]) == "YES", Collation: collation(v[5])}
	if strings.HasPrefix(c.Type, "enum") || strings.HasPrefix(c.Type, "set") {
		c.Type = string(v[1])
	} else if !strings.Contains(c.Type, "zerofill") {
		c.Type = integerWidth.ReplaceAllString(c.Type, "$1")
	}
	extra := strings.ToLower(string(v[4]))
	expression := strings.Contains(extra, "default_generated")
	c.Extra = noArguments.ReplaceAllString(strings.Join(strings.Fields(strings.ReplaceAll(extra, "default_generated", "")), " "), "$1")
	if v[6] != nil {
		c.Generated = strings.ToLower(spelling.Replace(string(v[6])))
	}
	def := string(v[3])
	if decimals.MatchString(def) && strings.HasPrefix(c.Type, "decimal") { // PostgreSQL writes as many as there were
		def = strings.TrimSuffix(strings.TrimRight(def, "0"), ".")
	}
	if digits, isHex := strings.CutPrefix(def, "0x"); isHex && strings.Contains(c.Type, "binary") { // as MySQL writes bytes
		if raw, err := hex.DecodeString(digits); err == nil {
			def = string(raw)
		}
	}
	switch {
	case c.Generated != "":
	case v[3] == nil && !maria && c.Null && c.Generated == "":
		c.Default = "NULL"
	case v[3] == nil:
	case maria && strings.HasPrefix(def, "'"):
		c.Default = "'" + strings.ReplaceAll(def[1:len(def)-1], "''", "'") + "'"
	case maria && def == "NULL":
		c.Default = def
	case maria && numeric.MatchString(def), !maria && !expression:
		c.Default = "'" + def + "'"
	default:
		c.Default = strings.ToLower(spelling.Replace(def))
	}
	return c
}

// decimals is a number with digits behind the point.
var decimals = regexp.MustCompile(`^-?\d+\.\d+$`)

// numeric is a default that MariaDB writes without quotes, unlike MySQL.
var numeric = regexp.MustCompile(`^(-?[0-9.]+(e[+-]?\d+)?|b'[01]*')$`)

// collation is the name that both kinds of servers know.
func collation(b []byte) string {
	if rest, old := strings.CutPrefix(string(b), "utf8_"); old {
		return "utf8mb3_" + rest
	}
	return string(b)
}
