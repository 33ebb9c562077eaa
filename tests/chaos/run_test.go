package chaos

import (
	"testing"
	"time"

	"github.com/xaproxy/xaproxy/tests/proxytest"
	"github.com/xaproxy/xaproxy/tests/servers"
)

// Goal: the run of random faults works, with each store and with several proxies. It is short; `make chaos` takes its time.
func TestRun(t *testing.T) {
	path, err := proxytest.Build(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	for store, proxies := range map[Store]int{File: 1, Participant: 2} {
		t.Run(string(store), func(t *testing.T) {
			t.Parallel()
			r, err := Run(t.Context(), Options{
				Kinds: [2]servers.Kind{servers.MariaDBBinlog, servers.MySQL}, Store: store, Proxies: proxies, Binary: path,
				Duration: 8 * time.Second, Seed: 1, Clients: 8, Progress: func(line string) { t.Log(line) },
			})
			if err != nil {
				t.Fatal(err)
			}
			for _, v := range r.Violations {
				t.Error(v)
			}
			if r.Acknowledged == 0 || len(r.Faults) == 0 {
				t.Errorf("%d acknowledged, faults %v: the run has shown nothing", r.Acknowledged, r.Faults)
			}
			if t.Failed() {
				for _, line := range r.Log {
					t.Log(line)
				}
			}
		})
	}
}
