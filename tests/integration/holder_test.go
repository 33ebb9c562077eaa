package integration

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/xaproxy/xaproxy/tests/servers"
	"github.com/xaproxy/xaproxy/xa"
)

// The session that a branch's name tells of is the one that prepared it, until the server is started again.
func TestSessionInTheName(t *testing.T) {
	t.Parallel()
	for _, k := range []servers.Kind{servers.MariaDB, servers.MariaDBBinlog} {
		t.Run(string(k), func(t *testing.T) {
			t.Parallel() // its servers are its own
			b := newBench(t, "b1", k)
			g := xa.GTRID{Coord: "0badcafe", Epoch: 1, Seq: 1}
			b.held(xa.XID{GTRID: g}, 1)
			listed, err := b.admin.Prepared(t.Context())
			check(t, err)
			if len(listed) != 1 || listed[0].BQUAL != "b1" || listed[0].GTRID != g.String() {
				t.Fatalf("listed %v", listed)
			}
			x := xa.XID{GTRID: g, BQUAL: "b1", Session: listed[0].Session}
			id, err := b.admin.Holder(t.Context(), x)
			check(t, err)
			if !b.alive(id) || !strings.HasPrefix(x.Session, fmt.Sprintf("%x.", id)) {
				t.Errorf("session %d of %q, alive %v", id, x.Session, b.alive(id))
			}
			x.Session = fmt.Sprintf("%x.%X", id, time.Now().Add(-time.Hour).Unix()) // of an earlier run of the server
			if id, err := b.admin.Holder(t.Context(), x); id != 0 || err != nil {
				t.Errorf("session %d of %q, %v", id, x.Session, err)
			}
		})
	}
}
