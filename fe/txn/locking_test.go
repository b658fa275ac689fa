package txn_test

import (
	"context"
	"errors"
	"slices"
	"testing"

	"stele/fe/fakecluster"
	"stele/fe/txn"
	"stele/meta/catalog"
	"stele/meta/command"
	"stele/meta/types"
	"stele/proto/bepb"
)

// twoLeaders finds two BEs that lead tablets, in order, and a write to one tablet of each.
func (w *world) twoLeaders() (first, second *fakecluster.BE, writes []txn.TabletWrite) {
	w.t.Helper()
	w.Log.Must(w.t, &command.SetLeaders{Items: []command.SetLeader{{Tablet: w.Tablets[1], BE: w.BEs[1].ID}}})
	led := map[types.BEID]types.TabletID{}
	for _, id := range w.Tablets {
		led[w.Tablet(w.t, id).Leader] = id
	}
	bes := slices.Clone(w.BEs)
	slices.SortFunc(bes, func(a, b *fakecluster.BE) int { return int(a.ID) - int(b.ID) })
	for _, be := range bes {
		if id, ok := led[be.ID]; ok {
			writes = append(writes, put(id, int64(be.ID))...)
			if first == nil {
				first = be
			} else {
				second = be
			}
		}
		if len(writes) == 2 {
			return first, second, writes
		}
	}
	w.t.Fatal("one BE leads every tablet")
	return nil, nil, nil
}

// locked has a BE refuse writes because of a row lock.
func locked(be *fakecluster.BE) {
	be.Set(func(b *fakecluster.BE) {
		b.OnWrite = func(_ context.Context, req *bepb.WriteRequest) (*bepb.WriteResponse, error) {
			return &bepb.WriteResponse{Refusal: bepb.WriteResponse_LOCK_TIMEOUT, RefusedTablet: req.Parts[0].TabletId, Message: "locked"}, nil
		}
	})
}

func waits(be *fakecluster.BE) (out []int64) {
	be.Seen(func() {
		for _, w := range be.Writes {
			out = append(out, w.LockWaitMs)
		}
	})
	return out
}

// TestLockTry: a write to several BEs that waits for nothing says so when a row is locked, and a write to one BE waits.
func TestLockTry(t *testing.T) {
	w := newWorld(t, 2, 4, types.QuorumOne)
	first, second, writes := w.twoLeaders()
	locked(second)
	x := w.begin(false)
	x.SetLocking(txn.LockTry)
	_, err := x.Write(context.Background(), writes, lockWait)
	var contended *txn.ContendedError
	if !errors.As(err, &contended) {
		t.Fatalf("got %v", err)
	}
	if err := x.Rollback(context.Background()); err != nil {
		t.Fatal(err)
	}
	x = w.begin(false)
	x.SetLocking(txn.LockTry)
	if _, err = x.Write(context.Background(), writes[1:], lockWait); err == nil || errors.As(err, &contended) {
		t.Fatalf("a write to one BE: %v", err)
	}
	if got := waits(first); !slices.Equal(got, []int64{0}) {
		t.Errorf("the first BE was told to wait %v", got)
	}
	if got := waits(second); !slices.Equal(got, []int64{0, lockWait.Milliseconds()}) {
		t.Errorf("the second BE was told to wait %v", got)
	}
}

// TestLockInOrder: one BE after the other, and none after one that refused.
func TestLockInOrder(t *testing.T) {
	w := newWorld(t, 2, 4, types.QuorumOne)
	first, second, writes := w.twoLeaders()
	slices.Reverse(writes)
	locked(first)
	x := w.begin(false)
	x.SetLocking(txn.LockInOrder)
	_, err := x.Write(context.Background(), writes, lockWait)
	var refusal *txn.Refusal
	if !errors.As(err, &refusal) || refusal.Code != bepb.WriteResponse_LOCK_TIMEOUT {
		t.Fatalf("got %v", err)
	}
	if n := len(waits(second)); n != 0 {
		t.Errorf("the second BE was called %d times although the first refused", n)
	}
	if got := waits(first); !slices.Equal(got, []int64{lockWait.Milliseconds()}) {
		t.Errorf("the first BE was told to wait %v", got)
	}
}

// TestWriteKnowsItsSchema: a write that was planned before a unique key was added does not reach a BE, nor does one that
// says nothing of the schema.
func TestWriteKnowsItsSchema(t *testing.T) {
	w := newWorld(t, 1, 1, types.QuorumOne)
	write := put(w.Tablets[0], 1)
	try := func(version uint32) error {
		x := w.begin(false)
		write[0].Schema = version
		_, err := x.Write(context.Background(), write, lockWait)
		return errors.Join(err, x.Rollback(context.Background()))
	}
	for _, version := range []uint32{0, 1} {
		if err := try(version); err != nil {
			t.Errorf("schema version %d of a table without unique keys: %v", version, err)
		}
	}
	table, _ := w.Log.Current().TableByID(w.Table)
	index := catalog.Table{DatabaseID: table.DatabaseID, Name: "hidden", IndexOf: table.ID, Replicas: 1, Schema: table.Schema, HashBy: table.Schema.Key}
	first := types.TabletID(w.Log.Must(t, &command.AllocIDs{N: 4}).(catalog.AllocResult).First)
	index.ID, index.Schema.TableID = types.TableID(first+1), types.TableID(first+1)
	index.Partition = table.Partition
	for _, p := range table.Parts {
		p.ID, p.Tablets = types.PartitionID(first+2), []types.TabletID{first}
		index.Parts = append(index.Parts, p)
	}
	tablet := catalog.Tablet{ID: first, Leader: w.BEs[0].ID, Replicas: []catalog.Replica{{ID: types.ReplicaID(first + 3), BE: w.BEs[0].ID}}}
	w.Log.Must(t, &command.AddIndex{Table: table.ID, ExpectVersion: 1, Index: &command.IndexTable{Table: index, Tablets: []catalog.Tablet{tablet}},
		Key: catalog.UniqueKey{Name: "k", Columns: table.Schema.Key, Unique: true, Index: index.ID, BuildUntilMs: 1}})
	for _, version := range []uint32{0, 1} {
		if retry := mustRetry(t, try(version)); !retry.Gone {
			t.Errorf("schema version %d: %v, want a plan over a new snapshot", version, retry)
		}
	}
	if err := try(2); err != nil {
		t.Error(err)
	}
}
