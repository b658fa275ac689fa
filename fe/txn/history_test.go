package txn_test

import (
	"context"
	"errors"
	"testing"

	"stele/fe/txn"
	"stele/meta/types"
)

// TestHalfWrittenAgain: a transaction that could not be written again whole goes back to no mark, behind which it would lack what it had
// written, and commits nothing.
func TestHalfWrittenAgain(t *testing.T) {
	w := newWorld(t, 1, 1, types.QuorumOne)
	x := w.begin(true)
	broken := false
	for key := range int64(3) {
		if _, err := x.Write(context.Background(), put(w.Tablets[0], key), lockWait); err != nil {
			t.Fatal(err)
		}
		x.Promise(0, func(context.Context) error {
			if broken {
				return &txn.RetryError{Err: errors.New("a row refers to what is gone"), Gone: true}
			}
			return nil
		})
	}
	mark := x.Mark()
	if _, err := x.Write(context.Background(), put(w.Tablets[0], 9), lockWait); err != nil {
		t.Fatal(err)
	}
	broken = true
	var gone *txn.RetryError
	if err := x.RollbackTo(context.Background(), mark); !errors.As(err, &gone) {
		t.Fatalf("a promise is broken: %v", err)
	}
	broken = false
	if err := x.RollbackTo(context.Background(), mark); !errors.Is(err, txn.ErrCannotGoBack) {
		t.Errorf("back to a mark of what is not written: %v", err)
	}
	if err := x.Commit(context.Background()); err == nil {
		t.Error("a part of the transaction has committed")
	}
}

// TestLostRowsAreWrittenAgain: what a leader does not have any more, at an epoch that is still the current one, is written again under a new id.
func TestLostRowsAreWrittenAgain(t *testing.T) {
	w := newWorld(t, 1, 1, types.QuorumOne)
	x := w.begin(true)
	if _, err := x.Write(context.Background(), put(w.Tablets[0], 1), lockWait); err != nil {
		t.Fatal(err)
	}
	before := x.ID()
	if err := x.Refresh(context.Background()); err != nil || x.ID() != before {
		t.Fatalf("nothing is lost: id %d became %d, %v", before, x.ID(), err)
	}
	x.Lost()
	if err := x.Refresh(context.Background()); err != nil || x.ID() == before || !x.Wrote(w.Tablets[0]) {
		t.Errorf("id %d became %d, %v", before, x.ID(), err)
	}
	if err := x.Commit(context.Background()); err != nil {
		t.Error(err)
	}
}
