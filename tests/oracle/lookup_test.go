package oracle

import (
	"fmt"
	"slices"
	"testing"

	"github.com/xaproxy/xaproxy/config"
)

// members have a lookup table, which only the proxy writes: the single server has a unique key in its place.
var members = table{
	name: "members", shardBy: "id", shards: "customers", count: 30, moves: true, key: []string{"id"},
	columns: []column{{"id", number}, {"email", text}, {"name", text}, {"v", number}},
	ddl:     `id INT NOT NULL PRIMARY KEY, email VARCHAR(30) COLLATE utf8mb4_general_ci, name VARCHAR(30) COLLATE utf8mb4_general_ci, v INT NOT NULL DEFAULT 0, UNIQUE KEY (email)`,
	rows: func(i int) string {
		return fmt.Sprintf("%d, %s, '%s', %d", i, or(i%7 == 3, "NULL", fmt.Sprintf("'M%d@example.org'", i)), names[i%len(names)], i%5)
	},
}

var membersByEmail = table{
	name: "members_by_email", shardBy: "email", shards: "emails",
	ddl: `email VARCHAR(30) COLLATE utf8mb4_general_ci NOT NULL PRIMARY KEY, id INT NOT NULL`,
}

// withLookups adds both to the configuration.
func withLookups(schema string, maps []string, all []config.Table) ([]string, []config.Table) {
	maps = append(maps, `name = "emails"
function = "hash"
shards = [{ name = "x", backend = "b0" }, { name = "y", backend = "b1" }, { name = "z", backend = "b2" }]`)
	return maps, append(all,
		config.Table{Schema: schema, Name: members.name, Column: members.shardBy, ShardMap: members.shards, KeyChanges: config.KeyChangesMove},
		config.Table{Schema: schema, Name: membersByEmail.name, Column: membersByEmail.shardBy, ShardMap: membersByEmail.shards, LookupOf: members.name})
}

// lookups says what is wrong with the rows of members, or with their entries.
func (p *pair) lookups(t *testing.T) outcome {
	t.Helper()
	const rows = "SELECT * FROM members"
	if o := p.judge(ask(t, p.direct, rows), ask(t, p.proxy, rows), false); o.differs != "" {
		return outcome{differs: "afterwards, " + rows + ": " + o.differs}
	}
	want, got := ask(t, p.direct, "SELECT email, id FROM members WHERE email IS NOT NULL").rows, ask(t, p.proxy, "SELECT email, id FROM members_by_email").rows
	slices.Sort(want)
	slices.Sort(got)
	if !slices.Equal(want, got) {
		return outcome{differs: "afterwards, the entries: " + firstDifference(want, got)}
	}
	return outcome{}
}
