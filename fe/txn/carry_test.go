package txn_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"

	"pgregory.net/rapid"

	"stele/fe/fakecluster"
	"stele/fe/txn"
	"stele/meta/catalog"
	"stele/meta/command"
	"stele/meta/types"
	"stele/proto/bepb"
	"stele/sql/vec"
)

// leaders are BEs that keep small parts in memory, as the contract with the FE says.
type leaders struct {
	mu      sync.Mutex
	parts   map[heldPart]*heldParts
	offered []uint32 // in the order of the parts
	starts  []int64
}

type heldPart struct {
	txn, tablet uint64
}

// heldParts is what the replicas of a tablet have of a transaction.
type heldParts struct {
	seqs     []uint64
	payloads [][]byte
	durable  bool
}

// lead has all BEs of a world answer so, and notes when they were started, unless that is 0.
func (w *world) lead(startMs int64) *leaders {
	l := &leaders{parts: map[heldPart]*heldParts{}}
	for _, b := range w.BEs {
		if startMs != 0 {
			w.Log.Must(w.t, &command.StartBE{BE: b.ID, StartMs: startMs})
		}
		b.Set(func(b *fakecluster.BE) {
			b.OnWrite = func(_ context.Context, req *bepb.WriteRequest) (*bepb.WriteResponse, error) {
				return l.write(req), nil
			}
			b.OnModify = func(_ context.Context, req *bepb.ModifyRequest) (*bepb.ModifyResponse, error) {
				return l.modify(req), nil
			}
		})
	}
	return l
}

func (l *leaders) write(req *bepb.WriteRequest) *bepb.WriteResponse {
	l.mu.Lock()
	defer l.mu.Unlock()
	resp := fakecluster.Wrote(req)
	used := 0
	for i, p := range req.Parts {
		l.offered, l.starts = append(l.offered, p.RedoBytes), append(l.starts, p.LeaderStartMs)
		key := heldPart{req.TxnId, p.TabletId}
		held := l.parts[key]
		if held == nil {
			held = &heldParts{}
			l.parts[key] = held
		}
		payload := fmt.Appendf(nil, "%d.%d.%d:%x", req.TxnId, p.TabletId, p.Seq, p.Rows)
		held.seqs, held.payloads = append(held.seqs, p.Seq), append(held.payloads, payload)
		if held.durable = held.durable || used+len(payload) > int(p.RedoBytes); !held.durable {
			used += len(payload)
			resp.Parts[i].Redo = payload
		}
	}
	return resp
}

// modify writes row 7 of a key that is not empty.
func (l *leaders) modify(req *bepb.ModifyRequest) *bepb.ModifyResponse {
	switch string(req.Key) {
	case "none":
		return &bepb.ModifyResponse{Write: &bepb.WriteResponse{}}
	case "general":
		return &bepb.ModifyResponse{General: true, Write: &bepb.WriteResponse{}}
	}
	resp := &bepb.ModifyResponse{Matched: true, Write: l.write(&bepb.WriteRequest{TxnId: req.TxnId, Parts: []*bepb.WriteRequest_Part{req.Part}})}
	if req.ExplicitTxn {
		resp.Row = vec.Encode(nil, put(1, 7)[0].Rows)
	}
	return resp
}

// committed returns the CommitTxns of a log from now on.
func (w *world) committed() func() []*command.CommitTxn {
	var mu sync.Mutex
	var out []*command.CommitTxn
	w.Log.Before = func(cmds []command.Command) error {
		mu.Lock()
		defer mu.Unlock()
		if cmd, ok := cmds[0].(*command.CommitTxn); ok {
			out = append(out, cmd)
		}
		return nil
	}
	return func() []*command.CommitTxn {
		mu.Lock()
		defer mu.Unlock()
		return out
	}
}

