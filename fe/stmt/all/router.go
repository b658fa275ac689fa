// Package all is the registry complete. It links the packages whose declarations fill it, so that whoever routes a statement has them all, and
// prints the reference of everything declared. Nothing is declared here.
package all

import (
	"fmt"

	"stele/fe/stmt"
	_ "stele/fe/stmt/admin"   // declares what an operator does with a cluster in StarRocks' words
	_ "stele/fe/stmt/mysql"   // declares the system tables of MySQL
	_ "stele/fe/stmt/operate" // declares what he does in the words of nodes, groups and operations
	_ "stele/fe/stmt/proc"    // declares the tree of SHOW PROC
	"stele/sql/syntax"
)

// NewRouter returns a router that knows every statement.
func NewRouter() (*syntax.Router, error) {
	r := syntax.NewRouter()
	for _, s := range stmt.Statements() {
		compiled, err := syntax.Compile(s.Syntax)
		if err != nil {
			return nil, fmt.Errorf("statement %s: %w", s.Name, err)
		}
		if err := r.Add(s.Name, compiled); err != nil {
			return nil, fmt.Errorf("statement %s: %w", s.Name, err)
		}
	}
	return r, nil
}
