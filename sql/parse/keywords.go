package parse

import (
	"iter"

	"github.com/pingcap/tidb/pkg/parser"
)

// Keywords are the words of the grammar by name, with 1 for those that are no names without quotes, else 0.
func Keywords() iter.Seq2[string, int] {
	return func(yield func(string, int) bool) {
		for _, k := range parser.Keywords {
			if k.Section == "tidb" {
				continue
			}
			reserved := 0
			if k.Reserved {
				reserved = 1
			}
			if !yield(k.Word, reserved) {
				return
			}
		}
	}
}
