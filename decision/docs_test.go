package decision

import (
	"encoding/hex"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/xaproxy/xaproxy/xa"
)

// Goal: the records that docs/protocol.md shows byte by byte are those that a log writes.
func TestRecordsInDocs(t *testing.T) {
	page, err := os.ReadFile("../docs/protocol.md")
	if err != nil {
		t.Fatal(err)
	}
	h := header{coord: "3fa94c07", number: 1, size: 16 << 20, epoch: 0x1b}
	at := time.UnixMilli(1_795_684_447_121)
	d := xa.Decision{
		GTRID: xa.GTRID{Coord: h.coord, Epoch: 0x1b, Seq: 0x2e4}, Time: at, Key: xa.Key{Name: "order-4711"},
		Branches: []xa.BranchRef{
			{Backend: "shop-1", Server: "s1", ConnID: 88, Voted: at.Add(-3 * time.Millisecond)}, {Backend: "shop-2", Server: "s2", ConnID: 41, Voted: at},
		},
	}
	commit := appendRecord(nil, h.seed(), headerSize, headerSize, kindCommit, commitRecord(d).appendBody(nil))
	done := record{kind: kindDone, key: keyOf(d.GTRID), time: at.Unix(), ends: []xa.BranchEnd{
		{Backend: "shop-1", At: at.Add(5 * time.Millisecond)}, {Backend: "shop-2", At: at.Add(9 * time.Second), Recovery: true},
	}}
	for what, bytes := range map[string][]byte{
		"the header": h.encode()[:headerUsed], "COMMIT": commit,
		"DONE": appendRecord(nil, h.seed(), int64(headerSize+len(commit)), int64(headerSize+len(commit)), kindDone, done.appendBody(nil)),
	} {
		dump := "    " + strings.ReplaceAll(strings.TrimSpace(hex.Dump(bytes)), "\n", "\n    ")
		if !strings.Contains(string(page), dump) {
			t.Errorf("docs/protocol.md does not have %s:\n%s", what, dump)
		}
	}
}
