package dialect

import (
	"fmt"
	"strings"
	"testing"

	"github.com/xaproxy/xaproxy/backend/postgres/dialect"
)

// TestCollationsAreThoseOfMySQL compares which characters of Latin, Greek and Cyrillic, and punctuation, are equal, and the order of all. Scripts
// that Unicode has extended since its version 9 may differ, and ₨ does: it is a sign of its own to PostgreSQL, and "Rs" to MySQL.
func TestCollationsAreThoseOfMySQL(t *testing.T) {
	p := newPair(t)
	o := dialect.Options{Schema: p.schema, Catalog: p}
	var rows []string
	for _, block := range [][2]rune{{' ', '~'}, {0xa0, 0x24f}, {0x370, 0x373}, {0x384, 0x386}, {0x388, 0x3a1}, {0x3a3, 0x52f}, {0x2010, 0x2027}, {0x20a0, 0x20a7}, {0x20a9, 0x20bd}} {
		for r := block[0]; r <= block[1]; r++ {
			s := quote(strings.NewReplacer(`\`, `\\`, "'", "''").Replace(string(r)))
			rows = append(rows, fmt.Sprintf("(%d, %s, %[2]s, %[2]s, %[2]s)", r, s))
		}
	}
	statements := []string{
		`CREATE TABLE letters (code INT PRIMARY KEY, ai_ci VARCHAR(2) COLLATE utf8mb4_0900_ai_ci, as_ci VARCHAR(2) COLLATE utf8mb4_0900_as_ci,
			as_cs VARCHAR(2) COLLATE utf8mb4_0900_as_cs, bin VARCHAR(2) COLLATE utf8mb4_0900_bin)`,
		"INSERT INTO letters VALUES " + strings.Join(rows, ", "),
	}
	for _, c := range []string{"ai_ci", "as_ci", "as_cs", "bin"} {
		statements = append(statements,
			fmt.Sprintf("SELECT a.code, b.code FROM letters a JOIN letters b ON a.%s = b.%[1]s AND a.code < b.code ORDER BY a.code, b.code", c),
			fmt.Sprintf("SELECT code FROM letters ORDER BY %s, code", c),
			fmt.Sprintf("SELECT code, LOWER(%s), UPPER(%[1]s) FROM letters WHERE code NOT IN (570, 574, 575, 576) ORDER BY code", c), // of those, the other case has more bytes, and MySQL loses it
			fmt.Sprintf("SELECT a.code, b.code FROM letters a JOIN letters b ON a.%s LIKE b.%[1]s WHERE a.code < 400 AND b.code < 400 AND b.code NOT IN (37, 92, 95) ORDER BY a.code, b.code", c),
		)
	}
	for _, text := range statements {
		if difference := p.compare(t.Context(), text, o); difference != "" {
			t.Errorf("%.200s\n  %.2000s", text, difference)
		}
	}
	t.Logf("%d the same, %d failed on both, %d refused", p.same, p.failed, p.refused)
}
