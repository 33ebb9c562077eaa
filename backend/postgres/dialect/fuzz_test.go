package dialect

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// FuzzTranslate shows that no text makes the translation panic, and that each refusal says what it is. Its seeds are the statements of
// tests/oracle, and of testdata.
func FuzzTranslate(f *testing.F) {
	for _, pattern := range []string{"testdata/*.txt", "../../../tests/oracle/testdata/*.txt"} {
		paths, err := filepath.Glob(pattern)
		if err != nil || len(paths) == 0 {
			f.Fatalf("no files %s: %v", pattern, err)
		}
		for _, path := range paths {
			text, err := os.ReadFile(path)
			if err != nil {
				f.Fatal(err)
			}
			for _, line := range strings.Split(string(text), "\n") {
				f.Add(strings.TrimSuffix(line, ";"))
			}
		}
	}
	catalog := tables{}
	for _, sql := range []string{
		"CREATE TABLE t (id INT PRIMARY KEY, a INT, b VARCHAR(10), c DATETIME, d DECIMAL(8,2), e ENUM('x','y'), doc JSON, n BIGINT UNSIGNED)",
		"CREATE TABLE items (id INT NOT NULL AUTO_INCREMENT PRIMARY KEY, sku VARCHAR(10) NOT NULL UNIQUE, qty INT NOT NULL DEFAULT 0, seen TIMESTAMP NULL)",
		"CREATE TABLE kinds (id INT UNSIGNED PRIMARY KEY, name VARCHAR(20), flag TINYINT(1), price DECIMAL(10,2), born DATE, doc JSON)",
		"CREATE TABLE orders (id BIGINT PRIMARY KEY, kind INT, amount DECIMAL(8,3), note VARCHAR(30), qty INT)",
	} {
		if err := catalog.define(sql); err != nil {
			f.Fatal(err)
		}
	}
	f.Fuzz(func(t *testing.T, sql string) {
		s, err := Translate(sql, Options{Schema: "shop", Catalog: catalog})
		var refused *Error
		switch {
		case err == nil:
			for _, step := range s.Steps {
				if strings.Contains(step.Text, "\x00") {
					t.Errorf("a mark is left in %q", step.Text)
				}
			}
		case !errors.As(err, &refused):
			t.Errorf("%v is no *Error", err)
		case refused.What == "" || refused.Errno == 0 || len(refused.State) != 5 || refused.At > len(sql):
			t.Errorf("%+v does not say enough", refused)
		}
	})
}
