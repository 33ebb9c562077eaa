package proxy

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/xaproxy/xaproxy/router"
	"github.com/xaproxy/xaproxy/wire"
)

// mergeOK adds up the answers of one statement's parts to the one that a single server would have given. The insert
// id is that of the first part that has one.
func mergeOK(oks []wire.OK) wire.OK {
	sum := wire.OK{Info: oks[0].Info}
	warnings := 0
	for i, o := range oks {
		sum.Affected += o.Affected
		warnings += int(o.Warnings)
		if sum.InsertID == 0 {
			sum.InsertID = o.InsertID
		}
		if i > 0 {
			sum.Info = mergeInfo(sum.Info, o.Info)
		}
	}
	sum.Warnings = uint16(min(warnings, 1<<16-1))
	return sum
}

// insertInfo is what a server says of the rows of one INSERT: those of its parts' infos together. It says nothing of a single row,
// but how many that has changed tells whether there was one like it.
func insertInfo(p *router.Plan, oks []wire.OK) string {
	duplicates, warnings := uint64(0), 0
	for _, o := range oks {
		warnings += int(o.Warnings)
		var records, n uint64
		if _, err := fmt.Sscanf(o.Info, "Records: %d  Duplicates: %d", &records, &n); err != nil {
			switch {
			case p.Ignore && o.Affected == 0:
				n = 1
			case !p.Ignore && o.Affected > 1:
				n = o.Affected - 1
			}
		}
		duplicates += n
	}
	return fmt.Sprintf("Records: %d  Duplicates: %d  Warnings: %d", p.Records, duplicates, warnings)
}

// mergeInfo adds up the numbers of two info strings, such as "Rows matched: 1  Changed: 1  Warnings: 0". Strings of
// different form cannot be added; then the first stands.
func mergeInfo(a, b string) string {
	fieldsA, fieldsB := strings.Split(a, "  "), strings.Split(b, "  ")
	if len(fieldsA) != len(fieldsB) {
		return a
	}
	for i := range fieldsA {
		label, x, okA := strings.Cut(fieldsA[i], ": ")
		other, y, okB := strings.Cut(fieldsB[i], ": ")
		n, errA := strconv.ParseUint(x, 10, 64)
		m, errB := strconv.ParseUint(y, 10, 64)
		if !okA || !okB || label != other || errA != nil || errB != nil {
			return a
		}
		fieldsA[i] = label + ": " + strconv.FormatUint(n+m, 10)
	}
	return strings.Join(fieldsA, "  ")
}
