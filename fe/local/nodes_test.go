package local

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"stele/conf"
)

// place is a node as its configuration files have it.
func places(t *testing.T, l *layout) (out []string) {
	t.Helper()
	for _, n := range l.all() {
		var text strings.Builder
		text.WriteString(n.name())
		for _, r := range n.roles() {
			port := conf.BERPCPort.Key
			if r.kind == "fe" {
				port = conf.QueryPort.Key
			}
			text.WriteString(" " + strings.TrimPrefix(r.addr(port), "127.0.0.1:"))
		}
		out = append(out, text.String())
	}
	return out
}

// TestNodesLayout grows a cluster of nodes of both roles, beside which others come and go in.
func TestNodesLayout(t *testing.T) {
	dir := t.TempDir()
	for _, step := range []struct {
		opts Options
		want []string
	}{
		{Options{Nodes: 2, MySQLPort: 9030, HTTPPort: 8030}, []string{"node1 9030 9430", "node2 9031 9431"}},
		{Options{}, []string{"node1 9030 9430", "node2 9031 9431"}},
		{Options{Backends: 1, Frontends: 1}, []string{"fe1 9032", "node1 9030 9430", "node2 9031 9431", "be1 9432"}},
		{Options{Nodes: 3}, []string{"fe1 9032", "node1 9030 9430", "node2 9031 9431", "node3 9033 9433", "be1 9432"}},
	} {
		step.opts.Dir = dir
		l, err := completeLayout(step.opts)
		if err != nil {
			t.Fatal(err)
		}
		if got := places(t, l); !slices.Equal(got, step.want) {
			t.Errorf("%+v: %q, want %q", step.opts, got, step.want)
		}
		again, err := readLayout(dir)
		if err != nil {
			t.Fatal(err)
		}
		if got := places(t, again); !slices.Equal(got, step.want) {
			t.Errorf("read again: %q, want %q", got, step.want)
		}
	}
	founders := 0
	for _, name := range []string{"node1", "node2", "node3", "fe1"} {
		v, err := conf.FE.Load(filepath.Join(dir, name, "fe.conf"))
		if err != nil {
			t.Fatal(err)
		}
		if conf.Bootstrap.Get(v) {
			founders++
		}
		if name == "node1" && (!conf.Bootstrap.Get(v) || conf.DefaultReplicationNum.Get(v) != 2) {
			t.Errorf("node1 starts a cluster: %v, of %d replicas", conf.Bootstrap.Get(v), conf.DefaultReplicationNum.Get(v))
		}
	}
	if founders != 1 {
		t.Errorf("%d frontends start a cluster", founders)
	}
	for _, o := range []Options{{Nodes: 1}, {Nodes: 99}, {Frontends: 2, Backends: 98}} {
		if o.Dir = dir; o.Nodes == 0 {
			o.Nodes = 3
		}
		if _, err := completeLayout(o); err == nil {
			t.Errorf("%+v is taken", o)
		}
	}
}

// TestNodesBesideOthers adds a node of both roles to a cluster that has none.
func TestNodesBesideOthers(t *testing.T) {
	dir := t.TempDir()
	for _, o := range []Options{{Frontends: 1, Backends: 2, MySQLPort: 9030, HTTPPort: 8030}, {Nodes: 1}} {
		o.Dir = dir
		l, err := completeLayout(o)
		if err != nil {
			t.Fatal(err)
		}
		if o.Nodes == 1 {
			want := []string{"fe1 9030", "node1 9032 9432", "be1 9430", "be2 9431"}
			if got := places(t, l); !slices.Equal(got, want) {
				t.Errorf("%q, want %q", got, want)
			}
		}
	}
	v, err := conf.FE.Load(filepath.Join(dir, "node1", "fe.conf"))
	if err != nil {
		t.Fatal(err)
	}
	if conf.Bootstrap.Get(v) || v.Text(conf.FEHelpers.Spec) != "127.0.0.1:9130" {
		t.Errorf("node1 starts a cluster: %v, helpers %s", conf.Bootstrap.Get(v), v.Text(conf.FEHelpers.Spec))
	}
}

// TestNodeLaidOutInPart: a node that a crash has left without one of its files is laid out again.
func TestNodeLaidOutInPart(t *testing.T) {
	dir := t.TempDir()
	opts := Options{Dir: dir, Nodes: 1, MySQLPort: 9030, HTTPPort: 8030}
	if _, err := completeLayout(opts); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(dir, "node1", "fe.conf")); err != nil {
		t.Fatal(err)
	}
	l, err := completeLayout(opts)
	if err != nil || len(l.nodes) != 1 {
		t.Fatal(err)
	}
	if _, err := conf.FE.Load(filepath.Join(dir, "node1", "fe.conf")); err != nil {
		t.Error(err)
	}
}

// TestRunsNodes runs nodes of both roles: each is one process, registered as both.
func TestRunsNodes(t *testing.T) {
	r := newTestRun(t)
	r.opts.Nodes = 1
	r.ready(t)
	if got := r.cluster.statements(); len(got) != 1 || !strings.HasPrefix(got[0], "ALTER SYSTEM ADD BACKEND ") {
		t.Errorf("statements %q", got)
	}
	if r.pid(t, "node1") == 0 {
		t.Error("node1 does not run")
	}
	if got := r.act(t, Kill, "node1"); got != "node1 killed" {
		t.Error(got)
	}
	r.stderr.await(t, "node1 died", 1)
	if got := r.act(t, Start, "node1"); !strings.HasPrefix(got, "node1 started") {
		t.Error(got)
	}
	r.stop(t)
}

// TestPairsNodes: where a host has several nodes, the cluster is told which frontend and which backend are one process, once.
func TestPairsNodes(t *testing.T) {
	l := &layout{}
	for number := 1; number <= 3; number++ {
		l.add(newNode("/x", "node", number, Options{MySQLPort: 9030, HTTPPort: 8030}))
	}
	row := func(id, port, column, other string) map[string]string {
		return map[string]string{"id": id, "endpoint": "127.0.0.1:" + port, column: other}
	}
	s := &scripted{rows: map[string][]map[string]string{
		"SHOW MNODES": {row("11", "9230", "dnode_id", ""), row("12", "9231", "dnode_id", "22"), row("13", "9232", "dnode_id", "")},
		"SHOW DNODES": {row("21", "9430", "mnode_id", ""), row("22", "9431", "mnode_id", "12"), row("23", "9432", "mnode_id", "")},
	}}
	if err := pair(t.Context(), s, l.nodes); err != nil {
		t.Fatal(err)
	}
	if want := []string{"ALTER MNODE 11 ON DNODE 21", "ALTER MNODE 13 ON DNODE 23"}; !slices.Equal(s.done, want) {
		t.Errorf("statements %q, want %q", s.done, want)
	}
}
