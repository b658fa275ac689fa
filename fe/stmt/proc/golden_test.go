package proc_test

import (
	"testing"

	"stele/fe/stmt/stmttest"
)

// TestGolden: the answers to SHOW PROC are those that were read and accepted.
func TestGolden(t *testing.T) { stmttest.Golden(t) }
