package raftlog

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"

	"stele/meta/catalog"
	"stele/meta/command"
	"stele/meta/types"
)

// TestCommitsAreAppliedAlike: an FE that takes its own commits as they were proposed has the catalog, to the byte, of those that read them out
// of the log: of commits alone, refused ones, repeated ones with an abort behind, and forwarded ones; where callers have left; and where entries
// of a leader that was cut off had to give their places to others.
func TestCommitsAreAppliedAlike(t *testing.T) {
	n, all := apart(t)
	old, ctx := all[0], testContext(t)
	w := newCommits(t, old)
	w.many(ctx, old, 300)
	alike(t, ctx, old, all)

	n.isolate("fe1", true)
	left, leave := context.WithCancel(ctx)
	var lost sync.WaitGroup
	for range 20 {
		cmds := w.next()
		lost.Go(func() { _, _ = old.Propose(left, cmds...) }) // in vain
	}
	fresh := nextLeader(t, ctx, all[1:])
	w.many(ctx, fresh, 100)
	leave()
	lost.Wait()
	n.isolate("fe1", false)
	alike(t, ctx, fresh, all)
	w.many(ctx, fresh, 50)
	alike(t, ctx, fresh, all)
	committed := 0
	for id := types.TxnID(1); id < w.txns; id++ {
		if _, ok := fresh.Current().TxnTablets(id); ok {
			committed++
		}
	}
	if committed < 100 {
		t.Errorf("%d transactions are committed: the test proves little", committed)
	}
	for _, l := range all {
		if one, _ := l.flights.first(); one != nil || len(l.flights.slots) > 0 {
			t.Errorf("%s: an entry is still on its way, %d slots are taken", l.ID(), len(l.flights.slots))
		}
	}
}

// alike compares the catalogs of all once they have what the leader has.
func alike(t *testing.T, ctx context.Context, leader *Log, all []*Log) {
	t.Helper()
	index, err := leader.ReadIndex(ctx)
	if err != nil {
		t.Fatal(err)
	}
	var want []byte
	for _, l := range append([]*Log{leader}, all...) {
		c, err := l.WaitApplied(ctx, index)
		if err != nil {
			t.Fatal(err)
		}
		got := dump(t, c)
		if want == nil {
			want = got
		}
		if !bytes.Equal(got, want) {
			t.Fatalf("the catalog of %s differs from that of %s", l.ID(), leader.ID())
		}
	}
}

// commits makes transactions on two tablets.
type commits struct {
	mu      sync.Mutex
	rnd     *rand.Rand
	txns    types.TxnID // the next one
	tablets []catalog.Tablet
}

func newCommits(t *testing.T, l *Log) *commits {
	t.Helper()
	for i := range 3 {
		propose(t, l, &command.AddBE{BE: catalog.BE{Host: fmt.Sprint("b", i), Port: 1}})
	}
	propose(t, l, &command.CreateDatabase{Name: "d"})
	propose(t, l, &command.AllocIDs{N: 100})
	propose(t, l, &command.AllocIDs{Counter: command.CounterTxns, N: 10_000, TimeMs: 1})
	db, _ := l.Current().Database("d")
	first := l.Current().NextID() - 100
	tbl := catalog.Table{ID: types.TableID(first), DatabaseID: db.ID, Name: "t", Replicas: 3, Buckets: 2, HashBy: []types.ColumnID{1},
		Schema: types.Schema{TableID: types.TableID(first), Version: 1, Key: []types.ColumnID{1},
			Columns: []types.Column{{ID: 1, Name: "id", Type: types.ColumnType{Kind: types.KindBigInt, NotNull: true}}}},
		Parts: []catalog.Partition{{ID: types.PartitionID(first + 1), Name: "t", Replicas: 3}}}
	w := &commits{rnd: rand.New(rand.NewPCG(3, 4)), txns: 1}
	bes := slices.Collect(l.Current().BEs())
	for k := range uint64(2) {
		tab := catalog.Tablet{ID: types.TabletID(first + 2 + k), Table: tbl.ID, Partition: tbl.Parts[0].ID, Version: 1, Epoch: 1, Leader: bes[0].ID}
		for i, be := range bes {
			tab.Replicas = append(tab.Replicas, catalog.Replica{ID: types.ReplicaID(first + 10 + 10*k + uint64(i)), BE: be.ID, Version: 1, LastSuccess: 1, Settled: 1})
		}
		tbl.Parts[0].Tablets = append(tbl.Parts[0].Tablets, tab.ID)
		w.tablets = append(w.tablets, tab)
	}
	propose(t, l, &command.CreateTable{Table: tbl, Tablets: w.tablets, TimeMs: 1})
	return w
}

// next returns a commit, some of which are refused, and sometimes an abort behind it.
func (w *commits) next() []command.Command {
	w.mu.Lock()
	defer w.mu.Unlock()
	c := &command.CommitTxn{Txn: w.txns, TimeMs: int64(w.txns) * 100}
	w.txns++
	of := w.tablets
	if w.rnd.IntN(3) > 0 {
		of = of[w.rnd.IntN(2):][:1]
	}
	for _, tab := range of {
		part := command.TxnTablet{Tablet: tab.ID, Epoch: 1, Rows: w.rnd.Int64N(5) - 2}
		if w.rnd.IntN(20) == 0 {
			part.Epoch = 9
		}
		for i := range 3 - w.rnd.IntN(2)*w.rnd.IntN(3) {
			part.OK = append(part.OK, tab.Replicas[i].ID)
		}
		for range w.rnd.IntN(3) {
			part.Redo = append(part.Redo, bytes.Repeat([]byte{'x'}, 1+w.rnd.IntN(300)))
		}
		c.Tablets = append(c.Tablets, part)
	}
	if w.rnd.IntN(10) == 0 {
		return []command.Command{c, &command.AbortTxns{Txns: []types.TxnID{c.Txn}, TimeMs: c.TimeMs}}
	}
	return []command.Command{c}
}

// many proposes commits, many at a time: some twice, some as another FE forwards them, and some whose callers leave.
func (w *commits) many(ctx context.Context, l *Log, count int) {
	var wg sync.WaitGroup
	for k := range 10 {
		wg.Go(func() {
			for i := range count / 10 {
				cmds := w.next()
				switch (i + k) % 5 {
				case 0:
					encoded := make([][]byte, len(cmds))
					for j, c := range cmds {
						encoded[j], _ = command.Encode(c)
					}
					_, _ = l.ProposeEncoded(ctx, Tag{}, encoded)
				case 1:
					left, leave := context.WithCancel(ctx)
					go leave()
					_, _ = l.Propose(left, cmds...)
				case 2:
					_, _ = l.Propose(ctx, cmds...)
				}
				_, _ = l.Propose(ctx, cmds...)
			}
		})
	}
	wg.Wait()
}
