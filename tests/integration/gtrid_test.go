package integration

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/xaproxy/xaproxy/tests/proxytest"
	"github.com/xaproxy/xaproxy/tests/servers"
	"github.com/xaproxy/xaproxy/tests/servers/servertest"
)

// Whoever greps the log for the name of a transaction sees all of its life, in its order: who began it, where, what came of each step, and
// that it is forgotten.
func TestTransactionInLog(t *testing.T) {
	t.Parallel()
	w := newWatched(t, []*servers.Server{servertest.Get(t, servers.MySQL), servertest.Get(t, servers.MariaDB)}, func(o *proxytest.Options) { o.LogLevel = "debug" })
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	for _, c := range []struct {
		end  string
		want []string
	}{
		{"COMMIT", []string{
			"transaction begins", "branch begins b0", "branch begins b1", "transition active preparing", "transition preparing preparing", "transition preparing deciding",
			"transition deciding committing", "transition committing committing", "transition committing done", "transaction forgotten committed",
		}},
		{"ROLLBACK", []string{
			"transaction begins", "branch begins b0", "branch begins b1", "transition active aborting", "transition aborting aborting", "transition aborting done",
			"transaction forgotten rolled back",
		}},
	} {
		conn := w.conn(proxytest.User, proxytest.Password)
		id := conn.rows("SELECT CONNECTION_ID()")
		from := w.Log.Len()
		conn.exec("BEGIN", "REPLACE INTO accounts VALUES (2, 1)", "REPLACE INTO accounts VALUES (3, 1)", c.end)
		first, err := w.Log.Wait(ctx, from, fmt.Sprintf(`"conn":%s`, id), `"message":"transaction begins"`)
		check(t, err)
		var begun struct{ GTRID string }
		check(t, json.Unmarshal([]byte(first), &begun))
		_, err = w.Log.Wait(ctx, from, begun.GTRID, `"message":"transaction forgotten"`)
		check(t, err)
		var got []string
		for _, line := range w.Log.Grep(begun.GTRID) {
			var said struct{ Message, Backend, From, To, Outcome string }
			check(t, json.Unmarshal([]byte(line), &said))
			got = append(got, strings.Join(strings.Fields(strings.Join([]string{said.Message, said.Backend, said.From, said.To, said.Outcome}, " ")), " "))
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%s:\n%s\nwant\n%s", c.end, strings.Join(got, "\n"), strings.Join(c.want, "\n"))
		}
	}
}
