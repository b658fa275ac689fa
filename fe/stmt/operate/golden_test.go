package operate_test

import (
	"testing"

	"stele/fe/stmt/stmttest"
)

// TestGolden: the answers to the words for nodes, groups and operations are those that were read and accepted.
func TestGolden(t *testing.T) { stmttest.Golden(t) }
