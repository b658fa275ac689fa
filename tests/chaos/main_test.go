//go:build chaos

package chaos

import (
	"os"
	"testing"

	"stele/tests/cluster"
)

func TestMain(m *testing.M) { os.Exit(cluster.Main(m)) }
