package oracle

import (
	"fmt"
	"strings"

	"github.com/xaproxy/xaproxy/config"
)

// column is a column of the schema, for the generator.
type column struct {
	name string
	kind kind
}

// kind is what expressions a column can be used in.
type kind int

const (
	number  kind = iota // integers and decimals
	inexact             // floating point numbers, all of them multiples of 1/4
	text
	date
	other
)

// table is a table of the schema: where it is, and how it is made.
type table struct {
	name    string
	columns []column
	key     []string // the primary key
	ddl     string
	shardBy string // the shard key's column, "" for tables on one backend
	shards  string // the shard map
	moves   bool   // UPDATE may change the shard key
	backend string // of a table on one backend
	rows    func(i int) string
	count   int
}

// tables hold all kinds of columns, spread in all ways.
var tables = []table{
	{
		name: "customers", shardBy: "id", shards: "customers", moves: true, key: []string{"id"}, count: 40,
		columns: []column{{"id", number}, {"name", text}, {"country", text}, {"credit", number}, {"since", date}},
		ddl: `id INT NOT NULL PRIMARY KEY, name VARCHAR(40) COLLATE utf8mb4_general_ci NOT NULL, country CHAR(2) COLLATE utf8mb4_bin,
			credit DECIMAL(10,2), since DATE, KEY (country)`,
		rows: func(i int) string {
			return fmt.Sprintf("%d, '%s', %s, %s, '20%02d-%02d-%02d'", i, names[i%len(names)], or(i%9 == 4, "NULL", quote(codes[i%len(codes)])),
				or(i%7 == 3, "NULL", fmt.Sprintf("%d.%02d", i*37%1000-200, i*13%100)), 10+i%15, 1+i%12, 1+i%28)
		},
	},
	{
		name: "orders", shardBy: "customer", shards: "customers", moves: true, key: []string{"customer", "id"}, count: 120,
		columns: []column{{"customer", number}, {"id", number}, {"placed", date}, {"amount", number}, {"state", text}, {"weight", inexact}, {"note", text}},
		ddl: `customer INT NOT NULL, id INT UNSIGNED NOT NULL, placed DATETIME(3) NOT NULL, amount DECIMAL(12,3) NOT NULL,
			state ENUM('new','paid','sent') NOT NULL, weight DOUBLE, note VARCHAR(60) COLLATE utf8mb4_unicode_ci, PRIMARY KEY (customer, id), KEY (placed)`,
		rows: func(i int) string {
			return fmt.Sprintf("%d, %d, '2026-%02d-%02d %02d:%02d:00.%03d', %d.%03d, '%s', %s, %s", i*7%43, i, 1+i%12, 1+i*5%28, i%24, i*7%60, i*31%1000,
				i*97%500, i*41%1000, []string{"new", "paid", "sent"}[i%3], or(i%11 == 5, "NULL", fmt.Sprint(float64(i%64)/4)), or(i%5 == 2, "NULL", quote(words[i*3%len(words)])))
		},
	},
	{
		name: "lines_", shardBy: "customer", shards: "customers", key: []string{"customer", "ord", "pos"}, count: 200,
		columns: []column{{"customer", number}, {"ord", number}, {"pos", number}, {"product", number}, {"qty", number}, {"price", inexact}},
		ddl: `customer INT NOT NULL, ord INT UNSIGNED NOT NULL, pos TINYINT NOT NULL, product BIGINT NOT NULL, qty SMALLINT UNSIGNED NOT NULL,
			price FLOAT, PRIMARY KEY (customer, ord, pos)`,
		rows: func(i int) string {
			ord := i * 3 / 5
			return fmt.Sprintf("%d, %d, %d, %d, %d, %s", ord*7%43, ord, i%5, i*11%35, i%9, or(i%13 == 6, "NULL", fmt.Sprint(float64(i*3%97)/4)))
		},
	},
	{
		name: "products", shardBy: "id", shards: "products", moves: true, key: []string{"id"}, count: 35,
		columns: []column{
			{"id", number},
			{"name", text},
			{"t", number},
			{"s", number},
			{"m", number},
			{"u", number},
			{"b", number},
			{"price", number},
			{"f", inexact},
			{"d", inexact},
			{"made", date},
			{"at", date},
			{"ts", date},
			{"clock", other},
			{"y", number},
			{"tags", text},
			{"code", text},
			{"raw", text},
			{"txt", text},
			{"bits", number},
			{"js", other},
		},
		ddl: `id BIGINT NOT NULL PRIMARY KEY, name VARCHAR(40) CHARACTER SET latin1 NOT NULL, t TINYINT, s SMALLINT UNSIGNED, m MEDIUMINT, u INT UNSIGNED ZEROFILL,
			b BIGINT UNSIGNED, price DECIMAL(9,2) NOT NULL DEFAULT 1.50, f FLOAT, d DOUBLE NOT NULL, made DATE, at DATETIME, ts TIMESTAMP NULL DEFAULT NULL,
			clock TIME(2), y YEAR, tags SET('a','b','c'), code BINARY(4), raw VARBINARY(20), txt TEXT COLLATE utf8mb4_general_ci, bits BIT(9), js JSON, UNIQUE (name)`,
		rows: func(i int) string {
			return fmt.Sprintf("%d, 'p%02d', %s, %d, %d, %d, %d, %d.%02d, %s, %v, '2024-%02d-%02d', %s, '2025-%02d-10 08:%02d:00', '%s%02d:%02d:%02d.%02d', %d, '%s', x'%02x00ff', x'%s', %s, b'%b', %s",
				i, i, or(i%6 == 1, "NULL", fmt.Sprint(i*29%255-127)), i*1900%65535, i*54321%8000000-4000000, i*7654321%4000000, uint64(i)*500000000000000000,
				i*19%300, i*7%100, or(i%4 == 3, "NULL", fmt.Sprint(float64(i*5%41)/4-3)), float64(i*17%101)/4-9, 1+i%12, 1+i%28, or(i%5 == 0, "NULL", fmt.Sprintf("'2023-%02d-11 1%d:00:01'", 1+i%12, i%10)),
				1+i%12, i, or(i%3 == 0, "-", ""), i*9%100, i%60, i*7%60, i%100, 1990+i%60, []string{"", "a", "a,c", "b"}[i%4], i, strings.Repeat("c3", i%9),
				or(i%8 == 7, "NULL", quote(words[i%len(words)])), i*13%512, or(i%6 == 2, "NULL", fmt.Sprintf(`'{"n": %d, "l": [1, "%s"]}'`, i, names[i%3])))
		},
	},
	{
		name: "settings", backend: "b0", key: []string{"k"}, count: 12,
		columns: []column{{"k", text}, {"v", number}},
		ddl:     `k VARCHAR(20) COLLATE utf8mb4_bin NOT NULL PRIMARY KEY, v INT`,
		rows:    func(i int) string { return fmt.Sprintf("'%s', %d", codes[i%len(codes)]+fmt.Sprint(i), i*i) },
	},
	{
		name: "audit", backend: "b1", key: []string{"id"}, count: 30,
		columns: []column{{"id", number}, {"customer", number}, {"what", text}},
		ddl:     `id INT NOT NULL PRIMARY KEY, customer INT NOT NULL, what VARCHAR(80) COLLATE utf8mb4_general_ci, KEY (customer)`,
		rows:    func(i int) string { return fmt.Sprintf("%d, %d, '%s'", i, i*3%41, words[i%len(words)]) },
	},
}

