package main

import (
	"bytes"
	"testing"
)

func TestExplain(t *testing.T) {
	for _, c := range []struct {
		statement, want string
		code            int
	}{
		{"SELECT * FROM audit", "one backend: shop-2\n  SELECT * FROM audit\n", 0},
		{"CREATE VIEW v AS SELECT 1", `refused: 1235 (42000)
  CREATE VIEW in schema shop, which is on several backends, is not supported (at position 8); run it on each of them itself, and give the view a [[tables]] entry like that of the tables that it reads
  CREATE VIEW v AS SELECT 1
         ^
`, 1},
	} {
		var out bytes.Buffer
		cmd := explainCommand()
		cmd.SetOut(&out)
		cmd.SetArgs([]string{"--config", "../../config.example.toml", "--schema", "shop", c.statement})
		if err := cmd.Execute(); exitCode(err) != c.code || out.String() != c.want {
			t.Errorf("%s: status %d\n%s", c.statement, exitCode(err), out.String())
		}
	}
}
