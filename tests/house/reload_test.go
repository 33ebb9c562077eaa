package house

import (
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/xaproxy/xaproxy/config"
)

// keysOf lists the keys of the configuration as section.key; those of shards are part of their map.
func keysOf() (keys []string) {
	root := reflect.TypeFor[config.Config]()
	for i := range root.NumField() {
		section := root.Field(i)
		typ := section.Type
		if typ.Kind() == reflect.Slice {
			typ = typ.Elem()
		}
		for j := range typ.NumField() {
			keys = append(keys, section.Tag.Get("toml")+"."+typ.Field(j).Tag.Get("toml"))
		}
	}
	return keys
}

// TestReloadTable: docs/operating.md says of each key, by itself or with its section, whether a reload changes it, as the program does.
func TestReloadTable(t *testing.T) {
	page, err := os.ReadFile("../../docs/operating.md")
	if err != nil {
		t.Fatal(err)
	}
	_, table, found := strings.Cut(string(page), "| keys | when they count |\n")
	if !found {
		t.Fatal("there is no table of keys")
	}
	table, _, _ = strings.Cut(table, "\n\n")
	says := map[string]bool{} // not before a restart
	for _, line := range strings.Split(table, "\n")[1:] {
		cells := strings.Split(line, "|")
		for _, m := range regexp.MustCompile("`([a-z_.*]+)`").FindAllStringSubmatch(cells[1], -1) {
			says[m[1]] = strings.Contains(cells[2], "not before a restart")
		}
	}
	keys := keysOf()
	for _, key := range keys {
		section, _, _ := strings.Cut(key, ".")
		restart, listed := says[key]
		if !listed {
			restart, listed = says[section+".*"]
		}
		if !listed || restart != (config.AtStart(key) != "") {
			t.Errorf("%s: listed: %t, not before a restart: %t, and config.AtStart says %q", key, listed, restart, config.AtStart(key))
		}
	}
	for key := range says {
		if !strings.HasSuffix(key, ".*") && !slices.Contains(keys, key) {
			t.Errorf("%s is in the table and not a key", key)
		}
	}
}
