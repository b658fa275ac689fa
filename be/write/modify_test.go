package write

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"stele/be/tablet"
	"stele/meta/types"
	"stele/proto/bepb"
	"stele/sql/expr"
	"stele/sql/physical"
	"stele/sql/vec"
)

var (
	bigint = types.ColumnType{Kind: types.KindBigInt, NotNull: true}
	narrow = types.ColumnType{Kind: types.KindTinyInt}
)

func pairSchema() types.Schema {
	return types.Schema{TableID: 1, Version: 1, Key: []types.ColumnID{1}, Columns: []types.Column{
		{ID: 1, Name: "id", Type: bigint}, {ID: 2, Name: "n", Type: narrow}}}
}

// oneTablet is a BE that leads tablet 5.
type oneTablet struct {
	w *Writer
	t *tablet.Tablet

	mu   sync.Mutex
	next types.TxnID
}

func (o *oneTablet) Tablet(id types.TabletID) (*tablet.Tablet, bool) { return o.t, id == 5 }

func (o *oneTablet) Forward(string, *bepb.ReplicateRequest, time.Duration, func(*bepb.ReplicateResponse, error)) {
	panic("there are no other replicas")
}

func newOneTablet(t testing.TB) *oneTablet {
	t.Helper()
	s, err := tablet.Open(t.TempDir(), tablet.Options{ClusterID: "one", Small: true, NoBackground: true, FloodBytes: 1, FloodPercent: 1})
	if err != nil {
		t.Fatal(err)
	}
	o := &oneTablet{next: 1}
	if o.t, err = s.Create(tablet.Meta{Tablet: 5, Table: 1, Partition: 1, Replica: 50, Schema: pairSchema(), Epoch: 1}); err != nil {
		t.Fatal(err)
	}
	o.w = New(o, o, Options{ReplicateTimeout: time.Second, VersionWait: time.Second}, slog.New(slog.DiscardHandler))
	t.Cleanup(func() {
		o.w.Close()
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return o
}

func (o *oneTablet) begin() types.TxnID {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.next++
	return o.next
}

// commit publishes what a transaction has prepared.
func (o *oneTablet) commit(t interface{ Fatalf(string, ...any) }, txn types.TxnID) {
	o.mu.Lock()
	defer o.mu.Unlock()
	v := uint64(o.t.Version()) + 1
	got := o.w.Publish(context.Background(), []*bepb.PublishRequest_Item{{TabletId: 5, TxnId: uint64(txn), Version: v, Parts: 1}})
	if got[0] != v {
		t.Fatalf("published %d, not %d", got[0], v)
	}
}

func keyOf(id int64) []byte {
	return vec.AppendKey(nil, &vec.Vector{Type: bigint, N: 1, I64: []int64{id}}, 0)
}

func request(txn types.TxnID, c *physical.Change, id int64) *bepb.ModifyRequest {
	encoded, err := physical.EncodeChange(c)
	if err != nil {
		panic(err)
	}
	return &bepb.ModifyRequest{TxnId: uint64(txn), Part: &bepb.WriteRequest_Part{TabletId: 5, Epoch: 1, MinVersion: 1, ReplicaId: 50},
		LockWaitMs: 5000, Change: encoded, Key: keyOf(id)}
}

// plus is UPDATE … SET n = n + by WHERE id = … AND n < below.
func plus(by, below int64) *physical.Change {
	call := func(name string, args ...*expr.Node) *expr.Node {
		n, err := expr.Call(name, args...)
		if err != nil {
			panic(err)
		}
		return n
	}
	return &physical.Change{Columns: []types.ColumnID{1, 2}, Strict: true, Filter: call("<", expr.Col(1, narrow), expr.ConstInt(below)),
		Assign: []physical.Assignment{{Column: 1, Value: call("+", expr.Col(1, narrow), expr.ConstInt(by)), To: types.Column{ID: 2, Type: narrow}}}}
}

func erase() *physical.Change {
	return &physical.Change{Columns: []types.ColumnID{1, 2}, Delete: true}
}

// upsert is INSERT … VALUES (id, n) ON DUPLICATE KEY UPDATE n = VALUES(n).
func upsert(id, n int64) (*physical.Change, *vec.Batch) {
	return &physical.Change{Columns: []types.ColumnID{1, 2}, Values: []types.ColumnType{bigint, narrow}, Insert: true, Strict: true,
			Assign: []physical.Assignment{{Column: 1, Value: expr.Col(3, narrow), To: types.Column{ID: 2, Type: narrow}}}},
		&vec.Batch{N: 1, Cols: []*vec.Vector{{Type: bigint, N: 1, I64: []int64{id}}, {Type: narrow, N: 1, I64: []int64{n}}}}
}

func (o *oneTablet) put(t testing.TB, id, n int64) {
	t.Helper()
	txn := o.begin()
	c, row := upsert(id, n)
	req := request(txn, c, id)
	req.Values = vec.Encode(nil, row)
	if resp := o.w.Modify(context.Background(), req); resp.Write.Refusal != 0 || len(resp.Write.Parts) != 1 {
		t.Fatalf("put %d: %v", id, resp)
	}
	o.commit(t, txn)
}

// value reads n of a row; ok is false when there is none.
func (o *oneTablet) value(t interface{ Fatalf(string, ...any) }, id int64) (n int64, ok bool) {
	b, found, _, err := o.t.GetAt(o.t.Version(), keyOf(id), []types.ColumnID{2}, nil)
	if err != nil {
		t.Fatalf("read %d: %v", id, err)
	}
	if !found {
		return 0, false
	}
	return b.Cols[0].I64[0], true
}

// TestModifyAgreesWithMap has transactions change rows one after the other, some of which are aborted, against a map. What changes
// nothing, and what fails, leaves nothing behind.
func TestModifyAgreesWithMap(t *testing.T) {
	o := newOneTablet(t)
	rapid.Check(t, func(t *rapid.T) {
		rows := map[int64]int64{}
		for id := range int64(4) {
			if n, ok := o.value(t, id); ok {
				rows[id] = n
			}
		}
		for range 10 {
			id, by := rapid.Int64Range(0, 3).Draw(t, "id"), rapid.Int64Range(-50, 100).Draw(t, "by")
			txn := o.begin()
			old, there := rows[id]
			next, stays, general, matched := old, true, false, there
			var req *bepb.ModifyRequest
			switch rapid.SampledFrom([]string{"plus", "plus", "delete", "upsert"}).Draw(t, "what") {
			case "plus":
				below := rapid.Int64Range(-100, 120).Draw(t, "below")
				req = request(txn, plus(by, below), id)
				if matched = there && old < below; matched {
					next = old + by
					general = next > 127 || next < -128
				}
			case "delete":
				req, stays = request(txn, erase(), id), false
			case "upsert":
				c, row := upsert(id, by)
				req = request(txn, c, id)
				req.Values = vec.Encode(nil, row)
				next = by
			}
			upserted := req.Values != nil
			resp := o.w.Modify(context.Background(), req)
			if resp.General != general || resp.Write.Refusal != 0 || !general && resp.Matched != matched {
				t.Fatalf("row %d (%v, %v) %+v: %v", id, old, there, req, resp)
			}
			changes := !general && (matched && (next != old || !stays) || upserted && !there)
			if (len(resp.Write.Parts) == 1) != changes {
				t.Fatalf("row %d from %d to %d: %v", id, old, next, resp)
			}
			switch {
			case !changes:
				if o.w.locks.count != 0 || len(o.t.Pending()) != 0 {
					t.Fatalf("%d locks and %d transactions stay", o.w.locks.count, len(o.t.Pending()))
				}
				continue
			case rapid.IntRange(0, 3).Draw(t, "abort") == 0:
				if err := o.w.Abort(txn, 0, 5); err != nil {
					t.Fatal(err)
				}
			default:
				o.commit(t, txn)
				if rows[id] = next; !stays {
					delete(rows, id)
				}
			}
			if n, ok := o.value(t, id); ok != containsKey(rows, id) || n != rows[id] {
				t.Fatalf("row %d is %d, %v, not %v", id, n, ok, rows)
			}
		}
	})
}

func containsKey(m map[int64]int64, k int64) bool {
	_, ok := m[k]
	return ok
}

// TestModifyLosesNothing has many increment one row at once: each waits for the one before, and sees it.
func TestModifyLosesNothing(t *testing.T) {
	o := newOneTablet(t)
	o.put(t, 1, 0)
	const writers, each = 8, 15
	var wg sync.WaitGroup
	failed := make(chan string, writers)
	for range writers {
		wg.Go(func() {
			for range each {
				txn := o.begin()
				resp := o.w.Modify(context.Background(), request(txn, plus(1, 127), 1))
				if resp.General || resp.Write.Refusal != 0 || len(resp.Write.Parts) != 1 || resp.Write.Parts[0].Replaced != 1 {
					failed <- fmt.Sprint(resp)
					return
				}
				o.commit(t, txn)
			}
		})
	}
	wg.Wait()
	select {
	case text := <-failed:
		t.Fatal(text)
	default:
	}
	if n, _ := o.value(t, 1); n != writers*each {
		t.Fatalf("the row is %d after %d increments", n, writers*each)
	}
}

// TestModifyWaitsForTheLock: a row that another transaction holds is error 1205 after the wait, and its own to who holds it.
func TestModifyWaitsForTheLock(t *testing.T) {
	o := newOneTablet(t)
	o.put(t, 1, 7)
	one, two := o.begin(), o.begin()
	explicit := func(c *physical.Change) *bepb.ModifyResponse {
		req := request(one, c, 1)
		req.ExplicitTxn, req.Part.ReadVersion = true, uint64(o.t.Version())
		return o.w.Modify(context.Background(), req)
	}
	for _, want := range []int64{8, 9} {
		resp := explicit(plus(1, 100))
		row, err := vec.Decode(resp.Row)
		if err != nil || row.Cols[1].I64[0] != want || resp.Version != uint64(o.t.Version()) {
			t.Fatalf("%v, %v", resp, err)
		}
	}
	other := request(two, plus(1, 100), 1)
	other.LockWaitMs = 1
	if resp := o.w.Modify(context.Background(), other); resp.Write.Refusal != bepb.WriteResponse_LOCK_TIMEOUT {
		t.Fatalf("a locked row: %v", resp)
	}
	if resp := explicit(erase()); !resp.Matched || resp.Write.Parts[0].Deleted != 1 {
		t.Fatalf("delete: %v", resp)
	}
	if resp := explicit(plus(1, 100)); resp.Matched || len(resp.Write.Parts) != 0 {
		t.Fatalf("a deleted row: %v", resp)
	}
	if o.w.locks.count != 1 {
		t.Fatalf("%d locks, of a row that is written", o.w.locks.count)
	}
}

// TestModifyLeavesOldSnapshotsAlone: what depends on an older version of the row is for those who read it.
func TestModifyLeavesOldSnapshotsAlone(t *testing.T) {
	o := newOneTablet(t)
	o.put(t, 1, 7)
	before := o.t.Version()
	o.put(t, 1, 8)
	txn := o.begin()
	req := request(txn, plus(1, 100), 1)
	req.ExplicitTxn, req.Part.ReadVersion = true, uint64(before)
	if resp := o.w.Modify(context.Background(), req); !resp.General || o.w.locks.count != 0 {
		t.Fatalf("a row that is newer than the snapshot: %v, %d locks", resp, o.w.locks.count)
	}
	strange := plus(1, 100)
	strange.Columns = []types.ColumnID{1, 3}
	if resp := o.w.Modify(context.Background(), request(txn, strange, 1)); !resp.General {
		t.Fatalf("other columns: %v", resp)
	}
	stale := request(txn, plus(1, 100), 1)
	stale.Part.Epoch = 0
	if resp := o.w.Modify(context.Background(), stale); resp.Write.Refusal != bepb.WriteResponse_STALE_EPOCH {
		t.Fatalf("a stale epoch: %v", resp)
	}
	if slices.Contains(o.w.locks.holders(), holder{txn, 5}) {
		t.Fatal("the transaction holds a lock")
	}
}

// TestCutOff: a call that was ended before it was done has not failed. An FE that hung while its connection was given up reads such an answer when it
// goes on, and is to try again.
func TestCutOff(t *testing.T) {
	o := newOneTablet(t)
	o.put(t, 1, 7)
	if _, err := o.w.locks.acquireFree(o.begin(), 5, [][]byte{keyOf(1)}); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	late, stop := context.WithTimeout(context.Background(), 0)
	defer stop()
	row := &vec.Batch{N: 1, Cols: []*vec.Vector{{Type: bigint, N: 1, I64: []int64{1}}, {Type: narrow, N: 1, I64: []int64{3}}}}
	write := &bepb.WriteRequest{Parts: []*bepb.WriteRequest_Part{{TabletId: 5, Epoch: 1, MinVersion: 1, ReplicaId: 50, Ops: []byte{byte(types.OpPut)},
		Rows: vec.Encode(nil, row)}}, LockWaitMs: 60_000}
	for _, ctx := range []context.Context{ctx, late} {
		modify := request(o.begin(), plus(1, 1), 1)
		modify.LockWaitMs = 60_000
		write.TxnId = uint64(o.begin())
		for what, resp := range map[string]*bepb.WriteResponse{"write": o.w.Write(ctx, write), "update": o.w.Modify(ctx, modify).Write} {
			if resp.Refusal != bepb.WriteResponse_BEHIND || !strings.HasPrefix(resp.Message, "the call was cut off: ") {
				t.Errorf("%s: %s, %s", what, resp.Refusal, resp.Message)
			}
		}
	}
	if !cutOff(fmt.Errorf("publish: %w", tablet.ErrClosed)) || !cutOff(errStopping) || cutOff(errNoAnswer) {
		t.Error("what cuts a call off")
	}
}