var (
	names = []string{"Anna", "bert", "Zoë", "ÄNNE", "Chloe", "anna ", "Österreich", "dan", "Émile", "ćirić"}
	codes = []string{"de", "AT", "ch", "fr", "DE", "it"}
	words = []string{"red", "Blue", "green apple", "grün", "", "BLUE", "a_b%c", "red ", "it''s", "yellow", "日本"}
)

func or(yes bool, a, b string) string {
	if yes {
		return a
	}
	return b
}

func quote(s string) string { return "'" + s + "'" }

// create is the table's definition, and fill the statements that fill it.
func (t *table) create() string {
	return "CREATE TABLE " + t.name + " (" + t.ddl + ") ENGINE=InnoDB DEFAULT CHARSET=utf8mb4"
}

func (t *table) fill() string {
	var names, rows []string
	for _, c := range t.columns {
		names = append(names, c.name)
	}
	for i := range t.count {
		rows = append(rows, "("+t.rows(i)+")")
	}
	return "INSERT INTO " + t.name + " (" + strings.Join(names, ", ") + ") VALUES " + strings.Join(rows, ", ")
}

// configured are the tables as xaproxy sees them.
func configured(schema string) (maps []string, configured []config.Table) {
	maps = []string{
		`name = "customers"
function = "hash"
slots = 12
shards = [{ name = "x", backend = "b0", holds = ["0-2", "7"] }, { name = "y", backend = "b1", holds = ["3-6"] }, { name = "z", backend = "b2", holds = ["8-11"] }]`,
		`name = "products"
function = "range"
shards = [{ name = "x", backend = "b0", holds = ["..8", "20..24"] }, { name = "y", backend = "b1", holds = ["8..20"] }, { name = "z", backend = "b2", holds = ["24.."] }]`,
	}
	for name, shards := range map[string]string{"accounts": "customers", "contacts": "customers"} {
		configured = append(configured, config.Table{Schema: schema, Name: name, Column: "customer", ShardMap: shards})
	}
	configured = append(configured, config.Table{Schema: schema, Name: "notes", Backend: "b2"})
	for _, t := range tables {
		c := config.Table{Schema: schema, Name: t.name, Backend: t.backend}
		if t.shardBy != "" {
			c.Column, c.ShardMap = t.shardBy, t.shards
		}
		if t.moves {
			c.KeyChanges = config.KeyChangesMove
		}
		configured = append(configured, c)
	}
	return maps, configured
}
