package admin_test

import (
	"testing"

	"stele/fe/stmt/stmttest"
)

// TestGolden: the answers to what operators ask and change are those that were read and accepted.
func TestGolden(t *testing.T) { stmttest.Golden(t) }
