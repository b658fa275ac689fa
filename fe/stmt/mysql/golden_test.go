package mysql_test

import (
	"testing"

	"stele/fe/stmt/stmttest"
)

// TestGolden: the answers to MySQL's SHOW are those that were read and accepted.
func TestGolden(t *testing.T) { stmttest.Golden(t) }
