package plan

import (
	"fmt"
	"strings"

	"stele/meta/catalog"
	"stele/sql/fn"
	ast "stele/sql/parse"
	"stele/sql/syntax"
)

// Checksum is the query of CHECKSUM TABLE: the sum, modulo a power of two, of a number for each row, which does not depend on the order of
// rows and counts those that are there twice.
func Checksum(db string, t *catalog.Table) (ast.StmtNode, error) {
	var names []string
	for i := range t.Schema.Columns {
		if c := &t.Schema.Columns[i]; !c.Hidden {
			names = append(names, syntax.QuoteName(c.Name))
		}
	}
	sql := fmt.Sprintf("SELECT CAST(COALESCE(SUM(%s(%s)), 0) %% %d AS SIGNED) FROM %s.%s", syntax.QuoteName(fn.RowChecksum), strings.Join(names, ", "),
		uint64(1)<<fn.RowChecksumBits, syntax.QuoteName(db), syntax.QuoteName(t.Name))
	stmt, err := ast.Parse(sql, 0)
	if err != nil {
		return nil, fmt.Errorf("BUG: %w in %s", err, sql)
	}
	return stmt.Node, nil
}