// check compares what a commit carries with what the replicas have.
func (l *leaders) check(t interface{ Fatalf(string, ...any) }, cmd *command.CommitTxn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, part := range cmd.Tablets {
		held := l.parts[heldPart{uint64(cmd.Txn), uint64(part.Tablet)}]
		for i, seq := range held.seqs {
			if seq != uint64(i) {
				t.Fatalf("tablet %d was written in the order %v", part.Tablet, held.seqs)
			}
		}
		if held.durable && part.Redo != nil {
			t.Fatalf("tablet %d is on disk, and the commit carries %d payloads", part.Tablet, len(part.Redo))
		}
		if !held.durable && !slices.EqualFunc(held.payloads, part.Redo, bytes.Equal) {
			t.Fatalf("tablet %d has %q in memory, and the commit carries %q", part.Tablet, held.payloads, part.Redo)
		}
	}
}

// rows is a write of some rows to a tablet.
func rows(id types.TabletID, n int) txn.TabletWrite {
	big := types.ColumnType{Kind: types.KindBigInt}
	return txn.TabletWrite{Tablet: id, Ops: []byte{byte(types.OpInsert)}, Rows: &vec.Batch{Cols: []*vec.Vector{vec.New(big, n), vec.New(big, n)}, N: n}}
}

// TestCommitCarries: what small statements write comes back from the leaders and goes into the commit.
func TestCommitCarries(t *testing.T) {
	const small, large = 1, 2000 // rows; a large write is more than any budget here
	type write struct {
		tablet, rows int
	}
	for _, c := range []struct {
		name    string
		budget  int
		writes  [][]write // of one statement after the other
		carried []bool    // by tablet
	}{
		{"one row", 16 << 10, [][]write{{{0, small}}}, []bool{true, false}},
		{"two tablets of two leaders", 16 << 10, [][]write{{{0, small}, {1, small}}}, []bool{true, true}},
		{"two parts of a tablet at once", 16 << 10, [][]write{{{0, small}, {0, small}}}, []bool{true, false}},
		{"statements", 16 << 10, [][]write{{{0, small}}, {{1, small}}, {{0, small}}}, []bool{true, true}},
		{"off", 0, [][]write{{{0, small}, {1, small}}}, []bool{false, false}},
		{"too large", 16 << 10, [][]write{{{0, large}}}, []bool{false, false}},
		{"too large later", 16 << 10, [][]write{{{0, small}}, {{1, small}}, {{0, large}}, {{0, small}}}, []bool{false, true}},
		{"too large at once", 16 << 10, [][]write{{{0, small}, {0, large}, {0, small}}}, []bool{false, false}},
		{"a budget of one row", 300, [][]write{{{0, small}}, {{1, small}}}, []bool{true, false}},
		{"what a tablet gives back is for others", 300, [][]write{{{0, small}}, {{0, small}}, {{1, small}}}, []bool{false, true}},
		{"a budget for two is not for two leaders at once", 250, [][]write{{{0, small}, {1, small}}}, []bool{false, false}},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t, 3, 2, types.QuorumMajority)
			w.set.RedoBytes = c.budget
			l, committed := w.lead(7), w.committed()
			w.Lead(t, w.Tablets[1], w.BEs[1].ID)
			x := w.begin(true)
			for _, st := range c.writes {
				var writes []txn.TabletWrite
				for _, one := range st {
					writes = append(writes, rows(w.Tablets[one.tablet], one.rows))
				}
				if _, err := x.Write(context.Background(), writes, lockWait); err != nil {
					t.Fatal(err)
				}
			}
			if err := x.Commit(context.Background()); err != nil {
				t.Fatal(err)
			}
			cmd := committed()[0]
			l.check(t, cmd)
			for _, part := range cmd.Tablets {
				if at := slices.Index(w.Tablets, part.Tablet); c.carried[at] != (len(part.Redo) > 0) {
					t.Errorf("tablet %d: %d payloads", at, len(part.Redo))
				}
			}
			for at, id := range w.Tablets {
				if c.carried[at] != (w.Tablet(t, id).Redo != nil) {
					t.Errorf("tablet %d: the catalog has %+v", at, w.Tablet(t, id).Redo)
				}
			}
		})
	}
}

