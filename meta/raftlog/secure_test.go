package raftlog

import (
	"testing"

	"stele/meta/command"
	"stele/meta/rpc"
	"stele/meta/rpc/rpctest"
)

// TestSecureStream: FEs replicate over mutual TLS, and one without a certificate of the cluster's CA is turned away.
func TestSecureStream(t *testing.T) {
	ca := rpctest.NewCA(t)
	secured := func(cfg Config, f rpctest.Files) Config {
		s, err := rpc.LoadSecurity(f.Cert, f.Key, f.CA)
		if err != nil {
			t.Fatal(err)
		}
		cfg.Server, cfg.Client = s.Server, s.Client
		return cfg
	}
	leader := open(t, secured(bootstrapped(t, t.TempDir()), ca.Node("fe1")))
	ctx := testContext(t)
	if err := leader.WaitLeader(ctx); err != nil {
		t.Fatal(err)
	}
	good := secured(config(t, "fe2", t.TempDir()), ca.Node("fe2"))
	follower := open(t, good)
	if err := leader.AddLearner(ctx, "fe2", good.Listener.Addr().String()); err != nil {
		t.Fatal(err)
	}
	if _, err := leader.ProposeOne(ctx, &command.CreateDatabase{Name: "d"}); err != nil {
		t.Fatal(err)
	}
	if _, err := follower.WaitApplied(ctx, leader.AppliedIndex()); err != nil {
		t.Fatal(err)
	}
	if _, ok := follower.Current().Database("d"); !ok {
		t.Error("the follower has nothing")
	}
	for name, cfg := range map[string]Config{
		"clear text": config(t, "fe3", t.TempDir()),
		"another CA": secured(config(t, "fe4", t.TempDir()), rpctest.NewCA(t).Node("fe4")),
	} {
		open(t, cfg)
		if err := leader.CheckPeer(ctx, cfg.Listener.Addr().String()); err == nil {
			t.Errorf("%s: the leader talks to it", name)
		}
	}
}
