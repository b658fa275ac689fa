package txn_test

import (
	"context"
	"errors"
	"testing"

	"stele/meta/types"
	"stele/proto/bepb"
)

// TestCommitsAreExpected: the log hears of a write whose commit follows at once while it is under way, and of no other; it is
// taken back when the write fails.
func TestCommitsAreExpected(t *testing.T) {
	w := newWorld(t, 3, 1, types.QuorumMajority)
	seen := make(chan int64, 1)
	for _, b := range w.BEs {
		b.OnWrite = func(context.Context, *bepb.WriteRequest) (*bepb.WriteResponse, error) {
			seen <- w.Log.Expected.Load()
			return nil, errors.New("no")
		}
	}
	for _, explicit := range []bool{false, true} {
		x := w.begin(explicit)
		if _, err := x.Write(context.Background(), put(w.Tablets[0], 1), lockWait); err == nil {
			t.Fatal("the write succeeded")
		}
		want := int64(1)
		if explicit {
			want = 0
		}
		if got := <-seen; got != want {
			t.Errorf("explicit %v: %d commits are expected during the write, want %d", explicit, got, want)
		}
		if left := w.Log.Expected.Load(); left != 0 {
			t.Errorf("explicit %v: %d commits are expected for ever", explicit, left)
		}
		if err := x.Rollback(context.Background()); err != nil {
			t.Error(err)
		}
	}
}
