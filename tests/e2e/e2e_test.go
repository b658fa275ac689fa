// Package e2e proves what Stele promises as a whole, on clusters of real processes: SQL through a real client, and the
// life of a cluster whose nodes are killed, wiped, added and restarted while clients write.
//
// The SQL files of testdata share one cluster, each in a database of its own. Every test that ends nodes has a cluster to
// itself.
package e2e

import (
	"flag"
	"fmt"
	"os"
	"sync"
	"testing"

	"stele/tests/cluster"
)

// mysqlDSN has the SQL files run against another server. The golden files of those that are MySQL-compatible must pass
// there, too.
var mysqlDSN = flag.String("mysql-dsn", "", "run the SQL files against this MySQL server, as user:password@tcp(host:port)/")

// shared is the cluster of the SQL files, started when the first of them asks for it.
var shared = struct {
	once    sync.Once
	cluster *cluster.Cluster
	err     error
}{}

func sharedCluster(t *testing.T) *cluster.Cluster {
	t.Helper()
	shared.once.Do(func() { shared.cluster, shared.err = cluster.Launch(cluster.Options{}) })
	if shared.err != nil {
		t.Fatal(shared.err)
	}
	return shared.cluster
}

func TestMain(m *testing.M) {
	flag.Parse()
	code := m.Run()
	if shared.cluster != nil {
		if code != 0 {
			fmt.Println(shared.cluster.Report())
		}
		if err := shared.cluster.Close(); err != nil {
			fmt.Println("stop the shared cluster:", err)
			code = 1
		}
	}
	os.Exit(code)
}

func skipShort(t *testing.T, why string) {
	t.Helper()
	if testing.Short() {
		t.Skip("-short: " + why)
	}
}
