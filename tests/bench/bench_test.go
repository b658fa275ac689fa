//go:build bench

package bench

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"stele/tests/cluster"
	"stele/tests/tpch"
)

var (
	rounds = flag.Int("rounds", 3, "how often each measurement is made; the median is told")
	span   = flag.Duration("span", 2*time.Second, "how long point statements run in each round")
	scale  = flag.Float64("scale", 0.1, "TPC-H scale factor")
	parts  = flag.String("parts", "point,oltp,bare,tsv,load,query,size,heal,failover,galera",
		"what to measure; query, size and heal need load; copies is the load of galera alone, apps statements of applications")
	appScale = flag.Float64("appscale", 1, "how much of the rows of part apps, of which there are four million")
)

// settings have a cluster look for damage as often as a short measurement needs it.
var settings = cluster.Options{
	FE: map[string]string{"tablet_sched_checker_interval_seconds": "2", "tablet_sched_repair_delay_factor_second": "1",
		"tablet_sched_consecutive_full_clone_delay_sec": "1"},
	BE: map[string]string{"report_tablet_interval_ms": "2000"},
}

func launch(t *testing.T, backends int) *Server {
	t.Helper()
	opts := settings
	opts.Backends = backends
	return Stele(fmt.Sprintf("Stele %d BE", backends), cluster.Start(t, opts))
}

// oneNode is one process, as the peer is; threeNodes are three, as those of Galera are.
const (
	oneNode    = "Stele 1 node"
	threeNodes = "Stele 3 nodes"
)

func launchNodes(t *testing.T, name string, nodes int) *Server {
	t.Helper()
	opts := settings
	opts.Nodes = nodes
	return Stele(name, cluster.Start(t, opts))
}

func startPeer(t *testing.T) *Server {
	t.Helper()
	peer, err := StartPeer()
	if errors.Is(err, ErrNoPeer) {
		t.Logf("no peer, so no ratios: %v", err)
		return nil
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := peer.Close(); err != nil {
			t.Errorf("stop the peer: %v", err)
		}
	})
	return &peer.Server
}

// TestBench prints the table. It fails only when a statement does.
func TestBench(t *testing.T) {
	table := &Table{Servers: []string{"MariaDB", oneNode, "Stele 3 BE"}}
	three := launch(t, 3)
	servers := []*Server{launchNodes(t, oneNode, 1), three}
	if peer := startPeer(t); peer != nil {
		servers = append([]*Server{peer}, servers...)
	}
	t.Cleanup(func() { fmt.Println(table) })
	around := profiler(t)
	part := func(name string, measure func(t *testing.T)) {
		if strings.Contains(*parts, name) {
			t.Run(name, measure)
		}
	}
	part("point", func(t *testing.T) {
		must(t, MeasurePoints(t.Context(), table, servers, *rounds, *span, around))
	})
	part("oltp", func(t *testing.T) {
		must(t, MeasureOLTP(t.Context(), table, servers, *rounds, *span, around))
	})
	part("apps", func(t *testing.T) {
		apps := &Table{Servers: table.Servers}
		defer func() {
			fmt.Println(apps)
			for _, clients := range appClients {
				fmt.Println(apps.Medians(clientsOf(clients)))
			}
		}()
		must(t, MeasureApps(t.Context(), apps, servers, *appScale, *rounds, min(*span, 500*time.Millisecond), around))
	})
	part("bare", func(t *testing.T) { measureBare(t, servers) })
	part("tsv", func(t *testing.T) { must(t, MeasureTSV(t.Context(), table, servers, *rounds)) })
	part("load", func(t *testing.T) {
		must(t, MeasureLoad(t.Context(), table, servers, tpch.Data{Scale: *scale}, *rounds, around))
	})
	part("size", func(t *testing.T) {
		for _, s := range servers {
			MeasureSize(t, table, s)
		}
	})
	part("query", func(t *testing.T) {
		each, err := MeasureQueries(t.Context(), table, servers, *rounds, around)
		must(t, err)
		fmt.Println(each)
	})
	part("heal", func(t *testing.T) { MeasureHeal(t, table, three) })
	part("failover", func(t *testing.T) { MeasureFailover(t, table, three) })
	part("galera", func(t *testing.T) { measureGalera(t, MeasureReplicated) })
	part("copies", func(t *testing.T) {
		measureGalera(t, func(tb testing.TB, table *Table, galera *Galera, stele []*Server, rounds int, _ time.Duration) {
			checked(tb, MeasureTSV(tb.Context(), table, besides(galera, stele), rounds))
		})
	})
}

// TestMain is also the main function of the processes of a bare path.
func TestMain(m *testing.M) {
	is, err := RunBare()
	switch {
	case err != nil:
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	case is:
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// measureBare prints a table of its own: the peer, what Stele cannot be faster than, and Stele with one node.
func measureBare(t *testing.T, servers []*Server) {
	table := &Table{Servers: []string{"MariaDB", bareName, bareApart, oneNode}}
	servers = slices.Clone(servers[:len(servers)-1])
	for _, name := range []string{bareApart, bareName} {
		bare, stop, err := StartBare(name)
		must(t, err)
		t.Cleanup(func() { must(t, stop()) })
		servers = slices.Insert(servers, len(servers)-1, bare)
	}
	must(t, MeasureInserts(t.Context(), table, servers, *rounds, *span))
	fmt.Println(table)
}

// measureGalera prints a table of its own: three nodes against three BEs and one FE, and against three nodes which keep three copies of
// the metadata, too, with nothing else running.
func measureGalera(t *testing.T, measure func(testing.TB, *Table, *Galera, []*Server, int, time.Duration)) {
	table := &Table{Servers: []string{"Galera 3 nodes", "Stele 3 BE", threeNodes}}
	galera, err := StartGalera(t.Context())
	switch {
	case errors.Is(err, ErrNoGalera):
		t.Logf("no Galera, so no ratios: %v", err)
	case err != nil:
		t.Fatal(err)
	default:
		t.Cleanup(func() {
			if err := galera.Close(); err != nil {
				t.Errorf("stop galera: %v", err)
			}
		})
	}
	t.Cleanup(func() { fmt.Println(table) })
	measure(t, table, galera, []*Server{launch(t, 3), launchNodes(t, threeNodes, 3)}, *rounds, *span)
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
