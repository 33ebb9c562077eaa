package dialect

import (
	"fmt"
	"strings"

	"github.com/dolthub/vitess/go/vt/sqlparser"
)

// inSchema are the forms of SHOW that tell of what a schema has, with their columns: ~ stands for a space, and behind those that are no short strings is
// their kind. What PostgreSQL does not have, or has in words of its own, is not there.
var inSchema = map[string]string{
	"EVENTS":           "Db Name Definer Time~zone Type Execute~at! Interval~value Interval~field Starts! Ends! Status Originator% character_set_client collation_connection Database~Collation",
	"FUNCTION STATUS":  ofRoutine,
	"PROCEDURE STATUS": ofRoutine,
	"TRIGGERS":         "Trigger Event Table Statement^ Timing Created@ sql_mode Definer character_set_client collation_connection Database~Collation",
	"TABLE STATUS": "Name Engine Version# Row_format Rows# Avg_row_length# Data_length# Max_data_length# Index_length# Data_free# Auto_increment# Create_time@ Update_time! Check_time! " +
		"Collation Checksum# Create_options Comment^",
}

const ofRoutine = "Db Name Type Language Definer Modified@ Created@ Security_type Comment^ character_set_client collation_connection Database~Collation"

// shownKinds are those behind columns of inSchema.
var shownKinds = map[byte]Kind{'#': BigInt, '^': LongText, '@': Timestamp, '!': Datetime, '%': Int}

// showMore is a SHOW of lists that are not about tables' definitions; false if it is none of them.
func (t *translator) showMore(n *sqlparser.Show, schema string) (showRows, bool, error) {
	kind := strings.ToUpper(n.Type)
	if n.Database != "" {
		schema = n.Database
	}
	switch kind {
	case "CREATE DATABASE", "CREATE SCHEMA":
		ifNot := ""
		if t.src.word(3) == "IF" {
			ifNot = "/*!32312 IF NOT EXISTS*/ "
		}
		created := "CREATE DATABASE " + ifNot + backtick(schema) + " /*!40100 DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_ai_ci */ /*!80016 DEFAULT ENCRYPTION='N' */"
		return showRows{columns: []string{"Database", "Create Database"}, rows: [][]string{{text(schema), text(created)}}}, true, nil
	case "ENGINES":
		return showRows{columns: []string{"Engine", "Support", "Comment", "Transactions", "XA", "Savepoints"}, rows: [][]string{
			{text("InnoDB"), text("DEFAULT"), text("PostgreSQL's tables"), text("YES"), text("YES"), text("YES")},
		}}, true, nil
	case "CHARSET", "CHARACTER SET":
		return showRows{columns: []string{"Charset", "Description", "Default collation", "Maxlen"}, kinds: map[string]Kind{"Maxlen": BigInt}, rows: [][]string{
			{text("binary"), text("Binary pseudo charset"), text("binary"), "1"}, {text("utf8mb4"), text("UTF-8 Unicode"), text("utf8mb4_0900_ai_ci"), "4"},
		}}, true, nil
	case "COLLATION":
		if len(t.src.toks) > 2 { // the parser forgets the condition
			return showRows{}, true, refuse(t.src.toks[2].Start, "SHOW COLLATION with a condition is not translated", "ask for all of them")
		}
		rows := showRows{columns: []string{"Collation", "Charset", "Id", "Default", "Compiled", "Sortlen", "Pad_attribute"}, kinds: map[string]Kind{"Id": BigInt, "Sortlen": BigInt}}
		for _, c := range []struct {
			name, charset, standard string
			id, sortlen             int
		}{{"binary", "binary", "Yes", 63, 1}, {"utf8mb4_0900_ai_ci", "utf8mb4", "Yes", 255, 0}, {"utf8mb4_0900_as_ci", "utf8mb4", "", 305, 0}, {"utf8mb4_0900_as_cs", "utf8mb4", "", 278, 0}, {"utf8mb4_0900_bin", "utf8mb4", "", 309, 1}} {
			rows.rows = append(rows.rows, []string{text(c.name), text(c.charset), fmt.Sprint(c.id), text(c.standard), text("Yes"), fmt.Sprint(c.sortlen), text("NO PAD")})
		}
		return rows, true, nil
	}
	columns, ok := inSchema[kind]
	if !ok {
		return showRows{}, false, nil
	}
	rows := showRows{kinds: map[string]Kind{}}
	var none []string
	for i, c := range strings.Fields(columns) {
		kind, special := shownKinds[c[len(c)-1]]
		empty := "''::text"
		if c = strings.ReplaceAll(c, "~", " "); special {
			c = c[:len(c)-1]
			rows.kinds[c], empty = kind, "NULL::"+Type{Kind: kind}.cast()
		}
		if kind == Int {
			rows.unsigned = c
		}
		rows.columns = append(rows.columns, c)
		none = append(none, fmt.Sprintf("%s AS c%d", empty, i))
	}
	rows.from = "SELECT " + strings.Join(none, ", ") + " WHERE false"
	if strings.HasSuffix(kind, "STATUS") && kind != "TABLE STATUS" { // of all schemas
		return rows, true, nil
	}
	if schema == "" {
		return rows, true, &Error{Errno: 1046, State: "3D000", At: -1, What: "No database selected"}
	}
	if kind == "TABLE STATUS" {
		base := func(s string) string { return `CASE WHEN "TABLE_TYPE" = 'BASE TABLE' THEN ` + s + " END" }
		rows.names = true
		rows.from = `SELECT "TABLE_NAME" AS c0, "ENGINE" AS c1, ` + base("10::bigint") + ` AS c2, ` + base("'Dynamic'::text") + ` AS c3, "TABLE_ROWS" AS c4, ` + base("0::bigint") + ` AS c5, "DATA_LENGTH" AS c6, ` +
			base("0::bigint") + ` AS c7, "INDEX_LENGTH" AS c8, ` + base("0::bigint") + ` AS c9, "AUTO_INCREMENT" AS c10, NULL::timestamptz AS c11, NULL::timestamp AS c12, NULL::timestamp AS c13, "TABLE_COLLATION" AS c14, NULL::bigint AS c15, ` +
			`"CREATE_OPTIONS" AS c16, "TABLE_COMMENT" AS c17 FROM xaproxy.tables WHERE "TABLE_SCHEMA" = ` + quoteText(schema)
	}
	return rows, true, nil
}
