package all_test

import (
	"testing"

	"stele/fe/stmt/all"
	"stele/fe/stmt/stmttest"
)

// TestReference keeps the manual in step with the declarations.
func TestReference(t *testing.T) { stmttest.CheckFile(t, "../STATEMENTS.md", all.Doc()) }
