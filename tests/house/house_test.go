// Package house holds the rules of this repository that a compiler does not check.
package house

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/xaproxy/xaproxy/"

// arrows is the one-way picture of docs/architecture.md: what each package may import of this module, and why it has
// no more. Tests may import what they like.
var arrows = map[string]struct {
	may []string
	why string
}{
	"xa":                       {nil, "the protocol can be read, and explored, without anything else"},
	"wire":                     {nil, "bytes know nothing of what they are for"},
	"config":                   {nil, "what may be configured does not depend on who uses it"},
	"router":                   {[]string{"config"}, "a plan follows from text and configuration alone, without I/O"},
	"decision":                 {[]string{"xa"}, "a store keeps decisions and knows nothing of branches"},
	"participant":              {[]string{"xa"}, "a store keeps decisions and knows nothing of branches"},
	"recovery":                 {[]string{"xa"}, "it finishes what the protocol left behind, with no idea of its own of what commit is"},
	"backend":                  {[]string{"xa", "wire", "config", "backend/postgres"}, "it has connections and verbs, and takes no decisions"},
	"backend/postgres":         {[]string{"wire", "backend/postgres/dialect"}, "it speaks two protocols, and knows nothing of what is behind either"},
	"backend/postgres/dialect": {[]string{"router"}, "a translation follows from text and catalog alone, without I/O"},
	"sequence":                 {nil, "a number is unique whoever keeps the counter"},
	"gather":                   {[]string{"router", "wire"}, "it makes one result of several, and knows nothing of transactions"},
	"temptable":                {[]string{"router", "wire"}, "it writes statements, and has no connections"},
	"ddl":                      {[]string{"router", "backend", "wire"}, "it runs statements and remembers them, and knows no clients"},
	"doctor":                   {[]string{"ddl", "router", "participant", "backend", "wire", "config"}, "it looks, and serves nobody"},
	"metric":                   {nil, "counting knows nothing of what is counted"},
	"trace":                    {[]string{"xa"}, "a span is told what has happened; it decides nothing"},
	"admin/live":               {nil, "what is told does not depend on who tells it, or who is told"},
	"admin/virtual":            {[]string{"admin/live", "wire"}, "it answers statements, and knows nobody who asks them"},
	"admin":                    {[]string{"config", "metric", "admin/live"}, "it shows what it is told, and knows nothing of the data path"},
	"proxy":                    {[]string{"router", "gather", "temptable", "sequence", "ddl", "xa", "backend", "wire", "config", "metric", "trace"}, "a session joins them; it knows no shard keys and no XA verbs"},

	"tests/servers": {nil, "it boots databases for whoever asks, and must not depend on what it tests"},
}

// owners says which packages alone may import a library. Everything else of the program goes through them.
var owners = map[string][]string{
	"github.com/dolthub/vitess":          {"router", "backend/postgres/dialect"},
	"github.com/dolthub/go-mysql-server": {"admin/virtual"},
	"github.com/go-sql-driver/mysql":     {"backend", "tests/servers", "cmd/xaproxy"},
	"github.com/lib/pq":                  {"backend/postgres", "tests/servers"},
	"github.com/pelletier/go-toml/v2":    {"config"},
	"github.com/prometheus":              {"admin"},
	"go.opentelemetry.io":                {"trace"},
	"github.com/spf13/cobra":             {"cmd/xaproxy"},
	"database/sql":                       {"backend", "backend/postgres", "tests/servers", "cmd/xaproxy"},
}

type goPackage struct {
	ImportPath string
	Imports    []string
}

// packages lists the packages of this module with the imports of their non-test files.
func packages(t *testing.T) []goPackage {
	t.Helper()
	cmd := exec.Command("go", "list", "-tags", "gms_pure_go", "-json=ImportPath,Imports", "./...")
	cmd.Dir = "../.."
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v\n%s", err, stderr.Bytes())
	}
	var all []goPackage
	for dec := json.NewDecoder(bytes.NewReader(out)); ; {
		var p goPackage
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			return all
		} else if err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
}

// violations applies both tables to the packages.
func violations(all []goPackage) []string {
	var found []string
	for _, p := range all {
		name := strings.TrimPrefix(p.ImportPath, module)
		rule, ruled := arrows[name]
		for _, imported := range p.Imports {
			ours, isOurs := strings.CutPrefix(imported, module)
			if ruled && isOurs && !slices.Contains(rule.may, ours) {
				found = append(found, name+" imports "+ours+", but "+rule.why)
			}
			for library, may := range owners {
				if (imported == library || strings.HasPrefix(imported, library+"/")) && !slices.Contains(may, name) && !strings.HasPrefix(name, "tests/") {
					found = append(found, name+" imports "+imported+", which only "+strings.Join(may, ", ")+" may")
				}
			}
		}
	}
	return found
}

func TestImportsGoOneWay(t *testing.T) {
	all := packages(t)
	for _, v := range violations(all) {
		t.Error(v)
	}
	for name := range arrows {
		if !slices.ContainsFunc(all, func(p goPackage) bool { return p.ImportPath == module+name }) {
			t.Errorf("the table speaks of package %s, which does not exist", name)
		}
	}
}

// TestForbiddenImportsAreSeen shows that the check above can fail.
func TestForbiddenImportsAreSeen(t *testing.T) {
	planted := []goPackage{
		{ImportPath: module + "xa", Imports: []string{module + "wire"}},
		{ImportPath: module + "proxy", Imports: []string{"database/sql"}},
		{ImportPath: module + "proxy", Imports: []string{"github.com/dolthub/vitess/go/vt/sqlparser"}},
		{ImportPath: module + "proxy", Imports: []string{module + "xa", "fmt"}},
	}
	if got := violations(planted); len(got) != 3 {
		t.Errorf("three of four planted imports are forbidden; found %q", got)
	}
}
