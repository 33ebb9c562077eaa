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
		{"DELETE FROM audit USING audit, nowhere", `refused: 1235 (42000)
  table shop.audit is on backend shop-2 and table shop.nowhere is on backend shop-1: joins across backends are not supported yet (at position 32); run one statement for each backend
  DELETE FROM audit USING audit, nowhere
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
