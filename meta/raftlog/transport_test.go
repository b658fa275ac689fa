package raftlog

import (
	"errors"
	"net"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/raft"

	"stele/meta/types"
)

// endpoint is one FE's end of the Raft connections.
func endpoint(t *testing.T, id string) *raft.NetworkTransport {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	cfg := Config{Dir: t.TempDir(), ClusterID: types.ClusterID("c"), ID: id, Listener: l}
	if err := cfg.check(); err != nil {
		t.Fatal(err)
	}
	s := newStream(&cfg, nil)
	n := raft.NewNetworkTransportWithConfig(&raft.NetworkTransportConfig{Stream: s, MaxPool: 1, Timeout: 5 * time.Second, Logger: hclog.NewNullLogger()})
	t.Cleanup(func() {
		_ = n.Close()
		n.CloseStreams()
		_ = s.Close()
	})
	return n
}

// TestRefusedPipeline: a sender is not held up for ever by a follower that refuses a message: it learns that the
// pipeline has ended, while the library's own would keep it.
func TestRefusedPipeline(t *testing.T) {
	leader, follower := endpoint(t, "a"), endpoint(t, "b")
	done := make(chan struct{})
	defer close(done)
	go func() {
		for {
			select {
			case rpc := <-follower.Consumer():
				rpc.Respond(&raft.AppendEntriesResponse{Term: 1, Success: false}, nil)
			case <-done:
				return
			}
		}
	}()
	p, err := transport{leader, &witness{}}.AppendEntriesPipeline("b", follower.LocalAddr())
	if err != nil {
		t.Fatal(err)
	}
	sent := make(chan error, 1)
	go func() {
		for range 100 {
			if _, err := p.AppendEntries(&raft.AppendEntriesRequest{Term: 1}, new(raft.AppendEntriesResponse)); err != nil {
				sent <- err
				return
			}
		}
		sent <- nil
	}()
	if f := <-p.Consumer(); f.Response().Success {
		t.Error("the follower refuses and is said to agree")
	} // and, as the library does, nobody listens to the answers behind it
	select {
	case err := <-sent:
		if err == nil {
			t.Error("a hundred messages were sent behind a refusal")
		}
	case <-time.After(time.Minute):
		t.Error("the sender hangs")
	}
	if err := p.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
		t.Error(err)
	}
}
