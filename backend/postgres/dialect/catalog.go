package dialect

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// TableQuery asks PostgreSQL for a table: $1 is the schema and $2 the name. The answer is one row with one column, which ReadTable reads,
// or none if there is no such table.
const TableQuery = `SELECT json_build_object(
	'view', c.relkind IN ('v', 'm'),
	'referenced', EXISTS (SELECT FROM pg_constraint f WHERE f.confrelid = c.oid AND f.contype = 'f'),
	'bound', (SELECT json_agg(DISTINCT a.attname) FROM pg_constraint f JOIN pg_attribute a ON a.attrelid = c.oid
		AND (f.conrelid = c.oid AND a.attnum = ANY (f.conkey) OR f.confrelid = c.oid AND a.attnum = ANY (f.confkey)) WHERE f.contype = 'f'),
	'comment', COALESCE(obj_description(c.oid, 'pg_class'), ''),
	'columns', (SELECT json_agg(json_build_object(
			'name', a.attname, 'type', format_type(a.atttypid, a.atttypmod), 'notNull', a.attnotnull
				AND NOT EXISTS (SELECT FROM pg_constraint o WHERE o.conrelid = c.oid AND o.contype = 'n' AND NOT o.convalidated AND a.attnum = ANY (o.conkey)),
			'identity', c.relkind IN ('r', 'p') AND pg_get_serial_sequence(format('%I.%I', n.nspname, c.relname), a.attname) IS NOT NULL,
			'default', COALESCE(pg_get_expr(d.adbin, d.adrelid), ''), 'generated', a.attgenerated <> '', 'virtual', a.attgenerated = 'v',
			'collation', CASE WHEN l.collname IN ('default') THEN '' WHEN l.collname IN ('C', 'POSIX') THEN '"C"' ELSE COALESCE(ln.nspname || '.' || l.collname, '') END,
			'comment', COALESCE(col_description(c.oid, a.attnum), '')) ORDER BY a.attnum)
		FROM pg_attribute a LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
		LEFT JOIN pg_collation l ON l.oid = a.attcollation LEFT JOIN pg_namespace ln ON ln.oid = l.collnamespace
		WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped),
	'keys', (SELECT json_agg(json_build_object('name', i.relname, 'primary', x.indisprimary, 'unique', x.indisunique, 'columns',
			(SELECT json_agg(a.attname ORDER BY k.n) FROM unnest(x.indkey) WITH ORDINALITY AS k(num, n)
				JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = k.num WHERE k.n <= x.indnkeyatts)) ORDER BY NOT x.indisprimary, NOT x.indisunique, i.relname)
		FROM pg_index x JOIN pg_class i ON i.oid = x.indexrelid
		WHERE x.indrelid = c.oid AND x.indisvalid AND (x.indpred IS NULL AND x.indexprs IS NULL OR x.indisunique)))
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = $1 AND c.relname = $2 AND c.relkind IN ('r', 'p', 'v', 'm')`

// ReadTable makes a table of the answer to TableQuery. A column says its type of MySQL's in its comment, as the translation of CREATE TABLE
// leaves it there; of one that does not the type follows from PostgreSQL's.
func ReadTable(schema, name string, answer []byte) (*Table, error) {
	var a struct {
		View       bool
		Referenced bool
		Bound      []string
		Comment    string
		Columns    []struct {
			Name, Type, Default, Collation, Comment string
			NotNull, Identity, Generated, Virtual   bool
		}
		Keys []Key
	}
	if err := json.Unmarshal(answer, &a); err != nil {
		return nil, fmt.Errorf("read the table %s.%s: %w", schema, name, err)
	}
	t := &Table{Schema: schema, Name: name, View: a.View, Referenced: a.Referenced, Bound: a.Bound, Comment: a.Comment, Keys: a.Keys}
	for i := range t.Keys {
		t.Keys[i].Name = strings.TrimPrefix(t.Keys[i].Name, name+".")
		if t.Keys[i].Primary {
			t.Keys[i].Name = "PRIMARY"
		}
	}
	for _, c := range a.Columns {
		column := &Column{
			Name: c.Name, PG: c.Type, PGCollation: c.Collation, NotNull: c.NotNull, Identity: c.Identity, Default: c.Default, Generated: c.Generated, Virtual: c.Virtual,
		}
		var said Type
		column.Comment, said, column.OnUpdate = readComment(c.Comment)
		column.Type = derive(c.Type, c.Collation)
		if said.Kind != Unknown && compatible(said, c.Type) {
			if said.Kind.text() && said.Collation != "" && collations[said.Collation] != c.Collation { // it was changed since
				said.Collation = column.Type.Collation
			}
			column.Type = said
		}
		t.Columns = append(t.Columns, column)
	}
	return t, nil
}

