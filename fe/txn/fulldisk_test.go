package txn_test

import (
	"context"
	"errors"
	"testing"

	"stele/fe/fakecluster"
	"stele/fe/txn"
	"stele/meta/types"
	"stele/proto/bepb"
)

// fill has the BE that leads all tablets refuse writes, naming the tablet or not.
func (w *world) fill(named bool) {
	w.BEs[0].Set(func(b *fakecluster.BE) {
		b.OnWrite = func(_ context.Context, req *bepb.WriteRequest) (*bepb.WriteResponse, error) {
			resp := &bepb.WriteResponse{Refusal: bepb.WriteResponse_DISK_FULL, Message: "disk is below its reserve"}
			if named {
				resp.RefusedTablet = req.Parts[0].TabletId
			}
			return resp, nil
		}
	})
}

// tryWrite writes a row, and returns why it could not.
func (w *world) tryWrite() error {
	x := w.begin(false)
	_, err := x.Write(context.Background(), put(w.Tablets[0], 1), lockWait)
	if err == nil {
		return x.Commit(context.Background())
	}
	if rerr := x.Rollback(context.Background()); rerr != nil {
		w.t.Error(rerr)
	}
	if !txn.IsFull(err) {
		w.t.Errorf("%v does not tell of a full disk", err)
	}
	return err
}

// TestFullDiskOfALeader: a write that meets one is tried again where another BE could take the tablet over, and has the BE asked; it succeeds
// with the other leader.
func TestFullDiskOfALeader(t *testing.T) {
	w := newWorld(t, 3, 1, types.QuorumMajority)
	w.set.Failover = true
	w.fill(true)
	retry := mustRetry(t, w.tryWrite())
	if retry.Tablet != w.Tablets[0] || retry.Epoch != w.Tablet(t, w.Tablets[0]).Epoch || retry.Gone {
		t.Errorf("%+v", retry)
	}
	if w.Probes(w.BEs[0].ID) != 1 {
		t.Errorf("the BE was asked %d times", w.Probes(w.BEs[0].ID))
	}
	w.Lead(t, w.Tablets[0], w.BEs[1].ID)
	if err := w.tryWrite(); err != nil {
		t.Errorf("with another leader: %v", err)
	}
}

// TestFullDiskWithoutAWayOut: where nobody could take the tablet over, or nobody would give it to him, the user hears of the disk at once.
func TestFullDiskWithoutAWayOut(t *testing.T) {
	for name, change := range map[string]func(*world){
		"all disks full":     func(w *world) { w.Fill(w.BEs[1].ID, true); w.Fill(w.BEs[2].ID, true) },
		"the others dead":    func(w *world) { w.SetAlive(w.BEs[1].ID, false); w.SetAlive(w.BEs[2].ID, false) },
		"full and dead":      func(w *world) { w.Fill(w.BEs[1].ID, true); w.SetAlive(w.BEs[2].ID, false) },
		"auto_failover off":  func(w *world) { w.set.Failover = false },
		"a BE of before now": func(w *world) { w.fill(false) },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, 3, 1, types.QuorumMajority)
			w.set.Failover = true
			w.fill(true)
			change(w)
			var retry *txn.RetryError
			if err := w.tryWrite(); err == nil || errors.As(err, &retry) {
				t.Errorf("got %v", err)
			}
		})
	}
}
