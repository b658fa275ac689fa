package session

import (
	"context"
	"errors"
	"testing"
	"time"

	"stele/fe/fakecluster"
	"stele/fe/txn"
	"stele/meta/catalog"
	"stele/meta/types"
	"stele/sql/vec"
)

// TestLargeStatementIsTriedAgain: a statement whose tries take longer than its patience begins anew when it loses a leader in its midst, but not for
// ever; one that has written nothing has waited in vain.
func TestLargeStatementIsTriedAgain(t *testing.T) {
	c := fakecluster.New(t, 1, 1, types.QuorumAll)
	txns := txn.New(c.Log, c.Clients, c, func() txn.Settings { return txn.Settings{WriteTimeout: time.Minute, PublishWait: time.Minute} }, c.Logger)
	t.Cleanup(txns.Close)
	s := &Session{sh: New(Parts{Log: c.Log, Txns: txns, Settings: func() Settings { return Settings{WriteTimeout: time.Minute} }})}
	big := types.ColumnType{Kind: types.KindBigInt}
	row := []txn.TabletWrite{{Tablet: c.Tablets[0], Ops: []byte{byte(types.OpInsert)}, Rows: &vec.Batch{N: 1, Cols: []*vec.Vector{vec.New(big, 1), vec.New(big, 1)}}}}
	tries, failures := 0, 0
	run := func(writes []txn.TabletWrite) error {
		r := s.retrier()
		tries = 0
		return s.writeAlone(t.Context(), &r, func(ctx context.Context, _ *catalog.Catalog, x *txn.Txn) error {
			tries++
			r.deadline = time.Now().Add(-time.Second) // that is how long it takes
			if len(writes) > 0 {
				if _, err := x.Write(ctx, writes, time.Second); err != nil {
					t.Error(err)
				}
			}
			if tries <= failures {
				return &txn.RetryError{Err: errors.New("the leader is gone")}
			}
			return nil
		})
	}
	if failures = worksMax; run(row) != nil || tries != 1+worksMax {
		t.Errorf("it was given up after %d tries", tries)
	}
	if failures = worksMax + 1; run(row) == nil || tries != 1+worksMax {
		t.Errorf("it was tried %d times", tries)
	}
	if failures = 1; run(nil) == nil || tries != 1 {
		t.Errorf("one that has written nothing was tried %d times", tries)
	}
}