// TestNothingIsCarried where rows must be on disk before the commit.
func TestNothingIsCarried(t *testing.T) {
	for _, c := range []struct {
		name   string
		starts int64
		before func(*world)
	}{
		{"the start of the leader is unknown", 0, func(*world) {}},
		{"the catalog has too much", 7, func(w *world) {
			tab := w.Tablet(w.t, w.Tablets[1])
			full := command.TxnTablet{Tablet: tab.ID, Epoch: tab.Epoch, Redo: [][]byte{make([]byte, catalog.MaxRedoBytes)}}
			for _, r := range tab.Replicas {
				full.OK = append(full.OK, r.ID)
			}
			for range 32<<20/catalog.MaxRedoBytes + 1 {
				first := w.Log.Must(w.t, &command.AllocIDs{Counter: command.CounterTxns, N: 1}).(catalog.AllocResult).First
				w.Log.Must(w.t, &command.CommitTxn{Txn: types.TxnID(first), Tablets: []command.TxnTablet{full}})
			}
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t, 3, 2, types.QuorumMajority)
			w.set.RedoBytes = 16 << 10
			l := w.lead(c.starts)
			c.before(w)
			x := w.begin(false)
			w.write(x, w.Tablets[0], 1)
			if !slices.Equal(l.offered, []uint32{0}) || !slices.Equal(l.starts, []int64{c.starts}) {
				t.Errorf("offered %v to leaders that were started at %v", l.offered, l.starts)
			}
			if err := x.Commit(context.Background()); err != nil {
				t.Fatal(err)
			}
			if w.Tablet(t, w.Tablets[0]).Redo != nil {
				t.Error("the catalog has rows")
			}
		})
	}
}

// TestLightAfterDurable: a leader that forgets that a tablet is on disk would have a part of a transaction nowhere.
func TestLightAfterDurable(t *testing.T) {
	w := newWorld(t, 1, 1, types.QuorumOne)
	payload := []byte(nil)
	w.BEs[0].Set(func(b *fakecluster.BE) {
		b.OnWrite = func(_ context.Context, req *bepb.WriteRequest) (*bepb.WriteResponse, error) {
			resp := fakecluster.Wrote(req)
			resp.Parts[0].Redo = payload
			return resp, nil
		}
	})
	x := w.begin(true)
	w.write(x, w.Tablets[0], 1)
	payload = []byte("rows")
	if _, err := x.Write(context.Background(), put(w.Tablets[0], 2), lockWait); err == nil {
		t.Fatal("taken")
	}
	if err := x.Commit(context.Background()); err == nil {
		t.Fatal("committed")
	}
}

// TestStartOfLeaderCostsARetry: what was written before its leader was started again is written once more under the same leader, and
// only that is carried.
func TestStartOfLeaderCostsARetry(t *testing.T) {
	w := newWorld(t, 3, 1, types.QuorumMajority)
	w.set.RedoBytes = 16 << 10
	l, committed := w.lead(7), w.committed()
	x := w.begin(true)
	w.write(x, w.Tablets[0], 1)
	first := x.ID()
	w.Log.Must(t, &command.StartBE{BE: w.BEs[0].ID, StartMs: 8})
	if err := x.Commit(context.Background()); err != nil {
		t.Fatal(err)
	}
	tab := w.Tablet(t, w.Tablets[0])
	if len(committed()) != 2 || tab.Version != types.InitialVersion+1 || tab.Redo.Txn != x.ID() || x.ID() == first {
		t.Fatalf("%d commits, %+v", len(committed()), tab)
	}
	l.check(t, committed()[1])
	if !slices.Equal(l.starts, []int64{7, 8}) {
		t.Errorf("the leader is said to have been started at %v", l.starts)
	}
}