// compatible tells whether a column of the type in PostgreSQL can still be what its comment says.
func compatible(t Type, pg string) bool {
	base, _, _ := strings.Cut(pg, "(")
	want, _, _ := strings.Cut(t.stored(), "(")
	same := map[string]string{"timestamp": "timestamp", "timestamptz": "timestamp", "timestamp without time zone": "timestamp", "timestamp with time zone": "timestamp", "time without time zone": "time"}
	normal := func(s string) string {
		if n, ok := same[strings.TrimSpace(s)]; ok {
			return n
		}
		return strings.TrimSpace(s)
	}
	return normal(base) == normal(want) || t.Kind == BigInt && t.Unsigned && base == "bigint"
}

// note is how a column's comment says its type.
func note(comment string, t Type, onUpdate bool) string {
	s := comment + "{mysql " + t.String()
	if t.Kind.text() && t.Collation != "" {
		s += " collate " + t.Collation
	}
	if onUpdate {
		s += " on update"
	}
	return s + "}"
}

func readComment(s string) (comment string, t Type, onUpdate bool) {
	at := strings.LastIndex(s, "{mysql ")
	if at < 0 || !strings.HasSuffix(s, "}") {
		return s, Type{}, false
	}
	text, onUpdate := strings.CutSuffix(s[at+len("{mysql "):len(s)-1], " on update")
	t, ok := readType(text)
	if !ok {
		return s, Type{}, false
	}
	return s[:at], t, onUpdate
}

var typeText = regexp.MustCompile(`(?s)^([a-z]+)(?:\((.*)\))?( unsigned)?(?: collate ([0-9a-z_]+))?$`)

// readType reads what Type.String writes.
func readType(s string) (Type, bool) {
	m := typeText.FindStringSubmatch(s)
	if m == nil {
		return Type{}, false
	}
	for k, name := range typeNames {
		if name != m[1] {
			continue
		}
		t := Type{Kind: Kind(k), Unsigned: m[3] != "", Collation: m[4]}
		if t.Kind == Enum || t.Kind == Set {
			inner := strings.TrimSuffix(strings.TrimPrefix(m[2], "'"), "'")
			for _, e := range strings.Split(inner, "','") {
				t.Elements = append(t.Elements, strings.ReplaceAll(e, "''", "'"))
			}
			return t, true
		}
		if m[2] != "" {
			length, scale, _ := strings.Cut(m[2], ",")
			n, err := strconv.Atoi(length)
			if err != nil {
				return t, false
			}
			t.Length = n
			t.Scale, _ = strconv.Atoi(scale)
			if t.Kind.temporal() {
				t.Length, t.Scale = 0, n
			}
		}
		return t, true
	}
	return Type{}, false
}

var pgType = regexp.MustCompile(`^([a-z ]+?)(?:\((\d+)(?:,(\d+))?\))?( with(?:out)? time zone)?$`)

// derive is the type of MySQL's that stands for one of PostgreSQL's. What has none is a string.
func derive(pg, collation string) Type {
	m := pgType.FindStringSubmatch(pg)
	if m == nil {
		return Type{Kind: LongText, Collation: "utf8mb4_0900_bin"}
	}
	length, _ := strconv.Atoi(m[2])
	scale, _ := strconv.Atoi(m[3])
	strs := "utf8mb4_0900_bin"
	if c, ok := strings.CutPrefix(collation, "xaproxy."); ok {
		strs = c
	}
	switch strings.TrimSpace(m[1]) {
	case "boolean":
		return Type{Kind: TinyInt, Length: 1}
	case "smallint":
		return Type{Kind: SmallInt}
	case "integer":
		return Type{Kind: Int}
	case "bigint":
		return Type{Kind: BigInt}
	case "numeric":
		if length == 0 {
			return Type{Kind: Decimal, Length: 65, Scale: 30}
		}
		return Type{Kind: Decimal, Length: length, Scale: scale}
	case "real":
		return Type{Kind: Float}
	case "double precision":
		return Type{Kind: Double}
	case "date":
		return Type{Kind: Date}
	case "time":
		return Type{Kind: Time, Scale: precision(m[2])}
	case "timestamp":
		if m[4] == " with time zone" {
			return Type{Kind: Timestamp, Scale: precision(m[2])}
		}
		return Type{Kind: Datetime, Scale: precision(m[2])}
	case "bytea":
		return Type{Kind: LongBlob}
	case "json", "jsonb":
		return Type{Kind: JSON}
	case "character varying", "character":
		if length > 0 {
			return Type{Kind: Varchar, Length: length, Collation: strs}
		}
	case "citext":
		return Type{Kind: LongText, Collation: "citext"}
	case "uuid":
		return Type{Kind: Char, Length: 36, Collation: strs}
	}
	return Type{Kind: LongText, Collation: strs}
}

func precision(s string) int {
	if s == "" {
		return 6
	}
	n, _ := strconv.Atoi(s)
	return n
}
