package quorum

import (
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"stele/fe/fakecluster"
	"stele/meta/raftlog"
	"stele/meta/rpc"
)

// TestPatience: tries that find no leader go on for as long as they may, and a process that was stopped meanwhile has tries left.
func TestPatience(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPatience(10 * time.Second)
		tries := 0
		for ; !p.spent(); tries++ {
			time.Sleep(100 * time.Millisecond)
		}
		if took := time.Since(p.begun); took != 10*time.Second {
			t.Errorf("%d tries in %v", tries, took)
		}
		p = newPatience(10 * time.Second)
		time.Sleep(time.Minute)
		if p.spent() {
			t.Error("a minute in which the process was stopped was counted")
		}
		for range 9 {
			if time.Sleep(time.Hour); p.spent() {
				break
			}
		}
		if !p.spent() {
			t.Error("tries that take long go on for ever")
		}
	})
}

// TestRemote: what an error from the leading FE says of a proposal.
func TestRemote(t *testing.T) {
	gone, _ := rpc.Dial("127.0.0.1:1", rpc.DialConfig{Cluster: rpc.NewCluster("c1"), Timeout: time.Minute})
	defer gone.Close()
	for name, c := range map[string]struct {
		err           error
		none, unknown bool
	}{
		"nobody is there":       {gone.Invoke(t.Context(), "/a/b", nil, nil), true, false},
		"the server stops":      {&rpc.Error{Reason: rpc.ReasonStopping}, true, false},
		"another cluster":       {&rpc.Error{Reason: rpc.ReasonWrongCluster}, true, false},
		"no leader":             {&rpc.Error{Reason: ReasonNotLeader}, true, false},
		"the connection broke":  {fakecluster.Unavailable, false, true},
		"nobody knows there":    {&rpc.Error{Reason: ReasonUnknown}, false, true},
		"a refusal of the call": {fmt.Errorf("wrapped: %w", fakecluster.BadQuery), false, false},
	} {
		err := remote(c.err)
		var not *raftlog.ErrNotLeader
		if errors.As(err, &not) != c.none || errors.Is(err, raftlog.ErrOutcomeUnknown) != c.unknown {
			t.Errorf("%s: %v", name, err)
		}
	}
}
