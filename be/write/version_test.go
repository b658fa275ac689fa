package write

import (
	"context"
	"errors"
	"log/slog"
	"sync/atomic"
	"testing"
	"time"

	"stele/be/tablet"
	"stele/meta/types"
	"stele/proto/bepb"
	"stele/sql/vec"
)

const (
	keyed  = types.TabletID(1) // rows under a key
	hidden = types.TabletID(2) // rows under hidden ids
)

// bench is a writer over a store with two tablets, without other replicas.
type bench struct {
	*Writer
	store *tablet.Store
	late  atomic.Int64
}

func (b *bench) Tablet(id types.TabletID) (*tablet.Tablet, bool) { return b.store.Tablet(id) }

func (b *bench) Forward(string, *bepb.ReplicateRequest, time.Duration, func(*bepb.ReplicateResponse, error)) {
	panic("BUG: there are no other replicas")
}

// restart makes a writer that remembers nothing.
func (b *bench) restart(wait time.Duration) {
	b.Writer = New(b, b, Options{ReplicateTimeout: time.Second, VersionWait: wait, Late: func() { b.late.Add(1) }}, slog.New(slog.DiscardHandler))
}

func newBench(t *testing.T, wait time.Duration) *bench {
	t.Helper()
	s, err := tablet.Open(t.TempDir(), tablet.Options{ClusterID: "c", Small: true, NoBackground: true, FloodBytes: 1, FloodPercent: 1})
	if err != nil {
		t.Fatal(err)
	}
	b := &bench{store: s}
	b.restart(wait)
	t.Cleanup(func() {
		b.Close()
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	for _, id := range []types.TabletID{keyed, hidden} {
		if _, err := s.Create(tablet.Meta{Tablet: id, Table: 1, Partition: 1, Replica: types.ReplicaID(id), Schema: tableOf(id), Epoch: 1}); err != nil {
			t.Fatal(err)
		}
	}
	return b
}

func tableOf(id types.TabletID) types.Schema {
	name := "id"
	if id == hidden {
		name = types.RowIDColumn
	}
	return types.Schema{TableID: 1, Version: 1, Key: []types.ColumnID{1},
		Columns: []types.Column{{ID: 1, Name: name, Hidden: id == hidden, Type: types.ColumnType{Kind: types.KindBigInt, NotNull: true}}}}
}

func rowsOf(id types.TabletID, keys ...int64) *vec.Batch {
	schema := tableOf(id)
	return &vec.Batch{N: len(keys), Cols: []*vec.Vector{{Type: schema.Columns[0].Type, N: len(keys), I64: keys}}}
}

// write leads a statement of one row.
func (b *bench) write(id types.TabletID, txn types.TxnID, epoch types.Epoch, least types.Version, op types.RowOp, key int64) bepb.WriteResponse_Refusal {
	resp := b.Write(context.Background(), &bepb.WriteRequest{TxnId: uint64(txn), Parts: []*bepb.WriteRequest_Part{{TabletId: uint64(id),
		ReplicaId: uint64(id), Epoch: uint64(epoch), MinVersion: uint64(least), Ops: []byte{byte(op)}, Rows: vec.Encode(nil, rowsOf(id, key))}}})
	return resp.Refusal
}

func (b *bench) tell(t *testing.T, id types.TabletID, txn types.TxnID, v types.Version) {
	t.Helper()
	b.Publish(context.Background(), []*bepb.PublishRequest_Item{{TabletId: uint64(id), TxnId: uint64(txn), Version: uint64(v)}})
	if tb, _ := b.Tablet(id); tb.Version() < v {
		t.Fatalf("version %d was told, the tablet has %d", v, tb.Version())
	}
}

// TestWriteBehindItsVersion: a leader waits for the versions from before its first write at an epoch, and for later ones only
// where no lock tells who is at work on a row.
func TestWriteBehindItsVersion(t *testing.T) {
	b := newBench(t, time.Millisecond)
	const fine, behind = bepb.WriteResponse_REFUSAL_UNSPECIFIED, bepb.WriteResponse_BEHIND
	want := func(what string, got, want bepb.WriteResponse_Refusal) {
		t.Helper()
		if got != want {
			t.Fatalf("%s: %v, want %v", what, got, want)
		}
	}
	want("a version is missing at the first write of an epoch", b.write(keyed, 10, 1, 2, types.OpInsert, 1), behind)
	want("none is missing", b.write(keyed, 11, 1, 1, types.OpInsert, 1), fine)
	want("an own one is on its way", b.write(keyed, 12, 1, 2, types.OpInsert, 2), fine)
	want("the row of it is locked", b.write(keyed, 13, 1, 2, types.OpInsert, 1), bepb.WriteResponse_LOCK_TIMEOUT)
	b.tell(t, keyed, 11, 2)
	want("it has come, and so has its row", b.write(keyed, 14, 1, 2, types.OpInsert, 1), bepb.WriteResponse_DUPLICATE_KEY)
	want("one is missing at the next epoch", b.write(keyed, 15, 2, 3, types.OpPut, 5), behind)
	b.tell(t, keyed, 12, 3)
	want("it has come", b.write(keyed, 16, 2, 3, types.OpPut, 5), fine)
	want("an old epoch", b.write(keyed, 17, 1, 3, types.OpPut, 6), bepb.WriteResponse_STALE_EPOCH)
	b.tell(t, keyed, 16, 4)
	b.restart(time.Millisecond)
	want("one is missing after a restart", b.write(keyed, 18, 2, 5, types.OpPut, 7), behind)

	want("new rows under hidden ids", b.write(hidden, 20, 1, 1, types.OpInsert, 1), fine)
	want("and more", b.write(hidden, 21, 1, 2, types.OpInsert, 2), fine)
	want("rows under hidden ids that others may have written", b.write(hidden, 22, 1, 2, types.OpPut, 1), behind)
	b.tell(t, hidden, 20, 2)
	want("which have come", b.write(hidden, 23, 1, 2, types.OpPut, 1), fine)
}

// TestWaitVersion: who waits for a version goes on as soon as it is told; after a moment the FE is asked for it, once.
func TestWaitVersion(t *testing.T) {
	b := newBench(t, time.Second)
	tb, _ := b.Tablet(keyed)
	if refusal := b.write(keyed, 10, 1, 1, types.OpInsert, 1); refusal != 0 {
		t.Fatal(refusal)
	}
	if b.WaitVersion(context.Background(), tb, 2, time.Millisecond) || b.late.Load() != 0 {
		t.Fatalf("a version that nobody has told has come, or %d questions after a millisecond", b.late.Load())
	}
	begun := time.Now()
	if b.WaitVersion(context.Background(), tb, 2, 3*lateAfter) || time.Since(begun) < 3*lateAfter || b.late.Load() != 1 {
		t.Fatalf("%d questions in %v", b.late.Load(), time.Since(begun))
	}
	ended, cancel := context.WithCancel(context.Background())
	cancel()
	if b.WaitVersion(ended, tb, 2, time.Hour) {
		t.Fatal("waited for nothing, with success")
	}
	came := make(chan bool, 1)
	go func() { came <- b.WaitVersion(context.Background(), tb, 2, time.Hour) }()
	b.tell(t, keyed, 10, 2)
	if !<-came {
		t.Fatal("the version has come, and the wait says that it has not")
	}
}

// TestPassOver: a replica goes on at a later version over what is lost, and misses nothing that it has; but not while an outcome
// is awaited.
func TestPassOver(t *testing.T) {
	b := newBench(t, time.Millisecond)
	tb, _ := b.Tablet(keyed)
	for txn := range types.TxnID(2) {
		if refusal := b.write(keyed, 10+txn, 1, 1, types.OpInsert, int64(txn)); refusal != 0 {
			t.Fatal(refusal)
		}
	}
	// Versions 2 and 3 are lost, 4 is known here, 5 is pending.
	b.Publish(context.Background(), []*bepb.PublishRequest_Item{{TabletId: uint64(keyed), TxnId: 10, Version: 4}})
	if err := b.PassOver(context.Background(), tb, 3); !errors.Is(err, ErrOutcomeAwaited) || tb.Version() != 1 {
		t.Fatalf("passed over with an outcome awaited: %v, version %d", err, tb.Version())
	}
	b.Publish(context.Background(), []*bepb.PublishRequest_Item{{TabletId: uint64(keyed), TxnId: 11, Version: 5}})
	if err := b.PassOver(context.Background(), tb, 3); err != nil || tb.Version() != 5 {
		t.Fatalf("%v, version %d, want 5: what is known is applied", err, tb.Version())
	}
	if err := b.PassOver(context.Background(), tb, 7); err != nil || tb.Version() != 7 || tb.Stats().Rows != 2 {
		t.Fatalf("%v, version %d, want 7; %d rows, want 2", err, tb.Version(), tb.Stats().Rows)
	}
}
