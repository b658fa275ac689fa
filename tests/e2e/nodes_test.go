package e2e

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"stele/tests/cluster"
)

// nodesOf are processes that are an FE and a BE each.
func nodesOf(n int) cluster.Options { return cluster.Options{Nodes: n, FE: prompt.FE, BE: prompt.BE} }

// TestThreeNodes kills nodes that are FE and BE at once, under writes through one of them, and starts them again: another one, the one that
// the clients talk to, and all. Nothing acknowledged is lost, replicas agree.
func TestThreeNodes(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute)
	defer cancel()
	c := cluster.Start(t, nodesOf(3))
	r := newRedoRun(ctx, t, c, redoTables)
	t.Run("another node is killed", func(t *testing.T) { r.crash(ctx, t, []string{"node2"}, r.restart) })
	t.Run("the node of the clients is killed", func(t *testing.T) { r.crash(ctx, t, []string{"node1"}, r.restart) })
	t.Run("all are killed", func(t *testing.T) { r.crash(ctx, t, c.Nodes(), r.restartAll) })
}

// restartAll kills nodes and starts them at the same time: an FE does not listen without others.
func (r *redoRun) restartAll(t *testing.T, nodes []string) {
	t.Helper()
	for _, node := range nodes {
		must(t, r.c.Kill(node))
	}
	must(t, r.c.Spawn(nodes...))
	r.c.Wait(t, "an answer", healTimeout, func() (bool, string) {
		_, err := r.c.Leader(t.Context())
		return err == nil, "no leader"
	})
}

// TestOneNode kills the only node, which holds the only copies, again and again. Then a BE and an FE are added to it, as to any cluster.
func TestOneNode(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	c := cluster.Start(t, nodesOf(1))
	r := newRedoRun(ctx, t, c, map[string]int{"single": 1})
	for range 3 {
		r.crash(ctx, t, c.Nodes(), r.restart)
	}
	be, err := c.AddBackend(ctx)
	must(t, err)
	c.WaitAlive(t, be, true, 30*time.Second)
	_, err = c.DB().ExecContext(ctx, `ALTER SYSTEM ADD OBSERVER "`+c.FrontendAddr("fe2")+`"`)
	must(t, err)
	fe, err := c.AddFrontend()
	must(t, err)
	if names := strings.Join(c.Nodes(), " "); names != "node1 fe2 be2" || be != "be2" || fe != "fe2" {
		t.Errorf("nodes %s, added %s and %s", names, be, fe)
	}
	c.Wait(t, fe+" answers", 30*time.Second, func() (bool, string) {
		var n int
		err := c.FrontendDB(2).QueryRowContext(ctx, "SELECT COUNT(*) FROM information_schema.tables").Scan(&n)
		return err == nil, fmt.Sprint(err)
	})
}
