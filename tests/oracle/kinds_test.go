package oracle

import (
	"fmt"
	"strings"

	"github.com/xaproxy/xaproxy/config"
)

// kinds are tables whose shard keys are of different types, on one shard map for each of the two sorts of functions.
var kinds = []table{
	keyed("k_int", "INT", "1, 2, 3, 5, 7, 8, 12, 2020, 2024, 300"),
	keyed("k_big", "BIGINT UNSIGNED", "1, 2, 3, 5, 7, 9, 11, 2020, 2024"),
	keyed("k_enum", "ENUM('9','8','7','3','2','1','b','2020') COLLATE utf8mb4_general_ci", "'1', '2', '3', '7', '8', '9', 'b', '2020'"),
	keyed("k_other", "ENUM('1','2','8','b','9') COLLATE utf8mb4_general_ci", "'1', '2', '8', '9', 'b'"),
	keyed("k_set", "SET('8','2','3','b') COLLATE utf8mb4_general_ci", "'2', '3', '8', 'b'"),
	keyed("k_year", "YEAR", "2001, 2002, 2020, 2024"),
	keyed("k_text", "VARCHAR(20) COLLATE utf8mb4_general_ci", "'1', '2', '3', '8', 'a', 'B', 'none', '2020'"),
	keyed("k_bin", "VARCHAR(20) COLLATE utf8mb4_bin", "'1', '2', '9', 'A', 'b', 'none', '2024'"),
	keyed("k_latin", "VARCHAR(20) CHARACTER SET latin1", "'1', '3', '8', 'A', 'B', '2020'"),
	keyed("d_date", "DATE", "'2025-12-30', '2025-12-31', '2026-01-01', '2026-01-02', '2026-01-03'"),
	keyed("d_time", "DATETIME(3)", "'2025-12-31 00:00:00', '2025-12-31 15:00:00', '2026-01-01 00:00:00', '2026-01-01 00:00:00.500', '2026-01-02 12:00:00'"),
	keyed("d_text", "VARCHAR(30) COLLATE utf8mb4_general_ci", "'2025-12-31', '2026-01-01', '2026-01-01 00:00:00', '2026-01-02 12:00:00'"),
}

// keyed is a table with these keys.
func keyed(name, of, keys string) table {
	all := strings.Split(keys, ", ")
	shards := "customers"
	if strings.HasPrefix(name, "d_") {
		shards = "days"
	}
	return table{
		name: name, shardBy: "k", shards: shards, count: len(all), columns: []column{{"k", other}, {"v", number}},
		ddl:  "k " + of + " NOT NULL PRIMARY KEY, v INT NOT NULL",
		rows: func(i int) string { return fmt.Sprintf("%s, %d", all[i], i) },
	}
}

// withKinds adds them to the configuration.
func withKinds(schema string, maps []string, all []config.Table) ([]string, []config.Table) {
	for _, t := range kinds {
		all = append(all, config.Table{Schema: schema, Name: t.name, Column: t.shardBy, ShardMap: t.shards})
	}
	return append(maps, `name = "days"
function = "dates"
shards = [{ name = "x", backend = "b0", holds = ["..2026-01-01"] }, { name = "y", backend = "b1", holds = ["2026-01-01..2026-01-02"] }, { name = "z", backend = "b2", holds = ["2026-01-02.."] }]`), all
}
