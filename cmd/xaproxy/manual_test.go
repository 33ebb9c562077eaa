package main

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"
)

var manual = flag.String("manual", "", "the folder to write man pages to")

// Every command says in a sentence what it is for, and there is a man page of each. Packages are made with those that it writes to -manual.
func TestManual(t *testing.T) {
	dir := *manual
	if dir == "" {
		dir = t.TempDir()
	}
	root := rootCommand()
	root.DisableAutoGenTag = true // it has the date of the day
	root.InitDefaultCompletionCmd()
	date := time.Unix(0, 0).UTC()
	if err := doc.GenManTree(root, &doc.GenManHeader{Title: "XAPROXY", Section: "1", Date: &date, Source: "xaproxy", Manual: "xaproxy"}, dir); err != nil {
		t.Fatal(err)
	}
	var each func(*cobra.Command)
	each = func(c *cobra.Command) {
		page := filepath.Join(dir, strings.ReplaceAll(c.CommandPath(), " ", "-")+".1")
		if text, err := os.ReadFile(page); err != nil || !strings.Contains(string(text), "SYNOPSIS") {
			t.Errorf("%s: %v", page, err)
		}
		if c.Short == "" {
			t.Errorf("%s does not say what it is for", c.CommandPath())
		}
		for _, sub := range c.Commands() {
			if sub.IsAvailableCommand() {
				each(sub)
			}
		}
	}
	each(root)
}
