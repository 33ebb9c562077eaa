package once

import (
	"testing"

	"github.com/xaproxy/xaproxy/tests/chaos"
	"github.com/xaproxy/xaproxy/tests/proxytest"
	"github.com/xaproxy/xaproxy/tests/servers"
)

// Goal: operations with commit keys are done exactly once, whatever breaks. It is short; `make exactly-once` takes its time.
func TestOnce(t *testing.T) {
	path, err := proxytest.Build(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	for store, kinds := range map[chaos.Store][2]servers.Kind{
		chaos.File: {servers.MySQL, servers.MariaDBBinlog}, chaos.Participant: {servers.MariaDB, servers.MySQL},
	} {
		t.Run(string(store), func(t *testing.T) {
			t.Parallel()
			r, err := Run(t.Context(), Options{
				Kinds: kinds, Store: store, Binary: path, Operations: 200, FaultEvery: 20, Seed: 1, Clients: 8,
				Progress: func(line string) { t.Log(line) },
			})
			if err != nil {
				t.Fatal(err)
			}
			for _, v := range r.Violations {
				t.Error(v)
			}
			if !r.Good() {
				t.Error(r.Verdict())
			}
		})
	}
}
