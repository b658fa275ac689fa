package frontends

import (
	"os"
	"testing"

	"stele/tests/cluster"
)

func TestMain(m *testing.M) { os.Exit(cluster.Main(m)) }
