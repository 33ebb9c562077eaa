package config

import (
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

const (
	docsFile = "../docs/configuration.md"
	docsHead = `# Configuration

One TOML file. [` + "`config.example.toml`" + `](../config.example.toml) has every key in its place and is the quickest way to a file of one's own; here is what
each key means. ` + "`xaproxy check --config FILE`" + ` reports every mistake of a file with line and column, and starts nothing.
[Changing it](operating.md#changing-the-configuration) needs no restart, but for the keys that are marked.

Durations are strings with units (ms, s, m, h): "250ms", "1h30m". Sizes are integers in bytes, or strings with units of 1024: "512B", "64MiB". Relative
paths are relative to the folder of the file.

This file is made from the comments of package [` + "`config`" + `](../config): ` + "`go test ./config -run Docs -rewrite`" + `.
`
)

// docs/configuration.md says of every key what its comment says.
func TestDocs(t *testing.T) {
	want := docs(t)
	if flag.Lookup("rewrite").Value.String() == "true" { // package datadriven defines it
		if err := os.WriteFile(docsFile, []byte(want), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(docsFile)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != want {
		t.Errorf("%s does not say what the comments say: go test ./config -run Docs -rewrite", docsFile)
	}
}

// described are the structs of the package with their comments.
type described map[string]*ast.TypeSpec

func docs(t *testing.T) string {
	all := make(described)
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range files {
		f, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		for _, decl := range f.Decls {
			if g, ok := decl.(*ast.GenDecl); ok && g.Tok == token.TYPE {
				for _, spec := range g.Specs {
					s := spec.(*ast.TypeSpec)
					s.Doc = g.Doc
					all[s.Name.Name] = s
				}
			}
		}
	}
	var b strings.Builder
	b.WriteString(docsHead)
	root := reflect.TypeFor[Config]()
	for i, name := range keysOf(root) {
		f := root.Field(i)
		typ, heading := f.Type, "["+name+"]"
		if typ.Kind() == reflect.Slice {
			typ, heading = typ.Elem(), "["+heading+"]"
		}
		fmt.Fprintf(&b, "\n## `%s`\n\n%s\n", heading, all.field("Config", f.Name))
		all.section(t, &b, name, typ)
	}
	return b.String()
}

// section writes the table of a struct's keys, and those of what is nested in it.
func (all described) section(t *testing.T, b *strings.Builder, path string, typ reflect.Type) {
	b.WriteString("\n| key | type | meaning |\n|---|---|---|\n")
	var nested []int
	for i, key := range keysOf(typ) {
		f := typ.Field(i)
		text := all.field(typ.Name(), f.Name)
		if text == "" {
			if i == 0 || all.field(typ.Name(), typ.Field(i-1).Name) == "" {
				t.Errorf("%s.%s has no comment", path, key)
			}
			text = "See above." // fields that share a comment
		}
		for j, other := range keysOf(typ) { // the comment speaks of fields, the reader of keys
			text = regexp.MustCompile(`\b`+typ.Field(j).Name+`\b`).ReplaceAllString(text, "`"+other+"`")
		}
		if why := AtStart(path + "." + key); why != "" {
			text += " Changes need a restart: " + strings.TrimSuffix(why, ": restart xaproxy") + "."
		}
		fmt.Fprintf(b, "| `%s` | %s | %s |\n", key, kindOf(f.Type), strings.ReplaceAll(text, "|", `\|`))
		if f.Type.Kind() == reflect.Slice && f.Type.Elem().Kind() == reflect.Struct {
			nested = append(nested, i)
		}
	}
	for _, i := range nested {
		f := typ.Field(i)
		inner := path + "." + keysOf(typ)[i]
		fmt.Fprintf(b, "\n### `[[%s]]`\n\n%s\n", inner, sentence(all[f.Type.Elem().Name()].Doc.Text(), f.Type.Elem().Name()))
		all.section(t, b, inner, f.Type.Elem())
	}
}

// field returns the comment of a field, on one line.
func (all described) field(typ, name string) string {
	for _, f := range all[typ].Type.(*ast.StructType).Fields.List {
		if len(f.Names) == 1 && f.Names[0].Name == name && f.Doc != nil {
			return sentence(f.Doc.Text(), name)
		}
	}
	return ""
}

// sentence is a comment without the name that it begins with, where a verb follows that makes a sentence by itself.
func sentence(comment, name string) string {
	text := strings.Join(strings.Fields(comment), " ")
	for _, verb := range []string{"is ", "are "} {
		if rest, ok := strings.CutPrefix(text, name+" "+verb); ok {
			return strings.ToUpper(rest[:1]) + rest[1:]
		}
	}
	if rest, ok := strings.CutPrefix(text, name+" "); ok {
		return strings.ToUpper(rest[:1]) + rest[1:]
	}
	return text
}

func kindOf(typ reflect.Type) string {
	switch typ {
	case reflect.TypeFor[Duration]():
		return "duration"
	case reflect.TypeFor[Size]():
		return "size"
	case reflect.TypeFor[Secret]():
		return "string"
	}
	switch typ.Kind() {
	case reflect.Bool:
		return "boolean"
	case reflect.Int:
		return "integer"
	case reflect.String:
		return "string"
	case reflect.Slice:
		if typ.Elem().Kind() == reflect.Struct {
			return "tables"
		}
		return "list of " + kindOf(typ.Elem()) + "s"
	}
	return strconv.Quote(typ.String())
}