// TestCarriedIsWhatIsInMemory: whatever a transaction does, its commit carries exactly what the replicas do not have on disk.
func TestCarriedIsWhatIsInMemory(t *testing.T) {
	w := newWorld(t, 2, 3, types.QuorumMajority)
	l, committed := w.lead(1), w.committed()
	w.Lead(t, w.Tablets[1], w.BEs[1].ID)
	ctx, start, checked := context.Background(), int64(1), 0
	carried := map[bool]int{}
	rapid.Check(t, func(rt *rapid.T) {
		n := func(name string, lo, hi int) int { return rapid.IntRange(lo, hi).Draw(rt, name) }
		w.set.RedoBytes = rapid.SampledFrom([]int{0, 600, 2000, 16 << 10}).Draw(rt, "budget")
		x := w.begin(rapid.Bool().Draw(rt, "explicit"))
		mark := x.Mark()
		for range n("steps", 1, 6) {
			var err error
			switch n("step", 0, 9) {
			case 0, 1, 2, 3, 4:
				var writes []txn.TabletWrite
				for range n("parts", 1, 3) {
					writes = append(writes, rows(w.Tablets[n("tablet", 0, 2)], rapid.SampledFrom([]int{1, 20, 900}).Draw(rt, "rows")))
				}
				_, err = x.Write(ctx, writes, lockWait)
			case 5, 6:
				key := rapid.SampledFrom([]string{"key", "none", "general"}).Draw(rt, "key")
				if _, err = x.Modify(ctx, txn.RowChange{Tablet: w.Tablets[n("tablet", 0, 2)], Key: []byte(key)}, lockWait); key == "general" {
					err = nil
				}
			case 7:
				mark = x.Mark()
			case 8:
				if err = x.RollbackTo(ctx, mark); errors.Is(err, txn.ErrCannotGoBack) {
					err = nil
				}
			case 9:
				start++
				w.Log.Must(t, &command.StartBE{BE: w.BEs[n("be", 0, 1)].ID, StartMs: start})
			}
			if err != nil {
				_ = x.Rollback(ctx) // a leader was started again
				return
			}
		}
		_ = x.Commit(ctx) // whatever comes of it, what was proposed must be right
		for ; checked < len(committed()); checked++ {
			cmd := committed()[checked]
			l.check(rt, cmd)
			for _, part := range cmd.Tablets {
				carried[len(part.Redo) > 0]++
			}
		}
		var trim command.TrimRedo
		for tab := range w.Log.Current().Redoing() {
			trim.Tablets = append(trim.Tablets, command.TabletUpTo{Tablet: tab.ID, Version: tab.Version})
		}
		w.Log.Must(t, &trim)
	})
	if carried[true] == 0 || carried[false] == 0 {
		t.Errorf("%v: the test proves nothing", carried)
	}
}

// TestLearnersAreNamed: a leader has to know whose rows must be on disk in any case, and of which replicas a commit asks for how many.
func TestLearnersAreNamed(t *testing.T) {
	w := newWorld(t, 3, 1, types.QuorumMajority)
	tab := w.Tablet(t, w.Tablets[0])
	w.Log.Must(t, &command.DropReplica{Tablet: tab.ID, Replica: tab.Replicas[2].ID})
	w.Log.Must(t, &command.AddReplica{Tablet: tab.ID, Replica: catalog.Replica{BE: w.BEs[2].ID}})
	w.write(w.begin(false), tab.ID, 1)
	w.BEs[0].Seen(func() {
		p := w.BEs[0].Writes[0].Parts[0]
		if p.Need != 2 {
			t.Errorf("the commit needs %d replicas of two and a learner", p.Need)
		}
		for _, o := range p.Others {
			learner := o.BeId == uint64(w.BEs[2].ID)
			if lags := w.Tablet(t, tab.ID).Replica(types.BEID(o.BeId)).LastFailed != 0; o.Learner != learner || o.Lags != lags {
				t.Errorf("%v", o)
			}
		}
	})
}
