package conf

import (
	"strings"
	"testing"
)

func TestForeignItemsAreRefusedByName(t *testing.T) {
	for _, r := range []*Registry{FE, BE} {
		for name, instead := range foreign[r.Name()] {
			if _, declared := r.Lookup(name); declared {
				continue // it has come to exist, and wins
			}
			if _, err := r.Parse("x.conf", []byte(name+" = 1\n"), "/"); err == nil || !strings.Contains(err.Error(), instead) {
				t.Errorf("%s in a file: %v", name, err)
			}
			if _, err := r.Defaults("/").With(name, "1"); err == nil || !strings.Contains(err.Error(), instead) {
				t.Errorf("%s in a statement: %v", name, err)
			}
		}
	}
}
