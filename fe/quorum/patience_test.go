package quorum

import (
	"context"
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

// TestAwaitRound: a question is waited for as long as its caller may, also behind one that has begun to look for a leader long before.
func TestAwaitRound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		late, begun := &round{done: make(chan struct{})}, time.Now()
		_, err := late.await(t.Context(), 10*time.Second)
		var none *NoLeaderError
		if took := time.Since(begun); !errors.As(err, &none) || took != 10*time.Second || none.Waited != took {
			t.Errorf("%v after %v", err, took)
		}
		answered := &round{done: make(chan struct{}), index: 7}
		time.AfterFunc(9*time.Second, func() { close(answered.done) })
		if index, err := answered.await(t.Context(), 10*time.Second); index != 7 || err != nil {
			t.Errorf("%d, %v", index, err)
		}
		ctx, cancel := context.WithCancelCause(t.Context())
		time.AfterFunc(time.Second, func() { cancel(errors.New("killed")) })
		if _, err := late.await(ctx, 10*time.Second); err == nil || err.Error() != "killed" {
			t.Errorf("a caller that is killed hears %v", err)
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
