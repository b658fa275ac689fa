package parse

import (
	"github.com/pingcap/tidb/pkg/parser/charset"

	"stele/meta/types"
)

// The grammar refuses collations that it does not know: it learns those that there are, and what they are called for utf8mb3.
func init() {
	learn := func(name, of string, id int) {
		if _, err := charset.GetCollationByName(name); err != nil {
			charset.AddCollation(&charset.Collation{ID: id, CharsetName: of, Name: name})
		}
	}
	const others = 10000 // ids that no server gives
	for _, c := range types.Collations() {
		learn(c.String(), c.Charset(), c.ID())
	}
	for _, rest := range []string{"general_ci", "unicode_ci", "unicode_520_ci", "uca1400_ai_ci", "bin"} {
		learn("utf8mb3_"+rest, "utf8", others+len(rest))
	}
}
