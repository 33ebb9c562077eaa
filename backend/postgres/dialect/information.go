package dialect

import "strings"

// information are the tables of information_schema: views of the schema xaproxy, with MySQL's columns.
var information = map[string]*Table{}

func init() {
	for name, columns := range map[string]string{
		"SCHEMATA": "CATALOG_NAME SCHEMA_NAME DEFAULT_CHARACTER_SET_NAME DEFAULT_COLLATION_NAME",
		"TABLES":   "TABLE_CATALOG TABLE_SCHEMA TABLE_NAME TABLE_TYPE ENGINE VERSION# TABLE_ROWS# AUTO_INCREMENT# TABLE_COLLATION TABLE_COMMENT",
		"COLUMNS": "TABLE_CATALOG TABLE_SCHEMA TABLE_NAME COLUMN_NAME ORDINAL_POSITION# COLUMN_DEFAULT IS_NULLABLE DATA_TYPE CHARACTER_MAXIMUM_LENGTH# " +
			"NUMERIC_PRECISION# NUMERIC_SCALE# DATETIME_PRECISION# CHARACTER_SET_NAME COLLATION_NAME COLUMN_TYPE COLUMN_KEY EXTRA COLUMN_COMMENT",
		"STATISTICS":       "TABLE_CATALOG TABLE_SCHEMA TABLE_NAME NON_UNIQUE# INDEX_SCHEMA INDEX_NAME SEQ_IN_INDEX# COLUMN_NAME NULLABLE INDEX_TYPE",
		"KEY_COLUMN_USAGE": "CONSTRAINT_SCHEMA CONSTRAINT_NAME TABLE_SCHEMA TABLE_NAME COLUMN_NAME ORDINAL_POSITION# REFERENCED_TABLE_SCHEMA REFERENCED_TABLE_NAME REFERENCED_COLUMN_NAME",
	} {
		t := &Table{Schema: "xaproxy", Name: strings.ToLower(name), View: true}
		for _, c := range strings.Fields(columns) {
			column := &Column{Type: Type{Kind: Varchar, Length: 64, Collation: defaultCollation}, PG: "text", PGCollation: "xaproxy." + defaultCollation}
			switch c {
			case "SCHEMA_NAME", "TABLE_SCHEMA", "TABLE_NAME", "CONSTRAINT_SCHEMA", "INDEX_SCHEMA", "REFERENCED_TABLE_SCHEMA", "REFERENCED_TABLE_NAME": // whose case counts
				column.Type.Collation, column.PGCollation = "utf8mb4_0900_bin", `"C"`
			}
			if column.Name, _ = strings.CutSuffix(c, "#"); column.Name != c {
				column.Type, column.PG, column.PGCollation = bigint, "bigint", ""
			}
			t.Columns = append(t.Columns, column)
		}
		information[name] = t
	}
}
